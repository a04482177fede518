// SPDX-License-Identifier: Apache-2.0
// What an expression in a template comes to. Texts and comparisons are those of Go's text/template.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace fairlead::dns {

class Value;
using ValueList = std::vector<Value>;
using ValueMap = std::map<std::string, Value>;

// The query: what the dot is at first, and the parts of it that have fields of their own.
enum class QueryPart : uint8_t { kAll, kMessage, kQuestion };

// What a text may come to; far more than a record has.
constexpr size_t kMaxText = 65'535;

class Value {
 public:
  enum class Kind : uint8_t { kNothing, kBool, kInt, kString, kList, kMap, kQuery };

  Value() = default;
  Value(bool value) : kind_(Kind::kBool), number_(value ? 1 : 0) {}
  Value(int64_t value) : kind_(Kind::kInt), number_(value) {}
  Value(std::string value) : kind_(Kind::kString), text_(std::move(value)) {}
  Value(const char* value) : kind_(Kind::kString), text_(value) {}
  Value(ValueList value);
  Value(ValueMap value);
  Value(QueryPart value) : kind_(Kind::kQuery), part_(value) {}

  Kind kind() const { return kind_; }
  // Null when it is of another kind.
  const int64_t* number() const { return kind_ == Kind::kInt ? &number_ : nullptr; }
  const std::string* string() const { return kind_ == Kind::kString ? &text_ : nullptr; }
  const ValueList* list() const { return kind_ == Kind::kList ? &list_ : nullptr; }
  const ValueMap* map() const { return kind_ == Kind::kMap ? &map_ : nullptr; }
  const QueryPart* query() const { return kind_ == Kind::kQuery ? &part_ : nullptr; }

  // False, 0, "", empty lists and maps are not true.
  bool truth() const;
  // "a", "3", "[a b]", "map[a:1]"; "<no value>" of nothing.
  std::string text() const;
  // The bytes of its texts, and 64 for each value in it.
  size_t weight() const;
  // "string", "int", for errors.
  const char* kind_name() const;

 private:
  friend Result<int> compare(const Value& a, const Value& b);
  Kind kind_ = Kind::kNothing;
  QueryPart part_{};
  int64_t number_ = 0;  // of a bool, too
  std::string text_;
  ValueList list_;
  ValueMap map_;
};

// Less than zero, zero, more: of two strings, integers or, for equality only, booleans. Fails for
// others and when they are of different kinds.
Result<int> compare(const Value& a, const Value& b);

// What one evaluation may still do, so that no template and no query makes it long or large.
class Work {
 public:
  // So many nodes, turns of loops and the like. Fails when there were too many.
  Result<void> steps(size_t count);
  // A value was made: a step, and one more for each 64 of its weight. Fails for longer texts than
  // kMaxText, too.
  Result<void> made(const Value& value);

 private:
  size_t left_ = 65'535;
};

}  // namespace fairlead::dns
