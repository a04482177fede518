// SPDX-License-Identifier: Apache-2.0
// Which object of the cluster a name stands for, in a sentence and in labels. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dns/answer.h"

namespace fairlead::dns {

// "Service default/web, ClusterIP 10.96.0.10", "there is no Service default/nobody". `name` ends
// in the cluster domain or one of the reverse zones.
std::string describe(const ZoneConfig& config, const Snapshot& snapshot, const Name& name);

// The value of one of CoreDNS's labels of a name in the cluster domain ("kubernetes/service"), as
// the name alone says it, whether the object exists or not; nothing for other labels and names.
std::optional<std::string> kubernetes_label(const ZoneConfig& config, std::string_view label,
                                            const Name& name);

// The value of "kubernetes/client-namespace", "/client-pod-name" or "/client-label/KEY": of the pod
// with this address, where such are kept (dns/zone/client.h); else nothing.
std::optional<std::string> client_label(const Snapshot& snapshot, std::string_view label,
                                        const IpAddress& address);
inline constexpr std::string_view kClientLabels = "kubernetes/client-";

}  // namespace fairlead::dns
