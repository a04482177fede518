// SPDX-License-Identifier: Apache-2.0
// The data of records in presentation form: "10 mail.example.org." as an MX record's bytes.
//
// Types A, AAAA, AFSDB, CAA, CDNSKEY, CDS, CERT, CNAME, DHCID, DNAME, DNSKEY, DS, EUI48, EUI64,
// HINFO, HTTPS, ISDN, KX, LOC, MB, MG, MINFO, MR, MX, NAPTR, NS, OPENPGPKEY, PTR, PX, RP, RT,
// SMIMEA, SOA, SPF, SRV, SSHFP, SVCB, TLSA, TXT, URI, X25 and ZONEMD, and any type in the form of
// RFC 3597 (\# 3 abcdef). Algorithms and the like are numbers. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dns/name.h"
#include "dns/types.h"

namespace fairlead::dns {

struct Token {
  std::string text;  // with its backslash escapes
  bool quoted = false;
};

// A TTL in seconds ("300") or in BIND's units ("1h30m"), at most 2^31 - 1 (RFC 2181 section 8).
std::optional<uint32_t> ttl_from_text(std::string_view text);
// A name, relative to the origin without a final dot; "@" is the origin.
Result<Name> name_from_text(std::string_view text, const Name& origin);
// The bytes of a character string with its escapes undone (\" and \065).
Result<std::string> unescaped(std::string_view text);
// RFC 4648 section 4.
std::optional<std::vector<uint8_t>> base64_from_text(std::string_view text);

Result<std::vector<uint8_t>> rdata_from_text(Type type, std::span<const Token> tokens,
                                             const Name& origin);

}  // namespace fairlead::dns
