// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/store/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "base/loop.h"

namespace fairlead::orchestrator::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
namespace fs = std::filesystem;

class SqliteStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "fairlead-store-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override {
    store_.reset();
    fs::remove_all(directory_);
  }
  SqliteOptions options() {
    SqliteOptions options;
    options.directory = directory_;
    options.volatile_keys = {{"events/", {}, 0}};
    return options;
  }
  void open() { open(options()); }
  void open(SqliteOptions with) {
    store_.reset();
    auto opened = SqliteStore::open(std::move(with));
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    store_ = std::move(*opened);
  }
  Result<TxnResult> commit(Txn txn) {
    std::optional<Result<TxnResult>> result;
    store_->commit(std::move(txn), loop_, [&](Result<TxnResult> r) { result = std::move(r); });
    EXPECT_TRUE(loop_.run_until([&] { return result.has_value(); }, seconds(30)));
    return result ? *result : Error(ErrorCode::kTimeout, "no answer");
  }
  int64_t put(const std::string& key, const std::string& value) {
    auto result = commit({{}, {{Op::Kind::kPut, key, {value}}}});
    EXPECT_TRUE(result.ok()) << result.error().message();
    return result.ok() ? result->revision : 0;
  }
  int64_t remove(const std::string& key) {
    auto result = commit({{}, {{Op::Kind::kDelete, key, {}}}});
    return result.ok() ? result->revision : 0;
  }
  std::string value_of(const std::string& key) {
    auto entry = store_->get(key);
    return entry ? *entry->value : "(" + std::string(to_string(entry.error().code())) + ")";
  }
  std::vector<std::string> keys(RangeOptions range) {
    auto result = store_->range(range);
    std::vector<std::string> found;
    if (result)
      for (const Entry& entry : result->entries) found.push_back(entry.key + "=" + *entry.value);
    else
      found.push_back("error: " + result.error().message());
    return found;
  }

  Loop loop_;
  fs::path directory_;
  std::unique_ptr<SqliteStore> store_;
};

using Strings = std::vector<std::string>;

TEST_F(SqliteStoreTest, PutGetDeleteAndReopen) {
  open();
  const int64_t first = put("a/1", "one");
  const int64_t second = put("a/2", "two");
  EXPECT_GT(second, first);
  EXPECT_EQ(value_of("a/1"), "one");
  remove("a/1");
  EXPECT_EQ(value_of("a/1"), "(not found)");
  const int64_t before = store_->revision();
  open();
  EXPECT_EQ(store_->revision(), before);  // a clean stop leaves no gap
  EXPECT_EQ(value_of("a/2"), "two");
  EXPECT_EQ(store_->get("a/2")->mod_revision, second);
  EXPECT_GT(put("a/3", "three"), before);
}

TEST_F(SqliteStoreTest, WritesTheRevisionIntoTheSlot) {
  open();
  auto result = commit({{}, {{Op::Kind::kPut, "k", {"<>", 1}}}});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(value_of("k"), "<" + std::to_string(result->revision) + ">");
  EXPECT_EQ(*result->values[0], value_of("k"));
}

TEST_F(SqliteStoreTest, ComparesBeforeItActs) {
  open();
  const int64_t revision = put("k", "1");
  struct Case {
    const char* what;
    int64_t expect;
    bool succeeds;
  };
  for (const Case& c : {Case{"must not exist", 0, false}, Case{"older", revision - 1, false},
                        Case{"as it is", revision, true}}) {
    auto result = commit({{{"k", c.expect}}, {{Op::Kind::kPut, "k", {"2"}}}});
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->succeeded, c.succeeds) << c.what;
    EXPECT_EQ(value_of("k"), c.succeeds ? "2" : "1") << c.what;
  }
  EXPECT_TRUE(commit({{{"new", 0}}, {{Op::Kind::kPut, "new", {"x"}}}})->succeeded);
}

TEST_F(SqliteStoreTest, OneTransactionHasOneRevision) {
  open();
  auto result = commit(
      {{},
       {{Op::Kind::kPut, "a", {"1"}}, {Op::Kind::kPut, "b", {"2"}}, {Op::Kind::kDelete, "a", {}}}});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(store_->get("b")->mod_revision, result->revision);
  EXPECT_EQ(value_of("a"), "(not found)");
  EXPECT_EQ(store_->revision(), result->revision);
}

