// SPDX-License-Identifier: Apache-2.0
// One attempt of a probe over the network or through the runtime (NetworkProbeRunner of probe.h).
#include <curl/curl.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/address.h"
#include "orchestrator/node/probe.h"

namespace fairlead::orchestrator {

namespace {

constexpr size_t kMaxBody = 10 * 1024;  // read and thrown away, as the kubelet does
constexpr size_t kMaxOutput = 256;
constexpr int kMaxRedirects = 10;

using Outcome = ProbeResult::Outcome;

TlsClientConfig unverified() {
  TlsClientConfig tls;
  tls.insecure_skip_verify = true;
  return tls;
}

// Asks, and goes where redirects on the same host lead, all within the probe's time-out (kubelet
// probe/http).
class HttpAttempt : public ProbeAttempt {
 public:
  // `host`: with its port. `any_status`: that it answers is success (a lifecycle hook).
  HttpAttempt(Loop& loop, HttpClient& http, HttpRequest request, std::string host, bool any_status,
              ProbeDone done)
      : clock_(loop.clock()),
        http_(http),
        request_(std::move(request)),
        host_(std::move(host)),
        any_status_(any_status),
        deadline_(clock_.now() + request_.total_timeout),
        done_(std::move(done)) {
    send();
  }

 private:
  void send() {
    request_.total_timeout = std::max<Duration>(deadline_ - clock_.now(), kLeast);
    request_.connect_timeout = request_.total_timeout;
    call_ = fetch(http_, request_, kMaxBody,
                  [this](Result<HttpResponse> response) { answered(response); });
  }
  void answered(const Result<HttpResponse>& response) {
    // A body longer than we care to read is an answer all the same.
    if (!response.ok() && response.error().is(ErrorCode::kResourceExhausted))
      return finish(Outcome::kSuccess, "");
    if (!response.ok()) return finish(Outcome::kFailure, failure(response.error()));
    const int status = response->status;
    if (any_status_) return finish(Outcome::kSuccess, "");
    if (status < 200 || status >= 400)
      return finish(Outcome::kFailure,
                    "HTTP probe failed with statuscode: " + std::to_string(status));
    if (status < 300) return finish(Outcome::kSuccess, "");
    const auto location = response->headers.get("Location");
    const auto next = is_redirect(status) && location
                          ? same_host_redirect(request_.url, std::string(*location))
                          : std::nullopt;
    if (!next)
      return finish(Outcome::kWarning, "Probe terminated redirects, status code " +
                                           std::to_string(status) +
                                           (location ? " to " + std::string(*location) : ""));
    if (++redirects_ > kMaxRedirects)
      return finish(Outcome::kFailure,
                    "stopped after " + std::to_string(kMaxRedirects) + " redirects");
    request_.url = *next;
    send();
  }
  // As Go's client says it.
  std::string failure(const Error& error) const {
    const std::string asked = "Get \"" + request_.url + "\": ";
    if (error.is_timeout())
      return asked + "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
    const std::string refused = std::strerror(ECONNREFUSED);
    if (!error.message().ends_with(refused)) return asked + error.message();
    return asked + "dial tcp " + host_ + ": connect: " + "connection refused";
  }
  static bool is_redirect(int status) {
    return (status >= 301 && status <= 303) || status == 307 || status == 308;
  }
  void finish(Outcome outcome, std::string output) {
    const ProbeDone done = std::move(done_);  // it destroys this object
    done({outcome, std::move(output)});
  }
  static constexpr Duration kLeast = std::chrono::milliseconds(1);  // zero would be for ever

