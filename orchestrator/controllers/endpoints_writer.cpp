// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/endpoints_writer.h"

#include <algorithm>

#include "base/rfc3339.h"
#include "orchestrator/controllers/endpointslice_plan.h"
#include "orchestrator/controllers/object_parts.h"

namespace fairlead::orchestrator::controllers {
namespace {

using Json = nlohmann::json;

Json addresses_json(const std::string& ns, const std::vector<Endpoint>& endpoints) {
  Json list = Json::array();
  for (const Endpoint& endpoint : endpoints) {
    Json item = {{"ip", endpoint.address.to_string()}, {"targetRef", pod_reference(ns, endpoint)}};
    if (!endpoint.hostname.empty()) item["hostname"] = endpoint.hostname;
    if (!endpoint.node_name.empty()) item["nodeName"] = endpoint.node_name;
    list.push_back(std::move(item));
  }
  return list;
}

Json subsets_json(const std::string& ns, const std::vector<Subset>& subsets) {
  Json list = Json::array();
  for (const Subset& subset : subsets) {
    Json item = Json::object();
    if (!subset.ready.empty()) item["addresses"] = addresses_json(ns, subset.ready);
    if (!subset.not_ready.empty()) item["notReadyAddresses"] = addresses_json(ns, subset.not_ready);
    for (const SlicePort& port : subset.ports) {
      Json entry = {{"protocol", kube::to_string(port.protocol)}, {"port", port.port}};
      if (!port.name.empty()) entry["name"] = port.name;
      if (!port.app_protocol.empty()) entry["appProtocol"] = port.app_protocol;
      item["ports"].push_back(std::move(entry));
    }
    list.push_back(std::move(item));
  }
  return list;
}

bool is_ours(const Endpoints& endpoints) {
  const auto it = endpoints.meta.labels.find(kEndpointsManagedByLabel);
  return it != endpoints.meta.labels.end() && it->second == kEndpointsManagedByUs;
}

}  // namespace

bool EndpointsWriter::Wanted::is(const Endpoints& endpoints) const {
  return print == endpoints.print && labels == endpoints.meta.labels &&
         truncated == !endpoints.meta.annotation(kOverCapacityAnnotation).empty();
}

EndpointsWriter::EndpointsWriter(Clock& clock, Caches& caches, Writer& writer)
    : caches_(caches),
      writer_(writer),
      queue_(clock, {.name = "endpoints"},
             [this](const ObjectKey& key, const Pass& pass) { work(key, pass); }) {
  caches_.services.subscribe([this](const auto& before, const auto& after) {
    if (!after) queue_.add(before->meta.key());
  });
  // The answer to a write may come after the end of the Service; and so may a new process.
  caches_.endpoints.subscribe([this](const auto&, const auto& after) {
    if (after && is_ours(*after) && !caches_.services.find(after->meta.key()))
      queue_.add(after->meta.key());
  });
}

void EndpointsWriter::want(const ObjectKey& service, const EndpointsContent& content,
                           std::optional<WallTime> trigger) {
  auto wanted = std::make_shared<Wanted>();
  wanted->labels = content.labels;
  wanted->subsets = subsets_json(service.ns, content.subsets);
  wanted->print = fingerprint(wanted->subsets);
  wanted->truncated = content.truncated;
  wanted->trigger = trigger;
  const auto pending = wanted_.find(service);
  if (pending != wanted_.end()) {
    if (pending->second->trigger)
      wanted->trigger = std::min(trigger.value_or(WallTime::max()), *pending->second->trigger);
  } else if (const auto now = caches_.endpoints.find(service); now && wanted->is(*now)) {
    return;
  }
  wanted_[service] = std::move(wanted);
  queue_.add_after(service, kDelay);
}

void EndpointsWriter::work(const ObjectKey& key, const Pass& pass) {
  const auto service = caches_.services.find(key);
  const auto now = caches_.endpoints.find(key);
  const auto pending = wanted_.find(key);
  if (service && !caches_.terminating(key.ns)) {
    if (pending == wanted_.end()) return;
    if (!now || !pending->second->is(*now)) return write(key, now, pending->second, pass);
  }
  if (pending != wanted_.end()) wanted_.erase(pending);
  if (!service && now && !now->meta.deleting)
    writer_.remove(caches_.endpoints, now->meta, {}, pass);
}

void EndpointsWriter::write(const ObjectKey& key, const Ref<Endpoints>& now,
                            const std::shared_ptr<const Wanted>& wanted, const Pass& pass) {
  Json body;
  body["subsets"] = wanted->subsets.empty() ? Json(nullptr) : wanted->subsets;
  Json& meta = body["metadata"];
  meta["labels"] = wanted->labels;
  if (now)  // a merge patch keeps what it does not name
    for (const auto& [name, value] : now->meta.labels)
      if (!wanted->labels.contains(name)) meta["labels"][name] = nullptr;
  const auto annotate = [&](const char* name, const std::string& value) {
    if (!value.empty())
      meta["annotations"][name] = value;
    else if (now && !now->meta.annotation(name).empty())
      meta["annotations"][name] = nullptr;
  };
  annotate(kTriggerTimeAnnotation, wanted->trigger ? to_rfc3339_micro(*wanted->trigger) : "");
  annotate(kOverCapacityAnnotation, wanted->truncated ? "truncated" : "");
  const auto written = [this, key, wanted] {
    const auto it = wanted_.find(key);
    if (it != wanted_.end() && it->second == wanted) wanted_.erase(it);
  };
  if (now)
    return writer_.patch(caches_.endpoints, "", now->meta, Guard::kRevision, std::move(body), pass,
                         written);
  body["apiVersion"] = "v1";
  body["kind"] = "Endpoints";
  meta["name"] = key.name;
  meta["namespace"] = key.ns;
  writer_.create(caches_.endpoints, key.ns, std::move(body), pass,
                 [written](const Bytes&) { written(); });
}

}  // namespace fairlead::orchestrator::controllers