TEST_F(SqliteStoreTest, RangesWithLimitAndFromASnapshot) {
  open();
  for (int i = 0; i < 5; ++i) put("p/" + std::to_string(i), "v");
  const int64_t then = store_->revision();
  put("p/2", "changed");
  remove("p/3");
  put("p/9", "new");
  put("q/1", "other");
  EXPECT_EQ(keys({"p/", "", 0, 0}), (Strings{"p/0=v", "p/1=v", "p/2=changed", "p/4=v", "p/9=new"}));
  EXPECT_EQ(keys({"p/", "", 0, then}), (Strings{"p/0=v", "p/1=v", "p/2=v", "p/3=v", "p/4=v"}));
  EXPECT_EQ(keys({"p/", "p/1", 2, then}), (Strings{"p/2=v", "p/3=v"}));
  auto page = store_->range({"p/", "", 2, then});
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->remaining, 3u);
  EXPECT_EQ(page->revision, then);
  store_->compact(then + 1);
  EXPECT_TRUE(store_->range({"p/", "", 0, then}).error().is_expired());
  EXPECT_TRUE(store_->range({"p/", "", 0, then + 1}).ok());
  EXPECT_TRUE(store_->range({"p/", "", 0, 1'000'000'000}).error().is(ErrorCode::kInvalid));
}

struct Seen {
  Strings log;
  int64_t progress = 0;
  bool lost = false;
  WatchHandlers handlers() {
    return {[this](const Batch& batch) {
              for (const EventRef& e : batch.events)
                log.push_back((e->type == Event::Type::kDelete ? "-"
                               : e->previous                   ? "~"
                                                               : "+") +
                              e->key + "=" + *e->value);
              progress = batch.revision;
            },
            [this](const Error&) { lost = true; }};
  }
};

TEST_F(SqliteStoreTest, WatchesFromAnOldRevisionAndGoesOn) {
  open();
  const int64_t start = put("p/a", "1");
  put("p/a", "2");
  put("q/a", "not mine");
  Seen seen;
  auto watch = store_->watch({"p/", start}, loop_, seen.handlers());
  ASSERT_TRUE(watch.ok());
  put("p/b", "3");
  remove("p/a");
  EXPECT_EQ(seen.log, (Strings{"~p/a=2", "+p/b=3", "-p/a=2"}));
  put("q/b", "x");
  EXPECT_LT(seen.progress, store_->revision());
  (*watch)->request_progress();
  EXPECT_TRUE(loop_.run_until([&] { return seen.progress == store_->revision(); }, seconds(10)));
  watch->reset();
  put("p/c", "4");
  EXPECT_EQ(seen.log.size(), 3u);
  EXPECT_EQ(store_->stats().watches, 0u);
}

TEST_F(SqliteStoreTest, WatchesOneKeyAndEverything) {
  open();
  Seen one, all;
  auto a = store_->watch({"p/a", store_->revision()}, loop_, one.handlers());
  auto b = store_->watch({"", store_->revision()}, loop_, all.handlers());
  put("p/a", "1");
  put("p/ab", "2");
  EXPECT_EQ(one.log, (Strings{"+p/a=1"}));
  EXPECT_EQ(all.log, (Strings{"+p/a=1", "+p/ab=2"}));
}

TEST_F(SqliteStoreTest, WatchOfACompactedRevisionIsExpired) {
  open();
  const int64_t start = put("p/a", "1");
  const int64_t second = put("p/a", "2");
  store_->compact(second);
  auto watch = store_->watch({"p/", start}, loop_, Seen().handlers());
  ASSERT_FALSE(watch.ok());
  EXPECT_TRUE(watch.error().is_expired());
  EXPECT_TRUE(store_->watch({"p/", second}, loop_, Seen().handlers()).ok());
}

TEST_F(SqliteStoreTest, HistoryIsBounded) {
  SqliteOptions with = options();
  with.history.hard_events = 10;
  open(with);
  const int64_t start = store_->revision();
  for (int i = 0; i < 30; ++i) put("p/a", std::to_string(i));
  EXPECT_LE(store_->stats().history_events, 10u);
  EXPECT_TRUE(store_->watch({"p/", start}, loop_, Seen().handlers()).error().is_expired());
}

// The limit is of what is held: a value is there once more in the frame made of it.
TEST_F(SqliteStoreTest, HistoryCountsAllItHolds) {
  SqliteOptions with = options();
  with.history.hard_bytes = 100'000;
  open(with);
  for (int i = 0; i < 300; ++i) put("p/a", std::string(1000, 'x'));
  EXPECT_LE(store_->stats().history_events, 50u);
  EXPECT_GE(store_->stats().history_events, 30u);
}

TEST_F(SqliteStoreTest, AWatcherMayBeAsFarBehindAsTheHistory) {
  open();
  const int64_t start = put("p/a", "1");
  constexpr size_t kMissed = 70'000;
  Txn txn;
  for (size_t i = 0; i < kMissed; ++i)
    txn.ops.push_back({Op::Kind::kPut, "events/" + std::to_string(i), {"x"}});
  ASSERT_TRUE(commit(std::move(txn)).ok());
  Seen seen;
  auto watch = store_->watch({"events/", start}, loop_, seen.handlers());
  put("events/last", "x");
  EXPECT_TRUE(loop_.run_until([&] { return seen.lost || seen.log.size() > kMissed; }, seconds(60)));
  EXPECT_FALSE(seen.lost);
  EXPECT_EQ(seen.log.back(), "+events/last=x");
}

// Who has seen a volatile key and asks what changed since is sent to list again.
TEST_F(SqliteStoreTest, TheEndOfVolatileKeysIsAChange) {
  open();
  put("durable", "1");
  const int64_t last = put("events/e", "x");
  open();
  EXPECT_GT(store_->revision(), last);
  EXPECT_TRUE(store_->watch({"events/", last}, loop_, Seen().handlers()).error().is_expired());
  const int64_t again = store_->revision();
  open();
  EXPECT_EQ(store_->revision(), again) << "none was there";
}

TEST_F(SqliteStoreTest, VolatileKeysNeedNoDiskAndRevisionsNeverGoBack) {
  SqliteOptions with = options();
  with.revision_block = 20;
  open(with);
  put("durable", "1");
  const uint64_t commits = store_->stats().commits;
  int64_t last = 0;
  for (int i = 0; i < 15; ++i) last = put("events/e" + std::to_string(i), "x");
  EXPECT_EQ(store_->stats().commits, commits);  // no fsync for them
  for (int i = 0; i < 10; ++i) last = put("events/f" + std::to_string(i), "x");
  EXPECT_EQ(store_->stats().commits, commits + 1);  // one for the next block of numbers
  open(with);
  EXPECT_GE(store_->revision(), last);
  EXPECT_EQ(value_of("events/e1"), "(not found)");
  EXPECT_EQ(value_of("durable"), "1");
}

TEST_F(SqliteStoreTest, VolatileKeysExpireByAgeAndCount) {
  SqliteOptions with = options();
  with.volatile_keys = {{"events/", milliseconds(50), 0}, {"few/", {}, 3}};
  with.ttl_resolution = milliseconds(1);
  with.tombstone = [](const Entry&) { return Value{"gone at ", 8}; };
  open(with);
  Seen seen;
  auto watch = store_->watch({"events/", store_->revision()}, loop_, seen.handlers());
  put("events/a", "1");
  EXPECT_TRUE(loop_.run_until([&] { return seen.log.size() == 2; }, seconds(20)));
  EXPECT_EQ(seen.log[1], "-events/a=gone at " + std::to_string(store_->revision()));
  for (int i = 0; i < 6; ++i) put("few/" + std::to_string(i), "v");
  EXPECT_TRUE(loop_.run_until([&] { return keys({"few/", "", 0, 0}).size() == 3; }, seconds(20)));
  EXPECT_EQ(keys({"few/", "", 0, 0}), (Strings{"few/3=v", "few/4=v", "few/5=v"}));
}

TEST_F(SqliteStoreTest, ManyWaitingCommitsShareAnFsync) {
  open();
  constexpr int kWrites = 2000;
  int done = 0;
  for (int i = 0; i < kWrites; ++i)
    store_->commit({{}, {{Op::Kind::kPut, "k/" + std::to_string(i), {"v"}}}}, loop_,
                   [&](const Result<TxnResult>& result) { done += result.ok() ? 1 : 0; });
  EXPECT_TRUE(loop_.run_until([&] { return done == kWrites; }, seconds(60)));
  const Stats stats = store_->stats();
  EXPECT_EQ(stats.transactions, static_cast<uint64_t>(kWrites));
  EXPECT_LT(stats.commits, static_cast<uint64_t>(kWrites) / 4);
}

TEST_F(SqliteStoreTest, RefusesMoreThanMayWait) {
  SqliteOptions with = options();
  with.max_waiting = 4;
  open(with);
  int done = 0, refused = 0;
  for (int i = 0; i < 500; ++i)
    store_->commit({{}, {{Op::Kind::kPut, "k", {std::string(1000, 'x')}}}}, loop_,
                   [&](const Result<TxnResult>& result) {
                     ++done;
                     if (!result && result.error().is(ErrorCode::kResourceExhausted)) ++refused;
                   });
  EXPECT_TRUE(loop_.run_until([&] { return done == 500; }, seconds(60)));
  EXPECT_GT(refused, 0);
}

TEST_F(SqliteStoreTest, ASlowWatcherIsToldItLost) {
  open();
  Loop slow;
  Seen seen;
  auto watch = store_->watch({"events/", store_->revision()}, slow, seen.handlers());
  ASSERT_TRUE(watch.ok());
  int done = 0;
  const int writes = 70'000;
  for (int sent = 0; sent < writes;) {
    for (int i = 0; i < 10'000; ++i, ++sent)
      store_->commit({{}, {{Op::Kind::kPut, "events/e", {"x"}}}}, loop_,
                     [&](const Result<TxnResult>&) { ++done; });
    ASSERT_TRUE(loop_.run_until([&] { return done == sent; }, seconds(60)));
  }
  EXPECT_TRUE(slow.run_until([&] { return seen.lost; }, seconds(20)));
  watch->reset();
  slow.run_until([] { return false; }, milliseconds(1));
}

TEST_F(SqliteStoreTest, ASecondProcessIsRefused) {
  open();
  auto second = SqliteStore::open(options());
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message(),
              testing::HasSubstr("is in use by process " + std::to_string(getpid())));
}

TEST_F(SqliteStoreTest, ALockedDatabaseIsRefused) {
  open();
  put("a", "1");
  store_.reset();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((directory_ / "state.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE", nullptr, nullptr,
                         nullptr),
            SQLITE_OK);
  auto opened = SqliteStore::open(options());
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().message(), testing::HasSubstr("locked by another process"));
  sqlite3_close(other);
}

TEST_F(SqliteStoreTest, DamagedFilesAreNamed) {
  open();
  for (int i = 0; i < 200; ++i) put("key/" + std::to_string(i), std::string(500, 'v'));
  store_.reset();
  const fs::path file = directory_ / "state.db";
  const auto size = fs::file_size(file);
  for (const bool header : {false, true}) {
    std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(header ? 0 : static_cast<std::streamoff>(size / 2 / 4096 * 4096));
    f << std::string(header ? 100 : 8192, 'Z');
    f.close();
    auto opened = SqliteStore::open(options());
    ASSERT_FALSE(opened.ok());
    EXPECT_THAT(opened.error().message(), testing::AllOf(testing::HasSubstr("state.db is damaged"),
                                                         testing::HasSubstr("copy")));
  }
}

TEST_F(SqliteStoreTest, AnUnwritableDirectoryIsNamed) {
  std::ofstream(directory_ / "file") << "x";
  SqliteOptions with = options();
  with.directory = (directory_ / "file" / "below").string();
  auto opened = SqliteStore::open(with);
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().message(), testing::HasSubstr("make data directory"));
}

