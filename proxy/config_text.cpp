// SPDX-License-Identifier: Apache-2.0
// KubeProxyConfiguration as YAML and JSON.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "kube/yaml.h"
#include "proxy/config.h"

namespace fairlead::proxy {

namespace {

using Form = ConfigField::Form;
using Json = nlohmann::json;

constexpr size_t kMaxBytes = 1024 * 1024;
constexpr int kMaxDepth = 16;
constexpr const char* kApiVersion = "kubeproxy.config.k8s.io/v1alpha1";
constexpr const char* kKind = "KubeProxyConfiguration";

Error at(const std::string& path, const std::string& complaint) {
  return Error(ErrorCode::kInvalid, path + ": " + complaint);
}

// How many letters to insert, remove or replace.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (std::tolower(static_cast<unsigned char>(a[i - 1])) !=
                                         std::tolower(static_cast<unsigned char>(b[j - 1])));
      diagonal = std::exchange(row[j], std::min({changed, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row.back();
}

// What a scalar is, as sigs.k8s.io/yaml hands it to encoding/json.
enum class Scalar { kNull, kBool, kNumber, kText };
Scalar scalar_kind(const YAML::Node& node) {
  if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return Scalar::kText;
  const std::string& text = node.Scalar();
  if (kube::is_yaml_null(text)) return Scalar::kNull;
  if (kube::yaml_bool(text)) return Scalar::kBool;
  double number = 0;
  const char* begin = text.data() + (text[0] == '+');
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), number);
  const bool digits = text.find_first_of("0123456789") != std::string::npos;
  return digits && error == std::errc() && end == text.data() + text.size() ? Scalar::kNumber
                                                                            : Scalar::kText;
}

bool is_null(const YAML::Node& node) {
  return node.IsNull() || (node.IsScalar() && scalar_kind(node) == Scalar::kNull);
}

class Decoder {
 public:
  explicit Decoder(KubeProxyConfig& config) : fields_(config_fields(config)) {}

  Result<void> decode(const YAML::Node& root) {
    if (!root.IsMap()) return at(kKind, "expected a mapping of fields to values");
    const Result<void> head = check_type(root);
    if (!head.ok()) return head;
    return section(root, "");
  }
  // A value of zero stands for the default, except where kube-proxy can tell them apart.
  void apply_defaults() {
    KubeProxyConfig defaults;
    const std::vector<ConfigField> untouched = config_fields(defaults);
    for (size_t i = 0; i < fields_.size(); ++i) {
      if (fields_[i].form == Form::kNullable) continue;
      const std::string text = field_text(fields_[i]);
      if (text.empty() || text == "0" || text == "0s")
        (void)set_field(fields_[i], field_text(untouched[i]));
    }
  }
  // With a value of its own: "" stands for the default.
  bool given(const char* path) const { return given_.contains(path); }

 private:
  static Result<void> check_type(const YAML::Node& root) {
    for (const auto& [name, expected] :
         {std::pair{"apiVersion", kApiVersion}, std::pair{"kind", kKind}}) {
      const YAML::Node value = root[name];
      const std::string text = value && value.IsScalar() ? value.Scalar() : "";
      if (text != expected)
        return at(name, "expected " + std::string(expected) +
                            (text.empty() ? "" : ", not \"" + text + "\""));
    }
    return ok();
  }

  Result<void> section(const YAML::Node& map, const std::string& prefix) {
    std::set<std::string> seen;
    for (const auto& entry : map) {
      if (!entry.first.IsScalar())
        return at(prefix.empty() ? kKind : prefix, "a field's name must be a word");
      const std::string& name = entry.first.Scalar();
      const std::string path = prefix.empty() ? name : prefix + "." + name;
      if (!seen.insert(name).second) return at(path, "is there twice");
      if (path == "apiVersion" || path == "kind") continue;
      const Result<void> read = member(path, entry.second);
      if (!read.ok()) return read;
    }
    return ok();
  }

