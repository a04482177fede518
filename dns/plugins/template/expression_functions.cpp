// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/template/expression_functions.h"

#include <fmt/format.h>

#include <algorithm>

#include "dns/mnemonics.h"
#include "dns/number_text.h"
#include "dns/plugin.h"

namespace fairlead::dns {
namespace {

using Arguments = std::span<const Value>;

constexpr std::string_view kBlanks = " \t\r\n";

// The first `count` arguments are strings.
Result<void> expect_strings(Arguments arguments, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (arguments[i].string() == nullptr)
      return Error::invalid(fmt::format("a {} where a string is wanted", arguments[i].kind_name()));
  return ok();
}

// A function of strings alone.
template <typename Make>  // (strings) -> Value
Result<Value> of_strings(Arguments arguments, const Make& make) {
  if (const auto right = expect_strings(arguments, arguments.size()); !right.ok())
    return right.error();
  std::vector<std::string_view> texts;
  for (const Value& each : arguments) texts.push_back(*each.string());
  return Value(make(texts));
}

// Like join() it stops beyond kMaxText, where the evaluation fails.
std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (;;) {
    const size_t at = from.empty() ? std::string_view::npos : text.find(from);
    out += text.substr(0, at);
    if (at == std::string_view::npos || out.size() > kMaxText) return out;
    out += to;
    text.remove_prefix(at + from.size());
  }
}

ValueList split(std::string_view text, std::string_view by) {
  ValueList out;
  for (;;) {
    const size_t at = by.empty() ? std::string_view::npos : text.find(by);
    out.emplace_back(std::string(text.substr(0, at)));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + by.size());
  }
}

Result<Value> join(Arguments arguments, const TemplateData&) {
  const ValueList* list = arguments[0].list();
  const bool parted = arguments.size() > 1;
  if (list == nullptr || (parted && arguments[1].string() == nullptr))
    return Error::invalid("join takes a list and a string");
  std::string out;
  for (size_t i = 0; i < list->size() && out.size() <= kMaxText; ++i)
    out += (i > 0 && parted ? *arguments[1].string() : "") + (*list)[i].text();
  return Value(std::move(out));
}

std::string trimmed(std::string_view text, std::string_view what) {
  const size_t first = text.find_first_not_of(what);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(what) - first + 1));
}

int64_t position(size_t at) {
  return at == std::string_view::npos ? -1 : static_cast<int64_t>(at);
}

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return static_cast<char>(to_lower(static_cast<uint8_t>(c)));
  });
  return out;
}

Result<Value> length(Arguments arguments, const TemplateData&) {
  if (const auto* text = arguments[0].string()) return Value(int64_t(text->size()));
  if (const auto* list = arguments[0].list()) return Value(int64_t(list->size()));
  return Error::invalid(fmt::format("len of a {}", arguments[0].kind_name()));
}

Result<Value> to_int(Arguments arguments, const TemplateData&) {
  if (arguments[0].number() != nullptr) return arguments[0];
  const auto* text = arguments[0].string();
  const auto number = text != nullptr ? number_of<int64_t>(*text) : std::nullopt;
  if (!number) return Error::invalid(fmt::format("'{}' is no whole number", arguments[0].text()));
  return Value(*number);
}

Result<Value> in_cidr(Arguments arguments, const TemplateData&) {
  if (const auto right = expect_strings(arguments, 2); !right.ok()) return right.error();
  const auto address = IpAddress::parse(*arguments[0].string());
  if (!address.ok()) return address.error();
  const auto net = Cidr::parse(*arguments[1].string());
  if (!net.ok()) return net.error();
  return Value(net->contains(*address));
}

Result<Value> group(Arguments arguments, const TemplateData& data) {
  const std::string wanted = arguments[0].text();
  for (size_t i = 0; i < data.match.size(); ++i)
    if (std::to_string(i) == wanted || (data.names != nullptr && (*data.names)[i] == wanted))
      return Value(data.match[i]);
  return Value("");
}

Result<Value> metadata(Arguments arguments, const TemplateData& data) {
  if (const auto right = expect_strings(arguments, 1); !right.ok()) return right.error();
  return Value(data.label ? data.label(*arguments[0].string()) : "");
}

const Client& client(const TemplateData& data) {
  return *data.client;
}

using Strings = const std::vector<std::string_view>&;

