// SPDX-License-Identifier: Apache-2.0
#include "dns/host.h"
#include "dns/registry.h"
#include "tests/unit/dns/forward_support.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

// The server is a socket that hands its questions to the chain, `times` times: so often an upstream
// server brings one back.
class PluginLoop : public PluginTest {
 protected:
  void start(const std::string& zone, int times) {
    use("loop", replies_with("NXDOMAIN"), zone + ":" + std::to_string(server.address.port));
    times_ = times;
    host.listening = [this] { return std::vector<SocketAddress>{server.address}; };
    host.on_fail = [this](Error error) { failure = error.message(); };
    auto started = registered("loop")->start(host, *config.plan->blocks.at(0).plugins.at("loop"));
    ASSERT_TRUE(started.ok());
    service = *std::move(started);
  }
  std::optional<Bytes> serve(const Bytes& query) {
    probes.push_back(query);
    for (int i = 0; i < times_; ++i) send(query);
    return replies.empty() ? std::optional<Bytes>() : replies.back();
  }

  Host host{loop, ""};
  Upstream server{loop, [this](const Bytes& query) { return serve(query); }};
  std::vector<Bytes> probes;
  std::string failure;
  std::unique_ptr<Service> service;

 private:
  int times_ = 1;
};

TEST_F(PluginLoop, NoLoop) {
  start("a.test", 1);
  ASSERT_TRUE(loop.run_until([&] { return !replies.empty(); }, seconds(20)));
  loop.run_until([] { return false; }, milliseconds(300));
  EXPECT_EQ(failure, "");
  EXPECT_EQ(asked, 1);  // it goes the way of every question
  ASSERT_EQ(probes.size(), 1U);
  Query query;
  ASSERT_EQ(parse_query(probes[0], query).verdict, Verdict::kAnswer);
  EXPECT_EQ(query.type, Type{13});
  EXPECT_TRUE(query.name.ends_with(dns_name("a.test")));
  EXPECT_EQ(query.name.label(0).size(), 32U);
}

TEST_F(PluginLoop, SeenTwiceIsNoLoop) {
  start(".", 2);
  ASSERT_TRUE(loop.run_until([&] { return !replies.empty(); }, seconds(20)));
  loop.run_until([] { return false; }, milliseconds(300));
  EXPECT_EQ(failure, "");
}

TEST_F(PluginLoop, Loop) {
  start(".", 5);
  ASSERT_TRUE(loop.run_until([&] { return !failure.empty(); }, seconds(20)));
  EXPECT_TRUE(failure.starts_with("loop: questions for zone . come back: 127.0.0.1:")) << failure;
  EXPECT_NE(failure.find("more than 2 times"), std::string::npos) << failure;
  EXPECT_EQ(asked, 2);  // then it is stopped here
  // From now on it does nothing.
  asked = 0;
  send(probes.at(0));
  EXPECT_EQ(asked, 1);
}

TEST_F(PluginLoop, OtherQuestionsPass) {
  use("loop", replies_with("NOERROR"));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask("a.test", "TYPE13"), "NOERROR qd=1\n");
  EXPECT_EQ(ask("a.test"), "NOERROR qd=1\n");
  EXPECT_EQ(asked, 6);
}

TEST_F(PluginLoop, Refusals) {
  EXPECT_EQ(refusal("loop a.test"), "Corefile:2: 'loop' takes 0 arguments, not 1");
  EXPECT_EQ(refusal("loop\nloop"), "Corefile:3: plugin 'loop' can be given once in a server block");
  const std::string label(60, 'a');
  EXPECT_TRUE(refusal("loop", label + "." + label + "." + label + "." + label)
                  .starts_with("Corefile:2: loop: no name fits below"));
}

}  // namespace
}  // namespace fairlead::dns::test
