// SPDX-License-Identifier: Apache-2.0
// The cluster's identity on disk: its authority, the server's certificate, the administrator's
// kubeconfig, and the credentials of our own components.
//
// Files below the directory, 0600, written whole or not at all (a rename):
//   ca.crt ca.key  server.crt server.key  admin.kubeconfig  tokens.csv
//   proxy.kubeconfig dns.kubeconfig    (bearer tokens)
//   node-NAME.kubeconfig               (a certificate)
// What is there and still good is kept; a certificate is made again when its names change or it
// has less than 30 days left.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/tls/certificate.h"

namespace fairlead::orchestrator {

// A node and the addresses at which the API server reaches it.
struct NodeIdentity {
  std::string name;
  std::vector<IpAddress> addresses;
};

struct PkiOptions {
  std::string directory;
  std::string server_url;               // in the kubeconfigs: "https://127.0.0.1:6443"
  std::vector<std::string> dns_names;   // beyond kubernetes.default...
  std::vector<IpAddress> ip_addresses;  // the node's, the first of the service range
  std::vector<NodeIdentity> nodes;      // each gets a kubeconfig
  std::string cluster_domain = "cluster.local";
};

struct Pki {
  tls::CertificateAndKey authority;
  tls::CertificateAndKey server;
  std::string token_file;        // its text, for Authenticator
  std::string admin_kubeconfig;  // paths
  std::string proxy_kubeconfig;
  std::string dns_kubeconfig;
  std::vector<std::string> node_kubeconfigs;  // in the order of nodes
  tls::CertificateAndKey node_client;         // the API server's own towards nodes
};

Result<Pki> ensure_pki(const PkiOptions& options, WallTime now);

// The kubeconfig of a node that runs elsewhere, from the authority in `options.directory`; its
// text. Its certificate stands for the node's requests and for its own HTTPS alike:
// system:node:NAME of system:nodes, for the names and addresses of `node`; good for a year.
Result<std::string> node_kubeconfig(const PkiOptions& options, const NodeIdentity& node,
                                    WallTime now);

}  // namespace fairlead::orchestrator
