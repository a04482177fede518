// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/cluster/locks.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

namespace {

constexpr char kServerLock[] = "server.lock";
constexpr char kNodeLock[] = "node.lock";
constexpr char kNetworkName[] = "fairlead-node";

// A lock's file: the process, then a note, a line each.
struct Holder {
  pid_t pid = 0;
  std::string note;
};

Holder read_holder(const std::string& path) {
  const Result<std::string> text = files::read(path);
  if (!text.ok()) return {};
  const size_t end = std::min(text->find('\n'), text->size());
  std::string note = text->substr(std::min(end + 1, text->size()));
  while (note.ends_with('\n')) note.pop_back();
  return {static_cast<pid_t>(std::strtol(text->c_str(), nullptr, 10)), std::move(note)};
}

Error taken(pid_t pid, const std::string& where, const std::string& remedy) {
  return {ErrorCode::kAlreadyExists, "another fairlead" +
                                         (pid > 0 ? " (process " + std::to_string(pid) + ")" : "") +
                                         " " + where + ": " + remedy};
}

// 0: nobody holds it now.
pid_t holder_of(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return 0;
  const bool free = flock(fd, LOCK_EX | LOCK_NB) == 0;
  close(fd);
  return free ? 0 : read_holder(path).pid;
}

// Nobody accepts: each who asks takes a place in the backlog, and when it is full the listener
// stays unnamed (0). Waiting for a place would be for ever.
pid_t listener_of(const sockaddr_un& address, socklen_t length) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return 0;
  ucred peer{};
  socklen_t size = sizeof peer;
  const bool known = connect(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0 &&
                     getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
  close(fd);
  return known ? peer.pid : 0;
}

}  // namespace

Locks::~Locks() {
  for (const int fd : fds_) close(fd);
}

Result<void> Locks::take(const ClusterOptions& options, bool server, bool node) {
  if (server)
    if (auto done = lock_file(options.data_dir, kServerLock, ""); !done.ok()) return done;
  if (!node) return ok();
  if (auto done = lock_file(options.data_dir, kNodeLock, ""); !done.ok()) return done;
  if (auto done = lock_network(); !done.ok()) return done;
  const std::string owner = owner_of_run_dir(options);
  if (!owner.empty() && owner != options.data_dir)
    return Error(ErrorCode::kAlreadyExists,
                 options.run_dir + " holds the pods of the node in " + owner +
                     ": end them first (fairlead down --data-dir " + owner + ")");
  return lock_file(options.run_dir, kNodeLock, options.data_dir);
}

Result<void> Locks::take_data_dir(const ClusterOptions& options) {
  const Result<void> server = lock_file(options.data_dir, kServerLock, "");
  return server.ok() ? lock_file(options.data_dir, kNodeLock, "") : server;
}

Result<void> Locks::lock_file(const std::string& folder, const char* name,
                              const std::string& note) {
  if (const Result<void> made = files::make_dirs(folder, 0711); !made.ok()) return made;
  const std::string path = folder + "/" + name;
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Error::from_errno(errno, "open " + path);
  fds_.push_back(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0)
    return errno == EWOULDBLOCK
               ? taken(read_holder(path).pid, "uses " + folder,
                       "stop it (fairlead down --data-dir " + folder + "), or give another folder")
               : Error::from_errno(errno, "lock " + path);
  const std::string text = std::to_string(getpid()) + "\n" + (note.empty() ? "" : note + "\n");
  if (ftruncate(fd, 0) != 0 || write(fd, text.data(), text.size()) < 0)
    return Error::from_errno(errno, "write " + path);
  return ok();
}

Result<void> Locks::lock_network() {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Error::from_errno(errno, "unix socket");
  fds_.push_back(fd);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, kNetworkName, sizeof kNetworkName - 1);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + sizeof kNetworkName);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0)
    return listen(fd, 8) == 0 ? ok() : Error::from_errno(errno, "unix socket");  // tells who we are
  if (errno != EADDRINUSE) return Error::from_errno(errno, "lock the machine's node");
  return taken(listener_of(address, length), "is the node of this machine",
               "two would undo each other's rules and routes; stop it first (fairlead down)");
}

std::vector<pid_t> holders(const ClusterOptions& options) {
  std::vector<pid_t> found;
  for (const char* name : {kServerLock, kNodeLock}) {
    const pid_t pid = holder_of(options.data_dir + "/" + name);
    if (pid > 1 && std::find(found.begin(), found.end(), pid) == found.end()) found.push_back(pid);
  }
  return found;
}

std::string owner_of_run_dir(const ClusterOptions& options) {
  return read_holder(options.run_dir + "/" + kNodeLock).note;
}

}  // namespace fairlead::orchestrator
