// SPDX-License-Identifier: Apache-2.0
// What the DNS tests share: queries as bytes, replies as text, clusters as a few lines of code.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dns/answer.h"
#include "dns/message.h"
#include "dns/zone/zone.h"
#include "kube/objects.h"

namespace fairlead::dns::test {

using Bytes = std::vector<uint8_t>;

// "01 ab" as bytes; spaces are skipped.
Bytes hex(const std::string& text);

struct QueryOptions {
  uint16_t id = 0x1234;
  uint16_t flags = kFlagRecursionDesired;
  Class klass = Class::kIn;
  std::optional<uint16_t> edns_size;  // absent: no OPT record
  uint8_t edns_version = 0;
  bool dnssec_ok = false;
  Bytes edns_options;
};
Bytes make_query(const std::string& name, Type type, const QueryOptions& options = {});

// A type by its mnemonic ("A", "SRV") or TYPEnn.
Type type_of(const std::string& text);

// The whole message as lines:
//   NOERROR aa rd qd=1
//   answer web.default.svc.cluster.local. 5 A 10.0.0.1
//   authority cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800
//   86400 5 opt 1232
// Written independently of the product's record reader, so that each checks the other.
// "malformed: ..." when it is.
std::string to_text(std::span<const uint8_t> message);
// Just the data of the answers, sorted and joined by spaces; or the rcode, or "NODATA".
std::string brief(std::span<const uint8_t> message);

// A cluster in the making.
kube::Service service(const std::string& name, const std::string& ns,
                      const std::vector<std::string>& cluster_ips,
                      const std::vector<kube::ServicePort>& ports = {});
kube::Service headless(const std::string& name, const std::string& ns,
                       const std::vector<kube::ServicePort>& ports = {});
kube::Service external(const std::string& name, const std::string& ns, const std::string& target);
kube::Namespace ns(const std::string& name);
kube::Pod pod(const std::string& name, const std::string& ns,
              const std::vector<std::string>& addresses, const std::string& phase = "Running");
kube::ServicePort port(const std::string& name, uint16_t number,
                       kube::Protocol protocol = kube::Protocol::kTcp);
struct TestEndpoint {
  std::string address;
  std::string hostname{};
  bool ready = true;
  std::string pod{};
  std::string zone{};
};
kube::EndpointSlice slice(const std::string& name, const std::string& service,
                          const std::string& ns, const std::vector<TestEndpoint>& endpoints,
                          const std::vector<kube::EndpointPort>& ports = {});

IpAddress ip(const std::string& text);
Name dns_name(const std::string& text);

// The answer of the zone to one question, through answer() alone; UDP limits apply.
Bytes ask(const ZoneConfig& config, const Snapshot& snapshot, std::span<const uint8_t> query,
          uint32_t rotation = 0, Outcome* outcome = nullptr, Name* target = nullptr,
          bool tcp = false);

// FAIRLEAD_SEED or a new one.
uint64_t test_seed();

}  // namespace fairlead::dns::test
