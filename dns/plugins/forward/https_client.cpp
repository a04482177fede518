// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/https_client.h"

namespace fairlead::dns {

HttpTransport* HttpsClient::to(const UpstreamServer& server) {
  std::unique_ptr<HttpClient>& client = clients_[server.tls_name];
  if (!client)
    client = std::make_unique<HttpClient>(
        loop_, TlsClientConfig{pems_.authorities, pems_.certificate, pems_.key, server.tls_name});
  return client.get();
}

HttpRequest HttpsClient::request(const UpstreamServer& server,
                                 std::vector<uint8_t>& message) const {
  message[0] = message[1] = 0;
  HttpRequest request;
  request.url = "https://" + server.address.to_string() + "/dns-query";
  // Not the address, which the URL has: virtual hosts go by the name.
  if (!server.tls_name.empty()) {
    const uint16_t port = server.address.port;
    request.headers.add("Host", server.tls_name + (port == 443 ? "" : ":" + std::to_string(port)));
  }
  request.headers.add("Accept", "application/dns-message");
  if (get_) {
    request.url += "?dns=" + base64url(message);
    return request;
  }
  request.method = "POST";
  request.headers.add("Content-Type", "application/dns-message");
  request.body.assign(message.begin(), message.end());
  return request;
}

std::string base64url(std::span<const uint8_t> bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < count ? bytes[at + i] : 0u);
    for (size_t i = 0; i <= count; ++i) text += kDigits[bits >> (18 - 6 * i) & 63];
  }
  return text;
}

}  // namespace fairlead::dns
