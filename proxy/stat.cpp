// SPDX-License-Identifier: Apache-2.0
#include "proxy/stat.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <tuple>
#include <utility>

#include "proxy/grouped.h"

namespace fairlead::proxy {

namespace {

// What a counter has grown by; one that shrank began anew.
double growth(uint64_t before, uint64_t after) {
  return static_cast<double>(after >= before ? after - before : after);
}

StatRates rates_of(const StatRow& before, const StatRow& after, double seconds) {
  const auto rate = [&](uint64_t from, uint64_t to) { return growth(from, to) / seconds; };
  const ServiceTotals &from = before.totals, &to = after.totals;
  const stream::Totals was = before.relayed.value_or(stream::Totals());
  const stream::Totals is = after.relayed.value_or(stream::Totals());
  return {rate(before.connections(), after.connections()), rate(from.refused, to.refused),
          rate(from.dropped, to.dropped),
          std::max(rate(from.flows.client_bytes, to.flows.client_bytes),
                   rate(was.client_bytes, is.client_bytes)),
          std::max(rate(from.flows.server_bytes, to.flows.server_bytes),
                   rate(was.server_bytes, is.server_bytes))};
}

StatRates rates_of(const std::optional<AllRates>& rates, const ServicePort& port) {
  if (!rates) return {};
  const auto found = rates->find(port);
  return found == rates->end() ? StatRates{} : found->second;
}

}  // namespace

// In mode nftables the rules have counted each that is relayed too.
uint64_t StatRow::connections() const {
  return std::max(totals.all_connections(), relayed ? relayed->opened : 0);
}

std::optional<AllRates> rates_between(const StatDocument& before, const StatDocument& after) {
  const bool same_process = before.since == after.since;
  const double seconds = after.seconds - (same_process ? before.seconds : 0);
  if (seconds <= 0) return std::nullopt;
  std::map<ServicePort, const StatRow*> known;
  if (same_process)
    for (const StatRow& row : before.rows) known[row.port] = &row;
  AllRates rates;
  for (const StatRow& row : after.rows) {
    const auto found = known.find(row.port);
    rates[row.port] = rates_of(found == known.end() ? StatRow{} : *found->second, row, seconds);
  }
  return rates;
}

std::optional<StatSort> parse_stat_sort(std::string_view name) {
  constexpr std::pair<std::string_view, StatSort> kNames[] = {
      {"rate", StatSort::kRate},
      {"connections", StatSort::kConnections},
      {"refused", StatSort::kRefused},
      {"bytes", StatSort::kBytes},
      {"name", StatSort::kName}};
  for (const auto& [known, sort] : kNames)
    if (name == known) return sort;
  return std::nullopt;
}

namespace {

// What rows are ordered by, most first: what happens now, then what has happened.
std::pair<double, double> weight(const StatRow& row, const StatRates& rates, StatSort sort) {
  const ServiceTotals& totals = row.totals;
  const auto number = [](uint64_t count) { return static_cast<double>(count); };
  switch (sort) {
    case StatSort::kRate:
      return {rates.connections, number(row.connections())};
    case StatSort::kConnections:
      return {number(row.connections()), rates.connections};
    case StatSort::kRefused:
      return {rates.refused + rates.dropped, number(totals.refused + totals.dropped)};
    case StatSort::kBytes:
      return {rates.client_bytes + rates.server_bytes,
              number(std::max(totals.flows.client_bytes + totals.flows.server_bytes,
                              row.relayed ? row.relayed->bytes() : 0))};
    case StatSort::kName:
      return {};
  }
  return {};
}

}  // namespace

std::vector<StatRow> busiest(const StatDocument& document, const std::optional<AllRates>& rates,
                             StatSort sort, size_t top) {
  using Keyed = std::pair<std::pair<double, double>, const StatRow*>;
  std::vector<Keyed> keyed;
  for (const StatRow& row : document.rows)
    keyed.emplace_back(weight(row, rates_of(rates, row.port), sort), &row);
  std::sort(keyed.begin(), keyed.end(), [](const Keyed& a, const Keyed& b) {
    if (a.first != b.first) return a.first > b.first;
    return a.second->port < b.second->port;
  });
  if (top != 0 && keyed.size() > top) keyed.resize(top);
  std::vector<StatRow> rows;
  rows.reserve(keyed.size());
  for (const auto& [key, row] : keyed) rows.push_back(*row);
  return rows;
}

namespace {

std::string formatted(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// "950", "1.2k", "3.4M"
std::string scaled(double number) {
  const char* unit = "";
  for (const char* next : {"k", "M", "G", "T"}) {
    if (number < 999.5) break;
    number /= 1000;
    unit = next;
  }
  return formatted(*unit == 0 || number >= 99.95 ? "%.0f" : "%.1f", number) + unit;
}

std::string rate_text(double rate) {
  return rate > 0 && rate < 99.95 ? formatted("%.1f", rate) : scaled(rate);
}

// "3.2s", "41s", "12m", "2h14m", "3d4h"
std::string age_text(double seconds) {
  if (seconds < 9.95) return formatted("%.1fs", std::max(0.0, seconds));
  if (seconds < 100) return formatted("%.0fs", seconds);
  const auto minutes = static_cast<uint64_t>(seconds / 60);
  if (minutes < 60) return std::to_string(minutes) + "m";
  if (minutes < 48 * 60)
    return std::to_string(minutes / 60) + "h" + std::to_string(minutes % 60) + "m";
  return std::to_string(minutes / 1440) + "d" + std::to_string(minutes / 60 % 24) + "h";
}

std::string head_text(const StatDocument& document) {
  std::string text =
      document.node + ": " +
      (document.families.empty()  ? document.problem.empty() ? "relaying" : "NOT RELAYING: "
       : document.problem.empty() ? "programmed"
                                  : "NOT PROGRAMMED: ") +
      document.problem + "\n";
  for (const StatFamily& family : document.families) {
    text += family.family + ": ";
    text += family.last_commit_age ? "last commit " + age_text(*family.last_commit_age) + " ago"
                                   : "nothing to commit yet";
    text += ", " + counted(family.commits, "commit") + ", " + counted(family.failures, "failure") +
            ", " + counted(family.foreign_changes, "change") + " by others\n";
  }
  text += counted(document.services, "service") + ", " + counted(document.ports, "port") + ", " +
          counted(document.endpoints, "endpoint") + "; counted for " + age_text(document.seconds) +
          "\n";
  if (!document.counters_problem.empty())
    text += "counters could not be read: " + document.counters_problem + "\n";
  if (document.event_losses != 0)
    text += "bytes are too low: the kernel dropped events " +
            counted(document.event_losses, "time") + "\n";
  if (document.uncounted_flows != 0)
    text += "bytes are too low: " + counted(document.uncounted_flows, "flow") +
            " ended uncounted (net.netfilter.nf_conntrack_acct is off, or was when they began)\n";
  return text;
}

// "cluster", "cluster+node": the kinds of address that were used.
std::string kinds_text(const ServiceTotals& totals) {
  constexpr const char* kShort[] = {"cluster", "external", "balancer", "node"};
  std::string text;
  for (size_t kind = 0; kind < totals.connections.size(); ++kind)
    if (totals.connections[kind] != 0)
      text += (text.empty() ? "" : "+") + std::string(kShort[kind]);
  return text.empty() ? "-" : text;
}

using Cells = std::vector<std::string>;

Cells header_cells(bool bytes) {
  Cells cells = {"SERVICE", "PROTO", "ADDRESS", "VIA",    "READY",
                 "CONN/S",  "CONNS", "REFUSED", "DROPPED"};
  if (bytes) cells.insert(cells.end(), {"IN B/S", "OUT B/S"});
  return cells;
}
constexpr size_t kLeftAligned = 4, kLeftAlignedRelayed = 2;  // columns from the left

Cells row_cells(const StatRow& row, const std::optional<AllRates>& rates, bool bytes) {
  const StatRates rate = rates_of(rates, row.port);
  const auto rate_cell = [&](const std::string& text) { return rates ? text : "-"; };
  const std::string ip = row.cluster_ips.empty() ? "" : row.cluster_ips.front();
  const bool v6 = ip.find(':') != std::string::npos;
  Cells cells = {row.port.to_string(),
                 protocol_name(row.port.protocol),
                 (v6 ? "[" + ip + "]" : ip) + ":" + std::to_string(row.number),
                 kinds_text(row.totals),
                 std::to_string(row.ready) + "/" + std::to_string(row.endpoints),
                 rate_cell(rate_text(rate.connections)),
                 grouped(row.connections()),
                 grouped(row.totals.refused),
                 grouped(row.totals.dropped)};
  if (bytes)
    cells.insert(cells.end(),
                 {rate_cell(scaled(rate.client_bytes)), rate_cell(scaled(rate.server_bytes))});
  return cells;
}

Cells relayed_header() {
  return {"RELAYED", "PROTO",   "OPEN",    "NEW",     "FAILED", "RETRIED",
          "HELD",    "WAITING", "EJECTED", "CONNECT", "IN",     "OUT"};
}

// HELD: have waited for a first endpoint, WAITING: do. CONNECT: the mean.
Cells relayed_cells(const ServicePort& port, const stream::Totals& totals) {
  const double millis = totals.connected == 0 ? 0
                                              : static_cast<double>(totals.connect_micros) / 1e3 /
                                                    static_cast<double>(totals.connected);
  return {port.to_string(),
          protocol_name(port.protocol),
          grouped(totals.open),
          grouped(totals.opened),
          grouped(totals.failed),
          grouped(totals.retried),
          grouped(totals.held),
          grouped(totals.waiting),
          grouped(totals.ejected),
          totals.connected == 0 ? "-" : formatted("%.2fms", millis),
          scaled(static_cast<double>(totals.client_bytes)),
          scaled(static_cast<double>(totals.server_bytes))};
}

std::string aligned(const std::vector<Cells>& rows, size_t left_aligned) {
  std::vector<size_t> widths(rows.front().size());
  for (const Cells& cells : rows)
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  std::string text;
  for (const Cells& cells : rows) {
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string gap(widths[i] - cells[i].size(), ' ');
      line += (i == 0 ? "" : "  ") + (i < left_aligned ? cells[i] + gap : gap + cells[i]);
    }
    text += line + "\n";
  }
  return text;
}

std::string cut(const std::string& text, size_t width) {
  if (width == 0) return text;
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    result += text.substr(at, std::min(end - at, width)) + "\n";
    at = end + 1;
  }
  return result;
}

}  // namespace

std::string stat_text(const StatDocument& document, const std::optional<AllRates>& rates,
                      size_t width) {
  std::vector<Cells> table = {header_cells(document.bytes)};
  for (const StatRow& row : document.rows) table.push_back(row_cells(row, rates, document.bytes));
  std::string text = head_text(document) + "\n" + aligned(table, kLeftAligned);
  std::vector<Cells> relayed = {relayed_header()};
  for (const StatRow& row : document.rows)
    if (row.relayed) relayed.push_back(relayed_cells(row.port, *row.relayed));
  if (relayed.size() > 1) text += "\n" + aligned(relayed, kLeftAlignedRelayed);
  return cut(text, width);
}

}  // namespace fairlead::proxy
