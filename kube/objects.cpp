// SPDX-License-Identifier: Apache-2.0
#include "kube/objects.h"

namespace fairlead::kube {

const char* to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "TCP";
    case Protocol::kUdp:
      return "UDP";
    case Protocol::kSctp:
      return "SCTP";
  }
  return "unknown";
}

bool ObjectMeta::operator==(const ObjectMeta& other) const {
  return ns == other.ns && name == other.name && uid == other.uid && labels == other.labels &&
         annotations == other.annotations && deleting == other.deleting;
}

}  // namespace fairlead::kube
