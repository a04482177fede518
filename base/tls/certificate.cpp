// SPDX-License-Identifier: Apache-2.0
#include "base/tls/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "base/tls/openssl.h"

namespace fairlead::tls {
namespace {

using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;
constexpr size_t kMaxNameBytes = 64;

Error failed(std::string_view what) {
  return openssl_error(ErrorCode::kInternal, what);
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(std::max(length, 0L)));
}

Result<std::string> to_pem(const X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1) return failed("write certificate");
  return text_of(bio.get());
}

Result<std::string> to_pem(const EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return failed("write key");
  return text_of(bio.get());
}

Result<KeyPtr> new_key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return failed("generate an EC P-256 key");
  return key;
}

Result<void> add_name_entry(X509_NAME* name, int nid, const std::string& value) {
  if (value.size() > kMaxNameBytes)
    return Error(ErrorCode::kInvalid,
                 "certificate subject '" + value + "' is longer than 64 bytes");
  const auto* bytes = reinterpret_cast<const unsigned char*>(value.data());
  if (X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, bytes, static_cast<int>(value.size()),
                                 -1, 0) != 1)
    return openssl_error(ErrorCode::kInvalid, "certificate subject '" + value + "'");
  return ok();
}

Result<void> add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  if (!added) return failed(std::string("certificate extension ") + OBJ_nid2sn(nid) + "=" + value);
  return ok();
}

bool push_name(GENERAL_NAMES* names, int type, std::string_view bytes) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  ASN1_STRING* data =
      ASN1_STRING_type_new(type == GEN_DNS ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING);
  if (name == nullptr || data == nullptr ||
      ASN1_STRING_set(data, bytes.data(), static_cast<int>(bytes.size())) != 1) {
    GENERAL_NAME_free(name);
    ASN1_STRING_free(data);
    return false;
  }
  GENERAL_NAME_set0_value(name, type, data);
  return sk_GENERAL_NAME_push(names, name) > 0;
}

// Built value by value: OpenSSL's textual form would let a name smuggle in further entries.
Result<void> add_alternative_names(X509* certificate, const CertificateSpec& spec) {
  if (spec.dns_names.empty() && spec.ip_addresses.empty()) return ok();
  const NamesPtr names(GENERAL_NAMES_new());
  if (!names) return failed("subject alternative names");
  for (const std::string& dns : spec.dns_names) {
    const bool ascii =
        std::all_of(dns.begin(), dns.end(), [](char c) { return c > ' ' && c < 127; });
    if (dns.empty() || !ascii)
      return Error(ErrorCode::kInvalid, "'" + dns + "' is not a DNS name for a certificate");
    if (!push_name(names.get(), GEN_DNS, dns)) return failed("subject alternative name " + dns);
  }
  for (const IpAddress& address : spec.ip_addresses) {
    const auto bytes = address.bytes();
    if (!push_name(names.get(), GEN_IPADD,
                   {reinterpret_cast<const char*>(bytes.data()), bytes.size()}))
      return failed("subject alternative name " + address.to_string());
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, 0) != 1)
    return failed("subject alternative names");
  return ok();
}

Result<void> set_times(X509* certificate, WallTime not_before, WallTime not_after) {
  if (not_after <= not_before)
    return Error(ErrorCode::kInvalid, "the certificate would end before it begins");
  const time_t from = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(not_before));
  const time_t to = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(not_after));
  if (ASN1_TIME_set(X509_getm_notBefore(certificate), from) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate), to) == nullptr)
    return failed("certificate validity");
  return ok();
}

// 126 random bits, positive and never zero (RFC 5280 section 4.1.2.2: at most 20 bytes).
Result<void> set_serial(X509* certificate) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return failed("random serial number");
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x3f) | 0x40);
  BIGNUM* number = BN_bin2bn(bytes, sizeof bytes, nullptr);
  const bool set = number != nullptr &&
                   BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  if (!set) return failed("serial number");
  return ok();
}

// What authorities and leaves have in common: version, serial, validity, subject, key.
Result<CertificatePtr> begin_certificate(const CertificateSpec& spec, WallTime not_after,
                                         EVP_PKEY* key) {
  CertificatePtr certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1)
    return failed("new certificate");
  if (const auto set = set_serial(certificate.get()); !set.ok()) return set.error();
  if (const auto set = set_times(certificate.get(), spec.not_before, not_after); !set.ok())
    return set.error();
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  for (const std::string& organization : spec.organizations) {
    if (const auto set = add_name_entry(subject, NID_organizationName, organization); !set.ok())
      return set.error();
  }
  if (const auto set = add_name_entry(subject, NID_commonName, spec.common_name); !set.ok())
    return set.error();
  if (X509_set_pubkey(certificate.get(), key) != 1) return failed("certificate key");
  return certificate;
}

struct Extension {
  int nid;
  const char* value;
};

Result<CertificateAndKey> sign(X509* certificate, X509* issuer, EVP_PKEY* issuer_key,
                               const EVP_PKEY* key, const std::vector<Extension>& extensions) {
  for (const Extension& extension : extensions) {
    if (const auto added = add_extension(certificate, issuer, extension.nid, extension.value);
        !added.ok())
      return added.error();
  }
  if (X509_sign(certificate, issuer_key, EVP_sha256()) == 0) return failed("sign certificate");
  auto certificate_pem = to_pem(certificate);
  if (!certificate_pem.ok()) return certificate_pem.error();
  auto key_pem = to_pem(key);
  if (!key_pem.ok()) return key_pem.error();
  return CertificateAndKey{std::move(*certificate_pem), std::move(*key_pem)};
}

