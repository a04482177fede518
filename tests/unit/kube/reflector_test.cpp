// SPDX-License-Identifier: Apache-2.0
// The reflector with a server that is well: lists, WatchList, watches, and falling back.
#include "tests/unit/kube/reflector_fixture.h"

namespace fairlead::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

// How API servers of each version take the request for a WatchList (validation of ListOptions in
// k8s.io/apimachinery; the gate is alpha from 1.27 and on by default in 1.32 and from 1.34).
struct VersionCase {
  const char* version;
  int status;  // of the answer to a WatchList
  const char* message;
  bool watch_list_again;  // the next time objects are listed
};
const VersionCase kVersions[] = {
    {"1.26: WATCH knows no resourceVersionMatch", 422,
     "resourceVersionMatch is forbidden for watch", false},
    {"1.27 to 1.31, 1.33: the gate is off", 422,
     "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
     false},
    {"1.32, from 1.34: served", 200, "", true},
    {"from 1.30: the watch cache is not filled yet", 429, "storage is (re)initializing", true},
    {"any: starting or overloaded", 503, "apiserver not ready", true},
    {"any: behind a proxy that refuses long queries", 414, "URI Too Long", false},
};

TEST_F(ReflectorTest, ServersOfEveryVersionAreUnderstood) {
  for (const VersionCase& c : kVersions) {
    SCOPED_TRACE(c.version);
    store_ = {};
    make({});
    reflector_->start();
    const auto answer = [&] {
      if (c.status != 200) return last()->respond(c.status, status(c.status, c.message));
      last()->head(200);
      last()->body(event("ADDED", object("a", 1)) + bookmark("10", true));
    };
    answer();
    if (c.status == 429 || c.status == 503) {
      EXPECT_EQ(state().failures, 1u);
      clock_.advance(clock_.until_next());
    }
    if (c.watch_list_again) {
      EXPECT_TRUE(last()->has_query("sendInitialEvents"));
    } else {
      EXPECT_EQ(state().failures, 0u) << "a refusal is an answer, no failure";
      EXPECT_FALSE(last()->has_query("watch"));
      EXPECT_FALSE(last()->has_query("resourceVersionMatch"));
      last()->respond(200, list("10", {object("a", 1)}));
      EXPECT_EQ(last()->query("resourceVersion"), "10");
      EXPECT_FALSE(last()->has_query("resourceVersionMatch"));
    }
    if (c.status < 429) EXPECT_THAT(stored(), ElementsAre("a=1"));
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
  for (int i = 0; i < 2; ++i) {
    clock_.advance(Reflector::kAnswerLimit);
    EXPECT_THAT(state().last_error->message(), HasSubstr("no answer"));
    clock_.advance(clock_.until_next());
    EXPECT_TRUE(last()->has_query("sendInitialEvents"));
  }
  clock_.advance(Reflector::kAnswerLimit);
  EXPECT_FALSE(last()->has_query("watch"));
  EXPECT_EQ(transport_.open_count(), 1u);
  EXPECT_EQ(state().failures, 2u) << "LIST follows at once";
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

}  // namespace
}  // namespace fairlead::kube