const ExpressionFunction kExpressionFunctions[] = {
    // CoreDNS's.
    {"group", 1, 1, false, &group},
    {"incidr", 2, 2, false, &in_cidr},
    {"metadata", 1, 1, false, &metadata},
    {"type", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> {
       return Value(type_to_text(d.query->type));
     }},
    {"name", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> { return Value(d.name); }},
    {"class", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> {
       return Value(class_to_text(d.query->klass));
     }},
    {"proto", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> {
       return Value(client(d).transport == Transport::kTcp ? "tcp" : "udp");
     }},
    {"size", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> {
       return Value(int64_t(d.query->packet.size()));
     }},
    {"client_ip", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> {
       return Value(client(d).address.address.to_string());
     }},
    {"port", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> {
       return Value(std::to_string(client(d).address.port));
     }},
    {"server_ip", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> {
       return Value(client(d).local.address.to_string());
     }},
    {"server_port", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> {
       return Value(std::to_string(client(d).local.port));
     }},
    {"id", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> { return Value(int64_t{d.query->id}); }},
    {"opcode", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> {
       return Value(static_cast<int64_t>(d.query->opcode()));
     }},
    {"do", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> {
       return Value(d.query->edns && d.query->edns->dnssec_ok);
     }},
    {"bufsize", 0, 0, false,
     [](Arguments, const TemplateData& d) -> Result<Value> {
       return Value(static_cast<int64_t>(taken_size(*d.query, client(d).transport)));
     }},
    // expr's own.
    {"len", 1, 1, false, &length},
    {"int", 1, 1, false, &to_int},
    {"string", 1, 1, false,
     [](Arguments a, const TemplateData&) -> Result<Value> { return Value(a[0].text()); }},
    {"lower", 1, 1, false,
     [](Arguments a, const TemplateData&) {
       return of_strings(a, [](Strings s) { return lowered(s[0]); });
     }},
    {"upper", 1, 1, false,
     [](Arguments a, const TemplateData&) {
       return of_strings(a, [](Strings s) { return to_upper(s[0]); });
     }},
    {"trim", 1, 2, false,
     [](Arguments a, const TemplateData&) {
       return of_strings(a, [](Strings s) { return trimmed(s[0], s.size() > 1 ? s[1] : kBlanks); });
     }},
    {"trimPrefix", 2, 2, false,
     [](Arguments a, const TemplateData&) {
       return of_strings(a, [](Strings s) {
         return std::string(s[0].substr(s[0].starts_with(s[1]) ? s[1].size() : 0));
       });
     }},
    {"trimSuffix", 2, 2, false,
     [](Arguments a, const TemplateData&) {
       return of_strings(a, [](Strings s) {
         return std::string(s[0].substr(0, s[0].size() - (s[0].ends_with(s[1]) ? s[1].size() : 0)));
       });
     }},
    {"hasPrefix", 2, 2, false,
     [](Arguments a, const TemplateData&) {
       return of_strings(a, [](Strings s) { return s[0].starts_with(s[1]); });
     }},
    {"hasSuffix", 2, 2, false,
     [](Arguments a, const TemplateData&) {
       return of_strings(a, [](Strings s) { return s[0].ends_with(s[1]); });
     }},
    {"indexOf", 2, 2, false,
     [](Arguments a, const TemplateData&) {
       return of_strings(a, [](Strings s) { return position(s[0].find(s[1])); });
     }},
    {"lastIndexOf", 2, 2, false,
     [](Arguments a, const TemplateData&) {
       return of_strings(a, [](Strings s) { return position(s[0].rfind(s[1])); });
     }},
    {"replace", 3, 3, false,
     [](Arguments a, const TemplateData&) {
       return of_strings(a, [](Strings s) { return replaced(s[0], s[1], s[2]); });
     }},
    {"split", 2, 2, false,
     [](Arguments a, const TemplateData&) {
       return of_strings(a, [](Strings s) { return split(s[0], s[1]); });
     }},
    {"join", 1, 2, false, &join},
    {"any", 2, 2, true, nullptr},
    {"all", 2, 2, true, nullptr},
    {"none", 2, 2, true, nullptr},
    {"one", 2, 2, true, nullptr},
    {"filter", 2, 2, true, nullptr},
    {"map", 2, 2, true, nullptr},
    {"count", 2, 2, true, nullptr},
};

}  // namespace

const ExpressionFunction* find_expression_function(std::string_view name) {
  const auto* at = std::ranges::find(kExpressionFunctions, name, &ExpressionFunction::name);
  return at == std::end(kExpressionFunctions) ? nullptr : at;
}

// They stand in front of expr's own in the table.
bool is_of_query(const ExpressionFunction& function) {
  return &function < find_expression_function("len");
}

Result<Value> apply_predicate(std::string_view name, const ValueList& elements,
                              const ValueList& results) {
  if (name == "map") return Value(results);
  ValueList chosen;
  for (size_t i = 0; i < elements.size(); ++i) {
    if (results[i].kind() != Value::Kind::kBool)
      return Error::invalid(fmt::format("a predicate that is a {}", results[i].kind_name()));
    if (results[i].truth()) chosen.push_back(elements[i]);
  }
  if (name == "filter") return Value(std::move(chosen));
  const size_t count = chosen.size();
  if (name == "count") return Value(static_cast<int64_t>(count));
  if (name == "any") return Value(count > 0);
  if (name == "all") return Value(count == elements.size());
  return Value(count == (name == "none" ? 0u : 1u));
}

}  // namespace fairlead::dns
