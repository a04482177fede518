// SPDX-License-Identifier: Apache-2.0
// `fairlead down`'s part in a containerd that others use, too.
#include "orchestrator/node/pod_removal.h"

#include <gtest/gtest.h>

#include <optional>

#include "orchestrator/node/files.h"
#include "tests/kernel/orchestrator_node/machine.h"

namespace fairlead::orchestrator {
namespace {

template <typename T>
Result<T> call(PodBench& bench, const std::function<void(CriDone<T>)>& start) {
  std::optional<Result<T>> answer;
  start([&](Result<T> result) { answer.emplace(std::move(result)); });
  if (!bench.wait([&] { return answer.has_value(); }))
    return Error(ErrorCode::kTimeout, "no answer");
  return *std::move(answer);
}

Result<std::vector<SandboxInfo>> ours(PodBench& bench) {
  return call<std::vector<SandboxInfo>>(
      bench, [&](auto done) { bench.cri->list_sandboxes("", std::move(done)); });
}

// A sandbox as a kubelet labels its own.
SandboxConfig of_a_kubelet() {
  SandboxConfig config;
  config.name = "other";
  config.ns = "kube-system";
  config.uid = "uid-of-another-node-agent";
  config.log_directory = Machine::get().root() + "/other-log";
  config.labels = {
      {kLabelPodName, config.name}, {kLabelPodNamespace, config.ns}, {kLabelPodUid, config.uid}};
  config.cgroup_parent = Machine::get().cgroup_root() + "/kubelet";
  return config;
}

TEST(PodRemoval, EndsOurPodsAndNobodyElses) {
  PodBench bench;
  const Result<std::string> other = call<std::string>(
      bench, [&](auto done) { bench.cri->run_sandbox(of_a_kubelet(), std::move(done)); });
  ASSERT_TRUE(other.ok()) << other.error().message();
  const nlohmann::json pod = PodBench::pod("mine", {{"containers", {{{"name", "web"}}}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.ready(pod); })) << bench.status(pod).dump(2);
  const std::string uid = pod["metadata"]["uid"];
  const Result<std::vector<SandboxInfo>> before = ours(bench);
  ASSERT_TRUE(before.ok() && before->size() == 1);
  EXPECT_EQ(before->front().uid, uid);

  const std::string& socket = Machine::get().paths().socket();
  ASSERT_TRUE(wait_for_runtime(socket).ok());
  const Result<void> removed = remove_pods(socket, bench.context->logs);
  ASSERT_TRUE(removed.ok()) << removed.error().message();
  const Result<std::vector<SandboxInfo>> after = ours(bench);
  EXPECT_TRUE(after.ok() && after->empty());
  EXPECT_FALSE(files::exists(bench.context->logs.root + "/default_mine_" + uid));
  const Result<SandboxInfo> still = call<SandboxInfo>(
      bench, [&](auto done) { bench.cri->sandbox_status(*other, std::move(done)); });
  EXPECT_TRUE(still.ok() && still->ready);

  EXPECT_TRUE(
      call<void>(bench, [&](auto done) { bench.cri->stop_sandbox(*other, std::move(done)); }).ok());
  EXPECT_TRUE(call<void>(bench, [&](auto done) {
                bench.cri->remove_sandbox(*other, std::move(done));
              }).ok());
}

}  // namespace
}  // namespace fairlead::orchestrator
