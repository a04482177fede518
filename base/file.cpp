// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <tuple>
#include <utility>

#include "base/fd.h"

namespace fairlead {
namespace {

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error::from_errno(errno, "write " + path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return ok();
}

Result<void> sync_directory(const std::string& directory) {
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || fsync(fd.get()) != 0) return Error::from_errno(errno, "sync " + directory);
  return ok();
}

}  // namespace

Result<std::string> read_file(const std::string& path, size_t max_bytes) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return Error::from_errno(errno, "open " + path);
  std::string content;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t length = ::read(fd.get(), buffer, sizeof buffer);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return Error::from_errno(errno, "read " + path);
    if (length == 0) return content;
    if (static_cast<size_t>(length) > max_bytes - content.size())
      return Error(ErrorCode::kResourceExhausted,
                   "read " + path + ": larger than " + std::to_string(max_bytes) + " bytes");
    content.append(buffer, static_cast<size_t>(length));
  }
}

Result<void> write_file_atomic(const std::string& path, std::string_view bytes, mode_t mode,
                               Durability durability) {
  Result<AtomicFile> file = AtomicFile::create(path, mode);
  if (!file.ok()) return file.error();
  if (const auto written = file->append(bytes); !written.ok()) return written;
  return file->commit(durability);
}

Result<AtomicFile> AtomicFile::create(const std::string& path, mode_t mode) {
  AtomicFile file;
  file.path_ = path;
  std::string temporary = path + ".tmp-XXXXXX";
  file.fd_ = mkostemp(temporary.data(), O_CLOEXEC);
  if (file.fd_ < 0) return Error::from_errno(errno, "create a temporary file beside " + path);
  file.temporary_ = std::move(temporary);
  if (fchmod(file.fd_, mode) != 0) return Error::from_errno(errno, "chmod " + file.temporary_);
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)) {}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
  if (fd_ >= 0) ::close(fd_);
}

Result<void> AtomicFile::append(std::string_view bytes) {
  return write_all(fd_, bytes, temporary_);
}

Result<void> AtomicFile::commit(Durability durability) {
  if (durability == Durability::kSynced && fsync(fd_) != 0)
    return Error::from_errno(errno, "sync " + temporary_);
  if (rename(temporary_.c_str(), path_.c_str()) != 0)
    return Error::from_errno(errno, "rename " + temporary_ + " to " + path_);
  temporary_.clear();
  return durability == Durability::kSynced ? sync_directory(directory_of(path_)) : ok();
}

Result<void> make_directories(const std::string& path, mode_t mode) {
  for (size_t at = 0; at != std::string::npos;) {
    at = path.find('/', at + 1);
    const std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), mode) == 0) continue;
    const int error = errno;
    struct stat status {};
    if (stat(part.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) continue;
    return Error::from_errno(error, "create directory " + part);
  }
  return ok();
}

// Shared only so that a callback may destroy the FileWatch while it runs.
class FileWatch::Impl : public std::enable_shared_from_this<FileWatch::Impl> {
 public:
  Impl(Loop& loop, std::string path, std::function<void()> on_change)
      : loop_(loop),
        path_(std::move(path)),
        on_change_(std::move(on_change)),
        settle_(loop),
        poll_(loop) {}

  void begin(Duration poll_period) {
    seen_ = identity();
    watch_directory();
    poll_.start_every(poll_period, [this] {
      watch_directory();
      check();
    });
  }

  void end() {
    on_change_ = nullptr;
    settle_.stop();
    poll_.stop();
    stop_watching();
  }

 private:
  // What tells one content from another without reading it.
  using Identity = std::tuple<dev_t, ino_t, off_t, time_t, long, time_t, long>;
  static constexpr auto kSettle = std::chrono::milliseconds(50);

  // The libuv handle, and whom it tells; freed in its close callback.
  struct Event {
    uv_fs_event_t handle;
    Impl* watch;
  };

  std::optional<Identity> identity() const {
    struct stat s {};
    if (stat(path_.c_str(), &s) != 0) return std::nullopt;
    return Identity(s.st_dev, s.st_ino, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec,
                    s.st_ctim.tv_sec, s.st_ctim.tv_nsec);
  }

  std::optional<std::pair<dev_t, ino_t>> directory_identity() const {
    struct stat s {};
    if (stat(directory_of(path_).c_str(), &s) != 0) return std::nullopt;
    return std::pair(s.st_dev, s.st_ino);
  }

  // inotify watches an inode: begin again when the directory is another one. Failure (not there
  // yet, no inotify watches left) leaves the work to the poll.
  void watch_directory() {
    const auto directory = directory_identity();
    if (event_ != nullptr && directory == watched_directory_) return;
    stop_watching();
    watched_directory_ = directory;
    if (!directory) return;
    auto* event = new Event{{}, this};
    uv_fs_event_init(loop_.uv(), &event->handle);
    event->handle.data = event;
    event_ = event;
    const auto on_event = [](uv_fs_event_t* handle, const char*, int, int) {
      Impl* watch = static_cast<Event*>(handle->data)->watch;
      if (watch != nullptr) watch->settle_.start_once(kSettle, [watch] { watch->check(); });
    };
    if (uv_fs_event_start(&event->handle, on_event, directory_of(path_).c_str(), 0) != 0)
      stop_watching();
  }

  void stop_watching() {
    Event* event = std::exchange(event_, nullptr);
    if (event == nullptr) return;
    event->watch = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&event->handle),
             [](uv_handle_t* handle) { delete static_cast<Event*>(handle->data); });
  }

  void check() {
    const auto now = identity();
    if (!now || now == seen_) return;
    seen_ = now;
    const auto keep = shared_from_this();
    const auto callback = on_change_;
    if (callback) callback();
  }

  Loop& loop_;
  const std::string path_;
  std::function<void()> on_change_;
  Timer settle_;
  Timer poll_;
  Event* event_ = nullptr;
  std::optional<Identity> seen_;
  std::optional<std::pair<dev_t, ino_t>> watched_directory_;
};

FileWatch::FileWatch(Loop& loop, std::string path, std::function<void()> on_change,
                     Duration poll_period)
    : impl_(std::make_shared<Impl>(loop, std::move(path), std::move(on_change))) {
  impl_->begin(poll_period);
}
FileWatch::~FileWatch() {
  impl_->end();
}

}  // namespace fairlead
