// SPDX-License-Identifier: Apache-2.0
// meta.k8s.io: Tables, what `kubectl get` asks for, and PartialObjectMetadata, what clients ask for
// that want names and labels alone. Pure.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/apiserver/kind.h"

namespace fairlead::orchestrator::apiserver {

enum class IncludeObject { kNone, kMetadata, kObject };

struct TableOptions {
  std::string api_version = "meta.k8s.io/v1";  // or v1beta1
  IncludeObject include = IncludeObject::kMetadata;
  bool with_columns = true;  // false: rows only, as later events of a watch
};

Json partial_metadata(const Json& object, const std::string& api_version);

// metadata of the list: resourceVersion, continue, remainingItemCount.
Json make_table(const Kind& kind, const std::vector<Json>& objects, Json metadata,
                const TableOptions& options, WallTime now);

}  // namespace fairlead::orchestrator::apiserver
