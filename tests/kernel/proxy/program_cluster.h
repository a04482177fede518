// SPDX-License-Identifier: Apache-2.0
// The nodes and pods of a Cluster with the program itself in the place of a Proxy object: an API
// server on the node's loopback, fairlead-proxy beside it, and packets between the pods.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/kernel/proxy/cluster.h"
#include "tests/support/cluster_api.h"

namespace fairlead::proxy::test {

using fairlead::test::BackgroundProcess;
using fairlead::test::ClusterApi;

class ProgramCluster : public Cluster {
 public:
  // With Node "node" of addresses 192.0.2.1 and 2001:db8::1.
  ProgramCluster();

  ClusterApi& api() { return api_; }
  // `spec`, `labels`, `status` and `annotations` are JSON without their braces.
  void put_service(const std::string& name, const std::string& spec, const std::string& labels = "",
                   const std::string& status = "", const std::string& annotations = "");
  // Endpoints as objects.h has them, TCP and UDP port 8080 named t and u; `labels` beside its
  // Service's name.
  void put_slice(const std::string& service, const std::vector<std::string>& endpoints,
                 const std::string& labels = "", const std::string& suffix = "");
  void put_node(const std::string& spec = "", const std::string& metadata = "");

  // Starts the program and waits until it says that it is healthy.
  void start(const std::vector<std::string>& flags = {});
  // Starts it with these flags and no others.
  void launch(const std::vector<std::string>& flags);
  BackgroundProcess& process() { return *process_; }
  bool running() const { return process_ != nullptr && process_->running(); }
  void kill_with(int signal);
  // What every start needs to find the API server.
  std::vector<std::string> flags() const;
  // GET from one of the namespaces: status line, headers and body; empty without an answer.
  std::string get(const std::string& from, const std::string& url);
  bool healthy() { return get("node", kHealthz).find("\"healthy\":true") != std::string::npos; }

  static constexpr const char* kHealthz = "http://127.0.0.1:10256/healthz";

 private:
  ClusterApi api_{loop()};
  std::string url_;
  std::unique_ptr<BackgroundProcess> process_;
};

// "clusterIPs" and the like of service number N: 10.96.0.N and fd00:96::N, port 80 TCP and UDP with
// node port 3010N.
std::string spec_json(int number, const std::string& more = "");

}  // namespace fairlead::proxy::test
