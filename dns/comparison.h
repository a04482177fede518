// SPDX-License-Identifier: Apache-2.0
// What two DNS servers of one cluster say differently, and why if that is known. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dns/answer.h"
#include "dns/edit.h"

namespace fairlead::dns {

struct ComparedQuestion {
  Name name;
  Type type = Type::kA;
  uint16_t port = 53;  // where the server block that has it listens here
};

// A question for every name that the zone has, each type that means something there, and for up to
// `sample` names that it does not have: spread over the services, the same for the same `seed`.
std::vector<ComparedQuestion> questions_about(const ZoneConfig& config, const Snapshot& snapshot,
                                              size_t sample, uint64_t seed);

// A reply as it is compared: order, upper and lower case, the SOA's serial and what goes between
// two neighbours (the OPT record) are left out.
struct ComparedReply {
  Rcode rcode = Rcode::kNoError;
  bool authoritative = false;
  struct Record {
    std::string section;  // "answer"
    std::string owner;
    std::string type;
    std::string data;
    uint32_t ttl = 0;
    auto operator<=>(const Record&) const = default;
  };
  std::vector<Record> records;  // sorted, each once

  static ComparedReply of(const EditMessage& message);
  // "NOERROR aa", then a line for each record.
  std::string to_text() const;
};

struct Difference {
  ComparedReply here;
  ComparedReply there;
  std::string reason;  // why, when that is documented (docs/dns.md); else empty
};

// Nothing: they say the same. `there_before`: what the other one said a while ago, if it differed
// then, too. Of two lower TTLs only one that changes meanwhile is a cache's.
std::optional<Difference> difference(const EditMessage& here, const EditMessage& there,
                                     const ComparedReply* there_before = nullptr);

}  // namespace fairlead::dns
