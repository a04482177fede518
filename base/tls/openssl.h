// SPDX-License-Identifier: Apache-2.0
// OpenSSL's objects as RAII values, and its error queue as an Error. For the .cpp files that speak
// to OpenSSL.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fairlead::tls {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using CertificatePtr = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;

// "what: reason", with OpenSSL's newest reason; empties this thread's error queue.
Error openssl_error(ErrorCode code, std::string_view what);

// Every certificate in the text, in order; none is an error. Other PEM blocks are skipped.
Result<std::vector<CertificatePtr>> read_certificates(std::string_view pem);
// The (last) common name and every organization of the subject, as UTF-8.
struct CertificateSubject {
  std::string common_name;
  std::vector<std::string> organizations;
};
CertificateSubject subject_of(const X509* certificate);

// An unencrypted private key of any kind (PKCS#8, SEC1, PKCS#1).
Result<KeyPtr> read_key(std::string_view pem);

}  // namespace fairlead::tls
