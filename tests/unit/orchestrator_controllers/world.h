// SPDX-License-Identifier: Apache-2.0
// A cluster of the fake API, a pretending kubelet and the controllers, under a clock that a test
// turns.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/rfc3339.h"
#include "orchestrator/controllers/manager.h"
#include "tests/support/fake_api.h"
#include "tests/support/fake_kubelet.h"

namespace fairlead::orchestrator::controllers {

using Json = nlohmann::json;

inline const Resource kPods{"", "pods"};
inline const Resource kReplicaSets{"apps", "replicasets"};
inline const Resource kDeployments{"apps", "deployments"};
inline const Resource kServices{"", "services"};
inline const Resource kEndpoints{"", "endpoints"};
inline const Resource kSlices{"discovery.k8s.io", "endpointslices"};
inline const Resource kNodes{"", "nodes"};
inline const Resource kLeases{"coordination.k8s.io", "leases"};
inline const Resource kNamespaces{"", "namespaces"};
inline const Resource kConfigMaps{"", "configmaps"};
inline const Resource kEvents{"", "events"};

class World {
 public:
  ManualClock clock;
  test::FakeApi api{clock};
  test::FakeKubelet kubelet{api, clock, {"n1", "n2", "n3"}};
  std::unique_ptr<ControllerManager> manager;

  World() {
    for (const char* name : {"n1", "n2", "n3"}) add_node(name);
    api.on_change = [this] {
      ++changes_;
      if (check) check();
    };
  }
  std::function<void()> check;   // after every change
  std::set<std::string> silent;  // nodes that do not renew their leases

  void add_node(const std::string& name) {
    api.put(kNodes, {{"apiVersion", "v1"},
                     {"kind", "Node"},
                     {"metadata", {{"name", name}}},
                     {"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}});
  }
  void start() {
    manager = std::make_unique<ControllerManager>(clock, api, ControllerManager::Options{});
    manager->start();
  }
  // A new process after a kill.
  void restart() {
    manager.reset();
    api.revive();
    start();
  }
  // Turns the clock while the nodes renew their leases every ten seconds.
  void turn(Duration span) {
    while (span > Duration::zero()) {
      if (clock.now() >= next_renewal_) renew_leases();
      const Duration step = std::min(span, next_renewal_ - clock.now());
      clock.advance(step);
      span -= step;
    }
  }
  // Turns the clock until nothing changes for a quarter of a second of it; false: it never settles.
  bool settle() {
    int quiet = 0;
    for (int round = 0; round < 3000 && quiet < 25; ++round) {
      const uint64_t before = changes_;
      turn(std::chrono::milliseconds(10));
      kubelet.step();
      quiet = changes_ == before ? quiet + 1 : 0;
      if (api.crashed()) return true;
    }
    return quiet >= 25;
  }

  static Json deployment(int replicas, const std::string& image, Json extra_spec = Json::object()) {
    Json spec = {{"replicas", replicas},
                 {"selector", {{"matchLabels", {{"app", "web"}}}}},
                 {"template",
                  {{"metadata", {{"labels", {{"app", "web"}}}}},
                   {"spec", {{"containers", {{{"name", "c"}, {"image", image}}}}}}}}};
    spec.update(extra_spec);
    return {{"apiVersion", "apps/v1"},
            {"kind", "Deployment"},
            {"metadata", {{"name", "web"}, {"namespace", "default"}}},
            {"spec", std::move(spec)}};
  }
  void set_image(const std::string& image) {
    api.merge(
        kDeployments, {"default", "web"},
        {{"spec",
          {{"template", {{"spec", {{"containers", {{{"name", "c"}, {"image", image}}}}}}}}}}});
  }
  void set_replicas(int replicas) {
    api.merge(kDeployments, {"default", "web"}, {{"spec", {{"replicas", replicas}}}});
  }
  Json web() const { return *api.find(kDeployments, {"default", "web"}); }
  Json::value_type status(const char* name) const { return web()["status"].value(name, 0); }

  // Active pods of an image.
  int pods(const std::string& image = "") const {
    int count = 0;
    for (const Json& pod : api.all(kPods))
      if (!pod["metadata"].contains("deletionTimestamp") &&
          (image.empty() || pod["spec"]["containers"][0]["image"] == image))
        ++count;
    return count;
  }
  std::string condition(const std::string& type) const {
    for (const Json& item : web()["status"].value("conditions", Json::array()))
      if (item["type"] == type)
        return item["status"].get<std::string>() + " " + item["reason"].get<std::string>();
    return "";
  }

 private:
  void renew_leases() {
    const uint64_t before = changes_;
    for (const Json& node : api.all(kNodes))
      if (!silent.contains(node["metadata"]["name"]))
        api.put(kLeases, {{"metadata",
                           {{"name", node["metadata"]["name"]}, {"namespace", "kube-node-lease"}}},
                          {"spec", {{"renewTime", to_rfc3339_micro(clock.wall_now())}}}});
    changes_ = before;
    next_renewal_ = clock.now() + std::chrono::seconds(10);
  }

  MonoTime next_renewal_{};
  uint64_t changes_ = 0;
};

// Of the pods that World::deployment makes.
inline Json service(Json extra = Json::object()) {
  Json spec = {{"clusterIP", "10.96.0.7"},
               {"ipFamilies", {"IPv4"}},
               {"selector", {{"app", "web"}}},
               {"ports", {{{"name", "http"}, {"port", 80}, {"targetPort", 8080}}}}};
  spec.update(extra);
  return {{"metadata", {{"name", "web"}, {"namespace", "default"}}}, {"spec", std::move(spec)}};
}

inline int ready_endpoints(const World& world) {
  int count = 0;
  for (const Json& slice : world.api.all(kSlices))
    for (const Json& endpoint : slice["endpoints"])
      count += endpoint["conditions"]["ready"].get<bool>() ? 1 : 0;
  return count;
}

}  // namespace fairlead::orchestrator::controllers
