// SPDX-License-Identifier: Apache-2.0
// A watch and a client that takes what it is sent at its own pace: no sockets, no time.
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <filesystem>

#include "orchestrator/apiserver/bootstrap.h"
#include "orchestrator/apiserver/front/front.h"
#include "orchestrator/apiserver/registry/codec.h"
#include "orchestrator/store/sqlite_store.h"

namespace fairlead::orchestrator::apiserver {
namespace {

using std::chrono::seconds;
namespace fs = std::filesystem;

// Takes frames until `room` is used up; more are taken all the same, and counted.
class SlowClient : public HttpResponder {
 public:
  explicit SlowClient(size_t room) : room_(room) {}

  void respond(int status_code, HttpHeaders, std::string text) override {
    status = status_code;
    body = std::move(text);
  }
  void start(int status_code, HttpHeaders) override { status = status_code; }
  bool write(std::string_view chunk) override {
    return write_shared(std::make_shared<const std::string>(chunk));
  }
  bool write_shared(std::shared_ptr<const std::string> chunk) override {
    waiting_ += chunk->size();
    most_waiting = std::max(most_waiting, waiting_);
    frames.push_back(std::move(chunk));
    return waiting_ <= room_;
  }
  void finish() override { finished = true; }
  bool closed() const override { return finished; }
  void on_drained(std::function<void()> callback) override { on_drained_ = std::move(callback); }
  void on_closed(std::function<void()>) override {}

  // The client has read all that was sent.
  void read_all() {
    waiting_ = 0;
    if (const auto callback = on_drained_) callback();
  }

  int status = 0;
  std::string body;
  std::deque<std::shared_ptr<const std::string>> frames;
  size_t most_waiting = 0;
  bool finished = false;

 private:
  const size_t room_;
  size_t waiting_ = 0;
  std::function<void()> on_drained_;
};

class WatchStreamTest : public testing::Test {
 protected:
  static constexpr size_t kRoom = 64 << 10;

  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "fairlead-watch-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    auto opened = store::SqliteStore::open({.directory = directory_,
                                            .volatile_keys = {{"core/configmaps/", {}, 0}},
                                            .history = {},
                                            .tombstone = tombstone_of});
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    store_ = std::move(*opened);
    registry_ = std::make_unique<Registry>(
        *store_, RegistryOptions{*Cidr::parse("10.96.0.0/24"), {30000, 30009}});
    ASSERT_TRUE(bootstrap(*registry_, loop_, {IpAddress::v4(192, 0, 2, 1), 6443}).ok());
    auto authenticator = Authenticator::parse("0123456789abcdef,watcher,uid,system:masters\n");
    ASSERT_TRUE(authenticator.ok());
    authenticator_ = std::move(*authenticator);
    front_ = std::make_unique<Front>(
        loop_, *registry_, FrontOptions{"192.0.2.1:6443", &authenticator_, nullptr}, nullptr);
  }
  void TearDown() override {
    front_.reset();
    registry_.reset();
    store_.reset();
    fs::remove_all(directory_);
  }

  // Small objects "c00000"..., in one commit.
  void fill(int first, int count, const std::string& value = "v") {
    store::Txn txn;
    for (int i = first; i < first + count; ++i) {
      char name[16];
      std::snprintf(name, sizeof name, "c%05d", i);
      Json object = {{"kind", "ConfigMap"},
                     {"apiVersion", "v1"},
                     {"metadata", {{"name", name}, {"namespace", "default"}}},
                     {"data", {{"k", value}}}};
      object["metadata"]["labels"] = {{"even", i % 2 == 0 ? "yes" : "no"}};
      txn.ops.push_back({store::Op::Kind::kPut, std::string("core/configmaps/default/") + name,
                         encode(std::move(object))});
    }
    std::optional<Result<store::TxnResult>> result;
    store_->commit(std::move(txn), loop_,
                   [&](Result<store::TxnResult> r) { result = std::move(r); });
    ASSERT_TRUE(loop_.run_until([&] { return result.has_value(); }, seconds(60)));
    ASSERT_TRUE(result->ok() && (*result)->succeeded);
  }

  std::shared_ptr<SlowClient> watch(
      const std::string& query, const std::string& accept = "", int64_t after = 0,
      const std::vector<std::pair<std::string, std::string>>& parameters = {}) {
    auto client = std::make_shared<SlowClient>(kRoom);
    HttpServerRequest request;
    request.method = "GET";
    request.path = "/api/v1/namespaces/default/configmaps";
    request.query = {{"watch", "1"}};
    if (!query.empty()) request.query.emplace_back("labelSelector", query);
    if (after != 0) request.query.emplace_back("resourceVersion", std::to_string(after));
    for (const auto& parameter : parameters) request.query.push_back(parameter);
    request.headers.add("authorization", "Bearer 0123456789abcdef");
    if (!accept.empty()) request.headers.add("accept", accept);
    front_->handle(std::move(request), client);
    EXPECT_EQ(client->status, 200) << client->body;
    return client;
  }

  // Lets what the loop has to do happen.
  void settle() {
    bool done = false;
    loop_.post([&] { done = true; });
    EXPECT_TRUE(loop_.run_until([&] { return done; }, seconds(60)));
  }

  void read_until(SlowClient& client, size_t frames) {
    for (size_t before = client.frames.size() + 1;
         client.frames.size() < frames && client.frames.size() != before && !client.finished;) {
      before = client.frames.size();
      client.read_all();
    }
  }

  Loop loop_;
  fs::path directory_;
  std::unique_ptr<store::SqliteStore> store_;
  std::unique_ptr<Registry> registry_;
  Authenticator authenticator_;
  std::unique_ptr<Front> front_;
};

