// SPDX-License-Identifier: Apache-2.0
// A connection to one API server: what a program that watches it needs, in one object.
//
//   Store<Service> services;
//   auto cluster = Cluster::connect(loop, *config, "fairlead-dns/0.1");
//   TypedReflector<Service> reflector(loop.clock(), (*cluster)->api(), services);
//   reflector.start();
//
// Threads: the loop's. Must outlive everything that uses api().
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/http/client.h"
#include "base/loop.h"
#include "kube/client.h"
#include "kube/config.h"

namespace fairlead::kube {

// A kubeconfig file if `kubeconfig` names one, else the pod's service account. `server`: in place
// of what either says.
Result<ClientConfig> find_config(const std::string& kubeconfig, const std::string& server = "");

class Cluster {
 public:
  // Puts a transport in front of `inner`, to see what goes through it; lives as long as the
  // Cluster.
  using Wrap = std::function<std::unique_ptr<HttpTransport>(HttpTransport& inner)>;

  // Reads the credential files; opens no connection.
  static Result<std::unique_ptr<Cluster>> connect(Loop& loop, ClientConfig config,
                                                  std::string user_agent, const Wrap& wrap = {});
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  ApiClient& api() { return api_; }
  const ClientConfig& config() const { return credentials_.config(); }

 private:
  Cluster(Loop& loop, Credentials credentials, std::string user_agent, const Wrap& wrap);

  Credentials credentials_;
  HttpClient http_;
  std::unique_ptr<HttpTransport> wrapped_;  // null: nothing is in front of http_
  ApiClient api_;
};

}  // namespace fairlead::kube
