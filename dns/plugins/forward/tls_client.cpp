// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/tls_client.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <uv.h>

#include <cerrno>

#include "base/tls/openssl.h"

namespace fairlead::dns {

class TlsStream : public Stream {
 public:
  TlsStream(Fd socket, MonoTime born, TlsDialer& dialer, const UpstreamServer& server, SSL* ssl)
      : Stream(std::move(socket), born), dialer_(dialer), server_(server), ssl_(ssl) {
    SSL_set_app_data(ssl_, this);
  }
  ~TlsStream() override {
    // Says goodbye and does not wait for the other's (RFC 7858 section 3.4).
    ERR_clear_error();
    if (sound_ && SSL_is_init_finished(ssl_) != 0) SSL_shutdown(ssl_);
    SSL_free(ssl_);
    ERR_clear_error();
  }

  int awaits() const override { return awaits_; }
  Result<bool> open() override;
  Result<size_t> write(std::span<const uint8_t> bytes) override;
  Result<size_t> read(std::span<uint8_t> bytes) override;
  // New sessions come over an idle connection, too.
  bool still_idle() override {
    uint8_t byte;
    const Result<size_t> size = read({&byte, 1});
    return size.ok() && *size == 0;
  }
  std::string failure() const override { return failure_; }

  static int on_session(SSL* ssl, SSL_SESSION* session) {
    auto& self = *static_cast<TlsStream*>(SSL_get_app_data(ssl));
    self.dialer_.keep(self.server_, session);
    return 1;  // it is ours now
  }

 private:
  Result<size_t> moved(int done, size_t size);
  Error why(int error);

  TlsDialer& dialer_;
  const UpstreamServer server_;
  SSL* const ssl_;
  int awaits_ = UV_WRITABLE;
  bool connected_ = false;
  bool sound_ = true;  // nothing failed; else OpenSSL is not to be asked further
  std::string failure_;
};

Result<bool> TlsStream::open() {
  if (!connected_) {
    if (const auto there = connected(fd()); !there.ok()) return there.error();
    connected_ = true;
  }
  ERR_clear_error();
  const Result<size_t> done = moved(SSL_connect(ssl_), 1);
  if (!done.ok()) return done.error();
  return *done == 1;
}

Result<size_t> TlsStream::write(std::span<const uint8_t> bytes) {
  ERR_clear_error();
  size_t size = 0;
  const int done = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &size);
  return moved(done, size);
}

Result<size_t> TlsStream::read(std::span<uint8_t> bytes) {
  ERR_clear_error();
  size_t size = 0;
  const int done = SSL_read_ex(ssl_, bytes.data(), bytes.size(), &size);
  return moved(done, size);
}

// What came of a call to OpenSSL.
Result<size_t> TlsStream::moved(int done, size_t size) {
  if (done == 1) return size;
  errno = 0;
  const int error = SSL_get_error(ssl_, done);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    awaits_ = error == SSL_ERROR_WANT_READ ? UV_READABLE : UV_WRITABLE;
    return size_t{0};
  }
  sound_ = false;
  return why(error);
}

Error TlsStream::why(int error) {
  const bool in_handshake = SSL_is_init_finished(ssl_) == 0;
  if (in_handshake) dialer_.forget(server_);  // the next one is without what may have spoilt this
  const long verdict = SSL_get_verify_result(ssl_);
  const bool ended = error == SSL_ERROR_ZERO_RETURN || error == SSL_ERROR_SYSCALL;
  if (in_handshake && verdict != X509_V_OK) {
    ERR_clear_error();
    failure_ = X509_verify_cert_error_string(verdict);
    return Error(ErrorCode::kPermission, "certificate: " + failure_);
  }
  if (ended) {
    ERR_clear_error();
    if (in_handshake) failure_ = "closed during the handshake";
    // The session is none the worse; without this OpenSSL would have it forgotten.
    SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    return Error(ErrorCode::kUnavailable, in_handshake ? failure_ : "closed before the reply");
  }
  const Error said = tls::openssl_error(ErrorCode::kInvalid, in_handshake ? "handshake" : "TLS");
  failure_ = said.message();
  return said;
}

