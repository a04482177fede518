// SPDX-License-Identifier: Apache-2.0
// The two framings of the API server's answers, taken apart as bytes arrive, so that memory holds
// one object and never a list. Pure.
//
// Slices handed to callbacks live until the callback returns; when an object arrived in one chunk
// they point into the chunk. A callback returns false to stop: feed() then returns at once without
// touching the splitter again, so a callback may destroy it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kube/json_scan.h"

namespace fairlead::kube {

// Lines of a watch: JSON documents, each ended by a newline. Empty lines are skipped.
class LineSplitter {
 public:
  using OnLine = std::function<bool(std::string_view line)>;
  explicit LineSplitter(size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  // Fails once a line is longer than the limit; the splitter is of no use after that.
  Result<void> feed(std::string_view chunk, const OnLine& on_line);

 private:
  size_t max_line_bytes_;
  std::string partial_;
};

// A list document: {"metadata": {...}, "items": [{...}, ...], ...}, members in any order.
// Only the brackets and strings are followed; each item's own bytes are for its decoder to judge.
class ListSplitter {
 public:
  using OnItem = std::function<bool(std::string_view item)>;
  explicit ListSplitter(size_t max_item_bytes) : max_item_bytes_(max_item_bytes) {}

  Result<void> feed(std::string_view chunk, const OnItem& on_item);
  // After the last byte: fails unless the document was complete and its metadata readable.
  Result<void> finish();
  // metadata.resourceVersion and metadata.continue; empty until finish().
  const std::string& resource_version() const { return resource_version_; }
  const std::string& continue_token() const { return continue_token_; }

 private:
  enum class State : uint8_t {
    kStart,      // expects the document's '{'
    kFirstName,  // expects a member or the end of the document
    kNextName,   // expects a member
    kName,       // inside a member's name
    kColon,
    kValue,
    kFirstItem,  // expects an item or the end of the items
    kNextItem,   // expects an item
    kItem,       // inside an item
    kItemEnd,    // expects ',' or ']'
    kMetadata,   // inside the metadata
    kSkip,       // inside a string, object or array nobody wants
    kScalar,     // inside a number, true, false or null
    kMemberEnd,  // expects ',' or '}'
    kDone,
  };

  Result<void> step(char c);
  Result<void> begin_value(char c);
  Result<void> expect(bool as_expected, State next, const char* what);
  bool deliver(std::string_view piece, const OnItem& on_item);
  Error malformed(const char* expected) const;

  size_t max_item_bytes_;
  State state_ = State::kStart;
  JsonNesting nesting_;
  size_t consumed_ = 0;  // bytes of the document, for messages
  std::string name_;     // of the member being read
  std::string partial_;  // of an item or the metadata, cut by the end of a chunk
  std::string metadata_;
  std::string resource_version_;
  std::string continue_token_;
};

// A list that is in memory anyway: its items as slices of `json`.
struct ListDocument {
  std::string resource_version;
  std::string continue_token;
  std::vector<std::string_view> items;
};
Result<ListDocument> decode_list(std::string_view json);

}  // namespace fairlead::kube