TEST_F(SqliteStoreTest, ANewerFormatIsRefused) {
  open();
  store_.reset();
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((directory_ / "state.db").c_str(), &db), SQLITE_OK);
  sqlite3_exec(db, "PRAGMA user_version=99", nullptr, nullptr, nullptr);
  sqlite3_close(db);
  auto opened = SqliteStore::open(options());
  ASSERT_FALSE(opened.ok());
  EXPECT_TRUE(opened.error().is(ErrorCode::kUnsupported));
}

TEST_F(SqliteStoreTest, TheLogIsCutBack) {
  open();
  int done = 0;
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 200; ++i)
      store_->commit({{}, {{Op::Kind::kPut, "k/" + std::to_string(i), {std::string(8000, 'x')}}}},
                     loop_, [&](const Result<TxnResult>&) { ++done; });
    ASSERT_TRUE(loop_.run_until([&] { return done == (round + 1) * 200; }, seconds(60)));
  }
  store_->compact(store_->revision());
  store_.reset();
  EXPECT_LT(fs::file_size(directory_ / "state.db"), 8u << 20);
  EXPECT_FALSE(fs::exists(directory_ / "state.db-wal") &&
               fs::file_size(directory_ / "state.db-wal") > 0);
}

TEST_F(SqliteStoreTest, ReadersSeeWholeTransactionsFromAnyThread) {
  open();
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::thread reader([&] {
    while (!stop) {
      auto range = store_->range({"pair/", "", 0, 0});
      if (!range || range->entries.empty()) continue;
      if (range->entries.size() != 2 || *range->entries[0].value != *range->entries[1].value)
        ++torn;
    }
  });
  for (int i = 0; i < 200; ++i) {
    const std::string v = std::to_string(i);
    (void)commit({{}, {{Op::Kind::kPut, "pair/a", {v}}, {Op::Kind::kPut, "pair/b", {v}}}});
  }
  stop = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}

