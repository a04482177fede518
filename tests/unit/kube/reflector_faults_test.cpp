// SPDX-License-Identifier: Apache-2.0
// The reflector with a server that is not well: refusals, silence, nonsense.
#include "tests/unit/kube/reflector_fixture.h"

namespace fairlead::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(ReflectorTest, AWatchThatEndsAtOnceIsAFailure) {
  listed_and_watching()->done();
  EXPECT_EQ(state().failures, 1u);
  expect_retry(milliseconds(800), milliseconds(1600));
  EXPECT_EQ(last()->query("resourceVersion"), "10");
}

TEST_F(ReflectorTest, AShortWatchWithEventsIsResumedWithoutHurry) {
  const auto watch = listed_and_watching();
  watch->body(event("ADDED", object("b", 11)));
  watch->done();
  EXPECT_EQ(state().failures, 0u);
  expect_retry(milliseconds(800), milliseconds(801));
  EXPECT_EQ(last()->query("resourceVersion"), "11");
}

TEST_F(ReflectorTest, TroubleResumesTheWatchAndListsNothing) {
  listed_and_watching()->fail(Error(ErrorCode::kUnavailable, "connection reset"));
  EXPECT_FALSE(state().watching);
  for (const int code : {500, 502, 429, 504}) {
    clock_.advance(seconds(31));
    EXPECT_EQ(last()->query("resourceVersion"), "10");
    EXPECT_EQ(last()->query("watch"), "true");
    last()->respond(code, "");
  }
  EXPECT_THAT(stored(), ElementsAre("a=1"));
}

TEST_F(ReflectorTest, GoneAsAStatusListsTheNewest) {
  listed_and_watching()->done();
  clock_.advance(seconds(2));
  last()->respond(410, status(410, "Expired"));
  clock_.advance(Duration{});
  EXPECT_FALSE(last()->has_query("watch"));
  EXPECT_FALSE(last()->has_query("resourceVersion"));
  last()->respond(200, list("50", {object("b", 40)}));
  EXPECT_THAT(stored(), ElementsAre("b=40"));
  EXPECT_EQ(last()->query("resourceVersion"), "50");
}

TEST_F(ReflectorTest, GoneInTheStreamListsTheNewestButNotInALoop) {
  listed_and_watching()->body(event("ERROR", status(410, "Expired")));
  for (int round = 0; round < 3; ++round) {
    const size_t before = transport_.count();
    clock_.advance(Duration{});
    if (round == 0) {
      EXPECT_EQ(transport_.count(), before + 1) << "the first time at once";
    } else {
      EXPECT_EQ(transport_.count(), before) << "after that with patience";
      clock_.advance(seconds(31));
    }
    last()->respond(200, list("50", {object("b", 40)}));
    last()->head(200);
    last()->body(event("ERROR", status(410, "Expired")));
  }
}

TEST_F(ReflectorTest, AVersionFromTheFutureIsForgotten) {
  listed_and_watching()->done();
  clock_.advance(seconds(2));
  last()->respond(504,
                  status(504, "Timeout", R"({"causes":[{"reason":"ResourceVersionTooLarge"}]})"));
  clock_.advance(Duration{});
  EXPECT_FALSE(last()->has_query("watch"));
  EXPECT_FALSE(last()->has_query("resourceVersion"));
}

TEST_F(ReflectorTest, RetryAfterIsHeeded) {
  make_without_watch_list();
  reflector_->start();
  last()->respond(429, status(429, "TooManyRequests"), {{"Retry-After", "17"}});
  expect_retry(seconds(17), seconds(17));
  last()->respond(429, status(429, "TooManyRequests", R"({"retryAfterSeconds":40})"));
  expect_retry(seconds(40), seconds(40));
  last()->respond(503, "", {{"Retry-After", "86400"}});
  expect_retry(minutes(5), minutes(5));
}

TEST_F(ReflectorTest, RetryAfterInsideTheStreamKeepsTheVersion) {
  listed_and_watching()->body(
      event("ERROR", status(429, "TooManyRequests", R"({"retryAfterSeconds":9})")));
  expect_retry(seconds(9), seconds(9));
  EXPECT_EQ(last()->query("resourceVersion"), "10");
}

