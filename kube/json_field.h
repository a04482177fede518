// SPDX-License-Identifier: Apache-2.0
// Reading typed fields of a JSON document with the first type error kept and named by its path.
// Internal to kube: include it from .cpp files only (simdjson is a heavy header).
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fairlead::kube {

// The parser's memory, kept between documents; what one huge document needed is given back.
class JsonWorkspace {
 public:
  static constexpr size_t kKeepBytes = 256 * 1024;

  // The parser wants readable bytes behind the text: the copy has them. Valid until the next copy.
  std::string_view copy(std::string_view json);
  simdjson::dom::parser& tree() { return *tree_; }

  // One for each thread.
  static JsonWorkspace& mine();

 private:
  std::unique_ptr<char[]> buffer_;
  size_t capacity_ = 0;
  std::unique_ptr<simdjson::dom::parser> tree_ = std::make_unique<simdjson::dom::parser>();
};

// A place in the document, there or not. Reading what is absent or null gives the empty value;
// reading a wrong type gives it too and reports to `problem`, which keeps the first report. A Field
// points to the Field it came from, which must live as long.
class Field {
 public:
  Field(simdjson::dom::element root, std::string* problem)
      : problem_(problem), value_(root), present_(!root.is_null()) {}

  Field at(const char* name) const&;
  Field at(const char* name) const&& = delete;

  bool present() const { return present_; }
  std::string_view text() const;
  bool flag(bool otherwise) const;
  // A whole number in [low, high].
  int64_t number(int64_t low, int64_t high, int64_t otherwise) const;
  size_t size() const;  // of an array

  template <typename Function>  // void(const Field& element)
  void each_element(Function&& function) const {
    simdjson::dom::array array;
    if (!present_ || !read(array, "a list")) return;
    int index = 0;
    for (const simdjson::dom::element element : array)
      function(Field(problem_, this, nullptr, index++, element));
  }
  template <typename Function>  // void(std::string_view key, const Field& value)
  void each_member(Function&& function) const {
    simdjson::dom::object object;
    if (!present_ || !read(object, "an object")) return;
    for (const auto& member : object)
      function(member.key, Field(problem_, this, nullptr, -1, member.value));
  }
  void report(std::string_view complaint) const;

 private:
  Field(std::string* problem, const Field* parent, const char* name, int index,
        simdjson::dom::element value)
      : problem_(problem),
        parent_(parent),
        name_(name),
        index_(index),
        value_(value),
        present_(!value.is_null()) {}
  Field(std::string* problem, const Field* parent, const char* name)
      : problem_(problem), parent_(parent), name_(name) {}

  template <typename Value>
  bool read(Value& value, const char* expected) const {
    if (value_.get(value) == simdjson::SUCCESS) return true;
    report(std::string("expected ") + expected);
    return false;
  }
  std::string path() const;

  std::string* problem_;
  const Field* parent_ = nullptr;
  const char* name_ = nullptr;  // null for the root, elements and members
  int index_ = -1;              // of an element
  simdjson::dom::element value_;
  bool present_ = false;
};

}  // namespace fairlead::kube
