// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/log_server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include "base/log.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

namespace {

constexpr char kApiServerName[] = "kube-apiserver-kubelet-client";

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
    responder->respond(code, {{"Content-Type", "application/json"}},
                       log_status_body(code, message));
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
  reader = std::make_unique<LogReader>(loop_, LogSource{*path, running}, *query,
                                       std::move(responder), [this, id] { readers_.erase(id); });
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