TEST_F(ReflectorTest, BackoffDoublesToItsLimitAndStartsOverAfterASteadyWatch) {
  make_without_watch_list();
  reflector_->start();
  Duration base = Reflector::kMinBackoff;
  for (int i = 0; i < 8; ++i) {
    last()->fail(Error(ErrorCode::kUnavailable, "connection refused"));
    const Duration delay = clock_.until_next();
    EXPECT_GE(delay, base);
    EXPECT_LE(delay, 2 * base);
    clock_.advance(delay);
    base = std::min(2 * base, Reflector::kMaxBackoff);
  }
  last()->respond(200, list("10", {object("a", 1)}));
  last()->head(200);
  clock_.advance(seconds(9));
  last()->fail(Error(ErrorCode::kUnavailable, "reset"));
  EXPECT_GE(clock_.until_next(), Reflector::kMaxBackoff) << "nine seconds prove nothing";
  clock_.advance(seconds(31));
  last()->head(200);
  clock_.advance(seconds(10));
  last()->fail(Error(ErrorCode::kUnavailable, "reset"));
  expect_retry(milliseconds(800), milliseconds(1600));
  EXPECT_EQ(state().failures, 10u);
}

TEST_F(ReflectorTest, JitterDiffersBetweenNodes) {
  std::set<Duration> delays;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    ReflectorOptions options;
    options.seed = seed * 1000003;
    make(options);
    reflector_->start();
    last()->fail(Error(ErrorCode::kUnavailable, "connection refused"));
    delays.insert(clock_.until_next());
    reflector_->stop();
  }
  EXPECT_GT(delays.size(), 15u);
}

struct HungCase {
  const char* what;
  bool head;
  bool bookmark;
  Duration alive;
  Duration hung;
};

TEST_F(ReflectorTest, HungWatchesAreGivenUp) {
  const auto watch = listed_and_watching();
  const seconds length(std::stoi(watch->query("timeoutSeconds")));
  const HungCase kCases[] = {
      {"no answer at all", false, false, seconds(29), seconds(30)},
      {"bookmarks that stop", true, true, seconds(149), seconds(150)},
      {"no bookmark of a server that sends them", true, false, seconds(149), seconds(150)},
  };
  clock_.advance(length + seconds(29));
  EXPECT_TRUE(watch->open());
  clock_.advance(seconds(1));
  EXPECT_FALSE(watch->open());
  EXPECT_EQ(state().last_error->code(), ErrorCode::kTimeout);
  for (const HungCase& c : kCases) {
    clock_.advance(clock_.until_next());
    const auto next = last();
    ASSERT_TRUE(next->open());
    EXPECT_EQ(next->query("watch"), "true");
    if (c.head) next->head(200);
    if (c.bookmark) next->body(bookmark("10"));
    clock_.advance(c.alive);
    EXPECT_TRUE(next->open()) << c.what;
    clock_.advance(c.hung - c.alive);
    EXPECT_FALSE(next->open()) << c.what;
    EXPECT_EQ(state().last_error->code(), ErrorCode::kTimeout) << c.what;
  }
}

TEST_F(ReflectorTest, AnyByteKeepsAWatchAlive) {
  const auto watch = listed_and_watching();
  watch->body(bookmark("11"));
  for (int i = 0; i < 3; ++i) {
    clock_.advance(seconds(95));
    watch->body("\n");
  }
  EXPECT_TRUE(watch->open());
  EXPECT_EQ(reflector_->lag(), Duration{});
}

TEST_F(ReflectorTest, AWallClockThatJumpsIsNotNoticed) {
  const auto watch = listed_and_watching();
  watch->body(bookmark("11"));
  const size_t asked = transport_.count();
  for (const auto jump : {std::chrono::hours(24 * 3650), -std::chrono::hours(2 * 24 * 3650)}) {
    clock_.set_wall(clock_.wall_now() + jump);
    clock_.advance(seconds(1));
    EXPECT_TRUE(watch->open());
    EXPECT_EQ(transport_.count(), asked);
    EXPECT_EQ(reflector_->lag(), Duration{});
  }
  watch->fail(Error(ErrorCode::kUnavailable, "connection reset"));
  clock_.set_wall(clock_.wall_now() + std::chrono::hours(1));
  expect_retry(std::chrono::milliseconds(800), std::chrono::milliseconds(1600));
}

