// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/endpointslice_controller.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/rfc3339.h"

namespace fairlead::orchestrator::controllers {
namespace {

using Json = nlohmann::json;

constexpr const char* kZoneLabel = "topology.kubernetes.io/zone";

bool is_ours(const EndpointSlice& slice) {
  const auto it = slice.meta.labels.find(kManagedByLabel);
  return it != slice.meta.labels.end() && it->second == kManagedByUs;
}

std::optional<ObjectKey> service_of(const EndpointSlice& slice) {
  const auto it = slice.meta.labels.find(kServiceNameLabel);
  if (it == slice.meta.labels.end()) return std::nullopt;
  return ObjectKey{slice.meta.ns, it->second};
}

std::string zone_of(const Node& node) {
  const auto it = node.meta.labels.find(kZoneLabel);
  return it == node.meta.labels.end() ? std::string() : it->second;
}

Json endpoint_json(const std::string& ns, const Endpoint& endpoint) {
  Json json = {{"addresses", Json::array({endpoint.address.to_string()})},
               {"conditions",
                {{"ready", endpoint.ready},
                 {"serving", endpoint.serving},
                 {"terminating", endpoint.terminating}}},
               {"targetRef", pod_reference(ns, endpoint)}};
  if (!endpoint.hostname.empty()) json["hostname"] = endpoint.hostname;
  if (!endpoint.node_name.empty()) json["nodeName"] = endpoint.node_name;
  if (!endpoint.zone.empty()) json["zone"] = endpoint.zone;
  if (!endpoint.hint_zone.empty())
    json["hints"]["forZones"] = Json::array({{{"name", endpoint.hint_zone}}});
  if (!endpoint.hint_node.empty())
    json["hints"]["forNodes"] = Json::array({{{"name", endpoint.hint_node}}});
  return json;
}

Json ports_json(const std::vector<SlicePort>& ports) {
  Json list = Json::array();
  for (const SlicePort& port : ports) {
    Json item = {
        {"name", port.name}, {"protocol", kube::to_string(port.protocol)}, {"port", port.port}};
    if (!port.app_protocol.empty()) item["appProtocol"] = port.app_protocol;
    list.push_back(std::move(item));
  }
  return list;
}

// Fields of a pod that its endpoints or their membership depend on.
bool same_for_slices(const Pod& a, const Pod& b) {
  return a.meta.labels == b.meta.labels && a.meta.deleting == b.meta.deleting && a.ips == b.ips &&
         a.ready == b.ready && a.terminal() == b.terminal() && a.node_name == b.node_name &&
         a.meta.uid == b.meta.uid;
}

// Only a selector makes a Service ours; without one the user keeps its slices.
bool is_selected(const Service& service, const Labels& labels) {
  return !service.selector.empty() && contains_all(labels, service.selector);
}

// When a condition changed. It is written in whole seconds; the moment it was seen, which is that
// of the API write as we read the store itself, is more exact unless the change is an old one.
WallTime moment_of_change(WallTime written, WallTime seen) {
  return seen - written < std::chrono::seconds(2) ? seen : written;
}

}  // namespace

EndpointSliceController::EndpointSliceController(Clock& clock, Caches& caches, Writer& writer)
    : clock_(clock),
      caches_(caches),
      writer_(writer),
      endpoints_(clock, caches, writer),
      queue_(clock, {.name = "endpointslice"},
             [this](const ObjectKey& key, Pass pass) { work(key, pass); }) {
  caches_.services.subscribe([this](const auto& before, const auto& after) {
    queue_.add((after ? after : before)->meta.key());
    if (!after) trigger_.erase(before->meta.key());
    if (!before)
      note_trigger(after->meta.key(), moment_of_change(after->meta.created, clock_.wall_now()));
  });
  caches_.pods.subscribe([this](const auto& before, const auto& after) { on_pod(before, after); });
  caches_.slices.subscribe([this](const auto& before, const auto& after) {
    if (before)
      if (const auto service = service_of(*before)) {
        auto& keys = slices_of_[*service];
        keys.erase(before->meta.key());
        if (keys.empty()) slices_of_.erase(*service);
      }
    if (after)
      if (const auto service = service_of(*after)) slices_of_[*service].insert(after->meta.key());
    if (before) on_slice(*before);
    if (after) on_slice(*after);
  });
  caches_.endpoints.subscribe([this](const auto& before, const auto& after) {
    if (!after) queue_.add(before->meta.key());  // somebody took it away
  });
  caches_.nodes.subscribe(
      [this](const auto& before, const auto& after) { on_node(before, after); });
}

void EndpointSliceController::on_pod(const std::shared_ptr<const Pod>& before,
                                     const std::shared_ptr<const Pod>& after) {
  if (before && after && same_for_slices(*before, *after)) return;
  const Pod& pod = after ? *after : *before;
  for (const auto& service : caches_.services.in_namespace(pod.meta.ns)) {
    if (!(before && is_selected(*service, before->meta.labels)) &&
        !(after && is_selected(*service, after->meta.labels)))
      continue;
    const ObjectKey key = service->meta.key();
    queue_.add(key);
    // Either: a time of Kubernetes' is of seconds, and a pod may be ready within one.
    const bool changed = !before || !after || before->ready != after->ready ||
                         before->ready_changed != after->ready_changed;
    if (changed && after && after->ready_changed > WallTime{})
      note_trigger(key, moment_of_change(after->ready_changed, clock_.wall_now()));
  }
}

void EndpointSliceController::note_trigger(const ObjectKey& service, WallTime time) {
  const auto [it, fresh] = trigger_.try_emplace(service, time);
  if (!fresh) it->second = std::min(it->second, time);
}

void EndpointSliceController::on_slice(const EndpointSlice& slice) {
  if (!is_ours(slice)) return;
  if (const auto service = service_of(slice)) queue_.add(*service);
}

void EndpointSliceController::on_node(const std::shared_ptr<const Node>& before,
                                      const std::shared_ptr<const Node>& after) {
  const std::string zone = after ? zone_of(*after) : std::string();
  if (zone == (before ? zone_of(*before) : std::string())) return;
  for (const auto& [key, service] : caches_.services.all())
    if (!service->selector.empty()) queue_.add(key);
}

void EndpointSliceController::work(const ObjectKey& key, const Pass& pass) {
  const auto service = caches_.services.find(key);
  if (!service || (service->selector.empty() && !service->external_name)) return;
  if (caches_.terminating(key.ns)) return;
  SliceState state{*service, {}, {}, {}};
  for (const auto& pod : caches_.pods.in_namespace(key.ns))
    if (is_selected(*service, pod->meta.labels)) state.pods.push_back(pod);
  if (const auto it = slices_of_.find(key); it != slices_of_.end())
    for (const ObjectKey& slice_key : it->second)
      if (const auto slice = caches_.slices.find(slice_key); slice && is_ours(*slice))
        state.slices.push_back(slice);
  for (const auto& pod : state.pods)
    if (const auto node = caches_.nodes.find({"", pod->node_name}))
      if (const std::string zone = zone_of(*node); !zone.empty())
        state.zones[pod->node_name] = zone;
  auto todo = std::make_shared<const SlicePlan>(plan(state));
  // What changes from here on belongs to the next pass.
  std::optional<WallTime> trigger;
  if (const auto node = trigger_.extract(key); !node.empty()) trigger = node.mapped();
  // The data plane reads slices: the older form waits until all of them are written.
  std::shared_ptr<void> all_done(nullptr,
                                 [this, key, todo, pass, trigger, life = writer_.life()](void*) {
                                   if (life.expired() || pass.failed() || !todo->endpoints) return;
                                   endpoints_.want(key, *todo->endpoints, trigger);
                                 });
  if (todo->empty()) return;
  // The second half begins when the last write of the first is done, and only if all succeeded.
  std::shared_ptr<void> first_done(
      nullptr, [this, service, todo, pass, trigger, all_done, life = writer_.life()](void*) {
        if (life.expired()) return;
        if (pass.failed()) {
          if (trigger) note_trigger(service->meta.key(), *trigger);
          return;
        }
        for (const SliceWrite& item : todo->then) write(*service, item, trigger, pass, all_done);
        for (const SliceRef& slice : todo->removals)
          writer_.remove(caches_.slices, slice->meta, {}, pass, [all_done] {});
      });
  for (const SliceWrite& item : todo->first) write(*service, item, trigger, pass, first_done);
}

void EndpointSliceController::write(const Service& service, const SliceWrite& item,
                                    std::optional<WallTime> trigger, const Pass& pass,
                                    std::shared_ptr<void> until_done) {
  Json endpoints = Json::array();
  for (const Endpoint& endpoint : item.endpoints)
    endpoints.push_back(endpoint_json(service.meta.ns, endpoint));
  Json slice = {{"endpoints", std::move(endpoints)}, {"ports", ports_json(item.ports)}};
  Json& meta = slice["metadata"];
  meta["labels"] = item.labels;
  if (item.existing)  // a merge patch keeps what it does not name
    for (const auto& [name, value] : item.existing->meta.labels)
      if (!item.labels.contains(name)) meta["labels"][name] = nullptr;
  if (trigger) meta["annotations"][kTriggerTimeAnnotation] = to_rfc3339_micro(*trigger);
  const auto keep = [until_done = std::move(until_done)] {};
  if (item.existing) {
    if (!trigger && !item.existing->meta.annotation(kTriggerTimeAnnotation).empty())
      meta["annotations"][kTriggerTimeAnnotation] = nullptr;
    return writer_.patch(caches_.slices, "", item.existing->meta, Guard::kRevision,
                         std::move(slice), pass, keep);
  }
  slice["apiVersion"] = "discovery.k8s.io/v1";
  slice["kind"] = "EndpointSlice";
  slice["addressType"] = item.family == Family::kIpv6 ? "IPv6" : "IPv4";
  meta["generateName"] = service.meta.name + "-";
  meta["namespace"] = service.meta.ns;
  meta["ownerReferences"] = Json::array({controller_reference("v1", "Service", service.meta)});
  writer_.create(caches_.slices, service.meta.ns, std::move(slice), pass, [keep](const Bytes&) {});
}

}  // namespace fairlead::orchestrator::controllers
