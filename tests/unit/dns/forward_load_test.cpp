// SPDX-License-Identifier: Apache-2.0
// Many questions beside upstream servers that are down, slow or lie: each is answered once, within
// its time, and nothing is left behind.
#include <dirent.h>
#include <unistd.h>

#include "tests/unit/dns/forward_support.h"

namespace fairlead::dns {
namespace {

using namespace test;

size_t open_files() {
  size_t count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

class PluginForwardLoad : public PluginForward {
 protected:
  static constexpr size_t kQuestions = 2000;
  static constexpr size_t kAtOnce = 60;

  // Asks them all, some over TCP; how many had an answer.
  size_t run() {
    size_t sent = 0;
    while (replies.size() < kQuestions) {
      while (sent < kQuestions && sent - replies.size() < kAtOnce)
        send(make_query(kName, Type::kA), sent++ % 4 == 0 ? Transport::kTcp : Transport::kUdp);
      if (replies.size() % 16 == 0) most_files = std::max(most_files, open_files());
      const size_t before = replies.size();
      if (!loop.run_until([&] { return replies.size() > before; }, seconds(20))) break;
    }
    EXPECT_EQ(replies.size(), kQuestions);
    return static_cast<size_t>(std::ranges::count_if(
        replies, [](const Bytes& reply) { return to_text(reply) == kAnswer; }));
  }

  size_t most_files = 0;
};

TEST_F(PluginForwardLoad, UpstreamsDownSlowLying) {
  const SocketAddress down{ip("127.0.0.1"), fairlead::test::free_port()};
  Upstream slow(
      loop, [](const Bytes&) { return std::nullopt; }, [](const Bytes&) { return std::nullopt; });
  int lies = 0;
  const auto lie = [&](const Bytes& query) {
    Bytes reply = reply_to(query);
    reply[lies++ % 2 == 0 ? 1 : 14] ^= 1;  // another ID, another name
    return std::optional(reply);
  };
  Upstream liar(loop, lie, lie);
  Upstream honest(
      loop, [](const Bytes& query) { return reply_to(query); },
      [](const Bytes& query) { return reply_to(query); });
  options->policy = UpstreamPolicy::kRandom;
  // Long enough for the honest one, which shares this loop with everybody.
  options->limits = {milliseconds(500), milliseconds(500), milliseconds(500)};
  const size_t before = open_files();
  use({down, slow.address, liar.address, honest.address});
  EXPECT_EQ(run(), kQuestions) << "one honest server is enough";
  // Each question has a socket, a test's server the other end of it; idle connections are bounded.
  EXPECT_LE(most_files, before + 2 * (kAtOnce + 4 * IdleLimits::kMost));
  EXPECT_EQ(chain.waiting(), 0u);
  chain.clear();
  for (Upstream* each : {&slow, &liar, &honest}) each->drop_connections();
  loop.run_until([] { return false; }, milliseconds(20));
  EXPECT_LE(open_files(), before + 8) << "pollers of the loop itself";
}

TEST_F(PluginForwardLoad, AllUpstreamsDownSlowLying) {
  const SocketAddress down{ip("127.0.0.1"), fairlead::test::free_port()};
  Upstream slow(loop, [](const Bytes&) { return std::nullopt; });
  options->limits = {milliseconds(20), milliseconds(20), milliseconds(20)};
  options->total = milliseconds(100);
  use({down, slow.address});
  EXPECT_EQ(run(), 0u);
  for (const Bytes& reply : replies) ASSERT_EQ(to_text(reply), "SERVFAIL rd qd=1\n");
  EXPECT_EQ(chain.waiting(), 0u);
}

// A burst of questions for others holds nobody up whom we can answer ourselves.
TEST_F(PluginForwardLoad, WhoCanBeAnsweredAtOnceDoesNotWaitBehindOthers) {
  Upstream upstream(loop, [](const Bytes& query) { return reply_to(query); });
  use({upstream.address});
  ASSERT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  int ours[2];
  ASSERT_EQ(pipe(ours), 0);
  Poll listener(loop, ours[0]);  // as a socket with a question is
  const size_t before = open_files();
  for (int i = 0; i < 200; ++i) send(make_query(kName, Type::kA));
  EXPECT_EQ(open_files(), before) << "nothing goes out while questions are read";
  ASSERT_EQ(write(ours[1], "?", 1), 1);
  std::optional<size_t> gone_out;
  listener.start(UV_READABLE, [&](int) {
    gone_out = open_files() - before;
    listener.stop();
  });
  ASSERT_TRUE(loop.run_until([&] { return gone_out.has_value(); }, seconds(20)));
  EXPECT_LE(*gone_out, 10u);
  ASSERT_TRUE(loop.run_until([&] { return replies.size() == 201; }, seconds(20)));
  for (const Bytes& reply : replies) ASSERT_EQ(to_text(reply), kAnswer);
  for (const int fd : ours) close(fd);
}

}  // namespace
}  // namespace fairlead::dns
