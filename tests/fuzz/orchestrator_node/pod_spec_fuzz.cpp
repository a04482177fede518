// SPDX-License-Identifier: Apache-2.0
// Pods as the API server might send them: any JSON becomes a spec or an Error, and a spec has a
// plan and a status.
#include <nlohmann/json.hpp>

#include "orchestrator/node/pod_machine.h"
#include "orchestrator/node/pod_status.h"
#include "orchestrator/node/resources.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fairlead::orchestrator;
  const nlohmann::json object = nlohmann::json::parse(data, data + size, nullptr, false);
  const auto spec = parse_pod(object);
  if (!spec.ok()) return 0;
  PodMemory memory;
  memory.volumes_ready = true;
  const PodRuntime runtime;
  const std::set<std::string> busy;
  const PodInput input{
      *spec, runtime, memory, busy, false, false, fairlead::WallTime(std::chrono::hours(1))};
  (void)decide(input);
  (void)pod_status({input, object, "192.0.2.1"});
  (void)pod_limits(*spec);
  return 0;
}
