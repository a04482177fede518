// SPDX-License-Identifier: Apache-2.0
// The SQLite file behind the store. Used by one thread at a time.
//
// Write-ahead log with synchronous=FULL: commit() returns after the log is synced. The log is cut
// back to nothing (a truncating checkpoint) when it has grown past kCheckpointPages and on close.
// The directory is locked against a second process with flock, so a killed process leaves no lock
// behind.
#pragma once

#include <functional>
#include <memory>

#include "orchestrator/store/store.h"

struct sqlite3;
struct sqlite3_stmt;

namespace fairlead::orchestrator::store {

class Database {
 public:
  static constexpr int kCheckpointPages = 2000;

  // Makes the directory (0700) and the file (0600) where they are missing. Errors say what is wrong
  // with which file: in use, not writable, damaged, or made by a newer version.
  static Result<std::unique_ptr<Database>> open(const std::string& directory);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Result<void> load(const std::function<void(Entry)>& each);
  // The revision up to which numbers may have been handed out; 0 in a new file.
  Result<int64_t> reserved_revision();

  Result<void> begin();
  Result<void> put(const Entry& entry);
  Result<void> remove(const std::string& key);
  Result<void> reserve_revision(int64_t revision);
  Result<void> commit();
  void rollback();
  // Cuts the log if it is long. Failure only means that it stays long.
  void checkpoint_if_long();

 private:
  explicit Database(std::string path) : path_(std::move(path)) {}
  Result<void> lock_directory(const std::string& directory);
  Result<void> open_file();
  Result<void> prepare_schema();
  Result<void> check_version();
  Result<void> prepare(const char* sql, sqlite3_stmt** statement);
  Result<void> execute(const char* sql);
  Result<void> step(sqlite3_stmt* statement);
  Error error(int code) const;

  std::string path_;
  int lock_fd_ = -1;
  int log_pages_ = 0;
  sqlite3* db_ = nullptr;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* remove_ = nullptr;
  sqlite3_stmt* reserve_ = nullptr;
};

}  // namespace fairlead::orchestrator::store
