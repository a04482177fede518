// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/dns/packets.h"

namespace fairlead::dns::test {
namespace {

const char* const kSilence = "nothing";
const std::string kSoa = "authority b. 5 SOA ns.dns.b. hostmaster.b. 7 7200 1800 86400 5\n";
const std::string kDenied = "NXDOMAIN aa rd qd=1\n" + kSoa;
const std::string kDeniedPlain = "NXDOMAIN aa qd=1\n" + kSoa;
// Of 24 bytes: the client's half and ours, whatever the length of what it sent.
const char* const kCookie = "opt 1232 option10=24\n";

// a.b A IN
const char* const kQuestion = "0161 0162 00 0001 0001";
// An OPT record: size 1232, version 0, no options.
const char* const kOpt = "00 0029 04d0 00 00 0000 0000";
std::string query(const std::string& flags, const std::string& counts, const std::string& rest) {
  return "1234 " + flags + " " + counts + " " + rest;
}

const PacketCase kPackets[] = {
    {"nothing", "", Verdict::kDrop, Rcode::kNoError, kSilence},
    {"eleven bytes", "1234 0100 0001 0000 0000 00", Verdict::kDrop, Rcode::kNoError, kSilence},
    {"a response", query("8100", "0001 0000 0000 0000", kQuestion), Verdict::kDrop, Rcode::kNoError,
     kSilence},
    {"a query", query("0100", "0001 0000 0000 0000", kQuestion), Verdict::kAnswer, Rcode::kNoError,
     kDenied},
    {"no question", query("0100", "0000 0000 0000 0000", ""), Verdict::kReject, Rcode::kFormErr,
     "FORMERR rd qd=0\n"},
    {"two questions", query("0100", "0002 0000 0000 0000", std::string(kQuestion) + kQuestion),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"an answer in a query",
     query("0100", "0001 0001 0000 0000",
           std::string(kQuestion) + "c00c 0001 0001 00000005 0004 01020304"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"an authority in a query",
     query("0100", "0001 0000 0001 0000",
           std::string(kQuestion) + "c00c 0001 0001 00000005 0004 01020304"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"an additional that is no OPT",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "c00c 0001 0001 00000005 0004 01020304"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"counts of records that are not there", query("0100", "0001 0000 0000 0001", kQuestion),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"an OPT", query("0100", "0001 0000 0000 0001", std::string(kQuestion) + kOpt),
     Verdict::kAnswer, Rcode::kNoError, kDenied + "opt 1232\n"},
    {"two OPTs", query("0100", "0001 0000 0000 0002", std::string(kQuestion) + kOpt + kOpt),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"an OPT with a name",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "0161 00 0029 04d0 00000000 0000"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"EDNS version 1",
     query("0100", "0001 0000 0000 0001", std::string(kQuestion) + "00 0029 04d0 00010000 0000"),
     Verdict::kReject, Rcode::kBadVers, "BADVERS rd qd=1\nopt 1232\n"},
    {"an unknown option",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 0006 ffff 0002 abcd"),
     Verdict::kAnswer, Rcode::kNoError, kDenied + "opt 1232\n"},
    {"an option cut short",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 0004 000c 0002"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"a cookie of eight bytes",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 000c 000a 0008 0102030405060708"),
     Verdict::kAnswer, Rcode::kNoError, kDenied + kCookie},
    {"a cookie of five bytes",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 0009 000a 0005 0102030405"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"bytes behind the end", query("0100", "0001 0000 0000 0000", std::string(kQuestion) + "abcd"),
     Verdict::kAnswer, Rcode::kNoError, kDenied},
    {"a pointer to itself", query("0100", "0001 0000 0000 0000", "c00c 0001 0001"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"a pointer forward", query("0100", "0001 0000 0000 0000", "c020 0001 0001"), Verdict::kReject,
     Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"a label of 64 bytes", query("0100", "0001 0000 0000 0000", "40 6161 0001 0001"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"a question without a class", query("0100", "0001 0000 0000 0000", "0161 00 0001 00"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"a name that does not end", query("0100", "0001 0000 0000 0000", "0561 62"), Verdict::kReject,
     Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"opcode STATUS", query("1000", "0001 0000 0000 0000", kQuestion), Verdict::kReject,
     Rcode::kNotImp, "NOTIMP qd=0\n"},
    {"opcode 15", query("7800", "0001 0000 0000 0000", kQuestion), Verdict::kReject, Rcode::kNotImp,
     "NOTIMP qd=0\n"},
    {"NOTIFY", query("2000", "0001 0000 0000 0000", kQuestion), Verdict::kReject, Rcode::kNotImp,
     "NOTIMP qd=0\n"},
    {"UPDATE", query("2800", "0001 0000 0000 0000", kQuestion), Verdict::kReject, Rcode::kNotImp,
     "NOTIMP qd=0\n"},
    {"AD, CD and Z set", query("0170", "0001 0000 0000 0000", kQuestion), Verdict::kAnswer,
     Rcode::kNoError, kDenied},
    {"many questions", query("0100", "ffff 0000 0000 0000", kQuestion), Verdict::kReject,
     Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"records without end", query("0100", "0001 0000 0000 ffff", std::string(kQuestion) + kOpt),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"a header alone", query("0100", "0001 0000 0000 0000", ""), Verdict::kReject, Rcode::kFormErr,
     "FORMERR rd qd=0\n"},
    {"the root", query("0100", "0001 0000 0000 0000", "00 0001 0001"), Verdict::kAnswer,
     Rcode::kNoError, "SERVFAIL rd qd=1\n"},
    {"a label of type 01", query("0100", "0001 0000 0000 0000", "4161 00 0001 0001"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"a label of type 10", query("0100", "0001 0000 0000 0000", "8161 00 0001 0001"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"a pointer behind a label, to it", query("0100", "0001 0000 0000 0000", "0161 c00c 0001 0001"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"a pointer into the header", query("0100", "0001 0000 0000 0000", "c000 0001 0001"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"half a pointer", query("0100", "0001 0000 0000 0000", "c0"), Verdict::kReject,
     Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"DNSSEC OK comes back",
     query("0100", "0001 0000 0000 0001", std::string(kQuestion) + "00 0029 04d0 00008000 0000 "),
     Verdict::kAnswer, Rcode::kNoError, kDenied + "opt 1232 do\n"},
    {"a client that takes 4096 bytes",
     query("0100", "0001 0000 0000 0001", std::string(kQuestion) + "00 0029 1000 00000000 0000 "),
     Verdict::kAnswer, Rcode::kNoError, kDenied + "opt 1232\n"},
    {"a client that takes nothing",
     query("0100", "0001 0000 0000 0001", std::string(kQuestion) + "00 0029 0000 00000000 0000 "),
     Verdict::kAnswer, Rcode::kNoError, kDenied + "opt 1232\n"},
    {"EDNS version 255 with other options",
     query("0100", "0001 0000 0000 0001", std::string(kQuestion) + "00 0029 04d0 00ff8000 0001 ff"),
     Verdict::kReject, Rcode::kBadVers, "BADVERS rd qd=1\nopt 1232 do\n"},
    {"an OPT longer than the packet",
     query("0100", "0001 0000 0000 0001", std::string(kQuestion) + "00 0029 04d0 00000000 ffff "),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"NSID and padding",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 000c 0003 0000 000c 0004 00000000"),
     Verdict::kAnswer, Rcode::kNoError, kDenied + "opt 1232\n"},
    {"an option without a length",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 0003 000a 00"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"a cookie of nothing",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 0004 000a 0000"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"a cookie of fifteen bytes",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) +
               "00 0029 04d0 00000000 0013 000a 000f 070707070707070707070707070707"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"a server cookie of eight bytes",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) +
               "00 0029 04d0 00000000 0014 000a 0010 07070707070707070707070707070707"),
     Verdict::kAnswer, Rcode::kNoError, kDenied + kCookie},
    {"a server cookie of 32 bytes",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) +
               "00 0029 04d0 00000000 002c 000a 0028 "
               "07070707070707070707070707070707070707070707070707070707070707070707070707070707"),
     Verdict::kAnswer, Rcode::kNoError, kDenied + kCookie},
    {"a cookie of 41 bytes",
     query(
         "0100", "0001 0000 0000 0001",
         std::string(kQuestion) +
             "00 0029 04d0 00000000 002d 000a 0029 "
             "0707070707070707070707070707070707070707070707070707070707070707070707070707070707"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"two cookies",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) +
               "00 0029 04d0 00000000 0018 000a 0008 0707070707070707 000a 0008 0808080808080808"),
     Verdict::kAnswer, Rcode::kNoError, kDenied + kCookie},
    {"a TSIG behind the OPT",
     query("0100", "0001 0000 0000 0002",
           std::string(kQuestion) + kOpt + "00 00fa 00ff 00000000 0000"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"class CHAOS", query("0100", "0001 0000 0000 0000", "0161 0162 00 0001 0003"),
     Verdict::kAnswer, Rcode::kNoError, "REFUSED rd qd=1\n"},
    {"class HESIOD",
     query("0100", "0001 0000 0000 0001", std::string("0161 0162 00 0001 0004") + kOpt),
     Verdict::kAnswer, Rcode::kNoError, "REFUSED rd qd=1\nopt 1232 ede=21\n"},
    {"class NONE",
     query("0100", "0001 0000 0000 0001", std::string("0161 0162 00 0001 00fe") + kOpt),
     Verdict::kAnswer, Rcode::kNoError, "REFUSED rd qd=1\nopt 1232 ede=21\n"},
    {"class ANY",
     query("0100", "0001 0000 0000 0001", std::string("0161 0162 00 0001 00ff") + kOpt),
     Verdict::kAnswer, Rcode::kNoError, "REFUSED rd qd=1\nopt 1232 ede=21\n"},
    {"a zone transfer",
     query("0100", "0001 0000 0000 0001", std::string("0162 00 00fc 0001") + kOpt),
     Verdict::kAnswer, Rcode::kNoError, "REFUSED rd qd=1\nopt 1232 ede=18\n"},
    {"no RD", query("0000", "0001 0000 0000 0000", kQuestion), Verdict::kAnswer, Rcode::kNoError,
     kDeniedPlain},
};

}  // namespace

std::span<const PacketCase> packet_cases() {
  return kPackets;
}

}  // namespace fairlead::dns::test
