// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "orchestrator/apiserver/patch/patch.h"

namespace fairlead::orchestrator::apiserver {
namespace {

using schema::Field;
using schema::Shape;
using schema::Type;

constexpr std::string_view kPatch = "$patch";
constexpr std::string_view kRetainKeys = "$retainKeys";
constexpr std::string_view kSetOrder = "$setElementOrder/";
constexpr std::string_view kDeleteFrom = "$deleteFromPrimitiveList/";

Error wrong(std::string text) {
  return Error(ErrorCode::kInvalid, std::move(text));
}

// Items are told apart by their merge key, or are plain values.
const Json& identity(const Json& item, const std::string& key) {
  return key == "." ? item : at(item, key);
}

size_t index_of(const Json& list, const Json& id, const std::string& key) {
  for (size_t i = 0; i < list.size(); ++i)
    if (identity(list[i], key) == id) return i;
  return list.size();
}

// The order the client wants for what it knows; what only the server has keeps its place among it.
Json in_order(const Json& merged, const Json& wanted, const Json& before, const std::string& key) {
  Json known = Json::array(), server_only = Json::array(), result = Json::array();
  for (const Json& id : wanted) {
    const size_t at_index = index_of(merged, identity(id, key), key);
    if (at_index < merged.size()) known.push_back(merged[at_index]);
  }
  for (const Json& item : merged)
    if (index_of(wanted, identity(item, key), key) == wanted.size()) server_only.push_back(item);
  size_t i = 0, j = 0;
  while (i < server_only.size() || j < known.size()) {
    bool take_server = j == known.size();
    if (i < server_only.size() && j < known.size()) {
      const size_t l = index_of(before, identity(server_only[i], key), key);
      const size_t r = index_of(before, identity(known[j], key), key);
      take_server = l < before.size() && r < before.size() && l < r;
    }
    result.push_back(take_server ? server_only[i++] : known[j++]);
  }
  return result;
}

class Merger {
 public:
  Result<Json> object(const Type* type, Json document, const Json& patch, size_t depth) {
    if (depth > kMaxJsonDepth) return wrong("the patch is nested too deep");
    if (!document.is_object()) document = Json::object();
    const Json& directive = at(patch, kPatch);
    if (!directive.is_null()) {
      if (directive == "delete") return Json(Json::object());
      if (directive == "replace") return without_directives(patch);
      if (directive != "merge") return wrong("unknown patch type found: " + dump(directive));
    }
    if (auto kept = retain_keys(document, patch); !kept) return kept.error();
    for (const auto& [name, value] : patch.items()) {
      if (name.starts_with('$')) continue;
      if (value.is_null()) {
        document.erase(name);
        continue;
      }
      auto merged = member(type, document, name, value, patch, depth);
      if (!merged) return merged;
      document[name] = std::move(*merged);
    }
    if (auto done = lone_list_directives(type, document, patch, depth); !done) return done.error();
    return document;
  }

 private:
  static Json without_directives(Json value) {
    if (value.is_array())
      for (Json& item : value) item = without_directives(std::move(item));
    if (!value.is_object()) return value;
    for (auto it = value.begin(); it != value.end();) {
      if (it.key().starts_with('$') || it->is_null()) {
        it = value.erase(it);
      } else {
        *it = without_directives(std::move(*it));
        ++it;
      }
    }
    return value;
  }

  // Members of the document not named in $retainKeys go. Members of the patch must be named.
  static Result<void> retain_keys(Json& document, const Json& patch) {
    const Json& keys = at(patch, kRetainKeys);
    if (keys.is_null()) return ok();
    if (!keys.is_array()) return wrong("$retainKeys must be a list");
    const auto named = [&](const std::string& name) {
      return std::find(keys.begin(), keys.end(), Json(name)) != keys.end();
    };
    for (const auto& [name, value] : patch.items())
      if (!name.starts_with('$') && !value.is_null() && !named(name))
        return wrong("$retainKeys does not contain " + name + ", which is in the patch");
    for (auto it = document.begin(); it != document.end();)
      it = named(it.key()) ? std::next(it) : document.erase(it);
    return ok();
  }

