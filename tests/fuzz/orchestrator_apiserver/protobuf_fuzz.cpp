// SPDX-License-Identifier: Apache-2.0
// A body in protobuf, as whatever a request may hold: what is read is JSON that reads back, with
// members that the type knows.
#include <cstdint>

#include "orchestrator/apiserver/kind.h"
#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/protobuf.h"

using namespace fairlead::orchestrator::apiserver;

namespace {

void read(const schema::Type& type, std::string_view message) {
  auto document = schema::decode_protobuf(type, message);
  if (!document) return;
  const auto again = parse_json(dump(*document));
  if (!again || *again != *document) __builtin_trap();
  std::vector<std::string> unknown;
  (void)schema::decode(type, *document, unknown);
  if (!unknown.empty()) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto open = schema::open_protobuf({reinterpret_cast<const char*>(data), size});
  if (!open) return 0;
  for (const Kind& kind : Kinds::builtin().all()) read(*kind.served_type, open->message);
  for (const char* name : {"Scale", "DeleteOptions", "Binding", "Eviction"})
    read(*schema::Types::builtin().find(name), open->message);
  return 0;
}
