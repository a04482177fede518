// SPDX-License-Identifier: Apache-2.0
#include "base/http/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdlib>
#include <cstring>

#include "base/tls/openssl.h"

namespace fairlead::internal {
namespace {

constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

// RFC 7301 section 3.2: no common protocol ends the handshake.
int select_alpn(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
                unsigned in_length, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_length, kHttp11, sizeof kHttp11, in, in_length) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

Result<void> use_certificate(SSL_CTX* context, const TlsServerConfig& config) {
  auto chain = tls::read_certificates(config.certificate_pem);
  if (!chain.ok()) return chain.error().with_context("server certificate");
  auto key = tls::read_key(config.key_pem);
  if (!key.ok()) return key.error().with_context("server key");
  if (SSL_CTX_use_certificate(context, chain->front().get()) != 1)
    return tls::openssl_error(ErrorCode::kInvalid, "server certificate");
  for (size_t i = 1; i < chain->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, (*chain)[i].get()) != 1)
      return tls::openssl_error(ErrorCode::kInvalid, "server certificate chain");
  }
  if (SSL_CTX_use_PrivateKey(context, key->get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return tls::openssl_error(ErrorCode::kInvalid, "server key");
  return ok();
}

Result<void> use_client_ca(SSL_CTX* context, const std::string& pem) {
  auto authorities = tls::read_certificates(pem);
  if (!authorities.ok()) return authorities.error().with_context("client CA");
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const auto& authority : *authorities) {
    if (X509_STORE_add_cert(store, authority.get()) != 1 ||
        SSL_CTX_add_client_CA(context, authority.get()) != 1)
      return tls::openssl_error(ErrorCode::kInvalid, "client CA");
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);  // optional, but true when shown
  return ok();
}

}  // namespace

Result<std::shared_ptr<TlsServerContext>> TlsServerContext::make(const TlsServerConfig& config) {
  ERR_clear_error();
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr) return tls::openssl_error(ErrorCode::kResourceExhausted, "TLS context");
  std::shared_ptr<TlsServerContext> made(new TlsServerContext(context));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context, &select_alpn, nullptr);
  if (const auto used = use_certificate(context, config); !used.ok()) return used.error();
  if (!config.client_ca_pem.empty()) {
    if (const auto used = use_client_ca(context, config.client_ca_pem); !used.ok())
      return used.error();
  }
  return made;
}

TlsServerContext::~TlsServerContext() {
  SSL_CTX_free(context_);
}

TlsStream::TlsStream(std::shared_ptr<TlsServerContext> context)
    : context_(std::move(context)), ssl_(SSL_new(context_->get())) {
  BIO* bio = BIO_new(bio_method());
  if (ssl_ == nullptr || bio == nullptr) std::abort();  // out of memory
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_accept_state(ssl_);
}

TlsStream::~TlsStream() {
  SSL_free(ssl_);
}

TlsStream::Status TlsStream::receive(std::string_view ciphertext, std::string& plaintext) {
  input_ = ciphertext;
  std::array<char, 16 * 1024> record;  // the largest plaintext of one record (RFC 8446 section 5.1)
  for (;;) {
    ERR_clear_error();
    size_t length = 0;
    if (SSL_read_ex(ssl_, record.data(), record.size(), &length) == 1) {
      plaintext.append(record.data(), length);
      continue;
    }
    input_ = {};
    switch (SSL_get_error(ssl_, 0)) {
      case SSL_ERROR_WANT_READ:
        return Status::kOpen;
      case SSL_ERROR_ZERO_RETURN:
        return Status::kPeerClosed;
      default:
        return Status::kFailed;
    }
  }
}

TlsStream::Status TlsStream::send(std::string_view plaintext) {
  ERR_clear_error();
  size_t written = 0;
  if (!plaintext.empty() && SSL_write_ex(ssl_, plaintext.data(), plaintext.size(), &written) != 1)
    return Status::kFailed;
  assert(written == plaintext.size());
  return Status::kOpen;
}

void TlsStream::close() {
  ERR_clear_error();
  if (handshake_done()) SSL_shutdown(ssl_);
  ERR_clear_error();
}

std::optional<HttpClientIdentity> TlsStream::client() const {
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr || SSL_get_verify_result(ssl_) != X509_V_OK) return std::nullopt;
  tls::CertificateSubject subject = tls::subject_of(certificate);
  return HttpClientIdentity{std::move(subject.common_name), std::move(subject.organizations)};
}

const BIO_METHOD* TlsStream::bio_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fairlead bytes");
    if (made == nullptr) std::abort();
    BIO_meth_set_read(made, &TlsStream::bio_read);
    BIO_meth_set_write(made, &TlsStream::bio_write);
    BIO_meth_set_ctrl(made, &TlsStream::bio_control);
    return made;
  }();
  return method;
}

int TlsStream::bio_read(BIO* bio, char* data, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.input_.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const size_t length = std::min(self.input_.size(), static_cast<size_t>(size));
  std::memcpy(data, self.input_.data(), length);
  self.input_.remove_prefix(length);
  return static_cast<int>(length);
}

int TlsStream::bio_write(BIO* bio, const char* data, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  self.output_.append(data, static_cast<size_t>(size));
  return size;
}

long TlsStream::bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

}  // namespace fairlead::internal