TEST_F(ReflectorTest, AServerThatIsAwayForMinutesIsAskedAgainUntilItIsBack) {
  listed_and_watching()->fail(Error(ErrorCode::kUnavailable, "connection reset"));
  const MonoTime until = clock_.now() + std::chrono::minutes(20);
  int attempts = 0;
  while (clock_.now() < until) {
    clock_.advance(clock_.until_next());
    if (!last()->open()) continue;
    ++attempts;
    last()->fail(Error(ErrorCode::kUnavailable, "connection refused"));
  }
  EXPECT_GT(attempts, 20 * 60 / 30) << "every 15 to 30 s";
  EXPECT_LT(attempts, 20 * 60 / 15 + 10);
  EXPECT_EQ(stored(), std::vector<std::string>{"a=1"}) << "what is known stays";
  clock_.advance(clock_.until_next());
  EXPECT_EQ(last()->query("resourceVersion"), "10");
  last()->head(200);
  EXPECT_TRUE(state().watching);
}

TEST_F(ReflectorTest, HungListsAreGivenUp) {
  make_without_watch_list();
  reflector_->start();
  const auto page = last();
  page->head(200);
  for (int i = 0; i < 4; ++i) {
    page->body(" ");
    clock_.advance(seconds(29));
  }
  EXPECT_TRUE(page->open());
  clock_.advance(seconds(1));
  EXPECT_FALSE(page->open());
  clock_.advance(seconds(2));
  const auto drip = last();
  drip->head(200);
  for (int i = 0; i < 40 && drip->open(); ++i) {
    drip->body(" ");
    clock_.advance(seconds(10));
  }
  EXPECT_FALSE(drip->open()) << "one page may take five minutes";
}

const char* const kBrokenLines[] = {
    "not json\n",
    "{\"type\":\"ADDED\"}\n",
    "{\"type\":\"MOVED\",\"object\":{}}\n",
    "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":tru}}}\n",
    "{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}\n",
    "{\"type\":\"DELETED\",\"object\":{\"metadata\":{}}}\n",
    "{\"type\":\"DELETED\",\"object\":{\"metadata\":7}}\n",
    "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{}}}\n",
    "{\"type\":\"ERROR\",\"object\":{}}\n",
    "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":500,\"message\":\"x\"}}\n",
};

TEST_F(ReflectorTest, ABrokenStreamIsListedAgain) {
  const auto first = listed_and_watching();
  auto watch = first;
  for (const char* line : kBrokenLines) {
    watch->body(event("MODIFIED", object("a", 20)) + line + event("ADDED", object("b", 21)));
    EXPECT_FALSE(watch->open()) << line;
    EXPECT_THAT(stored(), ElementsAre("a=20")) << "what follows is not believed: " << line;
    clock_.advance(clock_.until_next());
    EXPECT_FALSE(last()->has_query("watch")) << line;
    EXPECT_EQ(last()->query("resourceVersion"), "20") << line;
    last()->respond(200, list("20", {object("a", 20)}));
    watch = last();
    watch->head(200);
  }
}

TEST_F(ReflectorTest, ALineThatNeverEndsIsBounded) {
  ReflectorOptions options;
  options.watch_list = false;
  options.max_object_bytes = 1000;
  make(options);
  reflector_->start();
  last()->respond(200, list("10", {}));
  last()->head(200);
  const auto watch = last();
  for (int i = 0; i < 11; ++i) watch->body(std::string(100, 'x'));
  EXPECT_FALSE(watch->open());
  EXPECT_EQ(state().last_error->code(), ErrorCode::kResourceExhausted);
}

TEST_F(ReflectorTest, AnObjectOfTheWrongShapeIsLeftOutAndItsLastGoodVersionStays) {
  const auto watch = listed_and_watching();
  watch->body(event("MODIFIED", R"({"metadata":{"name":"a","resourceVersion":"11","labels":3}})"));
  EXPECT_THAT(stored(), ElementsAre("a=1"));
  EXPECT_EQ(state().decode_failures, 1u);
  EXPECT_EQ(state().resource_version, "11");
  EXPECT_TRUE(watch->open());

  watch->body(event("ERROR", status(410, "Expired")));
  clock_.advance(Duration{});
  last()->respond(200, list("30", {R"({"metadata":{"name":"a","labels":3}})", object("b", 30)}));
  EXPECT_THAT(stored(), ElementsAre("a=1", "b=30"));
  EXPECT_EQ(state().decode_failures, 2u);
}

