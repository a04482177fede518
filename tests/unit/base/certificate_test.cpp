// SPDX-License-Identifier: Apache-2.0
#include "base/tls/certificate.h"

#include <gtest/gtest.h>

namespace fairlead::tls {
namespace {

using std::chrono::hours;

const WallTime kNow(std::chrono::seconds(1'800'000'000));

CertificateSpec spec() {
  CertificateSpec made;
  made.common_name = "system:node:a";
  made.organizations = {"system:nodes", "\u00fcber"};
  made.dns_names = {"kubernetes", "*.svc"};
  made.ip_addresses = {IpAddress::v4(10, 96, 0, 1), *IpAddress::parse("fd00::1")};
  made.server_auth = made.client_auth = true;
  made.not_before = kNow;
  made.validity = hours(24);
  return made;
}

TEST(Certificate, SaysWhatItWasGiven) {
  const auto ca = make_authority("fairlead-ca", kNow, hours(48));
  ASSERT_TRUE(ca.ok()) << ca.error().message();
  const auto ca_info = parse_certificate(ca->certificate_pem);
  ASSERT_TRUE(ca_info.ok());
  EXPECT_TRUE(ca_info->is_ca);
  EXPECT_EQ(ca_info->common_name, "fairlead-ca");
  const auto leaf = issue_certificate(*ca, spec());
  ASSERT_TRUE(leaf.ok()) << leaf.error().message();
  const auto info = parse_certificate(leaf->certificate_pem);
  ASSERT_TRUE(info.ok()) << info.error().message();
  EXPECT_FALSE(info->is_ca);
  EXPECT_EQ(info->common_name, spec().common_name);
  EXPECT_EQ(info->organizations, spec().organizations);
  EXPECT_EQ(info->dns_names, spec().dns_names);
  EXPECT_EQ(info->ip_addresses, spec().ip_addresses);
  EXPECT_EQ(info->not_before, kNow);
  EXPECT_EQ(info->not_after, kNow + hours(24));
}

TEST(Certificate, NeverOutlivesItsAuthority) {
  const auto ca = make_authority("ca", kNow, hours(2));
  ASSERT_TRUE(ca.ok());
  const auto leaf = issue_certificate(*ca, spec());
  ASSERT_TRUE(leaf.ok());
  EXPECT_EQ(parse_certificate(leaf->certificate_pem)->not_after, kNow + hours(2));
}

TEST(Certificate, WhatCannotBeIssued) {
  const auto ca = make_authority("ca", kNow, hours(48));
  const auto other = make_authority("other", kNow, hours(48));
  ASSERT_TRUE(ca.ok() && other.ok());
  struct Case {
    const char* name;
    CertificateAndKey authority;
    std::function<void(CertificateSpec&)> change;
    std::string message;
  };
  const Case cases[] = {
      {"no authority",
       {"", ""},
       [](auto&) {},
       "certificate authority: no certificate could be read"},
      {"broken authority",
       {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ""},
       [](auto&) {},
       "certificate authority: "},
      {"no key",
       {ca->certificate_pem, ca->certificate_pem},
       [](auto&) {},
       "certificate authority's key: "},
      {"key of another",
       {ca->certificate_pem, other->key_pem},
       [](auto&) {},
       "the authority's key does not belong"},
      {"long name", *ca, [](auto& s) { s.common_name = std::string(65, 'a'); },
       "certificate subject"},
      {"long organization", *ca, [](auto& s) { s.organizations = {std::string(65, 'a')}; },
       "certificate subject"},
      {"name that is no UTF-8", *ca, [](auto& s) { s.common_name = "\xff\xfe"; },
       "certificate subject"},
      {"space in a DNS name", *ca, [](auto& s) { s.dns_names = {"a b"}; },
       "'a b' is not a DNS name"},
      {"empty DNS name", *ca, [](auto& s) { s.dns_names = {""}; }, "'' is not a DNS name"},
      {"no validity", *ca, [](auto& s) { s.validity = hours(0); },
       "the certificate would end before it begins"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    CertificateSpec changed = spec();
    c.change(changed);
    const auto issued = issue_certificate(c.authority, changed);
    ASSERT_FALSE(issued.ok());
    EXPECT_TRUE(issued.error().message().starts_with(c.message)) << issued.error().message();
    EXPECT_EQ(issued.error().code(), ErrorCode::kInvalid);
  }
}

TEST(Certificate, ACommaInANameIsNoSeparator) {
  const auto ca = make_authority("ca", kNow, hours(48));
  ASSERT_TRUE(ca.ok());
  CertificateSpec sly = spec();
  sly.dns_names = {"a,IP:1.2.3.4"};
  const auto leaf = issue_certificate(*ca, sly);
  ASSERT_TRUE(leaf.ok());
  EXPECT_EQ(parse_certificate(leaf->certificate_pem)->dns_names, sly.dns_names);
}

TEST(Certificate, KeysHaveAPublicHalf) {
  const auto key = generate_key();
  ASSERT_TRUE(key.ok());
  EXPECT_TRUE(key->starts_with("-----BEGIN PRIVATE KEY-----"));
  const auto half = public_key(*key);
  ASSERT_TRUE(half.ok());
  EXPECT_TRUE(half->starts_with("-----BEGIN PUBLIC KEY-----"));
  EXPECT_NE(*generate_key(), *key);
  EXPECT_FALSE(public_key("junk").ok());
}

}  // namespace
}  // namespace fairlead::tls
