// SPDX-License-Identifier: Apache-2.0
// The reflector against an API server played by the test, one exchange after the other, on a clock
// the test turns.
#include "kube/reflector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "fake_transport.h"

namespace fairlead::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A namespace "name" whose label v says which version of it this is.
std::string object(const std::string& name, int version) {
  const std::string v = std::to_string(version);
  return R"({"metadata":{"name":")" + name + R"(","resourceVersion":")" + v +
         R"(","labels":{"v":")" + v + R"("}}})";
}
std::string list(const std::string& version, const std::vector<std::string>& items,
                 const std::string& token = "") {
  std::string text = R"({"kind":"NamespaceList","metadata":{"resourceVersion":")" + version +
                     R"(","continue":")" + token + R"("},"items":[)";
  for (size_t i = 0; i < items.size(); ++i) text += (i > 0 ? "," : "") + items[i];
  return text + "]}";
}
std::string event(const std::string& type, const std::string& text) {
  return R"({"type":")" + type + R"(","object":)" + text + "}\n";
}
std::string bookmark(const std::string& version, bool initial_end = false) {
  const std::string annotations =
      initial_end ? R"(,"annotations":{"k8s.io/initial-events-end":"true"})" : "";
  return event("BOOKMARK", R"({"kind":"Namespace","metadata":{"resourceVersion":")" + version +
                               "\"" + annotations + "}}");
}
std::string status(int code, const std::string& reason, const std::string& details = "{}") {
  return R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":")" + reason +
         R"( it is","reason":")" + reason + R"(","details":)" + details + R"(,"code":)" +
         std::to_string(code) + "}";
}

class ReflectorTest : public testing::Test {
 protected:
  ReflectorTest() {
    ClientConfig config;
    config.server = "https://api:6443";
    config.token.file = "/token";
    credentials_ = std::make_unique<Credentials>(
        *Credentials::load(clock_, config, [this](const std::string&) -> Result<std::string> {
          ++token_reads_;
          return token_;
        }));
    api_ = std::make_unique<ApiClient>(transport_, *credentials_, "test/1");
    make({});
  }
  void make(ReflectorOptions options) {
    if (options.seed == 0) options.seed = 7;
    reflector_ = std::make_unique<TypedReflector<Namespace>>(clock_, *api_, store_, options);
  }
  void make_without_watch_list() {
    ReflectorOptions options;
    options.watch_list = false;
    make(options);
  }
  std::shared_ptr<Exchange> last() { return transport_.last(); }
  const ReflectorStatus& state() { return reflector_->status(); }

  // {"a=1", "b=7"}
  std::vector<std::string> stored() const {
    std::vector<std::string> result;
    for (const auto& [key, value] : store_.all())
      result.push_back(key.to_string() + "=" + value->meta.labels.at("v"));
    return result;
  }
  // Lists a=1 at version 10 and leaves the watch open.
  std::shared_ptr<Exchange> listed_and_watching() {
    make_without_watch_list();
    reflector_->start();
    last()->respond(200, list("10", {object("a", 1)}));
    const auto watch = last();
    EXPECT_EQ(watch->query("watch"), "true");
    watch->head(200);
    EXPECT_TRUE(state().watching);
    return watch;
  }
  // Nothing must be asked before `at_least`, something before `at_most`.
  void expect_retry(Duration at_least, Duration at_most) {
    const size_t before = transport_.count();
    EXPECT_EQ(transport_.open_count(), 0u);
    clock_.advance(at_least - milliseconds(1));
    EXPECT_EQ(transport_.count(), before) << "too early";
    clock_.advance(at_most - at_least + milliseconds(1));
    EXPECT_EQ(transport_.count(), before + 1) << "too late, or twice";
  }

  ManualClock clock_;
  FakeTransport transport_;
  std::string token_ = "secret\n";
  int token_reads_ = 0;
  Store<Namespace> store_;
  std::unique_ptr<Credentials> credentials_;
  std::unique_ptr<ApiClient> api_;
  std::unique_ptr<TypedReflector<Namespace>> reflector_;
};