  Clock& clock_;
  HttpClient& http_;
  HttpRequest request_;
  const std::string host_;
  const bool any_status_;
  const MonoTime deadline_;
  ProbeDone done_;
  int redirects_ = 0;
  HttpCall call_;
};

// An error of the system in the words of Go's programs, which users know.
std::string in_go(int error) {
  std::string text = std::strerror(error);
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z'))
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

// There is nothing to connect to.
class FailedAttempt : public ProbeAttempt {
 public:
  FailedAttempt(Loop& loop, std::string why, ProbeDone done)
      : soon_(loop.clock().after(Duration::zero(), [why = std::move(why), done = std::move(done)] {
          const ProbeDone copy = done;  // it destroys this object
          copy({Outcome::kFailure, why});
        })) {}

 private:
  Alarm soon_;
};

// Connects and closes.
class TcpAttempt : public ProbeAttempt {
 public:
  TcpAttempt(Loop& loop, const SocketAddress& target, Duration timeout, ProbeDone done)
      : done_(std::move(done)), target_(target.to_string()) {
    sockaddr_storage storage{};
    const socklen_t length = target.to_sockaddr(storage);
    fd_ = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int status = fd_ < 0 ? -1 : connect(fd_, reinterpret_cast<sockaddr*>(&storage), length);
    const int error = status == 0 ? 0 : errno;
    if (error == 0 || error != EINPROGRESS) {
      deadline_ = loop.clock().after(Duration::zero(), [this, error] { finish(error); });
      return;
    }
    deadline_ = loop.clock().after(timeout, [this] { finish(ETIMEDOUT); });
    poll_ = std::make_unique<Poll>(loop, fd_);
    poll_->start(UV_WRITABLE, [this](int) {
      int result = 0;
      socklen_t size = sizeof result;
      getsockopt(fd_, SOL_SOCKET, SO_ERROR, &result, &size);
      finish(result);
    });
  }
  ~TcpAttempt() override {
    poll_.reset();
    if (fd_ >= 0) close(fd_);
  }

 private:
  void finish(int error) {
    const ProbeDone done = std::move(done_);  // it destroys this object
    if (error == 0) return done({Outcome::kSuccess, ""});
    done(
        {Outcome::kFailure, "dial tcp " + target_ + ": " +
                                (error == ETIMEDOUT ? "i/o timeout" : "connect: " + in_go(error))});
  }

  ProbeDone done_;
  const std::string target_;
  int fd_ = -1;
  std::unique_ptr<Poll> poll_;
  Alarm deadline_;
};

// A CRI call cannot be cancelled: an attempt that is destroyed leaves it behind without an owner.
struct ExecAttempt : ProbeAttempt {
  std::shared_ptr<ProbeDone> done;
};

// The command's own end is a success or a failure, and so is that it takes too long; that it could
// not be run says nothing of the container (kubelet probe/exec).
ProbeResult exec_result(const ProbeSpec& probe, const Result<ExecResult>& result) {
  if (result.ok())
    return {result->exit_code == 0 ? Outcome::kSuccess : Outcome::kFailure,
            result->output.substr(0, kMaxOutput)};
  if (!result.error().is(ErrorCode::kTimeout)) return {Outcome::kUnknown, result.error().message()};
  std::string command;
  for (const std::string& word : probe.command) command += (command.empty() ? "" : " ") + word;
  return {Outcome::kFailure, "command timed out: \"" + command + "\" timed out after " +
                                 std::to_string(probe.timeout / std::chrono::seconds(1)) + "s"};
}

std::string with_port(const ProbeSpec& probe, const std::string& host) {
  const bool bracket = host.find(':') != std::string::npos;
  return (bracket ? "[" + host + "]" : host) + ":" + std::to_string(probe.port);
}

HttpRequest http_request(const ProbeSpec& probe, const std::string& host) {
  HttpRequest request;
  request.url = (probe.https ? "https://" : "http://") + with_port(probe, host) + probe.path;
  request.headers.add("User-Agent", probe.of_hook ? "kube-lifecycle/1.36" : "kube-probe/1.36");
  request.headers.add("Accept", "*/*");
  request.headers.add("Connection", "close");
  for (const auto& [name, value] : probe.headers) request.headers.set(name, value);
  request.total_timeout = probe.timeout;
  return request;
}

std::string url_part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return "";
  std::string copy = text;
  curl_free(text);
  return copy;
}

}  // namespace

std::optional<std::string> same_host_redirect(const std::string& url, const std::string& location) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return std::nullopt;
  const std::string host = url_part(parsed.get(), CURLUPART_HOST);
  if (curl_url_set(parsed.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK)
    return std::nullopt;
  const std::string scheme = url_part(parsed.get(), CURLUPART_SCHEME);
  if (!equal_ignoring_case(host, url_part(parsed.get(), CURLUPART_HOST))) return std::nullopt;
  if (scheme != "http" && scheme != "https") return std::nullopt;
  return url_part(parsed.get(), CURLUPART_URL);
}

NetworkProbeRunner::NetworkProbeRunner(Loop& loop, Cri& cri)
    : loop_(loop), cri_(cri), http_(loop, unverified()) {}

std::unique_ptr<ProbeAttempt> NetworkProbeRunner::run(const ProbeSpec& probe,
                                                      const ProbeTarget& target, ProbeDone done) {
  const std::string host = probe.host.empty() ? target.pod_ip : probe.host;
  switch (probe.kind) {
    case ProbeSpec::Kind::kHttp:
      return std::make_unique<HttpAttempt>(loop_, http_, http_request(probe, host),
                                           with_port(probe, host), probe.of_hook, std::move(done));
    case ProbeSpec::Kind::kTcp: {
      const Result<IpAddress> address = IpAddress::parse(host);
      if (!address.ok())
        return std::make_unique<FailedAttempt>(loop_, address.error().message(), std::move(done));
      return std::make_unique<TcpAttempt>(loop_, SocketAddress{*address, probe.port}, probe.timeout,
                                          std::move(done));
    }
    case ProbeSpec::Kind::kExec: {
      auto attempt = std::make_unique<ExecAttempt>();
      attempt->done = std::make_shared<ProbeDone>(std::move(done));
      cri_.exec(target.container_id, probe.command, probe.timeout,
                [weak = std::weak_ptr<ProbeDone>(attempt->done), probe](Result<ExecResult> result) {
                  if (const auto wanted = weak.lock()) (*wanted)(exec_result(probe, result));
                });
      return attempt;
    }
  }
  return nullptr;
}

}  // namespace fairlead::orchestrator
