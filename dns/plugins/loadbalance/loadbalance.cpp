// SPDX-License-Identifier: Apache-2.0
// Answers with several addresses or mail exchanges come in another order each time, so that clients
// that take the first spread over all; CNAMEs go first.
//
//   loadbalance [round_robin | weighted FILE] {
//       reload DURATION          of FILE; 30s, 0s: never
//       prefer CIDR...           addresses in these come first, in this order
//   }
//
// Addresses of one name and type are shuffled; MX records are rotated. With `weighted` only the
// first address is drawn, by its weight (weights.h), and MX records stay. That is done in place: MX
// records whose names are compressed against each other in a way that does not survive a move stay
// where they are. An answer with addresses of both families to prefer from, or aliases that cannot
// move, is written anew.
#include <algorithm>
#include <array>
#include <random>

#include "base/file.h"
#include "base/log.h"
#include "dns/current.h"
#include "dns/edit.h"
#include "dns/host.h"
#include "dns/plugins/loadbalance/weights.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

constexpr size_t kMaxRecords = 256;  // of an answer that is looked at; longer ones stay as they are

constexpr size_t kMaxFile = 16u << 20;

struct LoadBalanceOptions : PluginOptions {
  std::string file;  // empty: round_robin
  Duration reload = std::chrono::seconds(30);
  std::vector<Cidr> preferred;
  Current<Weights> weights;

  Result<void> build(std::string_view text) {
    auto read = Weights::parse(text, file);
    if (!read.ok()) return read.error();
    weights.set(std::make_shared<const Weights>(*std::move(read)));
    return ok();
  }
};

struct Answer {
  std::array<Record, kMaxRecords> records;
  size_t count = 0;
  size_t end = 0;  // of the section
};

bool read_answer(std::span<const uint8_t> message, size_t at, size_t count, Answer& answer) {
  if (count > kMaxRecords) return false;
  for (size_t i = 0; i < count; ++i)
    if (!read_record(message, at, answer.records[i])) return false;
  answer.count = count;
  answer.end = at;
  return true;
}

bool same_owner(std::span<const uint8_t> message, const Record& a, const Record& b) {
  if (message[a.at] >= 0xc0 && read_u16(&message[a.at]) == read_u16(&message[b.at])) return true;
  Name first;
  Name second;
  size_t at = a.at;
  if (!first.parse_compressed(message, at)) return false;
  at = b.at;
  return second.parse_compressed(message, at) && first == second;
}

// Whether the name at `at` leads to somewhere within [from, to).
bool points_into(std::span<const uint8_t> message, size_t at, size_t from, size_t to) {
  while (at < message.size() && message[at] != 0) {
    if (message[at] < 0xc0) {
      at += 1u + message[at];
      continue;
    }
    if (at + 2 > message.size()) return true;
    const size_t target = read_u16(&message[at]) & 0x3fffu;
    return target >= from && target < to;
  }
  return false;
}

// Where the names in a record's data begin; none for types whose data is not compressed (RFC 3597
// section 4).
std::array<size_t, 2> names_in(std::span<const uint8_t> message, const Record& record) {
  std::array<size_t, 2> none = {0, 0};
  switch (record.type) {
    case Type::kCname:
    case Type::kNs:
    case Type::kPtr:
      return {record.rdata_at, 0};
    case Type::kMx:
      return {record.rdata_at + 2, 0};
    case Type::kSrv:
      return {record.rdata_at + 6, 0};
    case Type::kSoa: {
      size_t second = record.rdata_at;
      return {record.rdata_at, skip_name(message, second) ? second : 0};
    }
    default:  // any number may come over the wire
      return none;
  }
}

// Whether the records in [from, to) can change places: no name from there on leads into them.
bool movable(std::span<const uint8_t> message, size_t from, size_t to) {
  size_t at = from;
  while (at < message.size()) {
    Record record;
    if (!read_record(message, at, record)) return false;
    if (points_into(message, record.at, from, to)) return false;
    for (const size_t name : names_in(message, record))
      if (name != 0 && points_into(message, name, from, to)) return false;
  }
  return true;
}

class LoadBalance : public Plugin {
 public:
  explicit LoadBalance(const LoadBalanceOptions& options) : options_(options) {}

  void on_reply(const Query&, const Client&, Reply& reply) override {
    const size_t count = reply.count(Section::kAnswer);
    if (count < 2 || reply.rcode() != Rcode::kNoError) return;
    if (!look_at(reply)) return;
    if (!put_aliases_first(reply.message())) {
      sort_anew(reply, [](const EditRecord& r) { return r.type == Type::kCname ? 0u : 1u; });
      if (!look_at(reply)) return;
    }
    weights_ = seen_.newest(options_.weights).get();
    const std::span<const uint8_t> message = reply.message();
    for (size_t i = 0; i + 1 < answer_.count;) i = reorder(message, i);
    if (!options_.preferred.empty() && has(Type::kA) && has(Type::kAaaa))
      sort_anew(reply, [this](const EditRecord& r) { return rank_of(r); });
  }