Json frame(const SlowClient& client, size_t index) {
  return Json::parse(*client.frames.at(index), nullptr, false);
}

// Thirty thousand objects reach a client that reads slowly: each once, in order, then the changes;
// what waits for it in the server is what it has room for and one object.
TEST_F(WatchStreamTest, ASlowClientGetsALargeCollectionAndThenItsChanges) {
  constexpr int kObjects = 30'000;
  fill(0, kObjects);
  auto client = watch("");
  EXPECT_LT(client->frames.size(), 1000u) << "more is made than the client has room for";
  fill(17, 3, "changed");  // one not yet sent in its first state is sent in it, then in its new one
  settle();
  EXPECT_FALSE(client->finished);
  read_until(*client, kObjects + 3);
  ASSERT_EQ(client->frames.size(), size_t{kObjects + 3});
  EXPECT_FALSE(client->finished);
  EXPECT_LT(client->most_waiting, kRoom + 1024);
  std::string last;
  for (size_t i = 0; i < kObjects; ++i) {
    const Json event = frame(*client, i);
    ASSERT_EQ(string_at(event, "type"), "ADDED");
    ASSERT_EQ(string_at(event, "object.data.k"), "v");
    const std::string name = string_at(event, "object.metadata.name");
    ASSERT_LT(last, name);
    last = name;
  }
  for (size_t i = kObjects; i < kObjects + 3; ++i) {
    EXPECT_EQ(string_at(frame(*client, i), "type"), "MODIFIED");
    EXPECT_EQ(string_at(frame(*client, i), "object.data.k"), "changed");
  }
  fill(kObjects, 1);
  settle();
  read_until(*client, kObjects + 4);
  ASSERT_EQ(client->frames.size(), size_t{kObjects + 4});
  EXPECT_EQ(string_at(frame(*client, kObjects + 3), "type"), "ADDED");
}