  Result<void> member(const std::string& path, const YAML::Node& value) {
    const auto field = std::find_if(fields_.begin(), fields_.end(),
                                    [&](const ConfigField& f) { return f.path == path; });
    if (field != fields_.end()) {
      if (is_null(value)) return ok();
      if (!value.IsScalar() || !value.Scalar().empty()) given_.insert(path);
      return read(*field, path, value);
    }
    const bool inner = std::any_of(fields_.begin(), fields_.end(), [&](const ConfigField& f) {
      return std::string_view(f.path).starts_with(path + ".");
    });
    if (!inner) return unknown(path);
    if (is_null(value)) return ok();
    if (!value.IsMap()) return at(path, "expected a mapping of fields to values");
    return section(value, path);
  }

  Error unknown(const std::string& path) const {
    const size_t dot = path.rfind('.');
    const std::string prefix = dot == std::string::npos ? "" : path.substr(0, dot + 1);
    const std::string name = path.substr(prefix.size());
    std::string best;
    size_t least = std::max<size_t>(2, name.size() / 3) + 1;
    for (const ConfigField& field : fields_) {
      const std::string_view candidate = field.path;
      if (!candidate.starts_with(prefix)) continue;
      const std::string_view sibling =
          candidate.substr(prefix.size(), candidate.find('.', prefix.size()) - prefix.size());
      const size_t away = name.size() > 64 ? least : distance(name, sibling);
      if (away < least) least = away, best = sibling;
    }
    return at(path, "unknown field" + (best.empty() ? "" : ", did you mean " + best + "?"));
  }

  static Result<void> read(const ConfigField& field, const std::string& path,
                           const YAML::Node& node) {
    if (auto* const* list = std::get_if<std::vector<std::string>*>(&field.value))
      return field.form == Form::kVmodule ? read_vmodule(**list, path, node)
                                          : read_list(**list, path, node);
    if (auto* const* gates = std::get_if<std::map<std::string, bool>*>(&field.value))
      return read_gates(**gates, path, node);
    const char* expected = "";
    bool fits = node.IsScalar();
    const Scalar kind = fits ? scalar_kind(node) : Scalar::kNull;
    if (std::holds_alternative<bool*>(field.value))
      fits = fits && kind == Scalar::kBool, expected = "expected true or false";
    else if (std::holds_alternative<int32_t*>(field.value))
      fits = fits && kind == Scalar::kNumber, expected = "expected a whole number, without quotes";
    else if (std::holds_alternative<double*>(field.value))
      fits = fits && kind == Scalar::kNumber, expected = "expected a number, without quotes";
    else if (field.form == Form::kNanoOrText && kind == Scalar::kNumber)
      return read_nanoseconds(*std::get<Duration*>(field.value), path, node);
    else if (std::holds_alternative<Duration*>(field.value))
      fits = fits && kind == Scalar::kText, expected = "expected a duration such as 30s";
    else if (field.form != Form::kQuantity)
      fits = fits && kind == Scalar::kText,
      expected = "expected text; numbers, yes and no need quotes";
    else
      expected = "expected a size such as 64Ki";
    if (!fits) return at(path, expected);
    if (bool* const* flag = std::get_if<bool*>(&field.value))
      return **flag = *kube::yaml_bool(node.Scalar()), ok();
    const Result<void> set = set_field(field, node.Scalar());
    if (!set.ok()) return at(path, set.error().message());
    return ok();
  }

  static Result<void> read_nanoseconds(Duration& value, const std::string& path,
                                       const YAML::Node& node) {
    int64_t count = 0;
    const std::string& text = node.Scalar();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || end != text.data() + text.size())
      return at(path, "expected a duration such as 5s, or nanoseconds");
    value = Duration(count);
    return ok();
  }

  static Result<void> read_list(std::vector<std::string>& list, const std::string& path,
                                const YAML::Node& node) {
    if (!node.IsSequence()) return at(path, "expected a list");
    list.clear();
    for (const YAML::Node& item : node) {
      const std::string place = path + "[" + std::to_string(list.size()) + "]";
      if (!item.IsScalar() || scalar_kind(item) != Scalar::kText)
        return at(place, "expected text; numbers, yes and no need quotes");
      list.push_back(item.Scalar());
    }
    return ok();
  }

