// SPDX-License-Identifier: Apache-2.0
// Which object of the cluster a name stands for, in a sentence. Pure.
#pragma once

#include <string>

#include "dns/answer.h"

namespace fairlead::dns {

// "Service default/web, ClusterIP 10.96.0.10", "there is no Service default/nobody". `name` ends
// in the cluster domain or one of the reverse zones.
std::string describe(const ZoneConfig& config, const Snapshot& snapshot, const Name& name);

}  // namespace fairlead::dns
