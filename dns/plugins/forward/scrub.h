// SPDX-License-Identifier: Apache-2.0
// What an upstream's reply says beside what was asked is not passed on: it could end in somebody's
// cache (RFC 5452 section 6, RFC 2181 section 5.4.1). Pure; the time a reply takes grows with its
// size alone.
//
// A record stays
//   in the answer      if its owner is the question's name or one that the CNAMEs and DNAMEs of the
//                      answer lead to from there, or if it is such a DNAME;
//   in the authority   if its owner is such a name or above one; NSEC and NSEC3 records, which
//                      prove what is not there, also anywhere within a zone above one;
//   as additional      if its owner is such a name, or one that a record which stays refers to
//                      for its address: NS, MX, SRV, SVCB, HTTPS and their like.
// A signature stays with what it signs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace fairlead::dns {

// The message, whose question ends at `question_end`, without such records; as it is when there are
// none. Nothing when what is left cannot be read, or is no answer although there was one.
std::optional<std::vector<uint8_t>> scrub(std::vector<uint8_t> message, size_t question_end);

}  // namespace fairlead::dns
