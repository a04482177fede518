// SPDX-License-Identifier: Apache-2.0
#include "dns/host.h"

#include <algorithm>

#include "base/http/server.h"
#include "base/log.h"
#include "dns/registry.h"

namespace fairlead::dns {
namespace {

class Undo : public Service {
 public:
  explicit Undo(std::function<void()> undo) : undo_(std::move(undo)) {}
  ~Undo() override { undo_(); }
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;

 private:
  std::function<void()> undo_;
};

HttpServerOptions small_server() {
  HttpServerOptions options;
  options.max_header_bytes = 16 * 1024;
  options.max_body_bytes = 64 * 1024;
  options.max_connections = 256;
  return options;
}

}  // namespace

// One listening address; it is open while somebody answers there.
struct Host::Http {
  explicit Http(const SocketAddress& where) : address(where) {}

  Result<void> open(Loop& loop) {
    if (server) return ok();
    released = false;
    server = std::make_unique<HttpServer>(
        loop, small_server(),
        [this](const HttpServerRequest& request, const std::shared_ptr<HttpResponder>& responder) {
          const HttpsOptions* const tls = https();
          if (tls != nullptr && tls->needs_client && !request.client)
            responder->respond(403, {}, "403 no client certificate\n");
          else if (!serve_ops(newest(), request, *responder))
            responder->respond(404, {}, "404 page not found\n");
        });
    const HttpsOptions* const wanted = https();
    over_tls = wanted != nullptr;
    if (over_tls)
      if (const Result<void> set = server->set_tls(wanted->tls); !set.ok())
        return server.reset(), set;
    Result<SocketAddress> bound = server->listen(address);
    if (!bound.ok() && address.address.is_v6() && address.address.is_unspecified())
      bound = server->listen({IpAddress::any(Family::kIpv4), address.port});  // no IPv6 here
    if (bound.ok()) return ok();
    server.reset();
    return bound.error();
  }

  OpsEndpoints newest() const {
    OpsEndpoints endpoints;
    for (const Answer& each : answers) endpoints.checks[each.path] = each.answer;
    return endpoints;
  }
  const HttpsOptions* https() const {
    const auto at = std::find_if(answers.rbegin(), answers.rend(),
                                 [](const Answer& each) { return each.https.has_value(); });
    return at == answers.rend() ? nullptr : &*at->https;
  }
  // Those that answer have changed. From plain to TLS and back the server begins anew: connections
  // that are open would go on as they are.
  Result<void> follow(Loop& loop) {
    if (answers.empty() || released) return ok();
    const HttpsOptions* const wanted = https();
    if (server && over_tls == (wanted != nullptr))
      return wanted != nullptr ? server->set_tls(wanted->tls) : ok();
    server.reset();
    return open(loop);
  }
  void follow_or_say(Loop& loop) {
    if (const Result<void> done = follow(loop); !done.ok())
      log::error("{}: {}", address.to_string(), done.error().message());
  }

  const SocketAddress address;
  struct Answer {
    std::string path;
    std::function<HealthAnswer()> answer;
    std::optional<HttpsOptions> https;
  };
  std::list<Answer> answers;
  std::unique_ptr<HttpServer> server;
  bool over_tls = false;
  bool released = false;  // for another process, until open()
};

template <typename T>
Host::Token Host::put(std::list<T>& list, T value) {
  const auto at = list.insert(list.end(), std::move(value));
  return std::make_unique<Undo>([&list, at] { list.erase(at); });
}

Result<Host::Token> Host::serve_http(const SocketAddress& address, const std::string& path,
                                     std::function<HealthAnswer()> answer,
                                     std::optional<HttpsOptions> https) {
  if (!serves_) return Token();
  std::shared_ptr<Http> http = http_[address].lock();
  const bool is_new = http == nullptr;
  if (is_new) http = std::make_shared<Http>(address);
  // Copies of what is kept here are asked: they share its state.
  const auto shared = std::make_shared<std::function<HealthAnswer()>>(std::move(answer));
  const auto at = http->answers.insert(http->answers.end(),
                                       {path, [shared] { return (*shared)(); }, std::move(https)});
  if (const Result<void> begun = http->follow(loop_); !begun.ok()) {
    http->answers.erase(at);
    http->follow_or_say(loop_);
    return begun.error();
  }
  if (is_new) http_[address] = http;
  return Token(std::make_unique<Undo>([http, at, &loop = loop_] {
    http->answers.erase(at);
    http->follow_or_say(loop);
  }));
}

void Host::release_ports() {
  for (const auto& [address, weak] : http_)
    if (const auto http = weak.lock()) {
      http->server.reset();
      http->released = true;
    }
}

Result<void> Host::take_ports() {
  for (const auto& [address, weak] : http_)
    if (const auto http = weak.lock())
      if (const Result<void> opened = http->open(loop_); !opened.ok()) return opened;
  return ok();
}

Host::Token Host::add_readiness(const std::string& plugin, std::function<bool()> ready,
                                std::function<std::string()> remark) {
  return put(readiness_, Readiness{plugin, std::move(ready), std::move(remark)});
}

Host::Token Host::add_metrics(std::function<void(std::string& out)> render) {
  return put(metrics_, std::move(render));
}

Host::Token Host::add_lameduck(Duration duration) {
  return put(lameducks_, duration);
}

Host::Token Host::add_startup_limit(Duration duration) {
  return put(startup_limits_, duration);
}

Host::Token Host::add_reload(Duration period, Duration jitter) {
  return put(reloads_, Reload{period, jitter});
}

std::vector<std::string> Host::not_ready() const {
  std::vector<std::string> names;
  for (const Registered& each : registry())
    if (std::ranges::any_of(readiness_, [&](const Readiness& readiness) {
          return readiness.plugin == each.name && !readiness.ready();
        }))
      names.emplace_back(each.name);
  return names;
}

std::vector<std::string> Host::remarks() const {
  std::vector<std::string> remarks;
  for (const Readiness& readiness : readiness_) {
    const std::string text = readiness.remark ? readiness.remark() : std::string();
    if (text.empty()) continue;
    std::string whole = readiness.plugin + ": " + text;
    if (std::ranges::find(remarks, whole) == remarks.end()) remarks.push_back(std::move(whole));
  }
  return remarks;
}

std::string Host::metrics() const {
  std::string out;
  if (workers) render_metrics(workers(), out);
  for (const auto& render : metrics_) render(out);
  return out + process_.text();
}

namespace {

Duration longest(const std::list<Duration>& all) {
  return all.empty() ? Duration::zero() : *std::ranges::max_element(all);
}

}  // namespace

Duration Host::lameduck() const {
  return longest(lameducks_);
}

Duration Host::startup_limit() const {
  return longest(startup_limits_);
}

}  // namespace fairlead::dns
