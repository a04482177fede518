// SPDX-License-Identifier: Apache-2.0
#include "kube/json_field.h"

#include <cstring>

namespace fairlead::kube {

std::string_view JsonWorkspace::copy(std::string_view json) {
  const size_t needed = json.size() + simdjson::SIMDJSON_PADDING;
  if (capacity_ > kKeepBytes && needed <= kKeepBytes) *this = JsonWorkspace();
  if (capacity_ < needed) {
    capacity_ = needed + needed / 2;
    buffer_ = std::make_unique<char[]>(capacity_);
  }
  std::memcpy(buffer_.get(), json.data(), json.size());
  std::memset(buffer_.get() + json.size(), 0, simdjson::SIMDJSON_PADDING);
  return {buffer_.get(), json.size()};
}

JsonWorkspace& JsonWorkspace::mine() {
  static thread_local JsonWorkspace workspace;
  return workspace;
}

Field Field::at(const char* name) const& {
  simdjson::dom::object object;
  simdjson::dom::element value;
  if (present_ && read(object, "an object") && object.at_key(name).get(value) == simdjson::SUCCESS)
    return Field(problem_, this, name, -1, value);
  return Field(problem_, this, name);
}

std::string_view Field::text() const {
  std::string_view text;
  if (present_) read(text, "a string");
  return text;
}

bool Field::flag(bool otherwise) const {
  bool flag = otherwise;
  if (present_) read(flag, "true or false");
  return flag;
}

int64_t Field::number(int64_t low, int64_t high, int64_t otherwise) const {
  if (!present_) return otherwise;
  if (!value_.is_number()) return report("expected a number"), otherwise;
  int64_t number = 0;
  if (value_.get(number) == simdjson::SUCCESS && number >= low && number <= high) return number;
  report("expected a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  return otherwise;
}

size_t Field::size() const {
  simdjson::dom::array array;
  return present_ && value_.get(array) == simdjson::SUCCESS ? array.size() : 0;
}

void Field::report(std::string_view complaint) const {
  if (!problem_->empty()) return;
  const std::string where = path();
  *problem_ = where.empty() ? std::string(complaint) : where + ": " + std::string(complaint);
}

std::string Field::path() const {
  std::string prefix = parent_ == nullptr ? "" : parent_->path();
  if (index_ >= 0) return prefix + "[" + std::to_string(index_) + "]";
  if (name_ == nullptr) return prefix;
  return prefix.empty() ? name_ : prefix + "." + name_;
}

}  // namespace fairlead::kube