  Result<Json> member(const Type* type, const Json& document, const std::string& name,
                      const Json& value, const Json& patch, size_t depth) {
    const Field* field =
        type != nullptr && type->shape == Shape::kStruct ? type->field(name) : nullptr;
    const Type* member_type = field != nullptr ? field->type : element_of(type);
    const Json& before = at(document, name);
    if (value.is_object()) return object(member_type, before, value, depth + 1);
    if (!value.is_array()) return value;
    if (field == nullptr || field->merge_key.empty()) return without_directives(value);
    return before.is_array() ? list(*field, before, value, patch, depth) : replaced(value);
  }

  static const Type* element_of(const Type* type) {
    return type != nullptr && type->shape == Shape::kMap ? type->element : nullptr;
  }

  // $setElementOrder and $deleteFromPrimitiveList for lists the patch itself does not have.
  Result<void> lone_list_directives(const Type* type, Json& document, const Json& patch,
                                    size_t depth) {
    for (const auto& [directive, value] : patch.items()) {
      std::string name;
      for (const std::string_view prefix : {kSetOrder, kDeleteFrom})
        if (directive.starts_with(prefix)) name = directive.substr(prefix.size());
      if (name.empty() || patch.contains(name) || !at(document, name).is_array()) continue;
      const Field* field = type != nullptr ? type->field(name) : nullptr;
      if (field == nullptr || field->merge_key.empty()) continue;
      auto merged = list(*field, document[name], Json::array(), patch, depth);
      if (!merged) return merged.error();
      document[name] = std::move(*merged);
    }
    return ok();
  }

  Result<Json> list(const Field& field, const Json& before, const Json& items, const Json& patch,
                    size_t depth) {
    Json merged = before;
    const std::string& key = field.merge_key;
    const Json& doomed = at(patch, std::string(kDeleteFrom) + field.name);
    if (doomed.is_array())
      for (const Json& value : doomed)
        merged.erase(std::remove(merged.begin(), merged.end(), value), merged.end());
    for (const Json& item : items)
      if (at(item, kPatch) == "replace") return replaced(items);
    for (const Json& item : items) {
      auto done = merge_item(field, merged, item, depth);
      if (!done) return done.error();
    }
    const Json& order = at(patch, std::string(kSetOrder) + field.name);
    if (!order.is_array()) return merged;
    for (const Json& item : items)
      if (at(item, kPatch).is_null() && index_of(order, identity(item, key), key) == order.size())
        return wrong("the order in patch list: " + dump(items) +
                     " doesn't match $setElementOrder list: " + dump(order));
    return in_order(merged, order, before, key);
  }

  // Also of a list that was not there: nothing has to be found by its key (removeDirectives() of
  // apimachinery's strategicpatch).
  static Json replaced(const Json& items) {
    Json result = Json::array();
    for (const Json& item : items)
      if (at(item, kPatch).is_null()) result.push_back(without_directives(item));
    return result;
  }

  Result<void> merge_item(const Field& field, Json& merged, const Json& item, size_t depth) {
    const std::string& key = field.merge_key;
    if (key != "." && identity(item, key).is_null())
      return wrong("map: " + go_print(item) + " does not contain declared merge key: " + key);
    const size_t where = index_of(merged, identity(item, key), key);
    if (key == ".") {
      if (where == merged.size()) merged.push_back(item);
      return ok();
    }
    if (at(item, kPatch) == "delete") {
      // Every item of that key, as several may share it (ports of two protocols).
      merged.erase(std::remove_if(
                       merged.begin(), merged.end(),
                       [&](const Json& one) { return identity(one, key) == identity(item, key); }),
                   merged.end());
      return ok();
    }
    auto one = object(field.type->element, where < merged.size() ? merged[where] : Json::object(),
                      item, depth + 1);
    if (!one) return one.error();
    if (where < merged.size())
      merged[where] = std::move(*one);
    else
      merged.push_back(std::move(*one));
    return ok();
  }
};

}  // namespace

Result<Json> apply_strategic_patch(const schema::Type& type, Json document, const Json& patch) {
  if (!patch.is_object()) return wrong("a strategic merge patch is an object");
  return Merger().object(&type, std::move(document), patch, 0);
}

}  // namespace fairlead::orchestrator::apiserver
