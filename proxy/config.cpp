// SPDX-License-Identifier: Apache-2.0
#include "proxy/config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

namespace fairlead::proxy {

namespace {

using Form = ConfigField::Form;

Error wrong(std::string message) {
  return Error(ErrorCode::kInvalid, std::move(message));
}

template <typename... Function>
struct Overload : Function... {
  using Function::operator()...;
};

void add_logging(KubeProxyConfig& config, std::vector<ConfigField>& fields) {
  KubeProxyConfig::Logging& logging = config.logging;
  const std::vector<ConfigField> more = {
      {"logging.flushFrequency", &logging.flush_frequency, false, Form::kNanoOrText},
      {"logging.format", &logging.format},
      {"logging.options.json.infoBufferSize", &logging.json.info_buffer_size, false,
       Form::kQuantity},
      {"logging.options.json.splitStream", &logging.json.split_stream, false},
      {"logging.options.text.infoBufferSize", &logging.text.info_buffer_size, false,
       Form::kQuantity},
      {"logging.options.text.splitStream", &logging.text.split_stream, false},
      {"logging.verbosity", &logging.verbosity},
      {"logging.vmodule", &logging.vmodule, false, Form::kVmodule}};
  fields.insert(fields.end(), more.begin(), more.end());
}

// Of the sections for one proxy mode, those that act depend on the mode.
void add_modes(KubeProxyConfig& config, std::vector<ConfigField>& fields) {
  const bool nftables = config.nftables_mode();
  const std::vector<ConfigField> more = {
      {"iptables.localhostNodePorts", &config.iptables.localhost_node_ports, false,
       Form::kNullable},
      {"iptables.masqueradeAll", &config.iptables.masquerade_all, !nftables},
      {"iptables.masqueradeBit", &config.iptables.masquerade_bit, !nftables, Form::kNullable},
      {"iptables.minSyncPeriod", &config.iptables.min_sync_period, false},
      {"iptables.syncPeriod", &config.iptables.sync_period,
       !config.nftables_mode() && config.mode != "ipvs"},
      {"ipvs.excludeCIDRs", &config.ipvs.exclude_cidrs, false},
      {"ipvs.minSyncPeriod", &config.ipvs.min_sync_period, false},
      {"ipvs.scheduler", &config.ipvs.scheduler, false},
      {"ipvs.strictARP", &config.ipvs.strict_arp, false},
      {"ipvs.syncPeriod", &config.ipvs.sync_period, config.mode == "ipvs"},
      {"ipvs.tcpFinTimeout", &config.ipvs.tcp_fin_timeout, false},
      {"ipvs.tcpTimeout", &config.ipvs.tcp_timeout, false},
      {"ipvs.udpTimeout", &config.ipvs.udp_timeout, false},
      {"nftables.masqueradeAll", &config.nftables.masquerade_all, nftables},
      {"nftables.masqueradeBit", &config.nftables.masquerade_bit, nftables, Form::kNullable},
      {"nftables.minSyncPeriod", &config.nftables.min_sync_period, false},
      {"nftables.syncPeriod", &config.nftables.sync_period, config.nftables_mode()},
      {"winkernel.enableDSR", &config.winkernel.enable_dsr, false},
      {"winkernel.forwardHealthCheckVip", &config.winkernel.forward_health_check_vip, false},
      {"winkernel.networkName", &config.winkernel.network_name, false},
      {"winkernel.rootHnsEndpointName", &config.winkernel.root_hns_endpoint_name, false},
      {"winkernel.sourceVip", &config.winkernel.source_vip, false}};
  fields.insert(fields.end(), more.begin(), more.end());
}

void add_conntrack(KubeProxyConfig& config, std::vector<ConfigField>& fields) {
  KubeProxyConfig::Conntrack& conntrack = config.conntrack;
  const std::vector<ConfigField> more = {
      {"conntrack.maxPerCore", &conntrack.max_per_core, true, Form::kNullable},
      {"conntrack.min", &conntrack.min, true, Form::kNullable},
      {"conntrack.tcpBeLiberal", &conntrack.tcp_be_liberal},
      {"conntrack.tcpCloseWaitTimeout", &conntrack.tcp_close_wait_timeout, true, Form::kNullable},
      {"conntrack.tcpEstablishedTimeout", &conntrack.tcp_established_timeout, true,
       Form::kNullable},
      {"conntrack.udpStreamTimeout", &conntrack.udp_stream_timeout},
      {"conntrack.udpTimeout", &conntrack.udp_timeout}};
  fields.insert(fields.end(), more.begin(), more.end());
}

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// As Go's strconv.ParseInt with base 0, which pflag takes: "+5", "0x20", "0b1", "0o17" and "017".
bool parse_integer(std::string_view text, int32_t& number) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  for (const auto& [prefix, its_base] :
       {std::pair{"0x", 16}, {"0X", 16}, {"0b", 2}, {"0B", 2}, {"0o", 8}, {"0O", 8}, {"0", 8}}) {
    if (!text.starts_with(prefix) || text.size() == std::strlen(prefix)) continue;
    text.remove_prefix(std::strlen(prefix));
    base = its_base;
    break;
  }
  if (text.starts_with('-') || text.starts_with('+')) return false;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (negative) value = -value;
  if (error != std::errc() || end != text.data() + text.size() ||
      value != static_cast<int32_t>(value))
    return false;
  number = static_cast<int32_t>(value);
  return true;
}

// As Go's strconv.ParseBool, which pflag and k8s.io/component-base take.
std::optional<bool> parse_bool(const std::string& text) {
  for (const char* yes : {"1", "t", "T", "true", "TRUE", "True"})
    if (text == yes) return true;
  for (const char* no : {"0", "f", "F", "false", "FALSE", "False"})
    if (text == no) return false;
  return std::nullopt;
}

Result<void> set_gates(std::map<std::string, bool>& gates, const std::string& text) {
  for (const std::string& item : split_list(text, ',')) {
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    const std::string name = trimmed(item.substr(0, equals));
    const auto value =
        equals == std::string::npos ? std::nullopt : parse_bool(trimmed(item.substr(equals + 1)));
    if (name.empty() || !value) return wrong("\"" + item + "\" is not NAME=true or NAME=false");
    gates[name] = *value;
  }
  return ok();
}

std::string join(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ",") + item;
  return text;
}

}  // namespace

