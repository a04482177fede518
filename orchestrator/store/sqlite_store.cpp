// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/store/sqlite_store.h"

#include <algorithm>
#include <condition_variable>
#include <shared_mutex>
#include <thread>
#include <unordered_map>

#include "base/log.h"
#include "base/loop.h"
#include "orchestrator/store/database.h"
#include "orchestrator/store/volatile_book.h"
#include "orchestrator/store/watch_hub.h"

namespace fairlead::orchestrator::store {
namespace {

constexpr size_t kMaxBatch = 1024;  // transactions in one SQLite transaction

using Done = std::function<void(Result<TxnResult>)>;

struct Waiting {
  Txn txn;
  Loop* loop = nullptr;  // null: the store's own (expiry)
  Done done;
};

// One change that a batch is about to make.
struct Staged {
  Event::Type type;
  Entry entry;
};

}  // namespace

class SqliteStore::Impl : public std::enable_shared_from_this<SqliteStore::Impl> {
 public:
  Impl(SqliteOptions options, std::unique_ptr<Database> database)
      : options_(std::move(options)),
        database_(std::move(database)),
        space_(options_.history),
        book_(options_.volatile_keys) {}

  Result<void> load();
  void start() {
    thread_ = std::thread([this] { run(); });
  }
  void stop();

  int64_t revision() const;
  Result<Entry> get(std::string_view key) const;
  Result<RangeResult> range(const RangeOptions& options) const;
  void submit(Waiting waiting);
  Result<std::unique_ptr<Watch>> watch(const WatchOptions& options, Loop& loop,
                                       WatchHandlers handlers);
  void end_watch(const std::string& prefix, const WatchHub::WatcherRef& watcher);
  void compact(int64_t revision);
  Stats stats() const;

 private:
  void run();
  bool wait_for_work(std::vector<Waiting>& batch);
  void expire();
  void process(std::vector<Waiting>& batch);
  Result<TxnResult> stage(Txn& txn);
  bool holds(const Compare& compare) const;
  const Entry* current(const std::string& key) const;
  void stage_op(Op& op, int64_t revision, TxnResult& result);
  Result<void> persist();
  Result<void> write_staged(bool durable, bool reserve);
  void publish();
  void report(std::vector<Waiting>& batch, std::vector<Result<TxnResult>>& results);

  const SqliteOptions options_;
  std::unique_ptr<Database> database_;  // writer thread
  mutable std::shared_mutex state_mutex_;
  KeySpace space_;     // written by the writer thread under state_mutex_; it alone reads without
  WatchHub hub_;       // under state_mutex_
  Stats counters_;     // under state_mutex_
  VolatileBook book_;  // writer thread

  std::mutex queue_mutex_;
  std::condition_variable wake_;
  std::vector<Waiting> queue_;  // under queue_mutex_
  bool stopping_ = false;       // under queue_mutex_
  std::thread thread_;

