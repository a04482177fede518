// SPDX-License-Identifier: Apache-2.0
// This node's part of Service kube-system/kube-dns: an EndpointSlice "kube-dns-NODE" with one
// endpoint, ready when the local DNS server says so.
//
// Threads: the loop's. Asks http://127.0.0.1:8181/ready every 250 ms until it is ready, then every
// ten seconds; writes only changes; failed writes are tried again after a second.
#pragma once

#include <optional>
#include <string>

#include "base/http/client.h"
#include "orchestrator/node/node_api.h"

namespace fairlead::orchestrator {

class DnsEndpoint {
 public:
  static constexpr uint16_t kPort = 1053;
  DnsEndpoint(Loop& loop, kube::ApiClient& client, std::string node_name, std::string node_ip);

  void start() { ask(); }
  // The DNS server was started or ended.
  void changed() { ask(); }
  bool ready() const { return ready_; }

 private:
  void ask();
  void write();

  Loop& loop_;
  HttpClient http_;
  ApiCalls calls_;
  std::string node_name_;
  std::string node_ip_;
  HttpCall probe_;
  bool ready_ = false;
  bool writing_ = false;
  std::optional<bool> written_;
  Alarm next_, retry_;
};

}  // namespace fairlead::orchestrator
