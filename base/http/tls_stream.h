// SPDX-License-Identifier: Apache-2.0
// The server's side of TLS as a transformer of bytes: ciphertext in, plaintext out, and back. No
// socket of its own. Internal to HttpServer.
//
// OpenSSL reads straight from what was received and writes straight to the bytes to be sent, so an
// idle connection holds no buffers but OpenSSL's own, and those are released
// (SSL_MODE_RELEASE_BUFFERS).
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/http/server.h"
#include "base/result.h"

namespace fairlead::internal {

// Certificate, key and client CA of a server; shared by its connections. TLS 1.2 and later, no
// session resumption: a client certificate is verified in every handshake.
class TlsServerContext {
 public:
  static Result<std::shared_ptr<TlsServerContext>> make(const TlsServerConfig& config);
  ~TlsServerContext();
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;

  SSL_CTX* get() const { return context_; }

 private:
  explicit TlsServerContext(SSL_CTX* context) : context_(context) {}
  SSL_CTX* context_;
};

class TlsStream {
 public:
  explicit TlsStream(std::shared_ptr<TlsServerContext> context);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  enum class Status { kOpen, kPeerClosed, kFailed };

  // Takes all of `ciphertext`, appends what it decrypts to. What must be sent (handshake, alerts)
  // is then in take_output(), also after a failure.
  Status receive(std::string_view ciphertext, std::string& plaintext);
  // Encrypts. Only after the handshake and before close().
  Status send(std::string_view plaintext);
  // Says goodbye (close_notify).
  void close();
  std::string take_output() { return std::exchange(output_, {}); }

  bool handshake_done() const { return SSL_is_init_finished(ssl_) != 0; }
  // Whom the verified client certificate names; nothing when none was shown.
  std::optional<HttpClientIdentity> client() const;

 private:
  static const BIO_METHOD* bio_method();
  static int bio_read(BIO* bio, char* data, int size);
  static int bio_write(BIO* bio, const char* data, int size);
  static long bio_control(BIO* bio, int command, long, void*);

  std::shared_ptr<TlsServerContext> context_;
  SSL* ssl_;
  std::string_view input_;
  std::string output_;
};

}  // namespace fairlead::internal