TEST_F(ReflectorTest, IsInertUntilStarted) {
  clock_.advance(minutes(1));
  EXPECT_EQ(transport_.count(), 0u);
  EXPECT_EQ(clock_.pending(), 0u);
}

TEST_F(ReflectorTest, WatchListBringsObjectsThenChangesOnOneStream) {
  ReflectorOptions options;
  options.label_selector = "!skip,tier=a";
  options.field_selector = "metadata.name!=x";
  make(options);
  reflector_->start();
  const auto stream = last();
  EXPECT_EQ(stream->request().method, "GET");
  EXPECT_EQ(stream->path(), "/api/v1/namespaces");
  EXPECT_EQ(stream->query("watch"), "true");
  EXPECT_EQ(stream->query("sendInitialEvents"), "true");
  EXPECT_EQ(stream->query("resourceVersionMatch"), "NotOlderThan");
  EXPECT_EQ(stream->query("allowWatchBookmarks"), "true");
  EXPECT_FALSE(stream->has_query("resourceVersion"));
  EXPECT_EQ(stream->query("labelSelector"), "!skip,tier=a");
  EXPECT_EQ(stream->query("fieldSelector"), "metadata.name!=x");
  EXPECT_EQ(stream->header("Authorization"), "Bearer secret");
  EXPECT_EQ(stream->header("Accept"), "application/json");
  EXPECT_EQ(stream->header("User-Agent"), "test/1");
  const int timeout = std::stoi(stream->query("timeoutSeconds"));
  EXPECT_GE(timeout, 300);
  EXPECT_LT(timeout, 600);

  stream->head(200);
  stream->body(event("ADDED", object("a", 1)) + event("ADDED", object("b", 2)));
  EXPECT_THAT(stored(), ElementsAre("a=1", "b=2"));
  EXPECT_FALSE(store_.synced());
  EXPECT_FALSE(state().watching);
  stream->body(bookmark("10", true));
  EXPECT_TRUE(store_.synced());
  EXPECT_TRUE(state().synced);
  EXPECT_TRUE(state().watching);
  EXPECT_EQ(state().resource_version, "10");
  EXPECT_EQ(state().lists, 1u);

  stream->body(event("MODIFIED", object("a", 11)) + event("DELETED", object("b", 12)) +
               event("ADDED", object("c", 13)));
  EXPECT_THAT(stored(), ElementsAre("a=11", "c=13"));
  EXPECT_EQ(state().resource_version, "13");
  EXPECT_EQ(transport_.count(), 1u);
  EXPECT_EQ(reflector_->lag(), Duration{});
}

TEST_F(ReflectorTest, WatchListOfNothing) {
  reflector_->start();
  last()->head(200);
  last()->body(bookmark("3", true));
  EXPECT_TRUE(store_.synced());
  EXPECT_THAT(stored(), IsEmpty());
}

TEST_F(ReflectorTest, WatchListObjectsThatVanishMeanwhile) {
  reflector_->start();
  last()->head(200);
  last()->body(event("ADDED", object("a", 1)) + event("ADDED", object("b", 2)));
  last()->body(event("DELETED", object("a", 3)) + bookmark("3", true));
  EXPECT_THAT(stored(), ElementsAre("b=2"));
}

TEST_F(ReflectorTest, EveryRefusalOfWatchListLeadsToListAndWatchForGood) {
  for (const int code : {400, 403, 404, 405, 406, 415, 422}) {
    store_ = {};
    make({});
    reflector_->start();
    last()->respond(code, status(code, "Invalid"));
    const auto page = last();
    EXPECT_FALSE(page->has_query("watch")) << code;
    EXPECT_EQ(page->query("limit"), "500");
    EXPECT_EQ(page->query("resourceVersion"), "0");
    EXPECT_EQ(state().failures, 0u);
    page->respond(200, list("10", {object("a", 1)}));
    EXPECT_TRUE(store_.synced());
    EXPECT_EQ(last()->query("watch"), "true");
    EXPECT_EQ(last()->query("resourceVersion"), "10");
    EXPECT_FALSE(last()->has_query("sendInitialEvents"));

    last()->respond(410, status(410, "Expired"));
    clock_.advance(Duration{});
    EXPECT_FALSE(last()->has_query("sendInitialEvents")) << "asked again after " << code;
    reflector_->stop();
  }
}

