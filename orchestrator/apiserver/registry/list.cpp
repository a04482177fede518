// SPDX-License-Identifier: Apache-2.0
// Reading: one object, and pages of many from one snapshot.
#include "orchestrator/apiserver/registry/codec.h"
#include "orchestrator/apiserver/registry/registry.h"
#include "orchestrator/apiserver/schema/formats.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr size_t kChunk = 500;

constexpr const char* kExpiredText =
    "The provided continue parameter is too old to display a consistent list result. You can start "
    "a "
    "new list without the continue parameter, or use the continue token in this response to "
    "retrieve "
    "the remainder of the results. Continuing with the provided token results in an inconsistent "
    "list "
    "- objects that were created, modified, or deleted between the time the first chunk was "
    "returned "
    "and now may show up in the list.";

std::string make_token(int64_t revision, const std::string& after) {
  std::string text = schema::base64_encode(dump({{"rv", revision}, {"after", after}}));
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  while (text.ends_with('=')) text.pop_back();
  return text;
}

// {revision, key}; revision 0: from the newest state.
std::optional<std::pair<int64_t, std::string>> read_token(std::string_view token,
                                                          std::string_view prefix) {
  std::string text(token);
  for (char& c : text) c = c == '-' ? '+' : c == '_' ? '/' : c;
  const Json json = Json::parse(schema::base64_decode(text), nullptr, false);
  const std::string after = string_at(json, "after");
  if (!json.is_object() || !after.starts_with(prefix) || !at(json, "rv").is_number_integer())
    return std::nullopt;
  return std::pair(int_at(json, "rv"), after);
}

}  // namespace

Outcome<Bytes> Registry::get(const Kind& kind, const kube::ObjectKey& key) const {
  auto entry = store_.get(kind.key(key.ns, key.name));
  if (!entry) return not_found(kind.subject(key.name));
  return entry->value;
}

Outcome<ListPage> Registry::list(const Kind& kind, const Filter& filter,
                                 const PageOptions& options) const {
  store::RangeOptions range{kind.prefix(options.ns), "", 0, options.exact ? options.revision : 0};
  if (!options.continue_token.empty()) {
    const auto token = read_token(options.continue_token, range.prefix);
    if (!token) return bad_request("continue key is not valid: " + options.continue_token);
    range.revision = token->first;
    range.after = token->second;
  }
  ListPage page;
  for (;;) {
    range.limit = options.limit == 0 ? 0
                  : filter.empty()   ? options.limit
                                     : std::max(options.limit, kChunk);
    auto result = store_.range(range);
    if (!result && result.error().is_expired()) {
      ApiError expired =
          gone(options.continue_token.empty() ? result.error().message() : kExpiredText);
      if (!range.after.empty()) expired.continue_token = make_token(0, range.after);
      return expired;
    }
    if (!result) return ApiError::from_error(result.error());
    page.revision = range.revision = result->revision;
    for (size_t i = 0; i < result->entries.size(); ++i) {
      const store::Entry& entry = result->entries[i];
      range.after = entry.key;
      if (!filter.empty() && !filter.matches(decode_stored(entry.value))) continue;
      page.items.push_back(entry.value);
      const size_t left = result->entries.size() - i - 1 + result->remaining;
      if (options.limit == 0 || page.items.size() < options.limit) continue;
      if (left > 0) page.continue_token = make_token(page.revision, entry.key);
      if (left > 0 && filter.empty()) page.remaining = left;
      return page;
    }
    if (result->remaining == 0) return page;
  }
}

}  // namespace fairlead::orchestrator::apiserver
