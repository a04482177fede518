// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/json.h"

#include <algorithm>
#include <utility>

namespace fairlead::orchestrator::apiserver {
namespace {

// Builds the document and notes repeated names; refuses what is nested too deep before it grows.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(std::vector<std::string>* duplicates) : duplicates_(duplicates) {}

  bool null() override { return place(nullptr); }
  bool boolean(bool value) override { return place(value); }
  bool number_integer(number_integer_t value) override { return place(value); }
  bool number_unsigned(number_unsigned_t value) override { return place(value); }
  bool number_float(number_float_t value, const string_t&) override { return place(value); }
  bool string(string_t& value) override { return place(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return enter(Json::object()); }
  bool start_array(size_t) override { return enter(Json::array()); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    Json& object = *open_.back();
    if (duplicates_ != nullptr && object.contains(name)) duplicates_->push_back(path(name));
    names_.back() = name;
    return true;
  }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& e) override {
    const std::string_view what = e.what();
    const size_t colon = what.find("parse error");
    if (what.find("unexpected end of input") != what.npos) {
      error = "unexpected end of JSON input";  // as Go says it
      return false;
    }
    error = "invalid JSON at byte " + std::to_string(position) + ": " +
            std::string(colon == what.npos ? what : what.substr(colon));
    return false;
  }

  Json root;
  std::string error;

 private:
  bool place(Json value) { return insert(std::move(value)) != nullptr; }
  Json* insert(Json value) {
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    Json& slot = parent[names_.back()];
    slot = std::move(value);
    return &slot;
  }
  bool enter(Json value) {
    if (open_.size() >= kMaxJsonDepth) {
      error = "JSON is nested deeper than " + std::to_string(kMaxJsonDepth) + " levels";
      return false;
    }
    open_.push_back(insert(std::move(value)));
    names_.emplace_back();
    return true;
  }
  bool leave() {
    open_.pop_back();
    names_.pop_back();
    return true;
  }
  std::string path(const std::string& last) const {
    std::string text;
    for (size_t i = 0; i < open_.size(); ++i) {
      if (open_[i]->is_array()) {
        text += "[" + std::to_string(open_[i]->size() - 1) + "]";
      } else {
        if (!text.empty()) text += ".";
        text += i + 1 == open_.size() ? last : names_[i];
      }
    }
    return text;
  }

  std::vector<std::string>* duplicates_;
  std::vector<Json*> open_;
  std::vector<std::string> names_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, std::vector<std::string>* duplicates) {
  Builder builder(duplicates);
  if (!Json::sax_parse(text, &builder)) {
    if (builder.error.empty()) builder.error = "invalid JSON";
    return Error(ErrorCode::kInvalid, builder.error);
  }
  return std::move(builder.root);
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_utf8(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; })) return true;
  // nlohmann's parser is the judge: it takes no other string.
  const Json quoted = std::string(text);
  try {
    (void)quoted.dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

std::string go_value(const Json& json) {
  return json.is_null() ? "null" : dump(json);
}

std::string go_print(const Json& json) {
  if (json.is_null()) return "<nil>";
  if (json.is_string()) return json.get<std::string>();
  if (!json.is_structured()) return dump(json);
  std::string text;
  bool first = true;
  for (const auto& [name, value] : json.items()) {
    if (!std::exchange(first, false)) text += ' ';
    if (json.is_object()) text += name + ":";
    text += go_print(value);
  }
  return (json.is_object() ? "map[" : "[") + text + "]";
}

const Json& at(const Json& json, std::string_view name) {
  static const Json kNull;
  if (!json.is_object()) return kNull;
  const auto it = json.find(name);
  return it == json.end() ? kNull : *it;
}

const Json& at_path(const Json& json, std::string_view dotted) {
  const Json* current = &json;
  for (;;) {
    const size_t dot = dotted.find('.');
    current = &at(*current, dotted.substr(0, dot));
    if (dot == dotted.npos) return *current;
    dotted.remove_prefix(dot + 1);
  }
}

std::string string_at(const Json& json, std::string_view dotted) {
  const Json& value = at_path(json, dotted);
  return value.is_string() ? value.get<std::string>() : std::string();
}

int64_t int_at(const Json& json, std::string_view dotted, int64_t otherwise) {
  const Json& value = at_path(json, dotted);
  return value.is_number_integer() ? value.get<int64_t>() : otherwise;
}

bool bool_at(const Json& json, std::string_view dotted, bool otherwise) {
  const Json& value = at_path(json, dotted);
  return value.is_boolean() ? value.get<bool>() : otherwise;
}

bool is_empty(const Json& json) {
  return json.is_null() || ((json.is_object() || json.is_array()) && json.empty()) ||
         (json.is_string() && json.get_ref<const std::string&>().empty());
}

}  // namespace fairlead::orchestrator::apiserver
