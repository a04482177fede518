// SPDX-License-Identifier: Apache-2.0
// Every way a packet can be wrong or odd, and what becomes of it: the one table for the parser and
// for servers on UDP and TCP.
#pragma once

#include <span>
#include <string>

#include "dns/message.h"

namespace fairlead::dns::test {

struct PacketCase {
  const char* row;  // of the table of protocol inputs: the test of TableB that sends it
  const char* what;
  std::string packet;  // in hex
  Verdict verdict;     // of the parser
  Rcode rcode;
  std::string reply;  // as to_text(), of a server for the empty domain "b" with serial 7
};

std::span<const PacketCase> packet_cases();

}  // namespace fairlead::dns::test
