// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/file/zone_text.h"

#include <fmt/format.h>

#include <optional>
#include <tuple>

#include "dns/mnemonics.h"
#include "dns/plugins/file/generate.h"
#include "dns/record_text.h"

namespace fairlead::dns {
namespace {

// A relative path is below the folder of the file that names it.
std::string path_beside(const std::string& file, const std::string& path) {
  const size_t slash = file.rfind('/');
  if (path.starts_with('/') || slash == std::string::npos) return path;
  return file.substr(0, slash + 1) + path;
}

class ZoneTextReader {
 public:
  ZoneTextReader(const ReadText& read, const TakeRecord& take, const ZoneTextLimits& limits)
      : read_(read), take_(take), limits_(limits) {}

  Result<void> run(const std::string& path, const Name& origin) {
    const Result<std::string> text = load(path);
    return text.ok() ? file(path, *text, origin, 0) : Result<void>(text.error());
  }

 private:
  // Of one file.
  struct Place {
    const std::string& path;
    Name origin;
    size_t depth;
  };

  Result<std::string> load(const std::string& path);
  Result<void> file(const std::string& path, const std::string& text, const Name& origin,
                    size_t depth);
  Result<void> entry(const Entry& entry, Place& place);
  Result<void> set_origin(const Entry& entry, Place& place);
  Result<void> set_ttl(const Entry& entry);
  Result<void> include(const Entry& entry, Place& place);
  Result<void> generate(const Entry& entry, const Place& place);
  Result<void> record(const Entry& entry, const Name& origin);
  Result<void> default_ttl(EditRecord& record) const;

