// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/log_reader.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {
namespace {

constexpr size_t kChunk = 64 * 1024;

// The files of a log in the order in which they were written. The newest may not be there: the
// runtime makes it a moment after the rotation has renamed its predecessor.
std::vector<std::string> generations(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = path.substr(0, slash);
  const std::string name = path.substr(slash + 1);
  std::vector<std::string> found;
  for (const std::string& file : files::list(folder))
    if (file.starts_with(name + ".")) found.push_back(folder + "/" + file);
  found.push_back(path);
  return found;
}

}  // namespace

std::string log_status_body(int code, const std::string& message) {
  return nlohmann::json{{"kind", "Status"},
                        {"apiVersion", "v1"},
                        {"status", "Failure"},
                        {"code", code},
                        {"message", message}}
      .dump();
}

LogReader::LogReader(Loop& loop, LogSource source, LogQuery query,
                     std::shared_ptr<HttpResponder> responder, std::function<void()> on_end)
    : loop_(loop),
      source_(std::move(source)),
      query_(std::move(query)),
      formatter_(query_),
      responder_(std::move(responder)),
      on_end_(std::move(on_end)) {}

LogReader::~LogReader() {
  poll_.reset();
  if (inotify_ >= 0) close(inotify_);
  for (const int fd : {fd_, next_fd_})
    if (fd >= 0) close(fd);
}

void LogReader::start() {
  if (const Result<void> opened = open_first(); !opened.ok()) {
    const int code = opened.error().is_not_found() ? 404 : 500;
    responder_->respond(
        code, {{"Content-Type", "application/json"}},
        log_status_body(code, "the log cannot be read: " + opened.error().message()));
    return end_later();
  }
  responder_->start(200, {{"Content-Type", "text/plain"}});
  responder_->on_closed([this] { end_later(); });
  responder_->on_drained([this] {
    blocked_ = false;
    pump();
  });
  if (query_.follow) watch();
  pump();
}

Result<void> LogReader::open_first() {
  fd_ = open(source_.path.c_str(), O_RDONLY | O_CLOEXEC);
  const std::vector<std::string> files = generations(source_.path);
  if (fd_ < 0 && errno == ENOENT && files.size() > 1)
    fd_ = open(files[files.size() - 2].c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  char byte = 0;
  if (fd_ < 0 || fstat(fd_, &info) != 0 || pread(fd_, &byte, 1, 0) < 0)
    return Error::from_errno(errno, source_.path);
  if (!query_.tail_lines) return ok();
  const int64_t begin = tail_offset(
      [this](int64_t offset, size_t size) {
        std::string bytes(size, '\0');
        const ssize_t n = pread(fd_, bytes.data(), size, offset);
        bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
        return bytes;
      },
      info.st_size, *query_.tail_lines);
  if (lseek(fd_, begin, SEEK_SET) < 0) return Error::from_errno(errno, source_.path);
  return ok();
}

// New bytes, and the new file after a rotation, both show in the folder.
void LogReader::watch() {
  inotify_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  const std::string folder = source_.path.substr(0, source_.path.rfind('/'));
  if (inotify_ < 0 || inotify_add_watch(inotify_, folder.c_str(),
                                        IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF) < 0) {
    log::warn("{}: it cannot be watched and is read once a second: {}", source_.path,
              Error::from_errno(errno, "inotify").message());
  } else {
    poll_ = std::make_unique<Poll>(loop_, inotify_);
    poll_->start(UV_READABLE, [this](int) {
      alignas(inotify_event) char events[4096];
      while (read(inotify_, events, sizeof events) > 0) {
      }
      if (!done_) (void)find_next();  // before it is renamed out of sight, if the client is slow
      pump();
    });
  }
  check_end();
}

// A container that ended writes nothing any more; what it wrote is still read to the end.
void LogReader::check_end() {
  if (!source_.running()) ended_ = true;
  if (!ended_) check_ = loop_.clock().after(std::chrono::seconds(1), [this] { check_end(); });
  pump();
}

// Sends what there is until the client has enough or the file ends.
void LogReader::pump() {
  std::string buffer(kChunk, '\0');
  while (!done_ && !blocked_) {
    const ssize_t n = read(fd_, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return break_off(Error::from_errno(errno, "read").message());
    if (n == 0) {
      if (query_.follow && next_file()) continue;
      if (lost_) return break_off("a reader that follows was too slow: files of the log are gone");
      if (!query_.follow || ended_) complete();
      return;
    }
    std::string out;
    const bool more = formatter_.feed({buffer.data(), static_cast<size_t>(n)}, out);
    blocked_ = !out.empty() && !responder_->write(out);
    if (!more) return complete();
  }
}

// Opens the successor of the file that is read, as soon as there is one: open it stays readable,
// whatever rotation does to its name. A file whose name is gone may have had successors that are
// gone too: what is between it and the oldest that is left would be missing.
bool LogReader::find_next() {
  struct stat ours {
  }, other{};
  if (next_fd_ >= 0) return true;
  if (fstat(fd_, &ours) != 0) return false;
  const std::vector<std::string> files = generations(source_.path);
  size_t next = files.size();
  for (size_t i = 0; i < files.size(); ++i)
    if (stat(files[i].c_str(), &other) == 0 && other.st_ino == ours.st_ino) next = i + 1;
  lost_ = ours.st_nlink == 0 && files::exists(files.front());
  if (lost_ || next == files.size()) return false;
  next_fd_ = open(files[next].c_str(), O_RDONLY | O_CLOEXEC);
  return next_fd_ >= 0;
}

// At the end of a file: true when there is more to read. The runtime writes to a file until its
// successor is there, so a file is read to its end once more before it is left.
bool LogReader::next_file() {
  if (!find_next()) return false;
  if (!std::exchange(superseded_, true)) return true;
  close(std::exchange(fd_, std::exchange(next_fd_, -1)));
  superseded_ = false;
  return true;
}

void LogReader::complete() {
  if (done_) return;
  responder_->finish();
  end_later();
}

// Without its end the answer is seen to be broken.
void LogReader::break_off(const std::string& why) {
  log::warn("{}: {}", source_.path, why);
  responder_.reset();
  end_later();
}

void LogReader::end_later() {
  if (std::exchange(done_, true)) return;
  end_ = loop_.clock().after(Duration::zero(), [this] {
    const auto done = std::exchange(on_end_, nullptr);
    if (done) done();
  });
}

}  // namespace fairlead::orchestrator
