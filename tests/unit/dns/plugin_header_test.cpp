// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

class PluginHeader : public PluginTest {};

TEST_F(PluginHeader, Replies) {
  struct Case {
    const char* lines;
    const char* next;
    const char* reply;
  };
  const Case kCases[] = {
      {"response set ra", "NOERROR", "NOERROR ra qd=1\n"},
      {"set ra aa", "NOERROR rd", "NOERROR aa rd ra qd=1\n"},
      {"response set ra aa\nresponse clear rd", "NOERROR rd", "NOERROR aa ra qd=1\n"},
      {"response set ra\nresponse clear ra", "NOERROR ra", "NOERROR qd=1\n"},
      {"clear ra\nset ra", "NOERROR", "NOERROR ra qd=1\n"},
      {"Response SET RA", "NOERROR", "NOERROR ra qd=1\n"},
      {"clear aa", "NXDOMAIN aa ad", "NXDOMAIN qd=1\n"}};  // AD: nobody asked for it
  for (const Case& c : kCases) {
    use("header {\n" + std::string(c.lines) + "\n}", replies_with(c.next));
    EXPECT_EQ(ask("a.test"), c.reply) << c.lines;
  }
}

TEST_F(PluginHeader, Queries) {
  uint16_t seen = 0;
  use("header {\nquery clear rd\nresponse set ra\n}", [&](Request& request) {
    seen = request.query().flags;
    return replies_with("NOERROR\nanswer @ 60 A 192.0.2.1")(request);
  });
  EXPECT_EQ(ask("A.test"), "NOERROR ra qd=1\nanswer A.test. 60 A 192.0.2.1\n");
  EXPECT_EQ(seen & kFlagRecursionDesired, 0);
  use("header {\nrequest set rd\n}", [&](Request& request) {
    seen = request.query().flags;
    return replies_with("NXDOMAIN")(request);
  });
  AskOptions without;
  without.query.flags = 0;
  EXPECT_EQ(ask("a.test", "A", without), "NXDOMAIN qd=1\n");
  EXPECT_NE(seen & kFlagRecursionDesired, 0);
}

TEST_F(PluginHeader, QueriesThatWait) {
  use("header {\nquery clear rd\n}", waits());
  EXPECT_EQ(ask("a.test"), "pending");
  answer_waiting("NOERROR\nanswer @ 60 A 192.0.2.1");
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(to_text(replies[0]), "NOERROR qd=1\nanswer a.test. 60 A 192.0.2.1\n");
  EXPECT_EQ(chain->waiting(), 0u);
}

TEST_F(PluginHeader, Refusals) {
  EXPECT_EQ(refusal("header"), "Corefile:2: header needs a block such as { response set ra }");
  EXPECT_TRUE(
      refusal("header {\nset ad\n}").starts_with("Corefile:3: 'ad' is not one of aa, ra, rd"));
  EXPECT_EQ(refusal("header {\nresponse toggle ra\n}"),
            "Corefile:3: 'toggle' is not one of clear, set: CoreDNS does not know it either");
  EXPECT_EQ(refusal("header {\nresponse set\n}"),
            "Corefile:3: 'response' takes at least 2 arguments, not 1");
}

}  // namespace
}  // namespace fairlead::dns::test
