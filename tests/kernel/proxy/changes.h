// SPDX-License-Identifier: Apache-2.0
// Random changes of Services and endpoints, and clients that must not notice them.
#pragma once

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/kernel/proxy/cluster.h"

namespace fairlead::proxy::test {

// Service web, which the changes leave alone: port 80, TCP and UDP, node port 30080; endpoints
// web-1, web-2 and web-3.
void put_web(ObjectSink& sink);
// It asks to be relayed, or no longer.
void ask_web(ObjectSink& sink, bool relayed);
inline void put_web(Cluster& cluster) {
  put_web(cluster.proxy());
}

// Connects to `to` again and again, a few hundred times a second, until stopped.
class Traffic {
 public:
  Traffic(Cluster& cluster, const std::string& from, const std::string& to);
  ~Traffic() { stop(); }
  void stop();
  int connections() const { return connections_; }
  int failures() const { return failures_; }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> connections_{0};
  std::atomic<int> failures_{0};
  std::thread thread_;
};

// One UDP flow that asks again soon after it is answered, from one socket.
class UdpFlow {
 public:
  UdpFlow(Cluster& cluster, const std::string& from, const std::string& to);
  ~UdpFlow() { stop(); }
  void stop();
  int answers() const { return answers_; }
  int stalls() const { return stalls_; }  // five questions in as many seconds without answer
  int ends() const { return ends_; }      // how many endpoints have answered

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> answers_{0};
  std::atomic<int> stalls_{0};
  std::atomic<int> ends_{0};
  std::thread thread_;
};

// They end, and have noticed nothing.
void expect_undisturbed(Traffic& traffic);
void expect_undisturbed(UdpFlow& flow);

class RandomChanges {
 public:
  RandomChanges(ObjectSink& sink, uint64_t seed) : sink_(sink), random_(seed) {}
  // One change of one of six Services or its endpoints, of this node or of the service ranges.
  void change();
  // Everything change() can have made goes.
  void remove_all();
  int below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }

 private:
  std::vector<std::string> endpoints(const std::string& prefix);
  kube::Service any_policy(kube::Service object);
  std::vector<std::string> ports();
  kube::Node any_node();
  std::vector<Cidr> any_ranges();
  kube::EndpointSlice any_hints(kube::EndpointSlice object);

  ObjectSink& sink_;
  std::mt19937_64 random_;
};

// The kernel has what a fresh start would write, and the tracer says of every frontend that its
// packets end at exactly what its Service wants.
void expect_settled(Cluster& cluster, const std::string& when);

}  // namespace fairlead::proxy::test
