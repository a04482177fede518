// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/pod_removal.h"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/loop.h"
#include "orchestrator/node/cri.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

namespace {

using std::chrono::seconds;

// Waits for one call of the runtime. It may answer after the limit, to nobody.
template <typename T>
Result<T> wait_for(Loop& loop, const std::function<void(CriDone<T>)>& call, Duration limit) {
  const auto answer = std::make_shared<std::optional<Result<T>>>();
  call([answer](Result<T> result) { answer->emplace(std::move(result)); });
  loop.run_until([&] { return answer->has_value(); }, limit);
  return *answer ? **answer : Result<T>(Error(ErrorCode::kTimeout, "the runtime does not answer"));
}

}  // namespace

Result<void> wait_for_runtime(const std::string& socket) {
  Loop loop;
  CriClient cri(loop, socket);
  for (int attempt = 0; attempt < 75; ++attempt) {
    const auto version = wait_for<RuntimeVersion>(
        loop, [&](auto done) { cri.version(std::move(done)); }, seconds(2));
    if (version.ok()) return ok();
    loop.run_until([] { return false; }, std::chrono::milliseconds(200));
  }
  return Error(ErrorCode::kTimeout, "the runtime does not answer");
}

Result<void> remove_pods(const std::string& socket, const ContainerLogs& logs) {
  Loop loop;
  CriClient cri(loop, socket);
  const auto sandboxes = wait_for<std::vector<SandboxInfo>>(
      loop, [&](auto done) { cri.list_sandboxes("", std::move(done)); }, seconds(15));
  if (!sandboxes.ok()) return sandboxes.error();
  const auto containers = wait_for<std::vector<ContainerInfo>>(
      loop, [&](auto done) { cri.list_containers("", std::move(done)); }, seconds(15));
  if (!containers.ok()) return containers.error();
  size_t missing = 0;  // calls under way
  std::optional<Error> failed;
  const auto count = [&](Result<void> done) {
    --missing;
    if (!done.ok() && !failed) failed = done.error();
  };
  for (const ContainerInfo& container : *containers)
    if (container.state == ContainerState::kRunning)
      ++missing, cri.stop_container(container.id, seconds(5), count);
  loop.run_until([&] { return missing == 0; }, seconds(60));
  for (const SandboxInfo& sandbox : *sandboxes) {
    ++missing;
    cri.stop_sandbox(sandbox.id, [&, id = sandbox.id](Result<void> stopped) {
      if (!stopped.ok()) return count(stopped);
      cri.remove_sandbox(id, count);
    });
  }
  loop.run_until([&] { return missing == 0; }, seconds(120));
  if (missing > 0) return Error(ErrorCode::kTimeout, "pods do not end");
  for (const SandboxInfo& sandbox : *sandboxes) {
    const std::string folder =
        logs.root + "/" + sandbox.ns + "_" + sandbox.name + "_" + sandbox.uid;
    if (const Result<void> removed = files::remove_tree(folder); !removed.ok() && !failed)
      failed = removed.error();
  }
  logs.remove_dead_links();
  return failed ? Result<void>(*failed) : ok();
}

}  // namespace fairlead::orchestrator
