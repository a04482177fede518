// SPDX-License-Identifier: Apache-2.0
// The client's side of DNS over HTTPS (RFC 8484): /dns-query at the server's address, its
// certificate verified as over TLS. HTTP/1.1. One worker's; its loop's thread. There is one libcurl
// client, with at most 64 connections, for each name that a certificate must have.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/http/client.h"
#include "dns/plugins/forward/tls_client.h"
#include "dns/plugins/forward/upstream.h"

namespace fairlead::dns {

class HttpsClient {
 public:
  // `pems` outlive it.
  HttpsClient(Loop& loop, const TlsPems& pems, bool get) : loop_(loop), pems_(pems), get_(get) {}

  HttpTransport* to(const UpstreamServer& server);
  // The message's ID becomes 0, so that caches on the way know it again (section 4.1).
  HttpRequest request(const UpstreamServer& server, std::vector<uint8_t>& message) const;

 private:
  Loop& loop_;
  const TlsPems& pems_;
  const bool get_;
  std::map<std::string, std::unique_ptr<HttpClient>> clients_;  // by name
};

// RFC 4648 section 5, without padding.
std::string base64url(std::span<const uint8_t> bytes);

}  // namespace fairlead::dns
