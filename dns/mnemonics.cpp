// SPDX-License-Identifier: Apache-2.0
#include "dns/mnemonics.h"

#include <algorithm>

#include "dns/number_text.h"

namespace fairlead::dns {
namespace {

constexpr std::pair<std::string_view, uint16_t> kTypes[] = {
    {"A", 1},       {"NS", 2},     {"CNAME", 5},    {"SOA", 6},         {"MB", 7},
    {"MG", 8},      {"MR", 9},     {"NULL", 10},    {"PTR", 12},        {"HINFO", 13},
    {"MINFO", 14},  {"MX", 15},    {"TXT", 16},     {"RP", 17},         {"AFSDB", 18},
    {"X25", 19},    {"ISDN", 20},  {"RT", 21},      {"SIG", 24},        {"KEY", 25},
    {"PX", 26},     {"AAAA", 28},  {"LOC", 29},     {"SRV", 33},        {"NAPTR", 35},
    {"KX", 36},     {"CERT", 37},  {"DNAME", 39},   {"OPT", 41},        {"APL", 42},
    {"DS", 43},     {"SSHFP", 44}, {"RRSIG", 46},   {"NSEC", 47},       {"DNSKEY", 48},
    {"DHCID", 49},  {"NSEC3", 50}, {"TLSA", 52},    {"NSEC3PARAM", 51}, {"SMIMEA", 53},
    {"HIP", 55},    {"CDS", 59},   {"CDNSKEY", 60}, {"OPENPGPKEY", 61}, {"CSYNC", 62},
    {"ZONEMD", 63}, {"SVCB", 64},  {"HTTPS", 65},   {"SPF", 99},        {"EUI48", 108},
    {"EUI64", 109}, {"TKEY", 249}, {"TSIG", 250},   {"IXFR", 251},      {"AXFR", 252},
    {"ANY", 255},   {"URI", 256},  {"CAA", 257}};
constexpr std::pair<std::string_view, uint16_t> kClasses[] = {
    {"IN", 1}, {"CH", 3}, {"HS", 4}, {"NONE", 254}, {"ANY", 255}};
constexpr std::pair<std::string_view, uint16_t> kRcodes[] = {
    {"NOERROR", 0},  {"FORMERR", 1},  {"SERVFAIL", 2}, {"NXDOMAIN", 3},  {"NOTIMP", 4},
    {"REFUSED", 5},  {"YXDOMAIN", 6}, {"YXRRSET", 7},  {"NXRRSET", 8},   {"NOTAUTH", 9},
    {"NOTZONE", 10}, {"BADVERS", 16}, {"BADSIG", 16},  {"BADKEY", 17},   {"BADTIME", 18},
    {"BADMODE", 19}, {"BADNAME", 20}, {"BADALG", 21},  {"BADTRUNC", 22}, {"BADCOOKIE", 23},
    {"NOTIMPL", 4}};

template <typename Table>
std::optional<uint16_t> look_up(const Table& table, std::string_view text,
                                std::string_view generic) {
  const std::string wanted = to_upper(text);
  for (const auto& [name, number] : table)
    if (name == wanted) return number;
  if (!generic.empty() && wanted.starts_with(generic))
    return number_of<uint16_t>(std::string_view(wanted).substr(generic.size()));
  return std::nullopt;
}

template <typename Table>
std::string text_of(const Table& table, uint16_t wanted, std::string_view generic) {
  for (const auto& [name, number] : table)
    if (number == wanted) return std::string(name);
  return std::string(generic) + std::to_string(wanted);
}

}  // namespace

std::string to_upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  });
  return out;
}

std::optional<Type> type_from_text(std::string_view text) {
  const auto number = look_up(kTypes, text, "TYPE");
  return number ? std::optional(static_cast<Type>(*number)) : std::nullopt;
}

std::string type_to_text(Type type) {
  return text_of(kTypes, static_cast<uint16_t>(type), "TYPE");
}

std::optional<Class> class_from_text(std::string_view text) {
  const auto number = look_up(kClasses, text, "CLASS");
  return number ? std::optional(static_cast<Class>(*number)) : std::nullopt;
}

std::string class_to_text(Class klass) {
  return text_of(kClasses, static_cast<uint16_t>(klass), "CLASS");
}

std::optional<Rcode> rcode_from_text(std::string_view text) {
  const auto number = look_up(kRcodes, text, "");
  return number ? std::optional(static_cast<Rcode>(*number)) : std::nullopt;
}

std::string rcode_to_text(Rcode rcode) {
  return text_of(kRcodes, static_cast<uint16_t>(rcode), "RCODE");
}

}  // namespace fairlead::dns
