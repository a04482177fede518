// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/store/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace fairlead::orchestrator::store {
namespace {

constexpr int kFormatVersion = 1;

std::string read_small(int fd) {
  char buffer[32] = {};
  const ssize_t got = pread(fd, buffer, sizeof buffer - 1, 0);
  std::string text(buffer, got > 0 ? static_cast<size_t>(got) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const std::string& directory) {
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  if (failure) return Error::from_errno(failure.value(), "make data directory " + directory);
  chmod(directory.c_str(), 0700);
  std::unique_ptr<Database> database(new Database(directory + "/state.db"));
  if (auto locked = database->lock_directory(directory); !locked) return locked.error();
  if (auto opened = database->open_file(); !opened) return opened.error();
  if (auto ready = database->prepare_schema(); !ready) return ready.error();
  return database;
}

Database::~Database() {
  for (sqlite3_stmt* statement : {put_, remove_, reserve_}) sqlite3_finalize(statement);
  if (db_ != nullptr) {
    sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    sqlite3_close(db_);
  }
  if (lock_fd_ >= 0) close(lock_fd_);
}

Result<void> Database::lock_directory(const std::string& directory) {
  const std::string path = directory + "/lock";
  lock_fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return Error::from_errno(errno, "open " + path);
  if (flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Error::from_errno(errno, "lock " + path);
    return Error(ErrorCode::kAlreadyExists, "data directory " + directory +
                                                " is in use by process " + read_small(lock_fd_) +
                                                "; stop it or choose another --data-dir");
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(lock_fd_, 0) != 0 ||
      pwrite(lock_fd_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    return Error::from_errno(errno, "write " + path);
  return ok();
}

Result<void> Database::open_file() {
  // SQLite makes the file with this mode only if it exists with it before.
  const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Error::from_errno(errno, "open " + path_);
  close(fd);
  const int code =
      sqlite3_open_v2(path_.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) return error(code);
  sqlite3_extended_result_codes(db_, 1);
  sqlite3_busy_timeout(db_, 0);
  // locking_mode=EXCLUSIVE before WAL keeps the log's index in our heap: no shared-memory file.
  for (const char* sql :
       {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA auto_vacuum=INCREMENTAL",
        "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0",
        "PRAGMA cache_size=-1024", "PRAGMA temp_store=MEMORY"})
    if (auto done = execute(sql); !done) return done;
  sqlite3_wal_hook(
      db_,
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<Database*>(self)->log_pages_ = pages;
        return SQLITE_OK;
      },
      this);
  return ok();
}

Result<void> Database::prepare_schema() {
  if (auto fits = check_version(); !fits) return fits;
  for (const char* sql :
       {"CREATE TABLE IF NOT EXISTS entry(key TEXT PRIMARY KEY, value BLOB NOT NULL, "
        "create_revision INTEGER NOT NULL, mod_revision INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT "
        "ROWID",
        "PRAGMA user_version=1"})
    if (auto done = execute(sql); !done) return done;
  if (auto done = prepare("INSERT OR REPLACE INTO entry VALUES(?1,?2,?3,?4)", &put_); !done)
    return done;
  if (auto done = prepare("DELETE FROM entry WHERE key=?1", &remove_); !done) return done;
  return prepare("INSERT OR REPLACE INTO meta VALUES('reserved_revision',?1)", &reserve_);
}

Result<void> Database::check_version() {
  sqlite3_stmt* statement = nullptr;
  if (auto done = prepare("PRAGMA quick_check(1)", &statement); !done) return done;
  int code = sqlite3_step(statement);
  std::string verdict;
  if (code == SQLITE_ROW)
    verdict = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
  sqlite3_finalize(statement);
  if (code != SQLITE_ROW) return error(code);
  if (verdict != "ok")
    return Error(ErrorCode::kUnavailable, path_ + " is damaged (" + verdict +
                                              "); put back a copy, or move it away to start empty");
  if (auto done = prepare("PRAGMA user_version", &statement); !done) return done;
  sqlite3_step(statement);
  const int version = sqlite3_column_int(statement, 0);
  sqlite3_finalize(statement);
  if (version > kFormatVersion)
    return Error(ErrorCode::kUnsupported, path_ + " was written by a newer version (format " +
                                              std::to_string(version) + ")");
  return ok();
}

Result<void> Database::load(const std::function<void(Entry)>& each) {
  sqlite3_stmt* statement = nullptr;
  const char* sql = "SELECT key,value,create_revision,mod_revision FROM entry";
  if (auto done = prepare(sql, &statement); !done) return done;
  int code = SQLITE_OK;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    const auto text = [&](int column) {
      const void* data = sqlite3_column_blob(statement, column);
      const int size = sqlite3_column_bytes(statement, column);
      return std::string(static_cast<const char*>(data), data == nullptr ? 0 : size);
    };
    each({text(0), std::make_shared<const std::string>(text(1)), sqlite3_column_int64(statement, 2),
          sqlite3_column_int64(statement, 3)});
  }
  sqlite3_finalize(statement);
  if (code != SQLITE_DONE) return error(code);
  return ok();
}

Result<int64_t> Database::reserved_revision() {
  sqlite3_stmt* statement = nullptr;
  const char* sql = "SELECT value FROM meta WHERE name='reserved_revision'";
  if (auto done = prepare(sql, &statement); !done) return done.error();
  const int code = sqlite3_step(statement);
  const int64_t revision = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
  sqlite3_finalize(statement);
  if (code != SQLITE_ROW && code != SQLITE_DONE) return error(code);
  return revision;
}

Result<void> Database::begin() {
  return execute("BEGIN IMMEDIATE");
}
Result<void> Database::commit() {
  return execute("COMMIT");
}
void Database::rollback() {
  (void)execute("ROLLBACK");
}

Result<void> Database::put(const Entry& entry) {
  sqlite3_bind_text(put_, 1, entry.key.data(), static_cast<int>(entry.key.size()), SQLITE_STATIC);
  sqlite3_bind_blob(put_, 2, entry.value->data(), static_cast<int>(entry.value->size()),
                    SQLITE_STATIC);
  sqlite3_bind_int64(put_, 3, entry.create_revision);
  sqlite3_bind_int64(put_, 4, entry.mod_revision);
  return step(put_);
}

Result<void> Database::remove(const std::string& key) {
  sqlite3_bind_text(remove_, 1, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
  return step(remove_);
}

Result<void> Database::reserve_revision(int64_t revision) {
  sqlite3_bind_int64(reserve_, 1, revision);
  return step(reserve_);
}

void Database::checkpoint_if_long() {
  if (log_pages_ < kCheckpointPages) return;
  sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  log_pages_ = 0;
  (void)execute("PRAGMA incremental_vacuum(256)");
}

Result<void> Database::prepare(const char* sql, sqlite3_stmt** statement) {
  const int code = sqlite3_prepare_v2(db_, sql, -1, statement, nullptr);
  if (code != SQLITE_OK) return error(code);
  return ok();
}

Result<void> Database::execute(const char* sql) {
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code);
  return ok();
}

Result<void> Database::step(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  if (code != SQLITE_DONE && code != SQLITE_ROW) return error(code);
  return ok();
}

Error Database::error(int code) const {
  const std::string reason = db_ != nullptr ? sqlite3_errmsg(db_) : sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error(
          ErrorCode::kUnavailable,
          path_ + " is damaged (" + reason + "); put back a copy, or move it away to start empty");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Error(ErrorCode::kAlreadyExists,
                   path_ + " is locked by another process (" + reason + ")");
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return Error(ErrorCode::kPermission, path_ + " cannot be written: " + reason);
    case SQLITE_FULL:
      return Error(ErrorCode::kResourceExhausted, "no space left for " + path_ + ": " + reason);
    default:
      return Error(ErrorCode::kUnavailable, path_ + ": " + reason);
  }
}

}  // namespace fairlead::orchestrator::store
