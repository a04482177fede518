// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <utility>

#include "base/log.h"
#include "kube/config.h"

namespace fairlead::kube {
namespace {

constexpr Duration kAfterRejection = std::chrono::seconds(1);

std::string encode_base64(std::string_view bytes) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = bytes.size() - i;
    const auto byte = [&](size_t k) {
      return k < count ? static_cast<uint32_t>(static_cast<uint8_t>(bytes[i + k])) : 0u;
    };
    const uint32_t group = byte(0) << 16 | byte(1) << 8 | byte(2);
    text += kAlphabet[group >> 18];
    text += kAlphabet[group >> 12 & 63];
    text += count > 1 ? kAlphabet[group >> 6 & 63] : '=';
    text += count > 2 ? kAlphabet[group & 63] : '=';
  }
  return text;
}

std::string trim_end(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
  return text;
}

bool same(const TlsClientConfig& a, const TlsClientConfig& b) {
  return a.ca_pem == b.ca_pem && a.certificate_pem == b.certificate_pem && a.key_pem == b.key_pem;
}

}  // namespace

Credentials::Credentials(Clock& clock, ClientConfig config, FileReader reader)
    : clock_(&clock), config_(std::move(config)), reader_(std::move(reader)) {
  tls_.server_name = config_.tls_server_name;
  tls_.insecure_skip_verify = config_.insecure_skip_verify;
}

Result<Credentials> Credentials::load(Clock& clock, ClientConfig config, FileReader reader) {
  Credentials credentials(clock, std::move(config), std::move(reader));
  const Result<void> done = credentials.read(credentials.tls_, credentials.authorization_);
  if (!done.ok()) return done.error();
  credentials.read_at_ = clock.now();
  return credentials;
}

bool Credentials::refresh() {
  const Duration age = clock_->now() - read_at_;
  if (age < (rejected_ ? kAfterRejection : kRefreshPeriod)) return false;
  read_at_ = clock_->now();
  rejected_ = false;
  TlsClientConfig tls = tls_;
  std::string authorization = authorization_;
  const Result<void> done = read(tls, authorization);
  if (!done.ok()) {
    log::warn("credentials: {}; going on with the ones read before", done.error().message());
    return false;
  }
  authorization_ = std::move(authorization);
  if (same(tls, tls_)) return false;
  tls_ = std::move(tls);
  return true;
}

void Credentials::reject() {
  rejected_ = true;
}

// All or nothing: a certificate is of no use with another one's key.
Result<void> Credentials::read(TlsClientConfig& tls, std::string& authorization) const {
  const Result<std::string> ca = text_of(config_.ca, "certificate authority");
  if (!ca.ok()) return ca.error();
  const Result<std::string> certificate = text_of(config_.certificate, "client certificate");
  if (!certificate.ok()) return certificate.error();
  const Result<std::string> key = text_of(config_.key, "client key");
  if (!key.ok()) return key.error();
  const Result<std::string> token = text_of(config_.token, "token");
  if (!token.ok()) return token.error();
  tls.ca_pem = *ca;
  tls.certificate_pem = *certificate;
  tls.key_pem = *key;
  if (!token->empty()) {
    authorization = "Bearer " + trim_end(*token);
  } else if (!config_.username.empty()) {
    authorization = "Basic " + encode_base64(config_.username + ":" + config_.password);
  }
  return ok();
}

Result<std::string> Credentials::text_of(const Material& material, std::string_view what) const {
  if (material.file.empty()) return material.text;
  Result<std::string> text = reader_(material.file);
  if (!text.ok()) return text.error().with_context(what);
  if (trim_end(*text).empty())
    return Error(ErrorCode::kInvalid, std::string(what) + ": " + material.file + " is empty");
  return text;
}

}  // namespace fairlead::kube
