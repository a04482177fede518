// SPDX-License-Identifier: Apache-2.0
#include "dns/server/worker.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>

namespace fairlead::dns {
namespace {

constexpr Duration kIdleCheck = std::chrono::milliseconds(20);
constexpr Duration kOldPlan = std::chrono::seconds(10);

// Of who answers there, for what is counted of unread queries: of several blocks the first one's.
const std::string& label_of(const Plan& plan, const Plan::Listener& listener) {
  return plan.blocks.at(listener.routes.at(0).block).label;
}

}  // namespace

Worker::Worker(WorkerMetrics& metrics, const CookieMaker& cookies, size_t workers)
    : metrics_(metrics),
      cookies_(cookies),
      workers_(workers),
      tcp_(loop_, metrics, readers_),
      stop_timer_(loop_),
      release_timer_(loop_) {}

Worker::~Worker() {
  if (!thread_.joinable()) return;
  loop_.stop();
  thread_.join();
}

void Worker::serve(std::shared_ptr<const Plan> plan, std::vector<Sockets> sockets,
                   std::function<void(std::shared_ptr<const Plan>)> released) {
  if (!running_) return change_to(std::move(plan), std::move(sockets), std::move(released));
  auto shared = std::make_shared<std::vector<Sockets>>(std::move(sockets));
  loop_.post([this, plan = std::move(plan), shared, released = std::move(released)] {
    change_to(plan, std::move(*shared), released);
  });
}

void Worker::change_to(std::shared_ptr<const Plan> plan, std::vector<Sockets> sockets,
                       std::function<void(std::shared_ptr<const Plan>)> released) {
  auto next = std::make_unique<Generation>(std::move(plan), loop_, readers_, metrics_);
  std::reverse(sockets.begin(), sockets.end());  // taken from the end
  for (size_t i = 0; i < next->plan()->listeners.size(); ++i) bind(*next, i, sockets);
  std::swap(current_, next);
  std::swap(released_, released);
  if (!next) return;
  std::vector<size_t> closing = unbind_others();
  old_.push_back(
      {std::move(next), std::move(closing), std::move(released), loop_.clock().now() + kOldPlan});
  release_old();
}

// The listener of that number in its plan.
void Worker::bind(const Generation& generation, size_t number, std::vector<Sockets>& sockets) {
  const Plan::Listener& listener = generation.plan()->listeners[number];
  const Router& router = generation.router(number);
  Counter& shed = metrics_.shed(label_of(*generation.plan(), listener));
  for (Binding& binding : bindings_) {
    if (binding.udp == nullptr || binding.address != listener.address || binding.closing) continue;
    binding.handler->set_router(router);
    binding.udp->count_shed(shed);
    return tcp_.set_limits(*binding.handler, share_of(listener.tcp));
  }
  Sockets taken = std::move(sockets.back());
  sockets.pop_back();
  auto handler = std::make_unique<Handler>(listener.address, metrics_, cookies_, loop_.clock());
  handler->set_router(router);
  const bool wildcard = listener.address.address.is_unspecified();
  auto udp = std::make_unique<UdpListener>(loop_, std::move(taken.udp), wildcard, *handler,
                                           metrics_, shed, readers_);
  tcp_.listen(std::move(taken.tcp), *handler, share_of(listener.tcp));
  if (running_) udp->start();
  bindings_.push_back({listener.address, std::move(handler), std::move(udp), false});
}

// Who answers at an address: its listener in the plan, else the wildcard's, or nobody.
const Router& Worker::router_for(const SocketAddress& address) const {
  static const Router kNobody;
  const Router* found = &kNobody;
  const auto& listeners = current_->plan()->listeners;
  for (size_t i = 0; i < listeners.size(); ++i) {
    const SocketAddress& other = listeners[i].address;
    if (other == address) return current_->router(i);
    if (other.port == address.port && other.address.is_unspecified() &&
        other.address.family() == address.address.family())
      found = &current_->router(i);
  }
  return *found;
}

// What has no more listener is still read, and answered as before, until nothing waits for a reply
// over it: the kernel gives it what is for its address, which may be listened on again already. The
// handlers stay for good, with a router that does: connections may have them. Returns which are to
// be closed.
std::vector<size_t> Worker::unbind_others() {
  std::vector<size_t> closing;
  for (size_t i = 0; i < bindings_.size(); ++i) {
    Binding& binding = bindings_[i];
    const auto same = [&](const Plan::Listener& l) { return l.address == binding.address; };
    const bool stays = binding.udp != nullptr && !binding.closing &&
                       std::ranges::any_of(current_->plan()->listeners, same);
    if (stays) continue;
    if (binding.udp == nullptr) binding.handler->set_router(router_for(binding.address));
    if (binding.udp == nullptr || std::exchange(binding.closing, true)) continue;
    tcp_.unlisten(*binding.handler);
    closing.push_back(i);
  }
  return closing;
}

void Worker::release_old() {
  const MonoTime now = loop_.clock().now();
  std::erase_if(old_, [&](Old& each) {
    if (each.generation->waiting() != 0 && now < each.until) return false;
    std::shared_ptr<const Plan> plan = each.generation->plan();
    for (const size_t i : each.closing) {
      bindings_[i].udp->stop();
      bindings_[i].udp.reset();
      bindings_[i].handler->set_router(router_for(bindings_[i].address));
    }
    each.generation.reset();
    if (each.released) each.released(std::move(plan));
    return true;
  });
  if (!old_.empty()) release_timer_.start_once(kIdleCheck, [this] { release_old(); });
}

// Per worker, but never so little that ordinary clients notice. A client's own are not divided:
// chance may put most of them on one worker.
TcpLimits Worker::share_of(const TcpLimits& limits) const {
  TcpLimits share = limits;
  share.connections = std::max<size_t>(16, limits.connections / workers_);
  return share;
}

void Worker::run() {
  running_ = true;
  for (const Binding& binding : bindings_) binding.udp->start();
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
    for (const Binding& binding : bindings_)
      if (binding.udp) binding.udp->stop();
    tcp_.stop();
    finish_when_idle();
  });
}

void Worker::finish_when_idle() {
  size_t waiting = tcp_.connections();
  for (const Binding& binding : bindings_) waiting += binding.handler->waiting();
  if (waiting == 0 || loop_.clock().now() >= stop_by_) return loop_.stop();
  stop_timer_.start_once(kIdleCheck, [this] { finish_when_idle(); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace fairlead::dns