 private:
  bool look_at(Reply& reply);
  bool has(Type type) const;
  template <typename Rank>
  static void sort_anew(Reply& reply, const Rank& rank);
  size_t rank_of(const EditRecord& record) const;
  bool put_aliases_first(std::span<const uint8_t> message);
  size_t reorder(std::span<const uint8_t> message, size_t first);
  // The part of record `index` that changes places: all behind its owner.
  uint8_t* movable_part(size_t index) const {
    const Record& record = answer_.records[index];
    return bytes_ + record.end() - (10 + record.rdata_size);
  }
  IpAddress address_of(size_t index) const;
  void swap(size_t a, size_t b);
  void shuffle(size_t first, size_t end);
  void draw(std::span<const uint8_t> message, size_t first, size_t end);
  void put_preferred_first(size_t first, size_t end);
  size_t below(size_t count) { return static_cast<size_t>(random_() * uint64_t{count} >> 32); }

  const LoadBalanceOptions& options_;
  Seen<Weights> seen_;
  const Weights* weights_ = nullptr;  // of this reply
  std::mt19937 random_{std::random_device()()};
  Answer answer_;
  uint8_t* bytes_ = nullptr;  // of the message
};

bool LoadBalance::look_at(Reply& reply) {
  const std::span<const uint8_t> message = reply.message();
  bytes_ = reply.records().data() - reply.records_at();
  return read_answer(message, reply.records_at(), reply.count(Section::kAnswer), answer_);
}

bool LoadBalance::has(Type type) const {
  const std::span<const Record> records(answer_.records.data(), answer_.count);
  return std::ranges::find(records, type, &Record::type) != records.end();
}

// The answers by rank, those of one rank as they are.
template <typename Rank>
void LoadBalance::sort_anew(Reply& reply, const Rank& rank) {
  std::optional<EditMessage> message = decode(reply.message());
  if (!message) return;
  std::ranges::stable_sort((*message)[Section::kAnswer], {}, rank);
  reply.replace_records(encode(*message));
}

// Aliases, then addresses in the order of `prefer`, then all else.
size_t LoadBalance::rank_of(const EditRecord& record) const {
  if (record.type == Type::kCname) return 0;
  const bool address = record.type == Type::kA || record.type == Type::kAaaa;
  if (!address || !well_formed(record)) return 2 + options_.preferred.size();
  const IpAddress of = IpAddress::from_bytes(record.rdata);
  const auto net =
      std::ranges::find_if(options_.preferred, [&](const Cidr& each) { return each.contains(of); });
  return 1 + static_cast<size_t>(net - options_.preferred.begin());
}

// False: they cannot move.
bool LoadBalance::put_aliases_first(std::span<const uint8_t> message) {
  const auto is_alias = [](const Record& r) { return r.type == Type::kCname; };
  const std::span<Record> records(answer_.records.data(), answer_.count);
  if (std::ranges::is_partitioned(records, is_alias)) return true;
  const auto first = std::ranges::find_if_not(records, is_alias);
  if (!movable(message, first->at, answer_.end)) return false;
  size_t to = first->at;
  for (auto at = first; at != records.end(); ++at) {
    if (!is_alias(*at)) continue;
    std::rotate(bytes_ + to, bytes_ + at->at, bytes_ + at->end());
    to += at->end() - at->at;
  }
  (void)read_answer(message, records.front().at, answer_.count, answer_);
  return true;
}

// The set that begins with record `first`; returns where it ends.
size_t LoadBalance::reorder(std::span<const uint8_t> message, size_t first) {
  const Record& head = answer_.records[first];
  size_t end = first + 1;
  while (end < answer_.count && answer_.records[end].type == head.type &&
         answer_.records[end].rdata_size == head.rdata_size &&
         same_owner(message, head, answer_.records[end]))
    ++end;
  if (head.type == Type::kA || head.type == Type::kAaaa) {
    // What comes from upstream may be of the type and no address.
    const bool whole = head.rdata_size == (head.type == Type::kA ? 4u : 16u);
    if (options_.file.empty())
      shuffle(first, end);
    else if (whole)
      draw(message, first, end);
    if (whole && !options_.preferred.empty()) put_preferred_first(first, end);
    return end;
  }
  if (head.type != Type::kMx || !options_.file.empty()) return first + 1;
  while (end < answer_.count && answer_.records[end].type == Type::kMx) ++end;
  const Record& last = answer_.records[end - 1];
  if (end - first > 1 && movable(message, head.at, last.end()))
    std::rotate(bytes_ + head.at, bytes_ + answer_.records[first + below(end - first)].at,
                bytes_ + last.end());
  return end;
}

IpAddress LoadBalance::address_of(size_t index) const {
  const Record& record = answer_.records[index];
  return IpAddress::from_bytes({bytes_ + record.rdata_at, record.rdata_size});
}

