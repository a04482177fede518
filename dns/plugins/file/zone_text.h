// SPDX-License-Identifier: Apache-2.0
// Zone files (RFC 1035 section 5) as records, one by one:
//
//   $ORIGIN example.org.          of names without a final dot from here on
//   $TTL 1h                       of records that name none (RFC 2308 section 4)
//   $INCLUDE FILE [ORIGIN]        FILE's records; origin and owner are as before afterwards
//   $GENERATE 1-9/2 host-$ A 192.0.2.${0,1,d}
//                                 BIND's: an entry for each number
//
// A record without a TTL has the $TTL's, without one the last record's, and a SOA its own minimum.
// Errors are "file:line: what". Pure but for the files it is given.
#pragma once

#include <functional>
#include <string>

#include "dns/edit.h"

namespace fairlead::dns {

// A zone file may name files that name files: all of them together are bounded.
struct ZoneTextLimits {
  size_t depth = 7;  // of $INCLUDE, CoreDNS's
  size_t files = 1000;
  size_t bytes = 256 << 20;
  size_t generated = 65'536;  // by one $GENERATE
  size_t records = 4'000'000;
};

using ReadText = std::function<Result<std::string>(const std::string& path)>;
// Takes a record; its error ends the reading.
using TakeRecord = std::function<Result<void>(const EditRecord& record)>;

Result<void> read_zone_text(const std::string& path, const Name& origin, const ReadText& read,
                            const TakeRecord& take, const ZoneTextLimits& limits = {});

}  // namespace fairlead::dns