  static Result<void> read_gates(std::map<std::string, bool>& gates, const std::string& path,
                                 const YAML::Node& node) {
    if (!node.IsMap()) return at(path, "expected a mapping of names to true or false");
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return at(path, "a gate's name must be a word");
      const std::string place = path + "." + entry.first.Scalar();
      if (!entry.second.IsScalar() || scalar_kind(entry.second) != Scalar::kBool)
        return at(place, "expected true or false");
      gates[entry.first.Scalar()] = *kube::yaml_bool(entry.second.Scalar());
    }
    return ok();
  }

  static Result<void> read_vmodule(std::vector<std::string>& list, const std::string& path,
                                   const YAML::Node& node) {
    if (!node.IsSequence()) return at(path, "expected a list");
    for (const YAML::Node& item : node) {
      const std::string place = path + "[" + std::to_string(list.size()) + "]";
      if (!item.IsMap()) return at(place, "expected filePattern and verbosity");
      std::string pattern, verbosity = "0";
      for (const auto& entry : item) {
        const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
        if ((name != "filePattern" && name != "verbosity") || !entry.second.IsScalar())
          return at(place + "." + name, "expected filePattern and verbosity");
        if (name == "verbosity" && scalar_kind(entry.second) != Scalar::kNumber)
          return at(place + ".verbosity", "expected a whole number, without quotes");
        (name == "filePattern" ? pattern : verbosity) = entry.second.Scalar();
      }
      list.push_back(pattern + "=" + verbosity);
    }
    return ok();
  }

  std::vector<ConfigField> fields_;
  std::set<std::string> given_;
};

// Something but comments, blank lines and marks.
bool has_content(std::string_view yaml) {
  while (!yaml.empty()) {
    const size_t end = std::min(yaml.find('\n'), yaml.size());
    const std::string_view line = yaml.substr(0, end);
    yaml.remove_prefix(std::min(end + 1, yaml.size()));
    const size_t first = line.find_first_not_of("-. \t\r");
    if (first != std::string_view::npos && line[first] != '#') return true;
  }
  return false;
}

// YAML::Load reads the first document and YAML::LoadAll does not end on some malformed input. A
// line that begins with "---" is nothing but the start of a document (YAML 1.2 section 9.2).
bool has_more_documents(std::string_view yaml) {
  bool content = false;
  while (!yaml.empty()) {
    const size_t end = std::min(yaml.find('\n'), yaml.size());
    const std::string_view line = yaml.substr(0, end);
    yaml.remove_prefix(std::min(end + 1, yaml.size()));
    const size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos || line[first] == '#' || line[0] == '%') continue;
    const bool start = line.starts_with("---") &&
                       (line.size() == 3 || std::isspace(static_cast<unsigned char>(line[3])));
    const bool bare = start && !has_content(line);
    if (start && content) return !bare || has_content(yaml);
    content = content || !bare;
  }
  return false;
}

