// SPDX-License-Identifier: Apache-2.0
#include "kube/stream.h"

#include <utility>

#include "kube/decode.h"

namespace fairlead::kube {
namespace {

constexpr size_t kMaxNameBytes = 1024;

Error too_long(const char* what, size_t limit) {
  return Error(ErrorCode::kResourceExhausted,
               std::string(what) + " is longer than " + std::to_string(limit) + " bytes");
}

}  // namespace

Result<void> LineSplitter::feed(std::string_view chunk, const OnLine& on_line) {
  while (!chunk.empty()) {
    const size_t newline = chunk.find('\n');
    std::string_view line = chunk.substr(0, newline);
    if (partial_.size() + line.size() > max_line_bytes_)
      return too_long("a line of the watch", max_line_bytes_);
    if (newline == std::string_view::npos) return partial_.append(line), ok();
    chunk.remove_prefix(newline + 1);

    std::string whole = std::exchange(partial_, {});
    if (!whole.empty()) line = whole.append(line);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!line.empty() && !on_line(line)) return ok();
  }
  return ok();
}

// Bytes outside of values go through step(); values are followed to their end as a whole.
Result<void> ListSplitter::feed(std::string_view chunk, const OnItem& on_item) {
  constexpr size_t kNone = std::string_view::npos;
  size_t at = 0;
  while (at < chunk.size()) {
    const size_t begin = at;
    switch (state_) {
      case State::kItem:
      case State::kMetadata: {
        at = nesting_.follow(chunk, at);
        const std::string_view piece = chunk.substr(begin, at == kNone ? kNone : at - begin);
        if (partial_.size() + piece.size() > max_item_bytes_)
          return too_long("an object of the list", max_item_bytes_);
        if (at == kNone) {
          partial_.append(piece);
          at = chunk.size();
        } else if (!deliver(piece, on_item)) {
          return ok();
        }
        break;
      }
      case State::kSkip:
        at = nesting_.follow(chunk, at);
        if (at == kNone) {
          at = chunk.size();
        } else {
          state_ = State::kMemberEnd;
        }
        break;
      case State::kScalar:
        at = end_of_scalar(chunk, at);
        if (at < chunk.size()) state_ = State::kMemberEnd;
        break;
      case State::kStart:
      case State::kFirstName:
      case State::kNextName:
      case State::kName:
      case State::kColon:
      case State::kValue:
      case State::kFirstItem:
      case State::kNextItem:
      case State::kItemEnd:
      case State::kMemberEnd:
      case State::kDone: {
        const char c = chunk[at];
        const bool in_name = state_ == State::kName;
        const Result<void> stepped = is_json_space(c) && !in_name ? ok() : step(c);
        if (!stepped.ok()) return stepped;
        // The first byte of a value belongs to the value.
        const bool entered = state_ == State::kItem || state_ == State::kMetadata ||
                             state_ == State::kSkip || state_ == State::kScalar;
        at += entered ? 0 : 1;
        break;
      }
    }
    consumed_ += at - begin;
  }
  return ok();
}

Result<void> ListSplitter::step(char c) {
  switch (state_) {
    case State::kStart:
      return expect(c == '{', State::kFirstName, "'{'");
    case State::kFirstName:
      if (c == '}') return expect(true, State::kDone, "");
      [[fallthrough]];
    case State::kNextName:
      name_.clear();
      return expect(c == '"', State::kName, "a member's name");
    case State::kName:
      if (c == '"') return expect(true, State::kColon, "");
      name_ += c;
      return expect(name_.size() <= kMaxNameBytes && c != '\\', State::kName, "a plain name");
    case State::kColon:
      return expect(c == ':', State::kValue, "':'");
    case State::kValue:
      return begin_value(c);
    case State::kFirstItem:
      if (c == ']') return expect(true, State::kMemberEnd, "");
      [[fallthrough]];
    case State::kNextItem:
      nesting_ = {};
      return expect(c == '{', State::kItem, "an object in items");
    case State::kItemEnd:
      if (c == ']') return expect(true, State::kMemberEnd, "");
      return expect(c == ',', State::kNextItem, "',' or ']'");
    case State::kMemberEnd:
      if (c == '}') return expect(true, State::kDone, "");
      return expect(c == ',', State::kNextName, "',' or '}'");
    case State::kDone:
      return malformed("nothing more");
    case State::kItem:
    case State::kMetadata:
    case State::kSkip:
    case State::kScalar:
      break;
  }
  return Error(ErrorCode::kInternal, "list: a value was taken for structure");
}

Result<void> ListSplitter::begin_value(char c) {
  nesting_ = {};
  const bool nested = c == '{' || c == '[' || c == '"';
  if (name_ == "items" && c != 'n')
    return expect(c == '[', State::kFirstItem, "items to be a list");
  if (name_ == "metadata" && c != 'n')
    return expect(c == '{', State::kMetadata, "metadata to be an object");
  return expect(nested || end_of_scalar({&c, 1}, 0) == 1, nested ? State::kSkip : State::kScalar,
                "a value");
}

// The end of an item or of the metadata. False: the callback wants no more.
bool ListSplitter::deliver(std::string_view piece, const OnItem& on_item) {
  std::string whole = std::exchange(partial_, {});
  if (!whole.empty()) piece = whole.append(piece);
  if (state_ == State::kItem) {
    state_ = State::kItemEnd;
    return on_item(piece);
  }
  metadata_ = piece;
  state_ = State::kMemberEnd;
  return true;
}

Result<void> ListSplitter::expect(bool as_expected, State next, const char* what) {
  if (!as_expected) return malformed(what);
  state_ = next;
  return ok();
}

Error ListSplitter::malformed(const char* expected) const {
  return Error(ErrorCode::kInvalid, "list is not as it should be: byte " +
                                        std::to_string(consumed_) + ": expected " + expected);
}

Result<void> ListSplitter::finish() {
  if (state_ != State::kDone)
    return Error(ErrorCode::kInvalid,
                 "list ends early, after " + std::to_string(consumed_) + " bytes");
  if (metadata_.empty()) return Error(ErrorCode::kInvalid, "list without metadata");
  Result<ListMeta> meta = decode_list_meta(metadata_);
  if (!meta.ok()) return meta.error();
  resource_version_ = std::move(meta->resource_version);
  continue_token_ = std::move(meta->continue_token);
  return ok();
}

Result<ListDocument> decode_list(std::string_view json) {
  ListDocument list;
  ListSplitter splitter(json.size());
  Result<void> done = splitter.feed(json, [&list](std::string_view item) {
    list.items.push_back(item);
    return true;
  });
  if (done.ok()) done = splitter.finish();
  if (!done.ok()) return done.error();
  list.resource_version = splitter.resource_version();
  list.continue_token = splitter.continue_token();
  return list;
}

}  // namespace fairlead::kube
