// SPDX-License-Identifier: Apache-2.0
// The document of /stat as JSON, both ways.
#include <nlohmann/json.hpp>

#include "proxy/stat.h"

namespace fairlead::proxy {

namespace {

using Json = nlohmann::ordered_json;

constexpr AddressKind kKinds[] = {AddressKind::kClusterIp, AddressKind::kExternalIp,
                                  AddressKind::kLoadBalancer, AddressKind::kNodePort};

Json to_json(const StatFamily& family) {
  return {{"family", family.family},
          {"programmed", family.programmed},
          {"lastCommitAgeSeconds", family.last_commit_age ? Json(*family.last_commit_age) : Json()},
          {"commits", family.commits},
          {"failures", family.failures},
          {"foreignChanges", family.foreign_changes}};
}

StatFamily family_from(const Json& json) {
  StatFamily family;
  family.family = json.at("family");
  family.programmed = json.at("programmed");
  if (const Json& age = json.at("lastCommitAgeSeconds"); !age.is_null())
    family.last_commit_age = age.get<double>();
  family.commits = json.at("commits");
  family.failures = json.at("failures");
  family.foreign_changes = json.at("foreignChanges");
  return family;
}

Json to_json(const FlowTotals& flows) {
  return {{"flows", flows.flows},
          {"clientPackets", flows.client_packets},
          {"clientBytes", flows.client_bytes},
          {"serverPackets", flows.server_packets},
          {"serverBytes", flows.server_bytes}};
}

FlowTotals flows_from(const Json& json) {
  return {json.at("flows"), json.at("clientPackets"), json.at("clientBytes"),
          json.at("serverPackets"), json.at("serverBytes")};
}

struct RelayField {
  const char* name;
  uint64_t stream::Totals::*value;
};
constexpr RelayField kRelayFields[] = {{"opened", &stream::Totals::opened},
                                       {"open", &stream::Totals::open},
                                       {"failed", &stream::Totals::failed},
                                       {"held", &stream::Totals::held},
                                       {"waiting", &stream::Totals::waiting},
                                       {"denied", &stream::Totals::denied},
                                       {"retried", &stream::Totals::retried},
                                       {"ejected", &stream::Totals::ejected},
                                       {"clientBytes", &stream::Totals::client_bytes},
                                       {"serverBytes", &stream::Totals::server_bytes},
                                       {"connected", &stream::Totals::connected},
                                       {"connectMicroseconds", &stream::Totals::connect_micros}};

Json to_json(const stream::Totals& relayed) {
  Json json = Json::object();
  for (const RelayField& field : kRelayFields) json[field.name] = relayed.*field.value;
  return json;
}

stream::Totals relayed_from(const Json& json) {
  stream::Totals relayed;
  for (const RelayField& field : kRelayFields) relayed.*field.value = json.at(field.name);
  return relayed;
}

Json to_json(const StatRow& row, bool bytes) {
  Json connections = Json::object();
  for (const AddressKind kind : kKinds)
    if (const uint64_t count = row.totals.connections[static_cast<size_t>(kind)]; count != 0)
      connections[name_of(kind)] = count;
  Json json = {{"namespace", row.port.service.ns},
               {"service", row.port.service.name},
               {"port", row.port.name},
               {"protocol", protocol_name(row.port.protocol)},
               {"clusterIPs", row.cluster_ips},
               {"portNumber", row.number},
               {"nodePort", row.node_port},
               {"endpointsReady", row.ready},
               {"endpoints", row.endpoints},
               {"connections", connections},
               {"refused", row.totals.refused},
               {"dropped", row.totals.dropped}};
  if (bytes) json["ended"] = to_json(row.totals.flows);
  if (row.relayed) json["relayed"] = to_json(*row.relayed);
  return json;
}

StatRow row_from(const Json& json) {
  StatRow row;
  row.port.service = {json.at("namespace"), json.at("service")};
  row.port.name = json.at("port");
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp})
    if (json.at("protocol") == protocol_name(protocol)) row.port.protocol = protocol;
  row.cluster_ips = json.at("clusterIPs").get<std::vector<std::string>>();
  row.number = json.at("portNumber");
  row.node_port = json.at("nodePort");
  row.ready = json.at("endpointsReady");
  row.endpoints = json.at("endpoints");
  for (const AddressKind kind : kKinds)
    row.totals.connections[static_cast<size_t>(kind)] =
        json.at("connections").value(name_of(kind), uint64_t{0});
  row.totals.refused = json.at("refused");
  row.totals.dropped = json.at("dropped");
  if (json.contains("ended")) row.totals.flows = flows_from(json.at("ended"));
  if (json.contains("relayed")) row.relayed = relayed_from(json.at("relayed"));
  return row;
}

}  // namespace

std::string to_json(const StatDocument& document, const std::optional<AllRates>& rates) {
  Json families = Json::array(), rows = Json::array();
  for (const StatFamily& family : document.families) families.push_back(to_json(family));
  for (const StatRow& row : document.rows) {
    Json json = to_json(row, document.bytes);
    if (rates) {
      const auto found = rates->find(row.port);
      const StatRates rate = found == rates->end() ? StatRates{} : found->second;
      json["connectionsPerSecond"] = rate.connections;
      json["refusedPerSecond"] = rate.refused;
      json["droppedPerSecond"] = rate.dropped;
      if (document.bytes) json["clientBytesPerSecond"] = rate.client_bytes;
      if (document.bytes) json["serverBytesPerSecond"] = rate.server_bytes;
    }
    rows.push_back(std::move(json));
  }
  const Json json = {{"node", document.node},
                     {"since", document.since},
                     {"seconds", document.seconds},
                     {"problem", document.problem},
                     {"families", families},
                     {"services", document.services},
                     {"ports", document.ports},
                     {"endpoints", document.endpoints},
                     {"countersProblem", document.counters_problem},
                     {"bytes", document.bytes},
                     {"eventLosses", document.event_losses},
                     {"uncountedFlows", document.uncounted_flows},
                     {"rows", rows}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<StatDocument> parse_stat(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    StatDocument document;
    document.node = json.at("node");
    document.since = json.at("since");
    document.seconds = json.at("seconds");
    document.problem = json.at("problem");
    for (const Json& family : json.at("families")) document.families.push_back(family_from(family));
    document.services = json.at("services");
    document.ports = json.at("ports");
    document.endpoints = json.at("endpoints");
    document.counters_problem = json.at("countersProblem");
    document.bytes = json.at("bytes");
    document.event_losses = json.at("eventLosses");
    document.uncounted_flows = json.at("uncountedFlows");
    for (const Json& row : json.at("rows")) document.rows.push_back(row_from(row));
    return document;
  } catch (const Json::exception& error) {
    return Error(ErrorCode::kInvalid, std::string("not a fairlead-proxy's /stat: ") + error.what());
  }
}

}  // namespace fairlead::proxy
