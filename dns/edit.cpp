// SPDX-License-Identifier: Apache-2.0
#include "dns/edit.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "dns/reply.h"

namespace fairlead::dns {
namespace {

// Where names are in a record's data: `before` bytes and so many character-strings, then the names,
// then `after` bytes.
struct Layout {
  uint16_t type;
  uint8_t before;
  uint8_t names;
  uint8_t after;
  bool compress;  // RFC 3597 section 4: only in the types of RFC 1035
  uint8_t strings = 0;
};
constexpr uint8_t kRest = 255;  // as many as there are
constexpr Layout kLayouts[] = {
    {2, 0, 1, 0, true},        // NS
    {3, 0, 1, 0, true},        // MD
    {4, 0, 1, 0, true},        // MF
    {5, 0, 1, 0, true},        // CNAME
    {6, 0, 2, 20, true},       // SOA
    {7, 0, 1, 0, true},        // MB
    {8, 0, 1, 0, true},        // MG
    {9, 0, 1, 0, true},        // MR
    {12, 0, 1, 0, true},       // PTR
    {14, 0, 2, 0, true},       // MINFO
    {15, 2, 1, 0, true},       // MX
    {17, 0, 2, 0, false},      // RP
    {18, 2, 1, 0, false},      // AFSDB
    {21, 2, 1, 0, false},      // RT
    {26, 2, 2, 0, false},      // PX
    {33, 6, 1, 0, false},      // SRV
    {35, 4, 1, 0, false, 3},   // NAPTR, RFC 3403 section 4.1
    {36, 2, 1, 0, false},      // KX
    {39, 0, 1, 0, false},      // DNAME
    {64, 2, 1, kRest, false},  // SVCB, RFC 9460 section 2.2
    {65, 2, 1, kRest, false},  // HTTPS
};

const Layout* layout_of(Type type) {
  for (const Layout& layout : kLayouts)
    if (layout.type == static_cast<uint16_t>(type)) return &layout;
  return nullptr;
}

// The data of one record, in parts.
struct Parts {
  std::span<const uint8_t> before;
  std::vector<Name> names;
  std::span<const uint8_t> after;
};

// False when the data is not as the layout says.
bool split(const Layout& layout, std::span<const uint8_t> message, size_t at, size_t end,
           Parts& parts) {
  const size_t begin = at;
  at += layout.before;
  for (uint8_t i = 0; i < layout.strings && at < end; ++i) at += 1u + message[at];
  if (at > end) return false;
  parts.before = message.subspan(begin, at - begin);
  parts.names.resize(layout.names);
  for (Name& name : parts.names)
    if (!name.parse_compressed(message, at) || at > end) return false;
  parts.after = message.subspan(at, end - at);
  return layout.after == kRest || parts.after.size() == layout.after;
}

void append(std::vector<uint8_t>& out, std::span<const uint8_t> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

std::vector<uint8_t> joined(const Parts& parts) {
  std::vector<uint8_t> out;
  append(out, parts.before);
  for (const Name& name : parts.names) append(out, name.wire());
  append(out, parts.after);
  return out;
}

bool decode_record(std::span<const uint8_t> message, size_t& at, EditRecord& out) {
  Record record;
  size_t owner_at = at;
  if (!read_record(message, at, record) || !out.owner.parse_compressed(message, owner_at))
    return false;
  out.type = record.type;
  out.klass = record.klass;
  out.ttl = record.ttl;
  const auto rdata = message.subspan(record.rdata_at, record.rdata_size);
  const Layout* layout = layout_of(record.type);
  if (layout == nullptr) {
    out.rdata.assign(rdata.begin(), rdata.end());
    return true;
  }
  Parts parts;
  if (!split(*layout, message, record.rdata_at, record.end(), parts)) return false;
  out.rdata = joined(parts);
  return true;
}

class Encoder {
 public:
  explicit Encoder(const EditMessage& message) : message_(message) {}
  std::vector<uint8_t> run();

 private:
  void u16(size_t value) {
    out_.push_back(static_cast<uint8_t>(value >> 8));
    out_.push_back(static_cast<uint8_t>(value));
  }
  void name(const Name& name, bool compress);
  void rdata(const EditRecord& record);
  bool record(const EditRecord& record);

  const EditMessage& message_;
  std::vector<uint8_t> out_;
  std::unordered_map<std::string, uint16_t> seen_;  // where names begin, by their wire form
};

std::vector<uint8_t> Encoder::run() {
  u16(message_.id);
  u16(message_.flags);
  u16(message_.has_question ? 1 : 0);
  out_.resize(kHeaderSize);
  if (message_.has_question) {
    name(message_.name, true);
    u16(static_cast<uint16_t>(message_.type));
    u16(static_cast<uint16_t>(message_.klass));
  }
  for (const Section section : {Section::kAnswer, Section::kAuthority, Section::kAdditional}) {
    uint16_t count = 0;
    for (const EditRecord& each : message_[section]) {
      const size_t before = out_.size();
      if (record(each)) {
        ++count;
        continue;
      }
      out_.resize(before);
      if (section != Section::kAdditional) write_u16(&out_[2], read_u16(&out_[2]) | kFlagTruncated);
      write_u16(&out_[6 + 2 * static_cast<size_t>(section)], count);
      return std::move(out_);
    }
    write_u16(&out_[6 + 2 * static_cast<size_t>(section)], count);
  }
  return std::move(out_);
}

// Case counts in the comparison, so that every name comes back as it was.
void Encoder::name(const Name& name, bool compress) {
  const auto wire = name.wire();
  for (size_t i = 0; i < name.labels(); ++i) {
    const size_t start = name.offset(i);
    const std::string suffix(wire.begin() + static_cast<ptrdiff_t>(start), wire.end());
    const auto [at, added] = seen_.try_emplace(suffix, static_cast<uint16_t>(out_.size()));
    if (!added && compress) return u16(0xc000u | at->second);
    if (added && out_.size() > Reply::kMaxPointer) seen_.erase(at);
    append(out_, wire.subspan(start, 1u + wire[start]));
  }
  out_.push_back(0);
}

void Encoder::rdata(const EditRecord& record) {
  const Layout* layout = layout_of(record.type);
  Parts parts;
  if (layout == nullptr || !layout->compress ||
      !split(*layout, record.rdata, 0, record.rdata.size(), parts))
    return append(out_, record.rdata);
  append(out_, parts.before);
  for (const Name& each : parts.names) name(each, true);
  append(out_, parts.after);
}

// False when it does not fit.
bool Encoder::record(const EditRecord& record) {
  if (record.rdata.size() > kMaxMessage) return false;
  name(record.owner, true);
  u16(static_cast<uint16_t>(record.type));
  u16(static_cast<uint16_t>(record.klass));
  u16(record.ttl >> 16);
  u16(record.ttl & 0xffff);
  u16(0);
  const size_t start = out_.size();
  rdata(record);
  write_u16(&out_[start - 2], static_cast<uint16_t>(out_.size() - start));
  return out_.size() <= kMaxMessage;
}

}  // namespace

std::optional<EditMessage> decode(std::span<const uint8_t> message) {
  if (message.size() < kHeaderSize || message.size() > kMaxMessage) return std::nullopt;
  EditMessage out;
  out.id = read_u16(&message[0]);
  out.flags = read_u16(&message[2]);
  const uint16_t questions = read_u16(&message[4]);
  if (questions > 1) return std::nullopt;
  size_t at = kHeaderSize;
  if (questions == 1) {
    if (!out.name.parse(message, at) || at + 4 > message.size()) return std::nullopt;
    out.has_question = true;
    out.type = static_cast<Type>(read_u16(&message[at]));
    out.klass = static_cast<Class>(read_u16(&message[at + 2]));
    at += 4;
  }
  for (size_t section = 0; section < 3; ++section) {
    const uint16_t count = read_u16(&message[6 + 2 * section]);
    for (uint16_t i = 0; i < count; ++i) {
      EditRecord record;
      if (!decode_record(message, at, record))
        return (out.flags & kFlagTruncated) != 0 ? std::optional(std::move(out)) : std::nullopt;
      out.sections[section].push_back(std::move(record));
    }
  }
  return out;
}

std::vector<uint8_t> encode(const EditMessage& message) {
  return Encoder(message).run();
}

std::vector<Name> rdata_names(const EditRecord& record) {
  const Layout* layout = layout_of(record.type);
  Parts parts;
  if (layout == nullptr || !split(*layout, record.rdata, 0, record.rdata.size(), parts)) return {};
  return std::move(parts.names);
}

bool set_rdata_name(EditRecord& record, size_t index, const Name& name) {
  const Layout* layout = layout_of(record.type);
  Parts parts;
  if (layout == nullptr || !split(*layout, record.rdata, 0, record.rdata.size(), parts) ||
      index >= parts.names.size())
    return false;
  parts.names[index] = name;
  record.rdata = joined(parts);
  return true;
}

bool well_formed(const EditRecord& record) {
  if (record.type == Type::kA) return record.rdata.size() == 4;
  if (record.type == Type::kAaaa) return record.rdata.size() == 16;
  const Layout* layout = layout_of(record.type);
  Parts parts;
  return layout == nullptr || split(*layout, record.rdata, 0, record.rdata.size(), parts);
}

std::optional<std::span<const uint8_t>> find_option(const Query& query, EdnsOption code) {
  if (!query.edns) return std::nullopt;
  size_t at = query.edns->at;
  Record record;
  if (!read_record(query.packet, at, record)) return std::nullopt;
  auto options = query.packet.subspan(record.rdata_at, record.rdata_size);
  while (options.size() >= 4) {
    const size_t size = read_u16(&options[2]);
    if (4 + size > options.size()) return std::nullopt;
    if (read_u16(&options[0]) == static_cast<uint16_t>(code)) return options.subspan(4, size);
    options = options.subspan(4 + size);
  }
  return std::nullopt;
}

EditMessage reply_to_edit(const Query& query, Rcode rcode) {
  EditMessage out;
  out.id = query.id;
  out.flags =
      static_cast<uint16_t>(kFlagResponse | (query.flags & (0x7800 | kFlagRecursionDesired)) |
                            (static_cast<uint16_t>(rcode) & 15));
  out.has_question = true;
  out.name = query.name;
  out.type = query.type;
  out.klass = query.klass;
  return out;
}

void set_question(EditMessage& message, const Query& query) {
  message.id = query.id;
  message.has_question = true;
  message.name = query.name;
  message.type = query.type;
  message.klass = query.klass;
}

void adopt_edited(Reply& reply, const Query& query, EditMessage message) {
  set_question(message, query);
  reply.adopt(encode(message), static_cast<Rcode>(message.flags & 15));
}

}  // namespace fairlead::dns
