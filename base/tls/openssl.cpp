// SPDX-License-Identifier: Apache-2.0
#include "base/tls/openssl.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <climits>
#include <string>

namespace fairlead::tls {
namespace {

using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free>>;

BioPtr read_only(std::string_view text) {
  if (text.size() > INT_MAX) return nullptr;
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Keys with a passphrase are refused rather than asked for on the terminal.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

}  // namespace

Error openssl_error(ErrorCode code, std::string_view what) {
  const unsigned long number = ERR_peek_last_error();
  const char* reason = number == 0 ? nullptr : ERR_reason_error_string(number);
  ERR_clear_error();
  return Error(code,
               std::string(what) + ": " + (reason == nullptr ? "refused by OpenSSL" : reason));
}

Result<std::vector<CertificatePtr>> read_certificates(std::string_view pem) {
  ERR_clear_error();
  const BioPtr bio = read_only(pem);
  std::vector<CertificatePtr> certificates;
  while (bio) {
    CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, &no_passphrase, nullptr));
    if (!certificate) break;
    certificates.push_back(std::move(certificate));
  }
  // Running out of PEM blocks is how a good text ends.
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end || certificates.empty())
    return openssl_error(ErrorCode::kInvalid, "no certificate could be read from the PEM text");
  ERR_clear_error();
  return certificates;
}

Result<KeyPtr> read_key(std::string_view pem) {
  ERR_clear_error();
  const BioPtr bio = read_only(pem);
  KeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_passphrase, nullptr) : nullptr);
  if (!key)
    return openssl_error(ErrorCode::kInvalid, "no private key could be read from the PEM text");
  return key;
}

}  // namespace fairlead::tls
