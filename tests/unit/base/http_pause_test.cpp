// SPDX-License-Identifier: Apache-2.0
// A client that pauses makes the server wait: the bytes of a large answer pile up nowhere.
#include <gtest/gtest.h>

#include <limits>

#include "base/http/client.h"
#include "base/http/server.h"
#include "tests/support/pattern.h"

namespace fairlead {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kChunk = 64 * 1024;
constexpr size_t kTotal = 80 << 20;
constexpr size_t kNever = std::numeric_limits<size_t>::max();

class PauseTest : public testing::Test {
 protected:
  PauseTest()
      : server_(loop_, {}, [this](const HttpServerRequest&, std::shared_ptr<HttpResponder> r) {
          responder_ = std::move(r);
          responder_->start(200, {});
          responder_->on_drained([this] { pump(); });
          pump();
        }) {
    address_ = *server_.listen({IpAddress::v4(127, 0, 0, 1), 0});
  }
  void pump() {
    while (sent_ < kTotal) {
      sent_ += kChunk;
      if (!responder_->write(test::pattern(sent_ - kChunk, kChunk))) return;
    }
    responder_->finish();
  }
  HttpCall get(Duration idle = {}) {
    HttpRequest request;
    request.url = "http://" + address_.to_string() + "/";
    request.idle_timeout = idle;
    return client_.send(std::move(request), {{},
                                             [this](std::string_view chunk) { take(chunk); },
                                             [this](Result<HttpResponseHead> result) {
                                               failed_ = !result.ok();
                                               done_ = true;
                                             }});
  }
  void take(std::string_view chunk) {
    if (chunk != test::pattern(received_, chunk.size())) ++wrong_;
    received_ += chunk.size();
    if (received_ < pause_at_) return;
    paused_at_ = received_;
    pause_at_ = kNever;
    call_.pause();
    if (on_pause_) on_pause_();
  }
  // Until nothing has moved for `quiet`.
  void settle(Duration quiet) {
    for (size_t before = sent_ + 1; before != sent_;) {
      before = sent_;
      loop_.run_until([] { return false; }, quiet);
    }
  }

  Loop loop_;
  HttpServer server_;
  HttpClient client_{loop_};
  SocketAddress address_;
  std::shared_ptr<HttpResponder> responder_;
  HttpCall call_;
  size_t sent_ = 0, received_ = 0, wrong_ = 0, pause_at_ = kNever, paused_at_ = 0;
  std::function<void()> on_pause_;
  bool done_ = false, failed_ = false;
};

TEST_F(PauseTest, TheServerWaitsAndNothingIsLost) {
  constexpr Duration kIdle = seconds(3);
  pause_at_ = 1 << 20;
  call_ = get(kIdle);
  ASSERT_TRUE(loop_.run_until([&] { return paused_at_ > 0; }, seconds(30)));
  settle(kIdle + seconds(1));
  EXPECT_EQ(received_, paused_at_) << "no chunk after pause()";
  EXPECT_LT(sent_, kTotal / 2) << "what waits is in two sockets' buffers and the server's own";
  EXPECT_FALSE(done_) << "waiting is not idleness";
  call_.resume();
  EXPECT_EQ(received_, paused_at_) << "not from inside resume()";
  ASSERT_TRUE(loop_.run_until([&] { return done_; }, seconds(60)));
  EXPECT_FALSE(failed_);
  EXPECT_EQ(received_, kTotal);
  EXPECT_EQ(wrong_, 0u);
}

TEST_F(PauseTest, ManyTimes) {
  int pauses = 0;
  Timer later(loop_);
  on_pause_ = [&] {
    pause_at_ = received_ + (256 << 10);
    const bool at_once = ++pauses % 2 == 0;
    if (at_once) return call_.resume();
    later.start_once(milliseconds(1), [this] { call_.resume(); });
  };
  pause_at_ = 1;
  call_ = get();
  ASSERT_TRUE(loop_.run_until([&] { return done_; }, seconds(120)));
  EXPECT_GT(pauses, 100);
  EXPECT_EQ(received_, kTotal);
  EXPECT_EQ(wrong_, 0u);
}

TEST_F(PauseTest, CancelledWhilePaused) {
  pause_at_ = 1;
  call_ = get();
  ASSERT_TRUE(loop_.run_until([&] { return paused_at_ > 0; }, seconds(30)));
  call_.resume();
  call_.cancel();
  ASSERT_TRUE(loop_.run_until([&] { return responder_->closed(); }, seconds(30)));
  EXPECT_FALSE(done_);
  EXPECT_EQ(received_, paused_at_);
  call_.resume();  // of nothing
}

}  // namespace
}  // namespace fairlead
