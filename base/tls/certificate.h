// SPDX-License-Identifier: Apache-2.0
// X.509 certificates and EC P-256 keys as PEM text: what a cluster's own authority needs. Pure but
// for the random numbers; the time is given. Failures carry OpenSSL's reason.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/time.h"

namespace fairlead::tls {

struct CertificateAndKey {
  std::string certificate_pem;
  std::string key_pem;  // PKCS#8, unencrypted
};

struct CertificateSpec {
  std::string common_name;                 // at most 64 bytes (RFC 5280 appendix A.1)
  std::vector<std::string> organizations;  // each at most 64 bytes
  std::vector<std::string> dns_names;
  std::vector<IpAddress> ip_addresses;
  bool server_auth = false;
  bool client_auth = false;
  WallTime not_before{};
  Duration validity{};
};

// What a certificate says.
struct CertificateInfo {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<IpAddress> ip_addresses;
  bool is_ca = false;
  WallTime not_before{};
  WallTime not_after{};
};

// A new EC P-256 key.
Result<std::string> generate_key();

// A self-signed authority with a new key.
Result<CertificateAndKey> make_authority(const std::string& common_name, WallTime not_before,
                                         Duration validity);

// A certificate for a new key, signed by `authority`. It never outlives the authority.
Result<CertificateAndKey> issue_certificate(const CertificateAndKey& authority,
                                            const CertificateSpec& spec);

// The first certificate of the text.
Result<CertificateInfo> parse_certificate(std::string_view pem);

// The public half of a private key, as SubjectPublicKeyInfo PEM.
Result<std::string> public_key(std::string_view key_pem);

}  // namespace fairlead::tls
