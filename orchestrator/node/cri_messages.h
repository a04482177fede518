// SPDX-License-Identifier: Apache-2.0
// Our values of cri.h to and from the protobuf messages of CRI. Pure. Included only by the client
// and its tests.
#pragma once

#include "cri.pb.h"
#include "orchestrator/node/cri.h"

namespace fairlead::orchestrator {

void to_message(const SandboxConfig& config, ::runtime::v1::PodSandboxConfig* message);
void to_message(const ContainerConfig& config, ::runtime::v1::ContainerConfig* message);

RuntimeStatus from_message(const ::runtime::v1::StatusResponse& message);
SandboxInfo from_message(const ::runtime::v1::PodSandbox& message);
SandboxInfo from_message(const ::runtime::v1::PodSandboxStatus& message);
ContainerInfo from_message(const ::runtime::v1::Container& message);
ContainerInfo from_message(const ::runtime::v1::ContainerStatus& message);
ImageInfo from_message(const ::runtime::v1::Image& message);

}  // namespace fairlead::orchestrator
