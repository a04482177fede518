// SPDX-License-Identifier: Apache-2.0
#include "kube/service_import.h"

#include "kube/json_field.h"

namespace fairlead::kube {
namespace {

void read_port(const Field& element, std::vector<ServicePort>& ports) {
  ServicePort port;
  port.name = element.at("name").text();
  port.port = static_cast<uint16_t>(element.at("port").number(0, UINT16_MAX, 0));
  const Field protocol = element.at("protocol");
  const std::string_view text = protocol.text();
  if (text == "UDP") port.protocol = Protocol::kUdp;
  if (text == "SCTP") port.protocol = Protocol::kSctp;
  if (!text.empty() && text != to_string(port.protocol)) return;  // one that we do not know
  ports.push_back(std::move(port));
}

}  // namespace

template <>
Result<ServiceImport> decode<ServiceImport>(std::string_view json) {
  Result<ObjectVersion> version = decode_version(json);
  if (!version.ok()) return version.error();
  JsonWorkspace& workspace = JsonWorkspace::mine();
  const std::string_view padded = workspace.copy(json);
  simdjson::dom::element tree;
  if (const auto error = workspace.tree().parse(padded.data(), padded.size(), false).get(tree);
      error != simdjson::SUCCESS)
    return Error(ErrorCode::kInvalid,
                 std::string("ServiceImport is not JSON: ") + simdjson::error_message(error));
  std::string problem;
  ServiceImport import;
  import.meta.ns = std::move(version->key.ns);
  import.meta.name = std::move(version->key.name);
  import.meta.resource_version = std::move(version->resource_version);
  const Field root(tree, &problem);
  const Field spec = root.at("spec");
  import.headless = spec.at("type").text() == "Headless";
  const Field ips = spec.at("ips");
  ips.each_element([&](const Field& element) {
    if (const auto ip = IpAddress::parse_lenient(element.text()); ip.ok())
      import.ips.push_back(*ip);
  });
  const Field ports = spec.at("ports");
  ports.each_element([&](const Field& element) { read_port(element, import.ports); });
  if (import.meta.name.empty()) root.at("metadata").report("expected a name");
  if (problem.empty()) return import;
  return Error(ErrorCode::kInvalid,
               "ServiceImport " + import.meta.key().to_string() + ": " + problem);
}

}  // namespace fairlead::kube