TEST_F(ReflectorTest, AListThatBreaksOffRemovesNothing) {
  const auto watch = listed_and_watching();
  watch->body(event("ERROR", status(410, "Expired")));
  clock_.advance(Duration{});
  last()->head(200);
  last()->body(R"({"metadata":{"resourceVersion":"30"},"items":[)" + object("b", 30));
  last()->done();
  EXPECT_THAT(stored(), ElementsAre("a=1", "b=30"));
  EXPECT_EQ(state().failures, 1u);
  for (const char* text : {"", "<html>", "{}", R"({"metadata":{},"items":[]})",
                           R"({"metadata":{"resourceVersion":"31"},"items":[{}]})"}) {
    clock_.advance(seconds(31));
    last()->respond(200, text);
  }
  EXPECT_EQ(state().failures, 6u);
  clock_.advance(seconds(31));
  last()->respond(200, list("31", {object("b", 30)}));
  EXPECT_THAT(stored(), ElementsAre("b=30"));
}

// The first list keeps no keys, unless something is there before it.
TEST_F(ReflectorTest, WhatAFirstListDoesNotHaveGoesIfItWasThereBefore) {
  make_without_watch_list();
  reflector_->start();
  last()->head(200);
  last()->body(R"({"metadata":{"resourceVersion":"30"},"items":[)" + object("a", 30));
  last()->done();
  EXPECT_THAT(stored(), ElementsAre("a=30"));
  clock_.advance(seconds(31));
  last()->respond(200, list("31", {object("b", 31)}));
  EXPECT_THAT(stored(), ElementsAre("b=31"));

  make_without_watch_list();  // into a store that has something
  reflector_->start();
  last()->respond(200, list("32", {object("c", 32)}));
  EXPECT_THAT(stored(), ElementsAre("c=32"));
}

TEST_F(ReflectorTest, UnauthorizedReadsTheTokenAgain) {
  listed_and_watching()->done();
  clock_.advance(seconds(2));
  EXPECT_EQ(token_reads_, 1);
  token_ = "fresh";
  EXPECT_EQ(last()->header("Authorization"), "Bearer secret");
  last()->respond(401, status(401, "Unauthorized"));
  expect_retry(seconds(1), seconds(4));
  EXPECT_EQ(last()->header("Authorization"), "Bearer fresh");
  EXPECT_EQ(last()->query("resourceVersion"), "10") << "nothing was forgotten";
}

TEST_F(ReflectorTest, TokenIsReadAgainEveryMinuteWithoutARefusal) {
  const auto watch = listed_and_watching();
  token_ = "rotated";
  clock_.advance(seconds(61));
  watch->done();
  EXPECT_EQ(last()->header("Authorization"), "Bearer rotated");
}

TEST_F(ReflectorTest, StopsAndStartsWhereItWas) {
  const auto watch = listed_and_watching();
  reflector_->stop();
  EXPECT_FALSE(watch->open());
  EXPECT_EQ(clock_.pending(), 0u);
  clock_.advance(minutes(1));
  reflector_->start();
  EXPECT_EQ(last()->query("watch"), "true");
  EXPECT_EQ(last()->query("resourceVersion"), "10");
  reflector_->start();
  EXPECT_EQ(transport_.open_count(), 1u);
  reflector_->stop();
}

TEST_F(ReflectorTest, LagGrowsWhileThereIsNoWatch) {
  reflector_->start();
  clock_.advance(seconds(3));
  EXPECT_EQ(reflector_->lag(), seconds(3));
  last()->fail(Error(ErrorCode::kUnavailable, "connection refused"));
  const auto down_for = reflector_->lag();
  EXPECT_EQ(down_for, seconds(3));
}

TEST_F(ReflectorTest, MayBeDestroyedInAnyPhase) {
  listed_and_watching();
  reflector_.reset();
  EXPECT_EQ(transport_.open_count(), 0u);
  EXPECT_EQ(clock_.pending(), 0u);
}

}  // namespace
}  // namespace fairlead::kube
