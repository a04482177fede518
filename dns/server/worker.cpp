// SPDX-License-Identifier: Apache-2.0
#include "dns/server/worker.h"

#include <pthread.h>
#include <signal.h>

#include "dns/server/socket.h"

namespace fairlead::dns {
namespace {

constexpr Duration kIdleCheck = std::chrono::milliseconds(20);

}  // namespace

Worker::Worker(Published& published, WorkerMetrics& metrics, const CookieMaker& cookies,
               const TcpLimits& limits)
    : reader_(published),
      handler_(chain_, metrics, cookies, loop_.clock()),
      tcp_(loop_, limits, handler_, metrics, reader_),
      metrics_(metrics),
      stop_timer_(loop_) {}

Worker::~Worker() {
  if (!thread_.joinable()) return;
  loop_.stop();
  thread_.join();
}

Result<void> Worker::listen(const SocketAddress& address) {
  Result<Fd> udp = open_udp(address);
  if (!udp.ok()) return udp.error();
  Result<Fd> tcp = open_tcp(address);
  if (!tcp.ok()) return tcp.error();
  udp_.push_back(std::make_unique<UdpListener>(
      loop_, *std::move(udp), address.address.is_unspecified(), handler_, metrics_, reader_));
  tcp_.listen(*std::move(tcp));
  return ok();
}

void Worker::run() {
  for (const auto& listener : udp_) listener->start();
  tcp_.start();
  // Signals are the main thread's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { loop_.run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "dns-worker");
}

void Worker::stop(Duration limit) {
  loop_.post([this, limit] {
    stop_by_ = loop_.clock().now() + limit;
    for (const auto& listener : udp_) listener->stop();
    tcp_.stop();
    finish_when_idle();
  });
}

void Worker::finish_when_idle() {
  const bool idle = handler_.waiting() == 0 && tcp_.connections() == 0;
  if (idle || loop_.clock().now() >= stop_by_) return loop_.stop();
  stop_timer_.start_once(kIdleCheck, [this] { finish_when_idle(); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace fairlead::dns
