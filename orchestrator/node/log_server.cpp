// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/log_server.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

namespace {

constexpr size_t kChunk = 64 * 1024;
constexpr size_t kMaxTail = 32 * 1024 * 1024;
constexpr char kApiServerName[] = "kube-apiserver-kubelet-client";

std::string status_body(int code, const std::string& message) {
  return nlohmann::json{{"kind", "Status"},
                        {"apiVersion", "v1"},
                        {"status", "Failure"},
                        {"code", code},
                        {"message", message}}
      .dump();
}

std::optional<int64_t> parse_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    if (end > 0) parts.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

}  // namespace

Result<LogQuery> parse_log_query(const HttpServerRequest& request, WallTime now) {
  LogQuery query;
  const auto flag = [&](const char* name) {
    const auto value = request.query_value(name);
    return value && (*value == "true" || *value == "1");
  };
  query.follow = flag("follow");
  query.previous = flag("previous");
  query.timestamps = flag("timestamps");
  for (const char* name : {"tailLines", "limitBytes", "sinceSeconds"}) {
    const auto text = request.query_value(name);
    if (!text) continue;
    const std::optional<int64_t> value = parse_number(*text);
    if (!value || *value < 0)
      return Error(ErrorCode::kInvalid,
                   std::string(name) + " must be a number that is not negative");
    if (name == std::string_view("tailLines"))
      query.tail_lines = value;
    else if (name == std::string_view("limitBytes"))
      query.limit_bytes = value;
    else
      query.since = now - std::chrono::seconds(std::min<int64_t>(*value, 3155760000));
  }
  if (const auto text = request.query_value("sinceTime")) {
    query.since = parse_time(*text);
    if (!query.since)
      return Error(ErrorCode::kInvalid, "sinceTime must be a time as RFC 3339 writes it");
  }
  return query;
}

// One request that reads one log.
class LogServer::Reader {
 public:
  Reader(LogServer& server, uint64_t id, std::string path, LogQuery query,
         std::function<bool()> running, std::shared_ptr<HttpResponder> responder)
      : server_(server),
        id_(id),
        path_(std::move(path)),
        query_(query),
        formatter_(query),
        running_(std::move(running)),
        responder_(std::move(responder)) {}
  ~Reader() {
    poll_.reset();
    if (inotify_ >= 0) close(inotify_);
    if (fd_ >= 0) close(fd_);
  }

  void start() {
    fd_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) {
      responder_->respond(404, {{"Content-Type", "application/json"}},
                          status_body(404, "the log file is not there (yet): " + path_));
      return finish_later();
    }
    if (query_.tail_lines) seek_tail();
    responder_->start(200, {{"Content-Type", "text/plain"}});
    responder_->on_closed([this] { finish_later(); });
    responder_->on_drained([this] { pump(); });
    if (query_.follow) watch();
    pump();
  }

 private:
  void seek_tail() {
    struct stat info {};
    if (fstat(fd_, &info) != 0) return;
    const off_t from = std::max<off_t>(0, info.st_size - static_cast<off_t>(kMaxTail));
    std::string content(static_cast<size_t>(info.st_size - from), '\0');
    const ssize_t n = pread(fd_, content.data(), content.size(), from);
    content.resize(n > 0 ? static_cast<size_t>(n) : 0);
    lseek(fd_, from + static_cast<off_t>(tail_offset(content, *query_.tail_lines)), SEEK_SET);
  }

  // New bytes, and the new file after a rotation, both show in the folder.
  void watch() {
    inotify_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    const std::string folder = path_.substr(0, path_.rfind('/'));
    if (inotify_ < 0 ||
        inotify_add_watch(inotify_, folder.c_str(), IN_MODIFY | IN_CREATE | IN_DELETE_SELF) < 0)
      return;
    poll_ = std::make_unique<Poll>(server_.loop_, inotify_);
    poll_->start(UV_READABLE, [this](int) {
      alignas(inotify_event) char events[4096];
      while (read(inotify_, events, sizeof events) > 0) {
      }
      pump();
    });
    check_end();
  }

  // A container that ended writes nothing any more.
  void check_end() {
    if (!running_()) ended_ = true, pump();
    if (!ended_)
      check_ = server_.loop_.clock().after(std::chrono::seconds(1), [this] { check_end(); });
  }

  // Sends what there is until the client is slow or the file ends.
  void pump() {
    if (done_) return;
    std::string buffer(kChunk, '\0');
    for (;;) {
      const ssize_t n = read(fd_, buffer.data(), buffer.size());
      if (n <= 0) {
        if (rotated()) continue;
        break;
      }
      std::string out;
      const bool more = formatter_.feed({buffer.data(), static_cast<size_t>(n)}, out);
      const bool keep_going = out.empty() || responder_->write(out);
      if (!more) return complete();
      if (!keep_going) return;
    }
    if (!query_.follow || ended_) complete();
  }

  // True: the file was rotated and its successor is open now.
  bool rotated() {
    struct stat ours {
    }, now{};
    if (!query_.follow || fstat(fd_, &ours) != 0 || stat(path_.c_str(), &now) != 0 ||
        ours.st_ino == now.st_ino)
      return false;
    const int next = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (next < 0) return false;
    close(fd_);
    fd_ = next;
    return true;
  }

  void complete() {
    if (std::exchange(done_, true)) return;
    responder_->finish();
    finish_later();
  }

  void finish_later() {
    done_ = true;
    end_ = server_.loop_.clock().after(Duration::zero(), [this] { server_.readers_.erase(id_); });
  }

  LogServer& server_;
  const uint64_t id_;
  const std::string path_;
  const LogQuery query_;
  LogFormatter formatter_;
  std::function<bool()> running_;
  std::shared_ptr<HttpResponder> responder_;
  int fd_ = -1;
  int inotify_ = -1;
  std::unique_ptr<Poll> poll_;
  Alarm check_, end_;
  bool ended_ = false;
  bool done_ = false;
};

