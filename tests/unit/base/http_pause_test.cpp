// SPDX-License-Identifier: Apache-2.0
// A client that pauses makes the server wait: the bytes of a large answer pile up nowhere.
#include <gtest/gtest.h>

#include "base/http/client.h"
#include "base/http/server.h"

namespace fairlead {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kChunk = 64 * 1024;
constexpr size_t kTotal = 80 << 20;

char byte_at(size_t position) {
  return static_cast<char>('a' + position / 4096 % 26);
}

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
      std::string chunk(kChunk, '\0');
      for (char& c : chunk) c = byte_at(sent_++);
      if (!responder_->write(chunk)) return;
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
    for (const char c : chunk) wrong_ += c != byte_at(received_++) ? 1 : 0;
    if (pause_at_ != 0 && received_ >= pause_at_) {
      pause_at_ = 0;
      call_.pause();
      paused_at_ = received_;
    }
  }
  // Until nothing moves any more.
  void settle() {
    for (size_t before = sent_ + 1; before != sent_;) {
      before = sent_;
      loop_.run_until([] { return false; }, milliseconds(200));
    }
  }

  Loop loop_;
  HttpServer server_;
  HttpClient client_{loop_};
  SocketAddress address_;
  std::shared_ptr<HttpResponder> responder_;
  HttpCall call_;
  size_t sent_ = 0, received_ = 0, wrong_ = 0, pause_at_ = 0, paused_at_ = 0;
  bool done_ = false, failed_ = false;
};

TEST_F(PauseTest, TheServerWaitsAndNothingIsLost) {
  pause_at_ = 1 << 20;
  call_ = get(milliseconds(100));
  ASSERT_TRUE(loop_.run_until([&] { return paused_at_ > 0; }, seconds(30)));
  settle();
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
  call_ = get();
  Timer timer(loop_);
  bool paused = false;
  timer.start_every(milliseconds(1), [&] {
    paused = !paused;
    if (paused)
      call_.pause();
    else
      call_.resume();
  });
  ASSERT_TRUE(loop_.run_until([&] { return done_; }, seconds(60)));
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
