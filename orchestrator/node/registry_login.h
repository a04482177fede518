// SPDX-License-Identifier: Apache-2.0
// Who a pod is to the registry of an image, by its imagePullSecrets. No I/O.
//
// Secrets of type kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg. A login belongs to a
// host, with a port and a path or without, whose labels may have "*"; it is for images below it.
// (Kubernetes, "Images", section "Configuring nodes to authenticate to a private registry".)
#pragma once

#include <string>
#include <vector>

#include "orchestrator/node/cri.h"
#include "orchestrator/node/env.h"

namespace fairlead::orchestrator {

// Whether the text is an image's name at all; an error says what is wrong in the kubelet's words.
// (The grammar of distribution/reference.)
Result<void> check_image_name(const std::string& image);

// Those that are for `image`, the one for the longest path first, without doubles.
std::vector<RegistryLogin> registry_logins(const std::string& image, const Objects& secrets);

}  // namespace fairlead::orchestrator