  const ReadText& read_;
  const TakeRecord& take_;
  const ZoneTextLimits& limits_;
  std::optional<Name> owner_;  // the last record's
  std::optional<uint32_t> ttl_;
  bool ttl_is_set_ = false;  // by $TTL, not by a record
  size_t files_ = 0;
  size_t bytes_ = 0;
  size_t records_ = 0;
};

Result<std::string> ZoneTextReader::load(const std::string& path) {
  if (++files_ > limits_.files) return Error::invalid(fmt::format("over {} files", limits_.files));
  Result<std::string> text = read_(path);
  if (!text.ok()) return text;
  bytes_ += text->size();
  if (bytes_ > limits_.bytes)
    return Error::invalid(fmt::format("over {} bytes in all", limits_.bytes));
  return text;
}

Result<void> ZoneTextReader::file(const std::string& path, const std::string& text,
                                  const Name& origin, size_t depth) {
  Place place{path, origin, depth};
  EntryReader reader(text);
  for (Entry each;;) {
    const Result<bool> more = reader.next(each);
    if (!more.ok()) return more.error().with_context(fmt::format("{}:{}", path, reader.line()));
    if (!*more) return ok();
    // What an included file says of itself has its own place.
    if (const bool is_include = to_upper(each.tokens.front().text) == "$INCLUDE"; is_include) {
      if (const auto done = include(each, place); !done.ok()) return done;
    } else if (const auto done = entry(each, place); !done.ok()) {
      return done.error().with_context(fmt::format("{}:{}", path, each.line));
    }
  }
}

Result<void> ZoneTextReader::entry(const Entry& entry, Place& place) {
  const Token& first = entry.tokens.front();
  if (entry.starts_blank || first.quoted || !first.text.starts_with('$'))
    return record(entry, place.origin);
  const std::string word = to_upper(first.text);
  if (word == "$ORIGIN") return set_origin(entry, place);
  if (word == "$TTL") return set_ttl(entry);
  if (word == "$GENERATE") return generate(entry, place);
  return Error::invalid(
      fmt::format("'{}' is none of $ORIGIN, $TTL, $INCLUDE and $GENERATE", first.text));
}

Result<void> ZoneTextReader::set_origin(const Entry& entry, Place& place) {
  if (entry.tokens.size() != 2) return Error::invalid("$ORIGIN takes a name");
  const Result<Name> origin = name_from_text(entry.tokens[1].text, place.origin);
  if (!origin.ok()) return origin.error();
  place.origin = *origin;
  return ok();
}

Result<void> ZoneTextReader::set_ttl(const Entry& entry) {
  if (entry.tokens.size() != 2) return Error::invalid("$TTL takes a duration");
  const auto ttl = ttl_from_text(entry.tokens[1].text);
  if (!ttl) return Error::invalid(fmt::format("'{}' is no TTL", entry.tokens[1].text));
  ttl_ = ttl;
  ttl_is_set_ = true;
  return ok();
}

// RFC 1035 section 5.1: what the file does to the origin ends with it; so does, as with BIND, what
// it does to the owner.
Result<void> ZoneTextReader::include(const Entry& entry, Place& place) {
  const auto here = [&](const std::string& what) {
    return Error::invalid(fmt::format("{}:{}: {}", place.path, entry.line, what));
  };
  if (entry.tokens.size() < 2 || entry.tokens.size() > 3)
    return here("$INCLUDE takes a file and maybe an origin");
  if (place.depth == limits_.depth)
    return here(fmt::format("$INCLUDE is nested over {} deep", limits_.depth));
  Name origin = place.origin;
  if (entry.tokens.size() == 3) {
    const Result<Name> given = name_from_text(entry.tokens[2].text, place.origin);
    if (!given.ok()) return here(given.error().message());
    origin = *given;
  }
  const std::string path = path_beside(place.path, entry.tokens[1].text);
  const Result<std::string> text = load(path);
  if (!text.ok()) return here(text.error().message());
  // What the file sets is its own.
  const auto before = std::tuple(owner_, ttl_, ttl_is_set_);
  const Result<void> done = file(path, *text, origin, place.depth + 1);
  std::tie(owner_, ttl_, ttl_is_set_) = before;
  return done;
}

Result<void> ZoneTextReader::generate(const Entry& entry, const Place& place) {
  if (entry.tokens.size() < 4)
    return Error::invalid("$GENERATE takes a range, an owner, a type and data");
  const Result<GenerateRange> range = generate_range(entry.tokens[1].text);
  if (!range.ok()) return range.error();
  if (range->count() > limits_.generated)
    return Error::invalid(fmt::format("$GENERATE makes over {} records", limits_.generated));
  Entry made{.line = entry.line, .starts_blank = false, .tokens = {}};
  for (uint64_t i = 0; i < range->count(); ++i) {
    made.tokens.assign(entry.tokens.begin() + 2, entry.tokens.end());
    for (Token& token : made.tokens) {
      Result<std::string> text =
          generate_text(token.text, static_cast<uint32_t>(range->start + i * range->step));
      if (!text.ok()) return text.error();
      token.text = *std::move(text);
    }
    if (const auto done = record(made, place.origin); !done.ok()) return done;
  }
  return ok();
}

Result<void> ZoneTextReader::record(const Entry& entry, const Name& origin) {
  if (++records_ > limits_.records)
    return Error::invalid(fmt::format("over {} records", limits_.records));
  if (entry.starts_blank && !owner_)
    return Error::invalid("there is no record before to take the owner of");
  bool ttl_given = false;
  Result<EditRecord> record = parse_record(
      entry, {.origin = origin, .owner = owner_.value_or(origin), .ttl = 0, .klass = Class::kIn},
      &ttl_given);
  if (!record.ok()) return record.error();
  if (record->klass != Class::kIn) return Error::invalid("only class IN is served");
  owner_ = record->owner;
  if (!ttl_given)
    if (const auto done = default_ttl(*record); !done.ok()) return done;
  if (!ttl_is_set_) ttl_ = record->ttl;
  return take_(*record);
}

Result<void> ZoneTextReader::default_ttl(EditRecord& record) const {
  if (ttl_)
    record.ttl = *ttl_;
  else if (record.type == Type::kSoa && record.rdata.size() >= 4)
    record.ttl = read_u32(&record.rdata[record.rdata.size() - 4]);
  else
    return Error::invalid("there is no TTL: give one, or $TTL");
  return ok();
}

}  // namespace

Result<void> read_zone_text(const std::string& path, const Name& origin, const ReadText& read,
                            const TakeRecord& take, const ZoneTextLimits& limits) {
  return ZoneTextReader(read, take, limits).run(path, origin);
}

}  // namespace fairlead::dns