TEST_F(ReflectorTest, WatchListRefusedInsideTheStream) {
  reflector_->start();
  last()->head(200);
  last()->body(event("ERROR", status(422, "Invalid")));
  EXPECT_FALSE(last()->has_query("watch"));
  last()->respond(200, list("10", {object("a", 1)}));
  EXPECT_THAT(stored(), ElementsAre("a=1"));
}

TEST_F(ReflectorTest, WatchListThatNeverCompletesFallsBack) {
  reflector_->start();
  const auto stream = last();
  stream->head(200);
  clock_.advance(seconds(5));
  stream->body(event("ADDED", object("a", 1)) + event("ADDED", object("gone", 1)));
  clock_.advance(seconds(9));
  EXPECT_EQ(transport_.count(), 1u);
  clock_.advance(seconds(1));
  ASSERT_EQ(transport_.count(), 2u);
  EXPECT_FALSE(stream->open());
  EXPECT_FALSE(last()->has_query("watch"));
  last()->respond(200, list("10", {object("a", 1)}));
  EXPECT_THAT(stored(), ElementsAre("a=1"));
}

TEST_F(ReflectorTest, WatchListThatIsNeverQuietButNeverCompletesFallsBack) {
  reflector_->start();
  const auto stream = last();
  stream->head(200);
  for (int i = 0; i < 30 && transport_.count() == 1; ++i) {
    stream->body(event("MODIFIED", object("a", i + 1)) + bookmark(std::to_string(i + 1)));
    EXPECT_FALSE(store_.synced());
    clock_.advance(seconds(5));
  }
  EXPECT_EQ(transport_.count(), 2u);
  EXPECT_FALSE(last()->has_query("watch"));
}

TEST_F(ReflectorTest, WatchListThatEndsEarlyIsTriedAgainAndThenNot) {
  reflector_->start();
  for (int i = 0; i < 2; ++i) {
    last()->respond(200, event("ADDED", object("a", 1)));
    clock_.advance(clock_.until_next());
    EXPECT_TRUE(last()->has_query("sendInitialEvents"));
  }
  last()->respond(200, "");
  EXPECT_FALSE(last()->has_query("watch"));
}

TEST_F(ReflectorTest, WatchListThatIsNeverAnsweredIsTriedAgainAndThenNot) {
  reflector_->start();
  clock_.advance(minutes(3));
  EXPECT_FALSE(last()->has_query("watch"));
  EXPECT_EQ(transport_.open_count(), 1u);
}

TEST_F(ReflectorTest, ServerTroubleIsNoReasonToGiveUpWatchList) {
  reflector_->start();
  for (const int code : {429, 500, 503, 401}) {
    last()->respond(code, status(code, "Trouble"));
    expect_retry(milliseconds(800), seconds(31));
    EXPECT_TRUE(last()->has_query("sendInitialEvents")) << code;
  }
  last()->fail(Error(ErrorCode::kUnavailable, "connection refused"));
  expect_retry(milliseconds(800), seconds(31));
  EXPECT_TRUE(last()->has_query("sendInitialEvents"));
}