std::vector<ConfigField> config_fields(KubeProxyConfig& config) {
  std::vector<ConfigField> fields = {
      {"bindAddress", &config.bind_address},
      {"bindAddressHardFail", &config.bind_address_hard_fail},
      {"clientConnection.acceptContentTypes", &config.client.accept_content_types, false},
      {"clientConnection.burst", &config.client.burst, false},
      {"clientConnection.contentType", &config.client.content_type, false},
      {"clientConnection.kubeconfig", &config.client.kubeconfig},
      {"clientConnection.qps", &config.client.qps, false},
      {"clusterCIDR", &config.cluster_cidr},
      {"configSyncPeriod", &config.config_sync_period, false},
      {"detectLocal.bridgeInterface", &config.bridge_interface},
      {"detectLocal.interfaceNamePrefix", &config.interface_name_prefix},
      {"detectLocalMode", &config.detect_local_mode},
      {"enableProfiling", &config.enable_profiling, false},
      {"featureGates", &config.feature_gates},
      {"healthzBindAddress", &config.healthz_bind_address},
      {"hostnameOverride", &config.hostname_override},
      {"metricsBindAddress", &config.metrics_bind_address},
      {"mode", &config.mode},
      {"nodePortAddresses", &config.node_port_addresses},
      {"oomScoreAdj", &config.oom_score_adj, true, Form::kNullable},
      {"portRange", &config.port_range, false},
      {"showHiddenMetricsForVersion", &config.show_hidden_metrics_for_version, false},
      {"windowsRunAsService", &config.windows_run_as_service, false}};
  add_logging(config, fields);
  add_modes(config, fields);
  add_conntrack(config, fields);
  std::sort(fields.begin(), fields.end(), [](const ConfigField& a, const ConfigField& b) {
    return std::string_view(a.path) < std::string_view(b.path);
  });
  return fields;
}

Result<void> set_field(const ConfigField& field, const std::string& text) {
  return std::visit(
      Overload{[&](bool* value) -> Result<void> {
                 if (const auto given = parse_bool(text)) return *value = *given, ok();
                 return wrong("\"" + text + "\" is not true or false");
               },
               [&](int32_t* value) -> Result<void> {
                 if (parse_integer(text, *value)) return ok();
                 return wrong("\"" + text + "\" is not a whole number");
               },
               [&](double* value) -> Result<void> {
                 double number = 0;
                 if (!parse_number(text, number) || !std::isfinite(number))
                   return wrong("\"" + text + "\" is not a number");
                 return *value = number, ok();
               },
               [&](std::string* value) -> Result<void> { return *value = text, ok(); },
               [&](Duration* value) -> Result<void> {
                 const Result<Duration> duration = parse_duration(text);
                 if (!duration.ok()) return duration.error();
                 return *value = *duration, ok();
               },
               [&](std::vector<std::string>* value) -> Result<void> {
                 return *value = split_list(text, ','), ok();
               },
               [&](std::map<std::string, bool>* value) -> Result<void> {
                 return set_gates(*value, text);
               }},
      field.value);
}

