// SPDX-License-Identifier: Apache-2.0
#include "kube/yaml.h"

#include <algorithm>
#include <initializer_list>

namespace fairlead::kube {
namespace {

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

}  // namespace

std::optional<bool> yaml_bool(std::string_view text) {
  if (is_one_of(text, {"true", "True", "TRUE", "yes", "Yes", "YES", "y", "Y", "on", "On", "ON"}))
    return true;
  if (is_one_of(text, {"false", "False", "FALSE", "no", "No", "NO", "n", "N", "off", "Off", "OFF"}))
    return false;
  return std::nullopt;
}

bool is_yaml_null(std::string_view text) {
  return is_one_of(text, {"", "~", "null", "Null", "NULL"});
}

}  // namespace fairlead::kube