TEST_F(ReflectorTest, PagesAreReadInAnyPieces) {
  make_without_watch_list();
  reflector_->start();
  EXPECT_EQ(last()->query("resourceVersion"), "0");
  const std::string first = list("10", {object("a", 1), object("b", 2)}, "next/1");
  last()->head(200);
  for (const char c : first) last()->body({&c, 1});
  last()->done();
  EXPECT_FALSE(store_.synced());
  EXPECT_EQ(last()->query("continue"), "next/1");
  EXPECT_FALSE(last()->has_query("resourceVersion"));
  EXPECT_EQ(last()->query("limit"), "500");
  last()->respond(200, list("12", {object("c", 3)}));
  EXPECT_TRUE(store_.synced());
  EXPECT_THAT(stored(), ElementsAre("a=1", "b=2", "c=3"));
  EXPECT_EQ(last()->query("resourceVersion"), "10") << "later pages may be newer than the first";
}

TEST_F(ReflectorTest, AnObjectThatVanishesBetweenPagesIsRemovedByTheWatch) {
  make_without_watch_list();
  reflector_->start();
  last()->respond(200, list("10", {object("a", 1)}, "t"));
  last()->respond(200, list("11", {object("c", 3)}));
  last()->head(200);
  last()->body(event("DELETED", object("a", 11)));
  EXPECT_THAT(stored(), ElementsAre("c=3"));
}

TEST_F(ReflectorTest, AContinueTokenThatExpiredLeadsToOneWholeList) {
  make_without_watch_list();
  reflector_->start();
  last()->respond(200, list("10", {object("a", 1)}, "t"));
  last()->respond(410, status(410, "Expired"));
  clock_.advance(Duration{});
  EXPECT_FALSE(last()->has_query("limit"));
  EXPECT_FALSE(last()->has_query("continue"));
  EXPECT_FALSE(last()->has_query("resourceVersion"));
  last()->respond(200, list("20", {object("b", 2)}));
  EXPECT_THAT(stored(), ElementsAre("b=2"));
}

TEST_F(ReflectorTest, AListWithoutProgressIsGivenUp) {
  make_without_watch_list();
  reflector_->start();
  last()->respond(200, list("10", {}, "t"));
  EXPECT_EQ(state().failures, 1u);
  clock_.advance(seconds(2));
  last()->respond(200, list("10", {object("a", 1)}, "t"));
  last()->respond(200, list("10", {object("b", 1)}, "t"));
  EXPECT_EQ(state().failures, 2u);
  EXPECT_THAT(state().last_error->message(), HasSubstr("no progress"));
}

TEST_F(ReflectorTest, LinesAreReadInAnyPieces) {
  const auto watch = listed_and_watching();
  const std::string text =
      event("MODIFIED", object("a", 11)) + "\n" + event("ADDED", object("b", 12));
  for (const char c : text) watch->body({&c, 1});
  EXPECT_THAT(stored(), ElementsAre("a=11", "b=12"));
  EXPECT_EQ(state().events, 2u);
}

TEST_F(ReflectorTest, AWatchThatEndsIsResumedFromTheLastVersionAtOnce) {
  const auto watch = listed_and_watching();
  clock_.advance(minutes(5));
  watch->body(event("ADDED", object("b", 12)) + bookmark("15") + R"({"type":"ADDED","obj)");
  watch->done();
  EXPECT_EQ(last()->query("watch"), "true");
  EXPECT_EQ(last()->query("resourceVersion"), "15");
  EXPECT_EQ(state().failures, 0u);
  EXPECT_EQ(state().bookmarks, 1u);
}

TEST_F(ReflectorTest, EventsSeenTwiceDoNoHarm) {
  const auto watch = listed_and_watching();
  std::vector<std::string> changes;
  store_.subscribe(
      [&changes](const Change<Namespace>& change) { changes.push_back(change.key.to_string()); });
  watch->body(event("ADDED", object("a", 1)) + event("MODIFIED", object("a", 1)) +
              event("DELETED", object("never", 5)));
  EXPECT_THAT(changes, IsEmpty());
  watch->body(event("MODIFIED", object("a", 2)) + event("DELETED", object("a", 3)) +
              event("DELETED", object("a", 3)));
  EXPECT_THAT(changes, ElementsAre("a", "a"));
}

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
      {"longer than asked for", true, false, minutes(5), minutes(10) + seconds(31)},
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