  // The batch under way; writer thread.
  std::vector<Staged> staged_;
  std::unordered_map<std::string, size_t> staged_by_key_;
  int64_t next_revision_ = 0;      // the last number given out
  int64_t reserved_revision_ = 0;  // on disk: numbers up to here may have been used
};

Result<void> SqliteStore::Impl::load() {
  int64_t highest = 0;
  auto loaded = database_->load([&](Entry entry) {
    highest = std::max(highest, entry.mod_revision);
    space_.load(std::move(entry));
  });
  if (!loaded) return loaded;
  auto reserved = database_->reserved_revision();
  if (!reserved) return reserved.error();
  next_revision_ = reserved_revision_ = std::max({highest, *reserved, int64_t{1}});
  space_.start_at(next_revision_);
  return ok();
}

void SqliteStore::Impl::stop() {
  {
    std::lock_guard lock(queue_mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  // A clean stop needs no gap in the numbers, but for the end of what was in memory only: who
  // watches from before it has to list again.
  const int64_t end = next_revision_ + (book_.empty() ? 0 : 1);
  if (end != reserved_revision_ && database_->begin().ok())
    if (!database_->reserve_revision(end).ok() || !database_->commit().ok()) database_->rollback();
  database_.reset();
}

int64_t SqliteStore::Impl::revision() const {
  std::shared_lock lock(state_mutex_);
  return space_.revision();
}

Result<Entry> SqliteStore::Impl::get(std::string_view key) const {
  std::shared_lock lock(state_mutex_);
  const Entry* entry = space_.find(key);
  if (entry == nullptr) return Error(ErrorCode::kNotFound, "no key " + std::string(key));
  return *entry;
}

Result<RangeResult> SqliteStore::Impl::range(const RangeOptions& options) const {
  std::shared_lock lock(state_mutex_);
  return space_.range(options);
}

void SqliteStore::Impl::submit(Waiting waiting) {
  {
    std::lock_guard lock(queue_mutex_);
    if (!stopping_ && queue_.size() < options_.max_waiting) {
      queue_.push_back(std::move(waiting));
      if (queue_.size() == 1) wake_.notify_one();
      return;
    }
  }
  waiting.loop->post([done = std::move(waiting.done)] {
    done(Error(ErrorCode::kResourceExhausted, "too many writes wait for the disk; retry"));
  });
}

class SqliteWatch : public Watch {
 public:
  SqliteWatch(std::function<void()> progress, std::function<void()> end)
      : progress_(std::move(progress)), end_(std::move(end)) {}
  ~SqliteWatch() override { end_(); }
  void request_progress() override { progress_(); }

 private:
  std::function<void()> progress_;
  std::function<void()> end_;
};

Result<std::unique_ptr<Watch>> SqliteStore::Impl::watch(const WatchOptions& options, Loop& loop,
                                                        WatchHandlers handlers) {
  std::unique_lock lock(state_mutex_);
  auto past = space_.changes(options);
  if (!past) return past.error();
  auto watcher =
      hub_.add(options.prefix, std::move(*past), space_.revision(), loop, std::move(handlers));
  auto self = shared_from_this();
  return std::unique_ptr<Watch>(std::make_unique<SqliteWatch>(
      [self, watcher] {
        std::shared_lock progress_lock(self->state_mutex_);
        WatchHub::progress(watcher, self->space_.revision());
      },
      [self, watcher, prefix = options.prefix] { self->end_watch(prefix, watcher); }));
}

void SqliteStore::Impl::end_watch(const std::string& prefix, const WatchHub::WatcherRef& watcher) {
  WatchHub::close(watcher);
  std::unique_lock lock(state_mutex_);
  hub_.remove(prefix, watcher);
}

void SqliteStore::Impl::compact(int64_t revision) {
  std::unique_lock lock(state_mutex_);
  space_.compact(revision);
}

Stats SqliteStore::Impl::stats() const {
  std::shared_lock lock(state_mutex_);
  Stats stats = counters_;
  stats.keys = space_.size();
  stats.watches = hub_.size();
  stats.history_events = space_.history_size();
  return stats;
}

// --- The writer thread.

void SqliteStore::Impl::run() {
  std::vector<Waiting> batch;
  while (wait_for_work(batch)) {
    for (size_t from = 0; from < batch.size(); from += kMaxBatch) {
      const size_t to = std::min(batch.size(), from + kMaxBatch);
      std::vector<Waiting> part(std::make_move_iterator(batch.begin() + from),
                                std::make_move_iterator(batch.begin() + to));
      process(part);
    }
    batch.clear();
    expire();
    database_->checkpoint_if_long();
  }
}

// False when it is time to stop and nothing waits. Wakes for expiry only when something can expire.
bool SqliteStore::Impl::wait_for_work(std::vector<Waiting>& batch) {
  std::unique_lock lock(queue_mutex_);
  const auto ready = [this] { return stopping_ || !queue_.empty(); };
  if (const auto due = book_.next_due())
    wake_.wait_until(lock, *due + options_.ttl_resolution, ready);
  else
    wake_.wait(lock, ready);
  if (stopping_ && queue_.empty()) return false;
  batch.swap(queue_);
  return true;
}

void SqliteStore::Impl::expire() {
  std::vector<Waiting> batch;
  for (std::string& key : book_.due(std::chrono::steady_clock::now())) {
    const Entry* entry = space_.find(key);
    if (entry == nullptr) continue;
    Op op{Op::Kind::kDelete, std::move(key), {}};
    if (options_.tombstone) op.value = options_.tombstone(*entry);
    batch.push_back({Txn{{}, {std::move(op)}}, nullptr, nullptr});
  }
  if (!batch.empty()) process(batch);
}

void SqliteStore::Impl::process(std::vector<Waiting>& batch) {
  staged_.clear();
  staged_by_key_.clear();
  std::vector<Result<TxnResult>> results;
  for (Waiting& waiting : batch) results.push_back(stage(waiting.txn));
  if (auto written = persist(); !written) {
    log::error("store: a commit failed: {}", written.error().message());
    for (auto& result : results) result = written.error();
  } else {
    publish();
  }
  report(batch, results);
}

const Entry* SqliteStore::Impl::current(const std::string& key) const {
  const auto it = staged_by_key_.find(key);
  if (it == staged_by_key_.end()) return space_.find(key);
  const Staged& staged = staged_[it->second];
  return staged.type == Event::Type::kDelete ? nullptr : &staged.entry;
}

bool SqliteStore::Impl::holds(const Compare& compare) const {
  const Entry* entry = current(compare.key);
  return (entry == nullptr ? 0 : entry->mod_revision) == compare.mod_revision;
}

Result<TxnResult> SqliteStore::Impl::stage(Txn& txn) {
  TxnResult result;
  result.revision = next_revision_;
  for (const Compare& compare : txn.compares)
    if (!holds(compare)) return result;
  result.succeeded = true;
  if (txn.ops.empty()) return result;
  result.revision = ++next_revision_;
  for (Op& op : txn.ops) stage_op(op, result.revision, result);
  return result;
}

void SqliteStore::Impl::stage_op(Op& op, int64_t revision, TxnResult& result) {
  const Entry* before = current(op.key);
  if (op.kind == Op::Kind::kDelete) {
    Bytes last =
        op.value.bytes.empty() ? (before ? before->value : nullptr) : op.value.at(revision);
    result.values.push_back(last);
    if (before == nullptr) return;  // deleting what is not there changes nothing
    staged_.push_back({Event::Type::kDelete, {op.key, std::move(last), 0, revision}});
  } else {
    const int64_t created = before != nullptr ? before->create_revision : revision;
    Bytes value = op.value.at(revision);
    result.values.push_back(value);
    staged_.push_back({Event::Type::kPut, {op.key, std::move(value), created, revision}});
  }
  staged_by_key_[op.key] = staged_.size() - 1;
}

Result<void> SqliteStore::Impl::persist() {
  const bool durable = std::any_of(staged_.begin(), staged_.end(), [this](const Staged& staged) {
    return !book_.covers(staged.entry.key);
  });
  const bool reserve = next_revision_ > reserved_revision_;
  if (!durable && !reserve) return ok();
  if (auto begun = database_->begin(); !begun) return begun;
  auto written = write_staged(durable, reserve);
  if (!written) {
    database_->rollback();
    return written;
  }
  if (reserve) reserved_revision_ = next_revision_ + options_.revision_block;
  std::unique_lock lock(state_mutex_);
  ++counters_.commits;
  return ok();
}

Result<void> SqliteStore::Impl::write_staged(bool durable, bool reserve) {
  if (reserve) {
    auto done = database_->reserve_revision(next_revision_ + options_.revision_block);
    if (!done) return done;
  }
  for (const Staged& staged : staged_) {
    if (!durable || book_.covers(staged.entry.key)) continue;
    auto done = staged.type == Event::Type::kPut ? database_->put(staged.entry)
                                                 : database_->remove(staged.entry.key);
    if (!done) return done;
  }
  return database_->commit();
}

void SqliteStore::Impl::publish() {
  const MonoTime now = std::chrono::steady_clock::now();
  for (const Staged& staged : staged_) {
    if (staged.type == Event::Type::kPut)
      book_.written(staged.entry.key, now);
    else
      book_.removed(staged.entry.key);
  }
  std::unique_lock lock(state_mutex_);
  for (Staged& staged : staged_) {
    hub_.publish(space_.apply(staged.type, staged.entry.key, std::move(staged.entry.value),
                              staged.entry.mod_revision, now));
    ++counters_.events;
  }
  hub_.flush(space_.revision());
}

// One post a Loop for the whole batch.
void SqliteStore::Impl::report(std::vector<Waiting>& batch,
                               std::vector<Result<TxnResult>>& results) {
  {
    std::unique_lock lock(state_mutex_);
    counters_.transactions += batch.size();
  }
  using Report = std::pair<Done, Result<TxnResult>>;
  std::unordered_map<Loop*, std::vector<Report>> by_loop;
  for (size_t i = 0; i < batch.size(); ++i)
    if (batch[i].loop != nullptr)
      by_loop[batch[i].loop].emplace_back(std::move(batch[i].done), std::move(results[i]));
  for (auto& [loop, reports] : by_loop) {
    loop->post([reports = std::move(reports)]() mutable {
      for (auto& [done, result] : reports) done(std::move(result));
    });
  }
}

// --- The public face.

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(SqliteOptions options) {
  auto database = Database::open(options.directory);
  if (!database) return database.error();
  auto impl = std::make_shared<Impl>(std::move(options), std::move(*database));
  if (auto loaded = impl->load(); !loaded) return loaded.error();
  impl->start();
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(impl)));
}

SqliteStore::~SqliteStore() {
  impl_->stop();
}

int64_t SqliteStore::revision() const {
  return impl_->revision();
}
Result<Entry> SqliteStore::get(std::string_view key) const {
  return impl_->get(key);
}
Result<RangeResult> SqliteStore::range(const RangeOptions& options) const {
  return impl_->range(options);
}
void SqliteStore::commit(Txn txn, Loop& loop, Done done) {
  impl_->submit({std::move(txn), &loop, std::move(done)});
}
Result<std::unique_ptr<Watch>> SqliteStore::watch(const WatchOptions& options, Loop& loop,
                                                  WatchHandlers handlers) {
  return impl_->watch(options, loop, std::move(handlers));
}
void SqliteStore::compact(int64_t revision) {
  impl_->compact(revision);
}
Stats SqliteStore::stats() const {
  return impl_->stats();
}

}  // namespace fairlead::orchestrator::store
