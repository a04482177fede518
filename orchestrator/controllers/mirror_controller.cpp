// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/mirror_controller.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "orchestrator/controllers/endpointslice_plan.h"
#include "orchestrator/controllers/object_parts.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator::controllers {

MirrorController::MirrorController(Clock& clock, Caches& caches, Writer& writer)
    : caches_(caches),
      writer_(writer),
      queue_(clock, {.name = "endpointslice mirror"},
             [this](const ObjectKey& key, const Pass& pass) { work(key, pass); }) {
  caches_.services.subscribe([this](const auto& before, const auto& after) {
    if (!before || !after || before->selector.empty() != after->selector.empty())
      queue_.add((after ? after : before)->meta.key());
  });
  caches_.endpoints.subscribe([this](const auto& before, const auto& after) {
    queue_.add((after ? after : before)->meta.key());
  });
  caches_.slices.subscribe([this](const auto& before, const auto& after) {
    if (before) on_slice(*before, false);
    if (after) on_slice(*after, true);
  });
}

void MirrorController::on_slice(const EndpointSlice& slice, bool there) {
  const auto by = slice.meta.labels.find(kManagedByLabel);
  const auto of = slice.meta.labels.find(kServiceNameLabel);
  if (by == slice.meta.labels.end() || by->second != kManagedByMirror ||
      of == slice.meta.labels.end())
    return;
  const ObjectKey service{slice.meta.ns, of->second};
  std::set<ObjectKey>& keys = slices_of_[service];
  there ? (void)keys.insert(slice.meta.key()) : (void)keys.erase(slice.meta.key());
  if (keys.empty()) slices_of_.erase(service);
  queue_.add(service);
}

std::vector<Json> MirrorController::wanted(const ObjectKey& key, const Pass& pass) const {
  const auto service = caches_.services.find(key);
  const auto endpoints = caches_.endpoints.find(key);
  if (!service || !endpoints || !service->selector.empty() || !is_mirrored(*endpoints) ||
      caches_.terminating(key.ns))
    return {};
  const Result<Json> document = parse_object(endpoints->raw);
  if (document) return mirrored_slices(*document);
  pass.fail(document.error());
  return {};
}

// Slices there are get other content before others are made or removed: no address is missing from
// all of them for longer than it must.
void MirrorController::work(const ObjectKey& key, const Pass& pass) {
  std::vector<Json> missing = wanted(key, pass);
  if (pass.failed()) return;
  std::vector<std::pair<SliceRef, Json>> there;
  if (const auto it = slices_of_.find(key); it != slices_of_.end())
    for (const ObjectKey& name : it->second) {
      const auto slice = caches_.slices.find(name);
      const auto live = writer_.api().get(caches_.slices.resource(), name);
      const Result<Json> stored = live ? parse_object(*live) : Result<Json>(live.error());
      if (slice && stored && !slice->meta.deleting) there.emplace_back(slice, *stored);
    }
  for (const char* alike : {"ports", "addressType"})
    std::erase_if(there, [&](const auto& slice) {
      const auto next = std::find_if(missing.begin(), missing.end(), [&](const Json& one) {
        return json::member(slice.second, "addressType") == one.at("addressType") &&
               json::member(slice.second, alike) == one.at(alike);
      });
      if (next == missing.end()) return false;
      if (Json patch = mirror_patch(slice.second, *next); !patch.is_null())
        writer_.patch(caches_.slices, "", slice.first->meta, Guard::kRevision, std::move(patch),
                      pass);
      missing.erase(next);
      return true;
    });
  const auto endpoints = caches_.endpoints.find(key);
  for (Json& slice : missing) create(*endpoints, std::move(slice), pass);
  for (const auto& [slice, stored] : there) writer_.remove(caches_.slices, slice->meta, {}, pass);
}

void MirrorController::create(const Endpoints& endpoints, Json slice, const Pass& pass) {
  slice["apiVersion"] = "discovery.k8s.io/v1";
  slice["kind"] = "EndpointSlice";
  Json& meta = slice["metadata"];
  meta["generateName"] = endpoints.meta.name + "-";
  meta["namespace"] = endpoints.meta.ns;
  meta["ownerReferences"] = Json::array({controller_reference("v1", "Endpoints", endpoints.meta)});
  writer_.create(caches_.slices, endpoints.meta.ns, std::move(slice), pass);
}

}  // namespace fairlead::orchestrator::controllers