// A client that lists by watching (KEP-3157): what there is, the word that this was all, what
// comes.
TEST_F(WatchStreamTest, AListAsAStreamEndsWithABookmark) {
  using Parameters = std::vector<std::pair<std::string, std::string>>;
  const Parameters kAsked = {{"sendInitialEvents", "true"},
                             {"resourceVersionMatch", "NotOlderThan"}};
  Parameters with_bookmarks = kAsked;
  with_bookmarks.emplace_back("allowWatchBookmarks", "true");
  Parameters not_asked = with_bookmarks;
  not_asked[0].second = "false";
  constexpr size_t kObjects = 3000;
  fill(0, kObjects);
  const int64_t now = store_->revision();
  struct Asked {
    const char* what;
    const char* selector;
    const char* accept;
    int64_t after;
    Parameters parameters;
    size_t objects;
    bool told;  // of their end
  };
  const char* kMetadata = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
  const char* kTable = "application/json;as=Table;v=v1;g=meta.k8s.io";
  const Asked cases[] = {
      {"all", "", "", 0, with_bookmarks, kObjects, true},
      {"not older than now", "", "", now, with_bookmarks, kObjects, true},
      {"selected", "even=yes", "", 0, with_bookmarks, kObjects / 2, true},
      {"none", "even=perhaps", "", 0, with_bookmarks, 0, true},
      {"metadata", "", kMetadata, 0, with_bookmarks, kObjects, true},
      {"rows", "", kTable, 0, with_bookmarks, kObjects, true},
      {"no bookmarks", "", "", 0, kAsked, kObjects, false},
      {"a plain watch", "", "", 0, {{"allowWatchBookmarks", "true"}}, kObjects, false},
      {"only what comes", "", "", 0, not_asked, 0, false},
      {"only what comes later", "", "", now, not_asked, 0, false},
  };
  for (const Asked& one : cases) {
    SCOPED_TRACE(one.what);
    auto client = watch(one.selector, one.accept, one.after, one.parameters);
    const size_t frames = one.objects + (one.told ? 1 : 0);
    read_until(*client, frames);
    settle();
    ASSERT_EQ(client->frames.size(), frames);
    for (size_t i = 0; i < one.objects; i += 500)
      EXPECT_EQ(string_at(frame(*client, i), "type"), "ADDED");
    if (!one.told) continue;
    const Json last = frame(*client, frames - 1);
    EXPECT_EQ(string_at(last, "type"), "BOOKMARK");
    EXPECT_EQ(string_at(last, "object.metadata.resourceVersion"), std::to_string(now));
    const Json& object =
        one.accept == kTable ? last["object"]["rows"][0]["object"] : last["object"];
    EXPECT_EQ(object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
  }
  auto client = watch("even=perhaps", "", 0, with_bookmarks);
  auto follower = watch("", "", now, not_asked);
  fill(0, 1, "changed");
  settle();
  EXPECT_EQ(client->frames.size(), 1u);
  ASSERT_EQ(follower->frames.size(), 1u);
  EXPECT_EQ(string_at(frame(*follower, 0), "type"), "MODIFIED");
}

TEST_F(WatchStreamTest, SelectorsAndTablesAreMadeAtTheSamePace) {
  constexpr size_t kObjects = 3000;
  fill(0, kObjects);
  auto selected = watch("even=yes");
  auto table = watch("", "application/json;as=Table;v=v1;g=meta.k8s.io");
  EXPECT_LT(selected->frames.size(), kObjects / 2);
  EXPECT_LT(table->frames.size(), kObjects);
  read_until(*selected, kObjects / 2);
  read_until(*table, kObjects);
  EXPECT_EQ(selected->frames.size(), kObjects / 2);
  ASSERT_EQ(table->frames.size(), kObjects);
  EXPECT_TRUE(frame(*table, 0)["object"]["columnDefinitions"].is_array());
  EXPECT_TRUE(frame(*table, kObjects - 1)["object"]["columnDefinitions"].is_null());
}

// Changes pile up only so far: who does not read at all is closed.
TEST_F(WatchStreamTest, WhoDoesNotReadIsClosed) {
  fill(0, 2000);
  auto client = watch("");
  const size_t sent = client->frames.size();
  for (int i = 0; i < 6 && !client->finished; ++i) {
    fill(0, 2000, std::to_string(i));
    settle();
  }
  EXPECT_TRUE(client->finished);
  EXPECT_EQ(client->frames.size(), sent);
}

TEST_F(WatchStreamTest, FewChangesCanBeTooMuchToo) {
  fill(0, 2000);
  auto client = watch("");
  fill(0, 20, std::string(1 << 20, 'x'));
  settle();
  EXPECT_FALSE(client->finished);
  fill(0, 20, std::string(1 << 20, 'y'));
  settle();
  EXPECT_TRUE(client->finished);
}

// A client that was away comes back: it reads, so it gets all it missed, and then what follows.
TEST_F(WatchStreamTest, WhoIsFarBehindCatchesUp) {
  constexpr size_t kMissed = 15'000;
  fill(0, 1);
  const int64_t seen = store_->revision();
  fill(0, kMissed);
  auto client = watch("", "", seen);
  auto selected = watch("even=yes", "", seen);
  settle();
  EXPECT_LT(client->frames.size(), 1000u) << "more is made than the client has room for";
  fill(3, 1, "changed");
  settle();
  read_until(*client, kMissed + 1);
  read_until(*selected, kMissed / 2);
  EXPECT_FALSE(client->finished);
  ASSERT_EQ(client->frames.size(), kMissed + 1);
  EXPECT_EQ(selected->frames.size(), kMissed / 2);
  EXPECT_LT(client->most_waiting, kRoom + 1024);
  EXPECT_EQ(string_at(frame(*client, 0), "type"), "MODIFIED");
  EXPECT_EQ(string_at(frame(*client, kMissed - 1), "object.metadata.name"), "c14999");
  EXPECT_EQ(string_at(frame(*client, kMissed), "object.data.k"), "changed");
}

}  // namespace
}  // namespace fairlead::orchestrator::apiserver
