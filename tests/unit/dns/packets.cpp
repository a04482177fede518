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

std::string label(size_t size) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text = {kDigits[size / 16], kDigits[size % 16]};
  for (size_t i = 0; i < size; ++i) text += "61";
  return text;
}
// Beside the last label but "b" and the root.
const std::string kLongName = label(63) + label(63) + label(63);

const PacketCase kPackets[] = {
    {"ShortOrResponse", "nothing", "", Verdict::kDrop, Rcode::kNoError, kSilence},
    {"ShortOrResponse", "eleven bytes", "1234 0100 0001 0000 0000 00", Verdict::kDrop,
     Rcode::kNoError, kSilence},
    {"ShortOrResponse", "a response", query("8100", "0001 0000 0000 0000", kQuestion),
     Verdict::kDrop, Rcode::kNoError, kSilence},
    {"HeaderBits", "a query", query("0100", "0001 0000 0000 0000", kQuestion), Verdict::kAnswer,
     Rcode::kNoError, kDenied},
    {"QuestionCount", "no question", query("0100", "0000 0000 0000 0000", ""), Verdict::kReject,
     Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"QuestionCount", "two questions",
     query("0100", "0002 0000 0000 0000", std::string(kQuestion) + kQuestion), Verdict::kReject,
     Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"ExtraRecords", "an answer in a query",
     query("0100", "0001 0001 0000 0000",
           std::string(kQuestion) + "c00c 0001 0001 00000005 0004 01020304"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"ExtraRecords", "an authority in a query",
     query("0100", "0001 0000 0001 0000",
           std::string(kQuestion) + "c00c 0001 0001 00000005 0004 01020304"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"ExtraRecords", "an additional that is no OPT",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "c00c 0001 0001 00000005 0004 01020304"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"ExtraRecords", "counts of records that are not there",
     query("0100", "0001 0000 0000 0001", kQuestion), Verdict::kReject, Rcode::kFormErr,
     "FORMERR rd qd=1\n"},
    {"OptRecords", "an OPT", query("0100", "0001 0000 0000 0001", std::string(kQuestion) + kOpt),
     Verdict::kAnswer, Rcode::kNoError, kDenied + "opt 1232\n"},
    {"OptRecords", "two OPTs",
     query("0100", "0001 0000 0000 0002", std::string(kQuestion) + kOpt + kOpt), Verdict::kReject,
     Rcode::kFormErr, "FORMERR rd qd=1\nopt 1232\n"},
    {"OptRecords", "an OPT with a name",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "0161 00 0029 04d0 00000000 0000"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"EdnsVersion", "EDNS version 1",
     query("0100", "0001 0000 0000 0001", std::string(kQuestion) + "00 0029 04d0 00010000 0000"),
     Verdict::kReject, Rcode::kBadVers, "BADVERS rd qd=1\nopt 1232\n"},
    {"OtherOptions", "an unknown option",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 0006 ffff 0002 abcd"),
     Verdict::kAnswer, Rcode::kNoError, kDenied + "opt 1232\n"},
    {"OptRecords", "an option cut short",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 0004 000c 0002"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\nopt 1232\n"},
    {"Cookies", "a cookie of eight bytes",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 000c 000a 0008 0102030405060708"),
     Verdict::kAnswer, Rcode::kNoError, kDenied + kCookie},
    {"Cookies", "a cookie of five bytes",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 0009 000a 0005 0102030405"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\nopt 1232\n"},
    {"TrailingBytes", "bytes behind the end",
     query("0100", "0001 0000 0000 0000", std::string(kQuestion) + "abcd"), Verdict::kAnswer,
     Rcode::kNoError, kDenied},
    {"BrokenNames", "a pointer to itself", query("0100", "0001 0000 0000 0000", "c00c 0001 0001"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"ForwardPointer", "a pointer forward", query("0100", "0001 0000 0000 0000", "c020 0001 0001"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"BrokenNames", "a label of 64 bytes",
     query("0100", "0001 0000 0000 0000", "40 6161 0001 0001"), Verdict::kReject, Rcode::kFormErr,
     "FORMERR rd qd=0\n"},
    {"BrokenNames", "a name of 256 bytes",
     query("0100", "0001 0000 0000 0000", kLongName + label(60) + "0162 00 0001 0001"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"BrokenNames", "one of 255, the longest there is",
     query("0100", "0001 0000 0000 0000", kLongName + label(59) + "0162 00 0001 0001"),
     Verdict::kAnswer, Rcode::kNoError, kDenied},
    {"BrokenNames", "a question without a class",
     query("0100", "0001 0000 0000 0000", "0161 00 0001 00"), Verdict::kReject, Rcode::kFormErr,
     "FORMERR rd qd=0\n"},
    {"BrokenNames", "a name that does not end", query("0100", "0001 0000 0000 0000", "0561 62"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"OtherOpcodes", "opcode STATUS", query("1000", "0001 0000 0000 0000", kQuestion),
     Verdict::kReject, Rcode::kNotImp, "NOTIMP qd=0\n"},
    {"OtherOpcodes", "opcode 15", query("7800", "0001 0000 0000 0000", kQuestion), Verdict::kReject,
     Rcode::kNotImp, "NOTIMP qd=0\n"},
    {"NotifyAndUpdate", "NOTIFY", query("2000", "0001 0000 0000 0000", kQuestion), Verdict::kReject,
     Rcode::kNotImp, "NOTIMP qd=0\n"},
    {"NotifyAndUpdate", "NOTIFY with a SOA and an OPT",
     query("2000", "0001 0001 0000 0001",
           std::string(kQuestion) +
               "c00c 0006 0001 00000005 0016 00 00 00000001 00000001 "
               "00000001 00000001 00000001" +
               kOpt),
     Verdict::kReject, Rcode::kNotImp, "NOTIMP qd=0\nopt 1232\n"},
    {"OtherOpcodes", "opcode STATUS with an OPT",
     query("1000", "0001 0000 0000 0001", std::string(kQuestion) + kOpt), Verdict::kReject,
     Rcode::kNotImp, "NOTIMP qd=0\nopt 1232\n"},
    {"NotifyAndUpdate", "UPDATE", query("2800", "0001 0000 0000 0000", kQuestion), Verdict::kReject,
     Rcode::kNotImp, "NOTIMP qd=0\n"},
    {"HeaderBits", "AD, CD and Z set", query("0170", "0001 0000 0000 0000", kQuestion),
     Verdict::kAnswer, Rcode::kNoError, kDenied},
    {"QuestionCount", "many questions", query("0100", "ffff 0000 0000 0000", kQuestion),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"ExtraRecords", "records without end",
     query("0100", "0001 0000 0000 ffff", std::string(kQuestion) + kOpt), Verdict::kReject,
     Rcode::kFormErr, "FORMERR rd qd=1\nopt 1232\n"},
    {"QuestionCount", "a header alone", query("0100", "0001 0000 0000 0000", ""), Verdict::kReject,
     Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"HeaderBits", "the root", query("0100", "0001 0000 0000 0000", "00 0001 0001"),
     Verdict::kAnswer, Rcode::kNoError, "SERVFAIL rd qd=1\n"},
    {"BrokenNames", "a label of type 01", query("0100", "0001 0000 0000 0000", "4161 00 0001 0001"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"BrokenNames", "a label of type 10", query("0100", "0001 0000 0000 0000", "8161 00 0001 0001"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"BrokenNames", "a pointer behind a label, to it",
     query("0100", "0001 0000 0000 0000", "0161 c00c 0001 0001"), Verdict::kReject, Rcode::kFormErr,
     "FORMERR rd qd=0\n"},
    {"BrokenNames", "a pointer into the header",
     query("0100", "0001 0000 0000 0000", "c000 0001 0001"), Verdict::kReject, Rcode::kFormErr,
     "FORMERR rd qd=0\n"},
    {"BrokenNames", "half a pointer", query("0100", "0001 0000 0000 0000", "c0"), Verdict::kReject,
     Rcode::kFormErr, "FORMERR rd qd=0\n"},
    {"OptRecords", "DNSSEC OK comes back",
     query("0100", "0001 0000 0000 0001", std::string(kQuestion) + "00 0029 04d0 00008000 0000 "),
     Verdict::kAnswer, Rcode::kNoError, kDenied + "opt 1232 do\n"},
    {"ClientSize", "a client that takes 4096 bytes",
     query("0100", "0001 0000 0000 0001", std::string(kQuestion) + "00 0029 1000 00000000 0000 "),
     Verdict::kAnswer, Rcode::kNoError, kDenied + "opt 1232\n"},
    {"ClientSize", "a client that takes nothing",
     query("0100", "0001 0000 0000 0001", std::string(kQuestion) + "00 0029 0000 00000000 0000 "),
     Verdict::kAnswer, Rcode::kNoError, kDenied + "opt 1232\n"},
    {"EdnsVersion", "EDNS version 255 with other options",
     query("0100", "0001 0000 0000 0001", std::string(kQuestion) + "00 0029 04d0 00ff8000 0001 ff"),
     Verdict::kReject, Rcode::kBadVers, "BADVERS rd qd=1\nopt 1232 do\n"},
    {"OptRecords", "an OPT longer than the packet",
     query("0100", "0001 0000 0000 0001", std::string(kQuestion) + "00 0029 04d0 00000000 ffff "),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\n"},
    {"OtherOptions", "NSID and padding",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 000c 0003 0000 000c 0004 00000000"),
     Verdict::kAnswer, Rcode::kNoError, kDenied + "opt 1232\n"},
    {"OptRecords", "an option without a length",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 0003 000a 00"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\nopt 1232\n"},
    {"Cookies", "a cookie of nothing",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) + "00 0029 04d0 00000000 0004 000a 0000"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\nopt 1232\n"},
    {"Cookies", "a cookie of fifteen bytes",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) +
               "00 0029 04d0 00000000 0013 000a 000f 070707070707070707070707070707"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\nopt 1232\n"},
    {"Cookies", "a server cookie of eight bytes",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) +
               "00 0029 04d0 00000000 0014 000a 0010 07070707070707070707070707070707"),
     Verdict::kAnswer, Rcode::kNoError, kDenied + kCookie},
    {"Cookies", "a server cookie of 32 bytes",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) +
               "00 0029 04d0 00000000 002c 000a 0028 "
               "07070707070707070707070707070707070707070707070707070707070707070707070707070707"),
     Verdict::kAnswer, Rcode::kNoError, kDenied + kCookie},
    {"Cookies", "a cookie of 41 bytes",
     query(
         "0100", "0001 0000 0000 0001",
         std::string(kQuestion) +
             "00 0029 04d0 00000000 002d 000a 0029 "
             "0707070707070707070707070707070707070707070707070707070707070707070707070707070707"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\nopt 1232\n"},
    {"Cookies", "two cookies",
     query("0100", "0001 0000 0000 0001",
           std::string(kQuestion) +
               "00 0029 04d0 00000000 0018 000a 0008 0707070707070707 000a 0008 0808080808080808"),
     Verdict::kAnswer, Rcode::kNoError, kDenied + kCookie},
    {"ExtraRecords", "a TSIG behind the OPT",
     query("0100", "0001 0000 0000 0002",
           std::string(kQuestion) + kOpt + "00 00fa 00ff 00000000 0000"),
     Verdict::kReject, Rcode::kFormErr, "FORMERR rd qd=1\nopt 1232\n"},
    {"Chaos", "class CHAOS", query("0100", "0001 0000 0000 0000", "0161 0162 00 0001 0003"),
     Verdict::kAnswer, Rcode::kNoError, "REFUSED rd qd=1\n"},
    {"OtherClasses", "class HESIOD",
     query("0100", "0001 0000 0000 0001", std::string("0161 0162 00 0001 0004") + kOpt),
     Verdict::kAnswer, Rcode::kNoError, "REFUSED rd qd=1\nopt 1232 ede=21\n"},
    {"OtherClasses", "class NONE",
     query("0100", "0001 0000 0000 0001", std::string("0161 0162 00 0001 00fe") + kOpt),
     Verdict::kAnswer, Rcode::kNoError, "REFUSED rd qd=1\nopt 1232 ede=21\n"},
    {"OtherClasses", "class ANY",
     query("0100", "0001 0000 0000 0001", std::string("0161 0162 00 0001 00ff") + kOpt),
     Verdict::kAnswer, Rcode::kNoError, "REFUSED rd qd=1\nopt 1232 ede=21\n"},
    {"Transfers", "a zone transfer",
     query("0100", "0001 0000 0000 0001", std::string("0162 00 00fc 0001") + kOpt),
     Verdict::kAnswer, Rcode::kNoError, "REFUSED rd qd=1\nopt 1232 ede=18\n"},
    {"Transfers", "an incremental zone transfer",
     query("0100", "0001 0000 0001 0001",
           std::string("0162 00 00fb 0001 c00c 0006 0001 00000000 0016 00 00 00000001 00000002 "
                       "00000003 00000004 00000005") +
               kOpt),
     Verdict::kAnswer, Rcode::kNoError, "REFUSED rd qd=1\nopt 1232 ede=18\n"},
    {"HeaderBits", "no RD", query("0000", "0001 0000 0000 0000", kQuestion), Verdict::kAnswer,
     Rcode::kNoError, kDeniedPlain},
};

}  // namespace

std::span<const PacketCase> packet_cases() {
  return kPackets;
}

}  // namespace fairlead::dns::test