LogServer::LogServer(Loop& loop, Cri& cri, Runner& runner, LogServerOptions options)
    : loop_(loop), cri_(cri), runner_(runner), options_(std::move(options)) {}
LogServer::~LogServer() {
  readers_.clear();
  server_.reset();
}

Result<void> LogServer::start() {
  if (options_.certificate.certificate_pem.empty()) {
    const WallTime now = loop_.clock().wall_now();
    const auto authority = tls::make_authority("fairlead-node", now, std::chrono::hours(24 * 365));
    if (!authority.ok()) return authority.error();
    options_.certificate = *authority;
  }
  HttpServerOptions http;
  http.tls = TlsServerConfig{options_.certificate.certificate_pem, options_.certificate.key_pem,
                             options_.client_ca_pem};
  http.max_connections = 256;
  http.max_body_bytes = 64 * 1024;
  server_ = std::make_unique<HttpServer>(
      loop_, http, [this](HttpServerRequest request, std::shared_ptr<HttpResponder> responder) {
        handle(request, std::move(responder));
      });
  const Result<SocketAddress> bound = server_->listen(options_.bind);
  if (!bound.ok()) return bound.error().with_context("the node's HTTPS");
  rotate();
  return ok();
}

void LogServer::handle(const HttpServerRequest& request, std::shared_ptr<HttpResponder> responder) {
  const auto refuse = [&](int code, const std::string& message) {
    responder->respond(code, {{"Content-Type", "application/json"}}, status_body(code, message));
  };
  if (request.path == "/healthz")
    return responder->respond(200, {{"Content-Type", "text/plain"}}, "ok");
  if (!request.client) return refuse(401, "Unauthorized");
  if (request.client->common_name != kApiServerName)
    return refuse(403, "only the API server reads logs");
  const std::vector<std::string> parts = split_path(request.path);
  if (parts.size() != 4 || parts[0] != "containerLogs")
    return refuse(404, "there is only /containerLogs/NS/POD/CONTAINER");
  if (request.method != "GET") return refuse(405, "only GET");
  if (readers_.size() >= kMaxReaders) return refuse(429, "too many readers of logs");
  const Result<LogQuery> query = parse_log_query(request, loop_.clock().wall_now());
  if (!query.ok()) return refuse(400, query.error().message());
  const kube::ObjectKey pod{parts[1], parts[2]};
  const Result<std::string> path = runner_.log_file(pod, parts[3], query->previous);
  if (!path.ok()) return refuse(path.error().is_not_found() ? 404 : 400, path.error().message());
  const auto running = [this, pod, container = parts[3], path = *path] {
    const Result<std::string> now = runner_.log_file(pod, container, false);
    return now.ok() && *now == path && runner_.is_running(pod, container);
  };
  const uint64_t id = next_reader_++;
  auto& reader = readers_[id];
  reader = std::make_unique<Reader>(*this, id, *path, *query, running, std::move(responder));
  reader->start();
}

// LOG_ROOT/POD/CONTAINER/N.log
void LogServer::rotate() {
  rotate_ = loop_.clock().after(std::chrono::seconds(10), [this] { rotate(); });
  for (const auto& [container_id, path] : runner_.running_logs()) {
    struct stat info {};
    if (stat(path.c_str(), &info) != 0 || info.st_size <= kMaxFileBytes) continue;
    const std::string folder = path.substr(0, path.rfind('/'));
    const std::string name = path.substr(path.rfind('/') + 1);
    const std::string older = path + "." + format_time_nanos(loop_.clock().wall_now());
    if (rename(path.c_str(), older.c_str()) != 0) continue;
    std::vector<std::string> kept;
    for (const std::string& file : files::list(folder))
      if (file.starts_with(name + ".")) kept.push_back(file);
    for (size_t i = 0; i + kMaxFiles - 1 < kept.size(); ++i)
      unlink((folder + "/" + kept[i]).c_str());
    cri_.reopen_log(container_id, [path = path, older](Result<void> done) {
      if (done.ok()) return;
      log::warn("{} cannot be rotated: {}", path, done.error().message());
      (void)rename(older.c_str(), path.c_str());  // the runtime still writes to it
    });
  }
}

}  // namespace fairlead::orchestrator
