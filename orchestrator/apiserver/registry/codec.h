// SPDX-License-Identifier: Apache-2.0
// Objects to the bytes that are stored and sent, and back. Pure.
#pragma once

#include "orchestrator/apiserver/json.h"
#include "orchestrator/store/store.h"

namespace fairlead::orchestrator::apiserver {

// The store writes metadata.resourceVersion when it assigns it.
store::Value encode(Json object);
// What is stored was made by encode(): it parses.
Json decode_stored(const Bytes& bytes);
int64_t resource_version_of(const Json& object);  // 0: none or malformed

// Last state of an entry that the store itself deletes.
store::Value tombstone_of(const store::Entry& entry);

}  // namespace fairlead::orchestrator::apiserver
