// SPDX-License-Identifier: Apache-2.0
// One reader of one container's log: file in, formatted text out to an HTTP client.
//
// Threads: the loop's. Bounded: reads on only while the client takes what it is given, whatever the
// size of the file. A reader that follows is told of new bytes by inotify and goes through every
// file of a rotation (PATH, then older PATH.TIME in the order of their names), until the container
// has ended or the client has gone. A file that cannot be read is answered with a Status; one that
// breaks off in the middle, or a reader so slow that rotation has removed what it had not read,
// ends the connection, so that the client cannot take a part for the whole.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/http/server.h"
#include "base/loop.h"
#include "orchestrator/node/cri_log.h"

namespace fairlead::orchestrator {

struct LogSource {
  std::string path;
  std::function<bool()> running;  // may more be written? asked once a second by those that follow
};

class LogReader {
 public:
  // on_end runs once, from the loop: nothing more will be sent. It may destroy the reader.
  LogReader(Loop& loop, LogSource source, LogQuery query, std::shared_ptr<HttpResponder> responder,
            std::function<void()> on_end);
  ~LogReader();
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  void start();

 private:
  Result<void> open_first();
  void watch();
  void check_end();
  void pump();
  bool find_next();
  bool next_file();
  void complete();
  void break_off(const std::string& why);
  void end_later();

  Loop& loop_;
  const LogSource source_;
  const LogQuery query_;
  LogFormatter formatter_;
  std::shared_ptr<HttpResponder> responder_;
  std::function<void()> on_end_;
  int fd_ = -1;
  int next_fd_ = -1;  // the successor of fd_, once there is one
  int inotify_ = -1;
  std::unique_ptr<Poll> poll_;
  Alarm check_, end_;
  bool blocked_ = false;     // the client has enough
  bool superseded_ = false;  // fd_ has a successor: after its end comes that
  bool ended_ = false;       // nothing more will be written
  bool lost_ = false;        // rotation removed what would have come next
  bool done_ = false;
};

// {"kind":"Status",...} for what the node refuses.
std::string log_status_body(int code, const std::string& message);

}  // namespace fairlead::orchestrator
