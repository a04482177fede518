// SPDX-License-Identifier: Apache-2.0
// A node's registration against an API server of one Node and one Lease.
#include "orchestrator/node/registration.h"

#include <gtest/gtest.h>

#include "orchestrator/apiserver/patch/patch.h"
#include "tests/unit/orchestrator_node/fake_cri.h"
#include "tests/unit/orchestrator_node/stub_api.h"

namespace fairlead::orchestrator {
namespace {

using Json = nlohmann::json;
using std::chrono::seconds;

class Registration : public testing::Test {
 protected:
  Registration() {
    registration_.start();
    turn(seconds(1));
  }
  static NodeInfo info() {
    NodeInfo info;
    info.name = "n";
    info.ip = "192.0.2.1";
    return info;
  }
  void turn(Duration span) { clock_.advance(span); }

  StubApi::Reply answer(const StubApi::Request& request) {
    if (down) return {503};
    if (request.path.find("/leases") != std::string::npos) return {};
    if (request.method == "POST") {
      node_ = request.body;
      node_["metadata"]["uid"] = "uid-" + std::to_string(++made_);
      return {201, node_};
    }
    if (request.path.ends_with("/nodes")) return {200, {{"items", Json::array()}}};
    if (node_.is_null()) return {404};
    if (request.method == "PATCH") {
      EXPECT_EQ(request.content_type, "application/strategic-merge-patch+json");
      const Json labels = node_["metadata"]["labels"];
      node_ = *apiserver::apply_strategic_patch(*apiserver::schema::Types::builtin().find("Node"),
                                                node_, request.body);
      if (keeps_labels) node_["metadata"]["labels"] = labels;
      ++writes_;
    }
    return {200, node_};
  }
  Json& condition(const std::string& type) {
    for (Json& each : node_["status"]["conditions"])
      if (each["type"] == type) return each;
    node_["status"]["conditions"].push_back({{"type", type}});
    return node_["status"]["conditions"].back();
  }

  ManualClock clock_;
  FakeCri cri_{clock_};
  Json node_;
  bool down = false;
  bool keeps_labels = false;  // whatever a status says of them
  int made_ = 0;
  int writes_ = 0;
  StubApi api_{clock_, [this](const StubApi::Request& request) { return answer(request); }};
  std::vector<bool> told_;
  NodeRegistration registration_{
      clock_,
      cri_,
      api_.client(),
      info(),
      *Cidr::parse("10.244.0.0/16"),
      std::nullopt,
      {[](const Cidr&) {}, [this](bool ready) { told_.push_back(ready); }}};
};

TEST_F(Registration, MakesTheNodeAndIsSilentWhileNothingChanges) {
  EXPECT_EQ(condition("Ready")["status"], "True");
  EXPECT_EQ(node_["spec"]["podCIDR"], "10.244.0.0/24");
  EXPECT_EQ(told_, std::vector<bool>{true});
  const int before = writes_;
  turn(seconds(300));
  EXPECT_EQ(writes_, before);
}

// What the node controller does to a node that was silent for 40 s.
TEST_F(Registration, SaysAgainWhatWasSaidOfIt) {
  for (const char* type : {"Ready", "DiskPressure", "MemoryPressure", "PIDPressure"}) {
    condition(type)["status"] = "Unknown";
    condition(type)["reason"] = "NodeStatusUnknown";
  }
  turn(seconds(10));
  EXPECT_EQ(condition("Ready")["status"], "True");
  EXPECT_EQ(condition("DiskPressure")["status"], "False");
  const int before = writes_;
  turn(seconds(100));
  EXPECT_EQ(writes_, before);
}

// While it is taken for dead its pods are told to be unready as often as it says they are ready.
TEST_F(Registration, ANodeThatWasCutOffIsSoonHeardAgain) {
  down = true;
  turn(seconds(60));
  condition("Ready")["status"] = "Unknown";
  down = false;
  turn(std::chrono::milliseconds(1500));
  EXPECT_EQ(condition("Ready")["status"], "True");
}

TEST_F(Registration, LeavesOthersConditionsAlone) {
  node_["status"]["conditions"].push_back({{"type", "KernelDeadlock"}, {"status", "False"}});
  node_["status"]["addresses"].push_back({{"type", "ExternalIP"}, {"address", "198.51.100.1"}});
  condition("Ready")["status"] = "Unknown";
  turn(seconds(10));
  EXPECT_EQ(condition("Ready")["status"], "True");
  EXPECT_EQ(condition("KernelDeadlock")["status"], "False");
  EXPECT_EQ(node_["status"]["addresses"].size(), 2u) << "addresses are the node's own";
}

TEST_F(Registration, BringsItsLabelsBack) {
  node_["metadata"]["labels"].erase("kubernetes.io/os");
  turn(seconds(10));
  EXPECT_EQ(node_["metadata"]["labels"]["kubernetes.io/os"], "linux");
}

TEST_F(Registration, IsInNoHurryWhereLabelsStayAsTheyAre) {
  keeps_labels = true;
  node_["metadata"]["labels"].erase("kubernetes.io/os");
  const int before = writes_;
  turn(seconds(100));
  EXPECT_GE(writes_ - before, 2);
  EXPECT_LE(writes_ - before, 30);
}

TEST_F(Registration, MakesADeletedNodeAgain) {
  node_ = Json();
  turn(seconds(11));
  ASSERT_TRUE(node_.is_object());
  EXPECT_EQ(registration_.uid(), "uid-2");
  EXPECT_EQ(condition("Ready")["status"], "True");
}

TEST_F(Registration, ADeadRuntimeIsToldAfterHalfAMinute) {
  cri_.down = true;
  turn(seconds(25));
  EXPECT_EQ(condition("Ready")["status"], "True");
  turn(seconds(10));
  EXPECT_EQ(condition("Ready")["status"], "False");
  cri_.down = false;
  turn(seconds(1));
  EXPECT_EQ(condition("Ready")["status"], "True");
  EXPECT_EQ(told_, (std::vector<bool>{true, false, true}));
}

}  // namespace
}  // namespace fairlead::orchestrator