Result<WallTime> to_wall(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1)
    return openssl_error(ErrorCode::kInvalid, "certificate time");
  return WallTime(std::chrono::seconds(timegm(&parts)));
}

std::vector<std::string> name_entries(const X509_NAME* name, int nid) {
  std::vector<std::string> values;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
    unsigned char* utf8 = nullptr;
    const int length =
        ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (length < 0) continue;
    values.emplace_back(reinterpret_cast<char*>(utf8), static_cast<size_t>(length));
    OPENSSL_free(utf8);
  }
  return values;
}

void read_alternative_names(const X509* certificate, CertificateInfo& info) {
  const NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const auto* data = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    if (type != GEN_DNS && type != GEN_IPADD) continue;
    const auto* bytes = ASN1_STRING_get0_data(data);
    const auto length = static_cast<size_t>(ASN1_STRING_length(data));
    if (type == GEN_DNS) info.dns_names.emplace_back(reinterpret_cast<const char*>(bytes), length);
    if (type == GEN_IPADD && (length == 4 || length == 16))
      info.ip_addresses.push_back(IpAddress::from_bytes({bytes, length}));
  }
}

}  // namespace

CertificateSubject subject_of(const X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  CertificateSubject read;
  auto names = name_entries(subject, NID_commonName);
  if (!names.empty()) read.common_name = std::move(names.back());
  read.organizations = name_entries(subject, NID_organizationName);
  return read;
}

Result<std::string> generate_key() {
  const auto key = new_key();
  return key.ok() ? to_pem(key->get()) : Result<std::string>(key.error());
}

Result<CertificateAndKey> make_authority(const std::string& common_name, WallTime not_before,
                                         Duration validity) {
  ERR_clear_error();
  const auto key = new_key();
  if (!key.ok()) return key.error();
  CertificateSpec spec;
  spec.common_name = common_name;
  spec.not_before = not_before;
  const auto made = begin_certificate(spec, not_before + validity, key->get());
  if (!made.ok()) return made.error();
  X509* certificate = made->get();
  if (X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) != 1)
    return failed("issuer");
  return sign(certificate, certificate, key->get(), key->get(),
              {{NID_basic_constraints, "critical,CA:TRUE"},
               {NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign"},
               {NID_subject_key_identifier, "hash"}});
}

Result<CertificateAndKey> issue_certificate(const CertificateAndKey& authority,
                                            const CertificateSpec& spec) {
  ERR_clear_error();
  const auto issuers = read_certificates(authority.certificate_pem);
  if (!issuers.ok()) return issuers.error().with_context("certificate authority");
  const auto issuer_key = read_key(authority.key_pem);
  if (!issuer_key.ok()) return issuer_key.error().with_context("certificate authority's key");
  X509* issuer = issuers->front().get();
  if (X509_check_private_key(issuer, issuer_key->get()) != 1)
    return openssl_error(ErrorCode::kInvalid,
                         "the authority's key does not belong to its certificate");
  const auto issuer_end = to_wall(X509_get0_notAfter(issuer));
  if (!issuer_end.ok()) return issuer_end.error();
  const auto key = new_key();
  if (!key.ok()) return key.error();
  const auto made =
      begin_certificate(spec, std::min(spec.not_before + spec.validity, *issuer_end), key->get());
  if (!made.ok()) return made.error();
  X509* certificate = made->get();
  if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) != 1)
    return failed("issuer");
  if (const auto added = add_alternative_names(certificate, spec); !added.ok())
    return added.error();
  std::vector<Extension> extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                                       {NID_key_usage, "critical,digitalSignature"},
                                       {NID_subject_key_identifier, "hash"},
                                       {NID_authority_key_identifier, "keyid"}};
  if (spec.server_auth && spec.client_auth)
    extensions.push_back({NID_ext_key_usage, "serverAuth,clientAuth"});
  else if (spec.server_auth)
    extensions.push_back({NID_ext_key_usage, "serverAuth"});
  else if (spec.client_auth)
    extensions.push_back({NID_ext_key_usage, "clientAuth"});
  return sign(certificate, issuer, issuer_key->get(), key->get(), extensions);
}

Result<CertificateInfo> parse_certificate(std::string_view pem) {
  const auto certificates = read_certificates(pem);
  if (!certificates.ok()) return certificates.error();
  X509* certificate = certificates->front().get();
  CertificateInfo info;
  CertificateSubject subject = subject_of(certificate);
  info.common_name = std::move(subject.common_name);
  info.organizations = std::move(subject.organizations);
  read_alternative_names(certificate, info);
  info.is_ca = X509_check_ca(certificate) == 1;
  const auto not_before = to_wall(X509_get0_notBefore(certificate));
  const auto not_after = to_wall(X509_get0_notAfter(certificate));
  if (!not_before.ok()) return not_before.error();
  if (!not_after.ok()) return not_after.error();
  info.not_before = *not_before;
  info.not_after = *not_after;
  return info;
}

Result<std::string> public_key(std::string_view key_pem) {
  const auto key = read_key(key_pem);
  if (!key.ok()) return key.error();
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PUBKEY(bio.get(), key->get()) != 1) return failed("write public key");
  return text_of(bio.get());
}

}  // namespace fairlead::tls
