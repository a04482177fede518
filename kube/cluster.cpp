// SPDX-License-Identifier: Apache-2.0
#include "kube/cluster.h"

#include <utility>

namespace fairlead::kube {

Result<ClientConfig> find_config(const std::string& kubeconfig, const std::string& server) {
  if (!kubeconfig.empty()) return load_kubeconfig(kubeconfig, read_file, "", server);
  Result<ClientConfig> config = in_cluster_config(process_environment, read_file);
  if (config.ok() && !server.empty()) config->server = server;
  return config;
}

Result<std::unique_ptr<Cluster>> Cluster::connect(Loop& loop, ClientConfig config,
                                                  std::string user_agent, const Wrap& wrap) {
  Result<Credentials> credentials = Credentials::load(loop.clock(), std::move(config), read_file);
  if (!credentials.ok()) return credentials.error();
  return std::unique_ptr<Cluster>(
      new Cluster(loop, *std::move(credentials), std::move(user_agent), wrap));
}

Cluster::Cluster(Loop& loop, Credentials credentials, std::string user_agent, const Wrap& wrap)
    : credentials_(std::move(credentials)),
      http_(loop, credentials_.tls()),
      wrapped_(wrap ? wrap(http_) : nullptr),
      api_(wrapped_ ? *wrapped_ : http_, credentials_, std::move(user_agent),
           [this](const TlsClientConfig& tls) { http_.set_tls(tls); }) {}

}  // namespace fairlead::kube