std::string field_text(const ConfigField& field) {
  return std::visit(
      Overload{[](const bool* value) -> std::string { return *value ? "true" : "false"; },
               [](const int32_t* value) { return std::to_string(*value); },
               [](const double* value) {
                 char text[32];
                 const auto end = std::to_chars(text, text + sizeof text, *value).ptr;
                 return std::string(text, end);
               },
               [](const std::string* value) { return *value; },
               [](const Duration* value) { return format_duration(*value); },
               [](const std::vector<std::string>* value) { return join(*value); },
               [](const std::map<std::string, bool>* value) {
                 std::vector<std::string> items;
                 for (const auto& [name, on] : *value)
                   items.push_back(name + (on ? "=true" : "=false"));
                 return join(items);
               }},
      field.value);
}

std::vector<std::string> without_effect(const KubeProxyConfig& config) {
  KubeProxyConfig given = config;
  KubeProxyConfig defaults;
  defaults.mode = config.mode;
  const std::vector<ConfigField> fields = config_fields(given);
  const std::vector<ConfigField> untouched = config_fields(defaults);
  std::vector<std::string> paths;
  for (size_t i = 0; i < fields.size(); ++i)
    if (!fields[i].acts && field_text(fields[i]) != field_text(untouched[i]))
      paths.emplace_back(fields[i].path);
  return paths;
}

namespace {

struct Unit {
  std::string_view name;
  double nanoseconds;
};
// Longer names first where one begins with another.
constexpr Unit kUnits[] = {{"ns", 1},   {"us", 1e3}, {"\u00b5s", 1e3}, {"\u03bcs", 1e3},
                           {"ms", 1e6}, {"s", 1e9},  {"m", 60e9},      {"h", 3600e9}};

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  const Error bad = wrong("\"" + std::string(text) + "\" is not a duration such as 30s or 1h30m");
  std::string_view rest = text;
  const bool negative = !rest.empty() && rest.front() == '-';
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) rest.remove_prefix(1);
  if (rest == "0") return Duration{};
  if (rest.empty()) return bad;
  double total = 0;
  while (!rest.empty()) {
    const size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    double number = 0;
    const auto [end, error] =
        std::from_chars(rest.data(), rest.data() + digits, number, std::chars_format::fixed);
    if (digits == 0 || error != std::errc() || end != rest.data() + digits) return bad;
    rest.remove_prefix(digits);
    const size_t letters = std::min(rest.find_first_of("0123456789."), rest.size());
    const auto unit = std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& u) {
      return u.name == rest.substr(0, letters);
    });
    if (unit == std::end(kUnits)) return bad;
    rest.remove_prefix(letters);
    total += number * unit->nanoseconds;
  }
  if (total > 9.2e18) return bad;
  const auto count = static_cast<int64_t>(std::llround(total));
  return Duration(negative ? -count : count);
}

std::string format_duration(Duration duration) {
  int64_t left = duration.count();
  if (left == 0) return "0s";
  std::string text = left < 0 ? "-" : "";
  if (left < 0) left = left == std::numeric_limits<int64_t>::min() ? left + 1 : left, left = -left;
  const auto number = [](int64_t count, int64_t unit) {  // without zeros at the end
    std::string digits = std::to_string(count / unit);
    std::string fraction = std::to_string(unit + count % unit).substr(1);
    while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
    return fraction.empty() ? digits : digits + "." + fraction;
  };
  if (left < 1000) return text + std::to_string(left) + "ns";
  if (left < 1000000) return text + number(left, 1000) + "\u00b5s";
  if (left < 1000000000) return text + number(left, 1000000) + "ms";
  constexpr int64_t kMinute = 60'000'000'000, kHour = 60 * kMinute;
  const bool hours = left >= kHour, minutes = left >= kMinute;
  if (hours) text += std::to_string(left / kHour) + "h";
  if (minutes) text += std::to_string(left % kHour / kMinute) + "m";
  return text + number(left % kMinute, 1'000'000'000) + "s";
}

std::vector<std::string> split_list(std::string_view text, char separator) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    items.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return items;
}

std::vector<Cidr> split_cidrs(const std::string& text) {
  std::vector<Cidr> cidrs;
  for (const std::string& item : split_list(text, ',')) {
    const Result<Cidr> cidr = Cidr::parse_lenient(item);
    if (cidr.ok()) cidrs.push_back(*cidr);
  }
  return cidrs;
}

std::vector<Cidr> first_of_each_family(const std::vector<Cidr>& cidrs) {
  std::vector<Cidr> first;
  for (const Cidr& cidr : cidrs)
    if (std::none_of(first.begin(), first.end(),
                     [&](const Cidr& other) { return other.family() == cidr.family(); }))
      first.push_back(cidr);
  return first;
}

std::string with_port(const std::string& address, uint16_t port) {
  const Result<IpAddress> alone = IpAddress::parse_lenient(address);
  return alone.ok() ? SocketAddress{*alone, port}.to_string() : address;
}

}  // namespace fairlead::proxy
