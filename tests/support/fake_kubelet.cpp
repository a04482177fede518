// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_kubelet.h"

#include "base/rfc3339.h"

namespace fairlead::test {
namespace {

using Json = nlohmann::json;
const orchestrator::Resource kPods{"", "pods"};

bool is_ready(const Json& pod) {
  for (const Json& condition : pod.value(Json::json_pointer("/status/conditions"), Json::array()))
    if (condition["type"] == "Ready") return condition["status"] == "True";
  return false;
}

}  // namespace

bool FakeKubelet::move(const Json& pod) {
  const Json& meta = pod["metadata"];
  const kube::ObjectKey key{meta["namespace"], meta["name"]};
  const bool bound = pod["spec"].contains("nodeName");
  const std::string phase = pod["status"].value("phase", "");
  if (meta.contains("deletionTimestamp")) {
    if (meta.value("deletionGracePeriodSeconds", 0) == 0) return false;  // a finalizer holds it
    api_.erase(kPods, key,
               {.uid = meta["uid"],
                .resource_version = "",
                .grace_period_seconds = 0,
                .propagation_policy = ""});
    return true;
  }
  if (phase == "Succeeded" || phase == "Failed") return false;
  if (!bound) {
    if (!bind || nodes_.empty()) return false;
    api_.merge(kPods, key, {{"spec", {{"nodeName", nodes_[next_node_++ % nodes_.size()]}}}});
    return true;
  }
  if (is_ready(pod) || (may_be_ready && !may_be_ready(pod))) return false;
  const std::string ip =
      "10.244." + std::to_string(next_ip_ / 250) + "." + std::to_string(next_ip_ % 250 + 1);
  ++next_ip_;
  const std::string now = to_rfc3339(clock_.wall_now());
  const Json status = {
      {"phase", "Running"},
      {"podIP", ip},
      {"podIPs", {{{"ip", ip}}}},
      {"conditions", {{{"type", "Ready"}, {"status", "True"}, {"lastTransitionTime", now}}}}};
  api_.merge(kPods, key, {{"status", status}}, "status");
  return true;
}

bool FakeKubelet::step() {
  bool moved = false;
  for (const Json& pod : api_.all(kPods)) moved = move(pod) || moved;
  return moved;
}

bool FakeKubelet::step_one(size_t pick) {
  const auto pods = api_.all(kPods);
  for (size_t i = 0; i < pods.size(); ++i)
    if (move(pods[(pick + i) % pods.size()])) return true;
  return false;
}

}  // namespace fairlead::test
