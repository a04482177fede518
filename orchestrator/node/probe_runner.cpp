// SPDX-License-Identifier: Apache-2.0
// One attempt of a probe over the network or through the runtime (NetworkProbeRunner of probe.h).
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

TlsClientConfig unverified() {
  TlsClientConfig tls;
  tls.insecure_skip_verify = true;
  return tls;
}

struct HttpAttempt : ProbeAttempt {
  HttpCall call;
};

// Connects and closes.
class TcpAttempt : public ProbeAttempt {
 public:
  TcpAttempt(Loop& loop, const SocketAddress& target, Duration timeout, ProbeDone done)
      : done_(std::move(done)) {
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
    done(error == 0, error == 0 ? "" : std::string("connect: ") + std::strerror(error));
  }

  ProbeDone done_;
  int fd_ = -1;
  std::unique_ptr<Poll> poll_;
  Alarm deadline_;
};

// A CRI call cannot be cancelled: an attempt that is destroyed leaves it behind without an owner.
struct ExecAttempt : ProbeAttempt {
  std::shared_ptr<ProbeDone> done;
};

std::string host_of(const ProbeSpec& probe, const ProbeTarget& target) {
  return probe.host.empty() ? target.pod_ip : probe.host;
}

}  // namespace

NetworkProbeRunner::NetworkProbeRunner(Loop& loop, Cri& cri)
    : loop_(loop), cri_(cri), http_(loop, unverified()) {}

std::unique_ptr<ProbeAttempt> NetworkProbeRunner::run(const ProbeSpec& probe,
                                                      const ProbeTarget& target, ProbeDone done) {
  const std::string host = host_of(probe, target);
  switch (probe.kind) {
    case ProbeSpec::Kind::kHttp: {
      auto attempt = std::make_unique<HttpAttempt>();
      HttpRequest request;
      const bool bracket = host.find(':') != std::string::npos;
      request.url = (probe.https ? "https://" : "http://") + (bracket ? "[" + host + "]" : host) +
                    ":" + std::to_string(probe.port) + probe.path;
      request.headers.add("User-Agent", "kube-probe/1.36");
      request.headers.add("Accept", "*/*");
      request.headers.add("Connection", "close");
      for (const auto& [name, value] : probe.headers) request.headers.set(name, value);
      request.connect_timeout = probe.timeout;
      request.total_timeout = probe.timeout;
      attempt->call = fetch(http_, std::move(request), kMaxBody,
                            [done = std::move(done)](Result<HttpResponse> response) {
                              // A body longer than we care to read is an answer all the same.
                              if (!response.ok())
                                return done(response.error().is(ErrorCode::kResourceExhausted),
                                            response.error().message());
                              const bool good = response->status >= 200 && response->status < 400;
                              done(good, good ? ""
                                              : "HTTP probe failed with statuscode: " +
                                                    std::to_string(response->status));
                            });
      return attempt;
    }
    case ProbeSpec::Kind::kTcp: {
      const Result<IpAddress> address = IpAddress::parse(host);
      const SocketAddress peer{address.ok() ? *address : IpAddress(), probe.port};
      return std::make_unique<TcpAttempt>(loop_, peer, probe.timeout, std::move(done));
    }
    case ProbeSpec::Kind::kExec: {
      auto attempt = std::make_unique<ExecAttempt>();
      attempt->done = std::make_shared<ProbeDone>(std::move(done));
      cri_.exec(target.container_id, probe.command, probe.timeout,
                [weak = std::weak_ptr<ProbeDone>(attempt->done)](Result<ExecResult> result) {
                  const auto wanted = weak.lock();
                  if (!wanted) return;
                  if (!result.ok()) return (*wanted)(false, result.error().message());
                  (*wanted)(result->exit_code == 0, result->output.substr(0, kMaxOutput));
                });
      return attempt;
    }
  }
  return nullptr;
}

}  // namespace fairlead::orchestrator
