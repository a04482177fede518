// SPDX-License-Identifier: Apache-2.0
// The words of YAML 1.1 that stand for a value, as Kubernetes' own programs read them
// (sigs.k8s.io/yaml; https://yaml.org/type/bool.html, https://yaml.org/type/null.html). Of scalars
// without quotes: with them each is text. Pure.
#pragma once

#include <optional>
#include <string_view>

namespace fairlead::kube {

// true, yes, y, on, and their opposites, in lower case, upper case or with a capital.
std::optional<bool> yaml_bool(std::string_view text);

// Nothing at all, "~" or "null" in one of the same spellings.
bool is_yaml_null(std::string_view text);

}  // namespace fairlead::kube