// What follows the owners changes places; so it does not matter how those are written.
void LoadBalance::swap(size_t a, size_t b) {
  if (a == b) return;
  uint8_t* const from = movable_part(a);
  std::swap_ranges(from, from + 10 + answer_.records[a].rdata_size, movable_part(b));
}

void LoadBalance::shuffle(size_t first, size_t end) {
  for (size_t left = end - first; left > 1; --left) swap(first + below(left), first + left - 1);
}

// The first one, in proportion to the weights.
void LoadBalance::draw(std::span<const uint8_t> message, size_t first, size_t end) {
  Name owner;
  size_t at = answer_.records[first].at;
  const bool named = owner.parse_compressed(message, at);
  const auto* known = named && weights_ != nullptr ? weights_->find(owner) : nullptr;
  const auto weight_of = [&](size_t index) -> size_t {
    if (known == nullptr) return 1;
    const auto found = known->find(address_of(index));
    return found == known->end() ? 1 : found->second;
  };
  size_t sum = 0;
  for (size_t i = first; i < end; ++i) sum += weight_of(i);
  size_t drawn = below(sum);
  size_t top = first;
  for (; drawn >= weight_of(top); ++top) drawn -= weight_of(top);
  swap(first, top);
}

// In the order of the prefixes, otherwise as they are.
void LoadBalance::put_preferred_first(size_t first, size_t end) {
  size_t to = first;
  for (const Cidr& net : options_.preferred) {
    for (size_t i = to; i < end; ++i) {
      if (!net.contains(address_of(i))) continue;
      for (size_t j = i; j > to; --j) swap(j, j - 1);
      ++to;
    }
  }
}

Result<void> read_lines(const corefile::Directive& directive, LoadBalanceOptions& options) {
  const std::vector<Property> properties = {
      {"prefer", 0, Property::kAny,
       [&](const corefile::Directive& p) -> Result<void> {
         if (!options.file.empty())
           return p.name.place.error("'prefer' is not for 'weighted FILE', in CoreDNS neither");
         for (const corefile::Word& word : p.arguments) {
           const auto net = Cidr::parse(word.text);
           if (!net.ok())
             return word.place.error("'" + word.text + "' is no prefix such as 10.0.0.0/8");
           options.preferred.push_back(*net);
         }
         return ok();
       }},
      {"reload", 1, 1, [&](const corefile::Directive& p) -> Result<void> {
         if (options.file.empty()) return p.name.place.error("'reload' is for 'weighted FILE'");
         const auto period = read_duration(p.arguments[0]);
         if (!period.ok()) return period.error();
         options.reload = *period;
         return ok();
       }}};
  return read_properties(directive, properties);
}

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const corefile::Directive& directive = directives.front();
  auto options = std::make_shared<LoadBalanceOptions>();
  size_t arguments = 1;
  if (!directive.arguments.empty()) {
    const auto choice = read_choice(directive.arguments[0], {"round_robin", "weighted"});
    if (!choice.ok()) return choice.error();
    arguments += *choice;
  }
  const auto right = expect_arguments(directive, arguments == 2 ? 2 : 0, arguments);
  if (!right.ok()) return right.error();
  if (arguments == 2) options->file = block.path_of(directive.arguments[1].text);
  if (const auto read = read_lines(directive, *options); !read.ok()) return read.error();
  if (options->file.empty()) return std::shared_ptr<PluginOptions>(std::move(options));
  const Result<std::string> text = block.files->read_followed(options->file);
  if (!text.ok() && options->reload == Duration::zero())
    return directive.name.place.error(text.error().message());
  if (!text.ok())
    block.notes.push_back("loadbalance: " + text.error().message() +
                          "; until it can be read all weights are 1");
  if (const auto built = options->build(text.ok() ? *text : ""); !built.ok()) return built.error();
  return std::shared_ptr<PluginOptions>(std::move(options));
}

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions& options) {
  return std::make_unique<LoadBalance>(dynamic_cast<const LoadBalanceOptions&>(options));
}

// Follows the file of weights.
class WeightFile : public Service {
 public:
  WeightFile(Loop& loop, LoadBalanceOptions& options)
      : watch_(
            loop, options.file, [&options] { read(options); },
            std::max<Duration>(options.reload, std::chrono::seconds(1))) {
    read(options);
  }

 private:
  static void read(LoadBalanceOptions& options) {
    const Result<std::string> text = read_file(options.file, kMaxFile);
    if (!text.ok()) return log::warn("loadbalance: {}", text.error().message());
    if (const auto built = options.build(*text); !built.ok())
      return log::warn("loadbalance: {}; the weights stay as they were", built.error().message());
    log::info("loadbalance: {} has been read", options.file);
  }

  FileWatch watch_;
};

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& given) {
  auto& options = dynamic_cast<LoadBalanceOptions&>(given);
  if (options.file.empty() || options.reload == Duration::zero()) return std::unique_ptr<Service>();
  return std::unique_ptr<Service>(std::make_unique<WeightFile>(host.loop(), options));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(loadbalance) = {&parse, &make, &start};

}  // namespace fairlead::dns