// The child writes and tells each acknowledged revision through a pipe until it is killed.
[[noreturn]] void write_until_killed(const SqliteOptions& options, int ack_fd) {
  Loop loop;
  auto store = SqliteStore::open(options);
  if (!store) _exit(3);
  uint64_t counter = 0;
  std::function<void()> next = [&] {
    const uint64_t n = counter++;
    const std::string key = (n % 3 == 0 ? "events/" : "k/") + std::to_string(n % 50);
    (*store)->commit({{}, {{Op::Kind::kPut, key, {std::to_string(n)}}}}, loop,
                     [&, n](const Result<TxnResult>& result) {
                       if (!result) _exit(4);
                       const int64_t line[2] = {static_cast<int64_t>(n), result->revision};
                       if (write(ack_fd, line, sizeof line) != sizeof line) _exit(5);
                       next();
                     });
  };
  for (int i = 0; i < 8; ++i) next();
  loop.run();
  _exit(6);
}

TEST_F(SqliteStoreTest, NothingAcknowledgedIsLostWhenKilled) {
  const char* given = std::getenv("FAIRLEAD_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 rng(seed);
  SqliteOptions with = options();
  with.revision_block = 64;
  int64_t highest = 0;
  for (int round = 0; round < 8; ++round) {
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) write_until_killed(with, fds[1]);
    close(fds[1]);
    std::this_thread::sleep_for(milliseconds(20 + rng() % 150));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    std::map<std::string, int64_t> acked;  // key -> newest acknowledged revision
    int64_t line[2];
    int64_t before = highest;
    while (read(fds[0], line, sizeof line) == sizeof line) {
      EXPECT_GT(line[1], before) << "a revision came twice or went back";
      highest = std::max(highest, line[1]);
      if (line[0] % 3 != 0) acked["k/" + std::to_string(line[0] % 50)] = line[1];
    }
    close(fds[0]);
    open(with);
    EXPECT_GE(store_->revision(), highest);
    for (const auto& [key, revision] : acked) {
      auto entry = store_->get(key);
      ASSERT_TRUE(entry.ok()) << key << " was acknowledged and is gone";
      EXPECT_GE(entry->mod_revision, revision) << key;
    }
    highest = std::max(highest, store_->revision());
    store_.reset();
  }
}

}  // namespace
}  // namespace fairlead::orchestrator::store