// yaml-cpp takes no tabs between tokens, JSON may have them: JSON is written anew without.
Result<std::string> as_yaml(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{') return std::string(text);
  bool deep = false;
  const Json json = Json::parse(
      text.begin(), text.end(),
      [&deep](int depth, Json::parse_event_t, Json&) {
        return deep = deep || depth > kMaxDepth, !deep;
      },
      false);
  if (deep) return at(kKind, "nested too deeply");
  // Not JSON: {a: b} is YAML all the same.
  if (json.is_discarded()) return std::string(text);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Result<KubeProxyConfig> parse_config(std::string_view text) {
  if (text.size() > kMaxBytes) return at(kKind, "longer than 1 MiB");
  const Result<std::string> yaml = as_yaml(text);
  if (!yaml.ok()) return yaml.error();
  if (has_more_documents(*yaml)) return at(kKind, "expected one document, not several");
  KubeProxyConfig config;
  try {
    Decoder decoder(config);
    const Result<void> decoded = decoder.decode(YAML::Load(*yaml));
    if (!decoded.ok()) return decoded.error();
    decoder.apply_defaults();
    const Result<IpAddress> bind = IpAddress::parse_lenient(config.bind_address);
    const bool v6 = bind.ok() && bind->is_v6();
    if (v6 && !decoder.given("healthzBindAddress")) config.healthz_bind_address = "[::]:10256";
    if (v6 && !decoder.given("metricsBindAddress")) config.metrics_bind_address = "[::1]:10249";
  } catch (const std::exception& exception) {
    return at(kKind, std::string("not YAML: ") + exception.what());
  }
  config.healthz_bind_address = with_port(config.healthz_bind_address, 10256);
  config.metrics_bind_address = with_port(config.metrics_bind_address, 10249);
  return config;
}

namespace {

std::string quote(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string scalar_json(const ConfigField& field) {
  if (field.form == Form::kVmodule) {
    Json list = Json::array();
    for (const std::string& item : *std::get<std::vector<std::string>*>(field.value)) {
      const size_t equals = item.rfind('=');
      list.push_back(
          {{"filePattern", item.substr(0, equals)},
           {"verbosity", std::atoi(item.c_str() + std::min(equals, item.size() - 1) + 1)}});
    }
    return list.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  if (const auto* const* list = std::get_if<std::vector<std::string>*>(&field.value))
    return (*list)->empty() ? "null"
                            : Json(**list).dump(-1, ' ', false, Json::error_handler_t::replace);
  if (const auto* const* gates = std::get_if<std::map<std::string, bool>*>(&field.value))
    return Json(**gates).dump(-1, ' ', false, Json::error_handler_t::replace);
  const bool bare = std::holds_alternative<bool*>(field.value) ||
                    std::holds_alternative<int32_t*>(field.value) ||
                    std::holds_alternative<double*>(field.value);
  return bare ? field_text(field) : quote(field_text(field));
}

struct Tree {
  std::map<std::string, Tree> children;
  std::string scalar;  // as JSON, which is YAML too
};

Tree tree_of(const KubeProxyConfig& config) {
  KubeProxyConfig copy = config;
  Tree root;
  root.children["apiVersion"].scalar = quote(kApiVersion);
  root.children["kind"].scalar = quote(kKind);
  for (const ConfigField& field : config_fields(copy)) {
    Tree* node = &root;
    for (const std::string& part : split_list(field.path, '.')) node = &node->children[part];
    node->scalar = scalar_json(field);
  }
  return root;
}

// Quotes go where the text can be nothing but text.
std::string bare(const std::string& scalar) {
  if (scalar.size() < 3 || scalar[0] != '"') return scalar;
  const std::string text = scalar.substr(1, scalar.size() - 2);
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) || strchr("./-_", c) != nullptr;
  };
  const bool word = (std::isalpha(static_cast<unsigned char>(text[0])) || text[0] == '/') &&
                    std::all_of(text.begin(), text.end(), plain);
  static const std::set<std::string> kReserved = {
      "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"};
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word && !kReserved.contains(lower) ? text : scalar;
}

void write_yaml(const Tree& tree, const std::string& indent, std::string& out) {
  for (const auto& [name, child] : tree.children) {
    out += indent + name + ":";
    if (child.children.empty()) {
      out += " " + bare(child.scalar) + "\n";
    } else {
      out += "\n";
      write_yaml(child, indent + "  ", out);
    }
  }
}

void write_json(const Tree& tree, std::string& out) {
  if (tree.children.empty()) {
    out += tree.scalar;
    return;
  }
  char separator = '{';
  for (const auto& [name, child] : tree.children) {
    out += separator + quote(name) + ":";
    write_json(child, out);
    separator = ',';
  }
  out += '}';
}

}  // namespace

std::string to_yaml(const KubeProxyConfig& config) {
  std::string text;
  write_yaml(tree_of(config), "", text);
  return text;
}

std::string to_json(const KubeProxyConfig& config) {
  std::string text;
  write_json(tree_of(config), text);
  return text;
}

}  // namespace fairlead::proxy
