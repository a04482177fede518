// SPDX-License-Identifier: Apache-2.0
// A node with a proxy, pods and an outside host, each in a network namespace, and packets between
// them.
//
//   client --- 10.244.1.0/24 ---+
//   web-1  --- 10.244.2.0/24 ---+
//   web-2  --- 10.244.3.0/24 --- node (the proxy) --- 192.0.2.0/24 --- outside
//   web-3  --- 10.245.4.0/24 ---+
//
// The pod has .2 and the node .1; in IPv6 fd00:244:N::2 and ::1, outside 2001:db8::2. web-3's
// address is outside the node's own pods but inside the cluster CIDR 10.244.0.0/15: a pod of
// another node. Every pod and the outside host answer on TCP and UDP port 8080 with "NAME
// PEER-ADDRESS".
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/http/client.h"
#include "proxy/proxy.h"
#include "proxy/stream/opt_in.h"
#include "tests/kernel/proxy/answers.h"
#include "tests/support/namespace.h"
#include "tests/unit/proxy/objects.h"

namespace fairlead::proxy::test {

using fairlead::test::CommandResult;
using fairlead::test::NetNamespace;

// An HTTP client that gives whatever answer a test has set, at once.
class FakeHttp : public HttpTransport {
 public:
  explicit FakeHttp(Clock& clock) : clock_(clock) {}
  [[nodiscard]] HttpCall send(HttpRequest request, HttpHandlers handlers) override;
  int status = 0;  // 0: connection refused

 private:
  Clock& clock_;
};

// What became of one packet or connection.
struct Outcome {
  std::string reached;  // name of who answered; empty: nobody
  std::string source;   // the address it saw
  bool refused = false;
  std::string to_string() const;  // "web-1 sees 10.244.1.2", "refused", "dropped"
};

// Each Service passes as one that asks to be relayed.
std::unique_ptr<ObjectSink> asking_to_be_relayed(std::unique_ptr<ObjectSink> next);

// A Service may go to a chain that will do until it is cleaned up (proxy/diff.h).
enum class Fit : uint8_t { kAsItIs, kAsCleanedUp };

class Cluster {
 public:
  Cluster();

  // A proxy in the node's namespace, as a fresh process would be. Objects put before start() are
  // what it knows at its start.
  void start_proxy(const std::function<void(Config&)>& adjust = nullptr);
  void stop_proxy();
  bool opt_in = false;       // of those: Services may ask to be relayed
  bool relay = false;        // all of them do
  bool count_bytes = false;  // of the proxies started from now on
  Proxy& proxy() { return *proxy_; }
  // What is to be told of objects.
  ObjectSink& sink() { return sink_ ? *sink_ : *proxy_; }
  bool has_proxy() const { return proxy_ != nullptr; }
  FakeHttp& http() { return *http_; }
  Loop& loop() { return loop_; }
  // Runs the loop until the proxy has nothing left to do; fails the test when it never is done.
  void settle();
  void run_for(Duration span);
  bool run_until(const std::function<bool()>& done);

  NetNamespace& at(const std::string& name) { return *namespaces_.at(name); }
  std::string address(const std::string& name, Family family = Family::kIpv4) const;

  // One connection or datagram from that namespace; `to` is "10.96.0.1:80".
  Outcome tcp(const std::string& from, const std::string& to);
  Outcome udp(const std::string& from, const std::string& to);

  // fairlead-proxy in the foreground on the node, with nobody to answer it.
  static std::string program();
  CommandResult run(const std::vector<std::string>& arguments);
  // What `fairlead-proxy trace` says in the end of the rules in the kernel: "balanced to
  // 10.244.2.2:8080", "dropped". `to` is "10.96.0.1:80/tcp".
  std::string traced(const std::string& from, const std::string& to);

  std::string list_ruleset() { return at("node").must("nft list ruleset"); }
  std::string list_without_counts() { return at("node").must("nft --stateless list ruleset"); }
  // What the kernel has, read back, as state_text().
  std::string kernel_state(const Config& config, Fit fit = Fit::kAsCleanedUp);
  std::string kernel_state(Family family, Fit fit = Fit::kAsCleanedUp) {
    return kernel_state(configs_.at(family), fit);
  }
  // What a fresh start would write now.
  std::string wanted_state(Family family) const;
  const Config& config(Family family) const { return configs_.at(family); }

 private:
  void add_host(const std::string& name, int number, const std::string& prefix4,
                const std::string& prefix6);

  Loop loop_;
  Metrics metrics_;
  std::unique_ptr<FakeHttp> http_;
  std::map<std::string, std::unique_ptr<NetNamespace>> namespaces_;
  std::map<std::string, std::pair<std::string, std::string>> addresses_;
  std::map<Family, Config> configs_;
  std::unique_ptr<Proxy> proxy_;
  std::unique_ptr<ObjectSink> sink_;             // before it: what relays, where something does
  stream::OptIn* opt_in_ = nullptr;              // within sink_
  std::unique_ptr<NetNamespace::Enter> inside_;  // a relay opens sockets at any time
  Answers answers_;
};

// Services with their endpoints, addresses, hairpins and local DNS in one order, whatever the
// history.
std::string state_text(const Ruleset& ruleset);
// The same of what the kernel has there, read back, and of what a fresh start would write.
std::string kernel_state(Loop& loop, const NetNamespace& ns, const Config& config,
                         const Parameters& parameters, const ServiceMap& services,
                         Fit fit = Fit::kAsCleanedUp);
std::string wanted_state(const Config& config, const Parameters& parameters,
                         const ServiceMap& services);

inline constexpr int kDropMs = 2500;  // with one retransmission of a SYN, after a second
// One round trip without a Cluster at hand (from another thread): the calling thread must be
// inside.
Outcome ask(int type, const std::string& to, int timeout_ms);
// A UDP socket whose flow is a new one for connection tracking: the source ports of a test count
// up, below those the kernel gives out. A port given out once more within 30 s would go on with the
// flow of whoever had it, to that one's endpoint.
int new_udp_socket(int family);

}  // namespace fairlead::proxy::test
