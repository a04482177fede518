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
  bool empty = false;  // nothing of its own, but names below it
};

// A question for every name that the zone has, each type that means something there, for names that
// only have others below them, and for up to `sample` names that it does not have: spread over the
// services, the same for the same `seed`.
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
  std::string reason;       // why, when that is documented (docs/dns.md); else empty
  bool lower_ttls = false;  // there, and nothing else: documented, if the other one has a cache
};
inline constexpr const char* kCacheReason =
    "the other server answers from its cache; answers about the cluster are never cached here";

// Of what they say to the question. Nothing: the same.
std::optional<Difference> difference(const ComparedQuestion& question, const EditMessage& here,
                                     const EditMessage& there);
// Whether one server has said another TTL after a while, and else the same: then it has a cache.
bool ttls_changed(const ComparedReply& before, const ComparedReply& now);

}  // namespace fairlead::dns