namespace {

Result<void> use_certificate(SSL_CTX* context, const TlsPems& pems) {
  auto chain = tls::read_certificates(pems.certificate);
  if (!chain.ok()) return chain.error().with_context("certificate");
  auto key = tls::read_key(pems.key);
  if (!key.ok()) return key.error().with_context("key");
  if (SSL_CTX_use_certificate(context, chain->front().get()) != 1)
    return tls::openssl_error(ErrorCode::kInvalid, "certificate");
  for (size_t i = 1; i < chain->size(); ++i)
    if (SSL_CTX_add1_chain_cert(context, (*chain)[i].get()) != 1)
      return tls::openssl_error(ErrorCode::kInvalid, "certificate chain");
  if (SSL_CTX_use_PrivateKey(context, key->get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return tls::openssl_error(ErrorCode::kInvalid, "key");
  return ok();
}

Result<void> use_authorities(SSL_CTX* context, const std::string& pem) {
  if (pem.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1)
      return tls::openssl_error(ErrorCode::kNotFound, "the system's authorities");
    return ok();
  }
  auto authorities = tls::read_certificates(pem);
  if (!authorities.ok()) return authorities.error().with_context("CA");
  for (const auto& authority : *authorities)
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1)
      return tls::openssl_error(ErrorCode::kInvalid, "CA");
  // What the file has is trusted, whether or not it signed itself.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  return ok();
}

// Whom the certificate must name, and whom we say we look for (RFC 6066 section 3: names only).
bool expect_name(SSL* ssl, const UpstreamServer& server) {
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const std::string name =
      server.tls_name.empty() ? server.address.address.to_string() : server.tls_name;
  if (IpAddress::parse(name).ok())
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1;
  return SSL_set1_host(ssl, name.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
}

}  // namespace

Result<std::shared_ptr<TlsClient>> TlsClient::make(const TlsPems& pems) {
  ERR_clear_error();
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) return tls::openssl_error(ErrorCode::kResourceExhausted, "TLS context");
  std::shared_ptr<TlsClient> made(new TlsClient(context));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // Messages have a length, so an end without close_notify hides nothing; as an error it would cost
  // the session, and servers end idle connections like that.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, &TlsStream::on_session);
  if (const auto used = use_authorities(context, pems.authorities); !used.ok()) return used.error();
  if (!pems.certificate.empty())
    if (const auto used = use_certificate(context, pems); !used.ok()) return used.error();
  return made;
}

TlsDialer::~TlsDialer() {
  for (const auto& [server, session] : sessions_) SSL_SESSION_free(session);
}

Result<std::unique_ptr<Stream>> TlsDialer::dial(const UpstreamServer& server, Fd socket,
                                                MonoTime now) {
  ERR_clear_error();
  SSL* ssl = client_ ? SSL_new(client_->get()) : nullptr;
  if (ssl == nullptr) return tls::openssl_error(ErrorCode::kResourceExhausted, "TLS");
  const int fd = socket.get();
  auto stream = std::make_unique<TlsStream>(std::move(socket), now, *this, server, ssl);
  if (SSL_set_fd(ssl, fd) != 1 || !expect_name(ssl, server))
    return tls::openssl_error(ErrorCode::kInvalid, "TLS");
  SSL_set_connect_state(ssl);
  if (const auto at = sessions_.find(server); at != sessions_.end())
    SSL_set_session(ssl, at->second);
  return std::unique_ptr<Stream>(std::move(stream));
}

void TlsDialer::keep(const UpstreamServer& server, SSL_SESSION* session) {
  const auto at = sessions_.find(server);
  if (at != sessions_.end()) {
    SSL_SESSION_free(std::exchange(at->second, session));
  } else if (sessions_.size() < kMaxSessions) {
    sessions_.emplace(server, session);
  } else {
    SSL_SESSION_free(session);
  }
}

void TlsDialer::forget(const UpstreamServer& server) {
  const auto at = sessions_.find(server);
  if (at == sessions_.end()) return;
  SSL_SESSION_free(at->second);
  sessions_.erase(at);
}

}  // namespace fairlead::dns
