// SPDX-License-Identifier: Apache-2.0
// Log files of any size over HTTP on loopback, read, followed and rotated.
#include "orchestrator/node/log_reader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/http/client.h"
#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

class Logs : public testing::Test {
 protected:
  Logs()
      : server_(loop_, {}, [this](const HttpServerRequest&, std::shared_ptr<HttpResponder> r) {
          ended_ = false;
          reader_ = std::make_unique<LogReader>(
              loop_, LogSource{path(), [this] { return running_; }}, query_, std::move(r), [this] {
                ended_ = true;
                reader_.reset();
              });
          reader_->start();
        }) {
    std::string name = (fs::temp_directory_path() / "fairlead-log-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    address_ = *server_.listen({IpAddress::v4(127, 0, 0, 1), 0});
  }
  ~Logs() override {
    call_.cancel();
    reader_.reset();
    fs::remove_all(folder_);
  }

  std::string path() const { return folder_ + "/0.log"; }
  void append(const std::string& text) {
    std::ofstream(path(), std::ios::app)
        << "2026-01-01T00:00:01.000000000Z stdout F " << text << "\n";
  }
  // As the node's rotation and the runtime do it: the writer goes on in the old file for a while.
  void rotate(const std::string& when, const std::string& last_words) {
    std::ofstream old(path(), std::ios::app);
    fs::rename(path(), path() + "." + when);
    old << "2026-01-01T00:00:01.000000000Z stdout F " << last_words << "\n" << std::flush;
    std::ofstream fresh(path());
  }
  void open(bool keep_body = true) {
    status_ = 0;
    done_ = failed_ = false;
    body_.clear();
    HttpRequest request;
    request.url = "http://" + address_.to_string() + "/";
    call_ = client_.send(std::move(request),
                         {[this](const HttpResponseHead& head) { status_ = head.status; },
                          [this, keep_body](std::string_view chunk) {
                            received_ += chunk.size();
                            if (keep_body) body_ += chunk;
                            if (pause_) call_.pause();
                          },
                          [this](const Result<HttpResponseHead>& result) {
                            failed_ = !result.ok();
                            done_ = true;
                          }});
  }
  std::string read(const LogQuery& query) {
    query_ = query;
    open();
    EXPECT_TRUE(wait([&] { return done_; }));
    EXPECT_TRUE(wait([&] { return ended_; })) << "the reader goes with its request";
    return body_;
  }
  bool wait(const std::function<bool()>& done) { return loop_.run_until(done, seconds(60)); }
  bool shows(const std::string& text) {
    return wait([&] { return body_ == text; });
  }

  Loop loop_;
  HttpServer server_;
  HttpClient client_{loop_};
  SocketAddress address_;
  std::string folder_;
  LogQuery query_;
  std::unique_ptr<LogReader> reader_;
  HttpCall call_;
  std::string body_;
  size_t received_ = 0;
  int status_ = 0;
  bool running_ = true, ended_ = false, done_ = false, failed_ = false, pause_ = false;
};

TEST_F(Logs, WholeTailAndLimits) {
  for (const char* text : {"one", "two", "three"}) append(text);
  EXPECT_EQ(read({}), "one\ntwo\nthree\n");
  LogQuery tail;
  tail.tail_lines = 2;
  EXPECT_EQ(read(tail), "two\nthree\n");
  tail.limit_bytes = 5;
  EXPECT_EQ(read(tail), "two\nt");
  LogQuery none;
  none.tail_lines = 0;
  EXPECT_EQ(read(none), "");
  LogQuery since;
  since.since = *parse_time("2026-01-01T00:00:02Z");
  EXPECT_EQ(read(since), "");
  EXPECT_EQ(status_, 200);
}

// 80 MiB: as long as the client waits, so does the reader.
TEST_F(Logs, OfAnySizeAtTheClientsPace) {
  const std::string entry =
      "2026-01-01T00:00:01.000000000Z stdout F " + std::string(1000, 'x') + "\n";
  constexpr size_t kEntries = 80 * 1024;
  {
    std::ofstream file(path());
    for (size_t i = 0; i < kEntries; ++i) file << entry;
  }
  const size_t total = kEntries * 1001;
  pause_ = true;
  open(/*keep_body=*/false);
  ASSERT_TRUE(wait([&] { return received_ > 0; }));
  loop_.run_until([] { return false; }, milliseconds(500));
  EXPECT_FALSE(ended_) << "most of the file is still in the file";
  EXPECT_FALSE(done_);
  pause_ = false;
  call_.resume();
  ASSERT_TRUE(wait([&] { return done_; }));
  EXPECT_FALSE(failed_);
  EXPECT_EQ(received_, total);
  LogQuery tail;
  tail.tail_lines = 3;
  EXPECT_EQ(read(tail).size(), 3 * 1001u);
}

TEST_F(Logs, FollowsUntilTheContainerEnds) {
  append("one");
  query_.follow = true;
  open();
  ASSERT_TRUE(shows("one\n"));
  append("two");
  EXPECT_TRUE(shows("one\ntwo\n"));
  EXPECT_FALSE(done_);
  append("three");
  running_ = false;
  ASSERT_TRUE(wait([&] { return done_; }));
  EXPECT_EQ(body_, "one\ntwo\nthree\n");
  EXPECT_FALSE(failed_);
}

TEST_F(Logs, FollowsAcrossRotations) {
  append("one");
  query_.follow = true;
  open();
  ASSERT_TRUE(shows("one\n"));
  rotate("2026-01-01T00:00:01Z", "late");
  append("two");
  EXPECT_TRUE(shows("one\nlate\ntwo\n"));
  // Two at once, before the reader has looked: none is left out.
  append("three");
  rotate("2026-01-01T00:00:02Z", "later");
  append("four");
  rotate("2026-01-01T00:00:03Z", "latest");
  append("five");
  EXPECT_TRUE(shows("one\nlate\ntwo\nthree\nlater\nfour\nlatest\nfive\n")) << body_;
  running_ = false;
  EXPECT_TRUE(wait([&] { return done_; }));
}

TEST_F(Logs, AFollowerThatIsSlowIsWaitedFor) {
  append("one");
  query_.follow = true;
  pause_ = true;
  open(/*keep_body=*/false);
  ASSERT_TRUE(wait([&] { return received_ > 0; }));
  const std::string line(10000, 'y');
  for (int i = 0; i < 4000; ++i) {  // 40 MB, each told of by inotify
    append(line);
    if (i % 100 == 0) loop_.run_until([] { return false; }, milliseconds(1));
  }
  running_ = false;
  loop_.run_until([] { return false; }, milliseconds(1500));
  EXPECT_FALSE(ended_) << "the rest is in the file, not in memory";
  pause_ = false;
  call_.resume();
  ASSERT_TRUE(wait([&] { return done_; }));
  EXPECT_EQ(received_, 4 + 4000 * 10001u);
}

// As rotation keeps five: the oldest goes.
TEST_F(Logs, AFollowerThatRotationOvertookIsToldSo) {
  append("one");
  query_.follow = true;
  open();
  ASSERT_TRUE(shows("one\n"));
  rotate("2026-01-01T00:00:01Z", "late");
  append("two");
  ASSERT_TRUE(shows("one\nlate\ntwo\n"));
  // Its own file and the next two are gone before it looks again.
  for (const char* when : {"02", "03", "04"}) {
    rotate(std::string("2026-01-01T00:00:") + when + "Z", "lost");
    append("three");
  }
  for (const char* when : {"01", "02", "03"})
    fs::remove(path() + ".2026-01-01T00:00:" + when + "Z");
  ASSERT_TRUE(wait([&] { return done_; }));
  EXPECT_TRUE(failed_) << "a gap is not a log: " << body_;
  EXPECT_EQ(body_, "one\nlate\ntwo\nlost\n");
}

// A successor that was there when the file was renamed is read, whatever happens to its name.
TEST_F(Logs, AFollowerKeepsTheNextFile) {
  append("one");
  query_.follow = true;
  pause_ = true;
  open();
  ASSERT_TRUE(wait([&] { return received_ > 0; }));
  rotate("2026-01-01T00:00:01Z", "late");
  append("two");
  loop_.run_until([] { return false; }, milliseconds(200));
  rotate("2026-01-01T00:00:02Z", "later");
  append("three");
  fs::remove(path() + ".2026-01-01T00:00:01Z");
  pause_ = false;
  call_.resume();
  EXPECT_TRUE(shows("one\nlate\ntwo\nlater\nthree\n")) << body_;
  EXPECT_FALSE(failed_);
}

// Between the rename and the runtime's new file.
TEST_F(Logs, IsFoundWhileItIsRotated) {
  append("one");
  fs::rename(path(), path() + ".2026-01-01T00:00:01Z");
  EXPECT_EQ(read({}), "one\n");
  query_.follow = true;
  open();
  ASSERT_TRUE(shows("one\n"));
  append("two");
  EXPECT_TRUE(shows("one\ntwo\n"));
}

TEST_F(Logs, WhatCannotBeReadIsAStatus) {
  read({});
  EXPECT_EQ(status_, 404);
  EXPECT_NE(body_.find("\"kind\":\"Status\""), std::string::npos) << body_;
  EXPECT_NE(body_.find("the log cannot be read"), std::string::npos) << body_;
  fs::create_directory(path());
  read({});
  EXPECT_EQ(status_, 500);
  EXPECT_NE(body_.find("Is a directory"), std::string::npos) << body_;
}

TEST_F(Logs, AClientThatGoesIsForgotten) {
  append("one");
  query_.follow = true;
  open();
  ASSERT_TRUE(shows("one\n"));
  call_.cancel();
  EXPECT_TRUE(wait([&] { return ended_; }));
}

}  // namespace
}  // namespace fairlead::orchestrator
