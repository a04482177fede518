// SPDX-License-Identifier: Apache-2.0
// The client's side of TLS with upstream servers (RFC 7858): TLS 1.2 and later, the certificate
// always verified against the authorities and for the server's name, or its address when it has no
// name; with a certificate of ours when there is one.
//
// Threads: a TlsClient is constant and shared by all; a TlsDialer and its streams are one worker's.
#pragma once

#include <openssl/ssl.h>

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "dns/plugins/forward/stream.h"
#include "dns/plugins/forward/upstream.h"

namespace fairlead::dns {

struct TlsPems {
  std::string certificate;  // ours, with its chain; empty: none
  std::string key;
  std::string authorities;  // empty: the system's
};

class TlsClient {
 public:
  static Result<std::shared_ptr<TlsClient>> make(const TlsPems& pems);
  ~TlsClient() { SSL_CTX_free(context_); }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  SSL_CTX* get() const { return context_; }

 private:
  explicit TlsClient(SSL_CTX* context) : context_(context) {}
  SSL_CTX* context_;
};

// Makes streams, and keeps each server's newest session so that the next handshake is short (RFC
// 8446 section 2.2). Outlives its streams.
class TlsDialer {
 public:
  // Null: no server is asked over TLS.
  explicit TlsDialer(std::shared_ptr<TlsClient> client) : client_(std::move(client)) {}
  ~TlsDialer();
  TlsDialer(const TlsDialer&) = delete;
  TlsDialer& operator=(const TlsDialer&) = delete;

  // `socket`: connected or about to be.
  Result<std::unique_ptr<Stream>> dial(const UpstreamServer& server, Fd socket, MonoTime now);

 private:
  friend class TlsStream;
  static constexpr size_t kMaxSessions = 64;
  void keep(const UpstreamServer& server, SSL_SESSION* session);
  void forget(const UpstreamServer& server);

  std::shared_ptr<TlsClient> client_;
  std::map<UpstreamServer, SSL_SESSION*> sessions_;
};

}  // namespace fairlead::dns
