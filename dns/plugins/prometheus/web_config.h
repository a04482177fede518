// SPDX-License-Identifier: Apache-2.0
// The file that `prometheus`' `tls` names: the web configuration of Prometheus' exporter-toolkit
// (github.com/prometheus/exporter-toolkit, docs/web-configuration.md), which CoreDNS reads there.
// What is in it and not here is an error, never passed over: it is about who may read.
//
//   tls_server_config:
//     cert_file, key_file: PATH    or cert, key: PEM
//     client_ca_file: PATH         or client_ca: PEM
//     client_auth_type: NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert
//     min_version: TLS10 to TLS12  1.2 is the least in any case
//     max_version: TLS13
//     prefer_server_cipher_suites  no effect without cipher_suites, which are not here
//   http_server_config:
//     http2                        no effect: HTTP/1.1 is served
//
// Reads nothing but the files it is given.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "dns/host.h"

namespace fairlead::dns {

struct WebConfig {
  std::optional<HttpsOptions> https;  // none: the file has no tls_server_config
  std::vector<std::string> files;     // that were read: what to watch for changes
};

using ReadFile = std::function<Result<std::string>(const std::string& path)>;

// Errors say "PATH:LINE: what". Relative paths are below the file's own folder.
Result<WebConfig> read_web_config(const std::string& path, const ReadFile& read);

}  // namespace fairlead::dns
