// SPDX-License-Identifier: Apache-2.0
// The cluster's identity on disk: its authority, the server's certificate, the administrator's
// kubeconfig, and the tokens of our own components.
//
// Files below the directory, 0600, written whole or not at all (a rename):
//   ca.crt ca.key  server.crt server.key  admin.kubeconfig  tokens.csv
//   proxy.kubeconfig dns.kubeconfig node-NAME.kubeconfig    (bearer tokens)
// What is there and still good is kept; the server's certificate is made again when its names
// change or it has less than 30 days left.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/tls/certificate.h"

namespace fairlead::orchestrator {

struct PkiOptions {
  std::string directory;
  std::string server_url;               // in the kubeconfigs: "https://127.0.0.1:6443"
  std::vector<std::string> dns_names;   // beyond kubernetes.default...
  std::vector<IpAddress> ip_addresses;  // the node's, the first of the service range
  std::vector<std::string> node_names;  // each gets a token
  std::string cluster_domain = "cluster.local";
};

struct Pki {
  tls::CertificateAndKey authority;
  tls::CertificateAndKey server;
  std::string token_file;        // its text, for Authenticator
  std::string admin_kubeconfig;  // paths
  std::string proxy_kubeconfig;
  std::string dns_kubeconfig;
  std::vector<std::string> node_kubeconfigs;  // in the order of node_names
  std::string server_token;  // the API server's own towards nodes; user fairlead-apiserver
};

Result<Pki> ensure_pki(const PkiOptions& options, WallTime now);

}  // namespace fairlead::orchestrator
