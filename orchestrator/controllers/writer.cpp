// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/writer.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/rfc3339.h"

namespace fairlead::orchestrator::controllers {

using Json = nlohmann::json;

void Writer::create(AnyInformer& informer, const std::string& ns, Json object, Pass pass, Made next,
                    OnError on_error) {
  const std::string what = fmt::format("create {} in {}", informer.resource().plural, ns);
  api_.create(informer.resource(), ns, std::move(object),
              [&informer, pass, next = std::move(next), on_error = std::move(on_error), what,
               life = life()](const Result<Bytes>& result) {
                if (life.expired()) return;
                if (!result) {
                  if (on_error) on_error(result.error());
                  return pass.fail(result.error().with_context(what));
                }
                informer.observe(*result);
                if (next) next(*result);
              });
}

void Writer::patch(AnyInformer& informer, std::string_view subresource, const Meta& meta,
                   Guard guard, Json patch, Pass pass, Next next) {
  Json& patch_meta = patch["metadata"];
  patch_meta["uid"] = meta.uid;
  if (guard == Guard::kRevision) patch_meta["resourceVersion"] = std::to_string(meta.revision);
  const std::string what =
      fmt::format("patch {} {}", informer.resource().plural, meta.key().to_string());
  api_.merge_patch(
      informer.resource(), subresource, meta.key(), std::move(patch),
      [&informer, pass, next = std::move(next), what, life = life()](const Result<Bytes>& result) {
        if (life.expired()) return;
        if (!result) return pass.fail(result.error().with_context(what));
        informer.observe(*result);
        if (next) next();
      });
}

void Writer::remove(AnyInformer& informer, const Meta& meta, DeleteOptions options, Pass pass,
                    Next next) {
  options.uid = meta.uid;
  const std::string what =
      fmt::format("delete {} {}", informer.resource().plural, meta.key().to_string());
  api_.remove(informer.resource(), meta.key(), options,
              [&informer, pass, next = std::move(next), what, key = meta.key(), uid = meta.uid,
               life = life()](const Result<Bytes>& result) {
                if (life.expired()) return;
                if (!result && !result.error().is_not_found())
                  return pass.fail(result.error().with_context(what));
                informer.observe_removal(key, uid, result ? *result : nullptr);
                if (next) next();
              });
}

Json controller_reference(const char* api_version, const char* kind, const Meta& owner) {
  return {{"apiVersion", api_version}, {"kind", kind},       {"name", owner.name},
          {"uid", owner.uid},          {"controller", true}, {"blockOwnerDeletion", true}};
}

Json pod_reference(const std::string& ns, const Endpoint& endpoint) {
  return {
      {"kind", "Pod"}, {"namespace", ns}, {"name", endpoint.pod_name}, {"uid", endpoint.pod_uid}};
}

Json owner_references(const std::vector<OwnerRef>& owners) {
  Json list = Json::array();
  for (const OwnerRef& owner : owners) {
    Json item = {{"apiVersion", owner.api_version},
                 {"kind", owner.kind},
                 {"name", owner.name},
                 {"uid", owner.uid}};
    if (owner.controller) item["controller"] = true;
    if (owner.block_owner_deletion) item["blockOwnerDeletion"] = true;
    list.push_back(std::move(item));
  }
  return list;
}

Json conditions_json(const std::vector<Condition>& conditions, bool with_update_time) {
  Json list = Json::array();
  for (const Condition& condition : conditions) {
    Json item = {{"type", condition.type},
                 {"status", condition.status},
                 {"reason", condition.reason},
                 {"message", condition.message},
                 {"lastTransitionTime", to_rfc3339(condition.last_transition)}};
    if (with_update_time) item["lastUpdateTime"] = to_rfc3339(condition.last_update);
    list.push_back(std::move(item));
  }
  return list;
}

}  // namespace fairlead::orchestrator::controllers
