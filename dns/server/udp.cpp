// SPDX-License-Identifier: Apache-2.0
#include "dns/server/udp.h"

#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <random>

namespace fairlead::dns {
namespace {

constexpr int kRoundsPerWakeup = 16;  // then other sockets have their turn
constexpr int kRoundsAtStop =
    256;  // more than the kernel's buffer holds, unless more come all the time
constexpr size_t kControlSize = CMSG_SPACE(sizeof(in6_pktinfo));

// Where the query was sent to.
std::optional<IpAddress> destination_of(msghdr& header) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      const auto* info = reinterpret_cast<const in_pktinfo*>(CMSG_DATA(c));
      return IpAddress::from_bytes({reinterpret_cast<const uint8_t*>(&info->ipi_addr), 4});
    }
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      const auto* info = reinterpret_cast<const in6_pktinfo*>(CMSG_DATA(c));
      return IpAddress::from_bytes({reinterpret_cast<const uint8_t*>(&info->ipi6_addr), 16});
    }
  }
  return std::nullopt;
}

// Makes the reply leave from `source`: the client expects it from where it asked.
void set_source(msghdr& header, void* control, const IpAddress& source) {
  std::memset(control, 0, kControlSize);
  header.msg_control = control;
  header.msg_controllen = kControlSize;
  cmsghdr* c = CMSG_FIRSTHDR(&header);
  if (source.is_v4()) {
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    auto* info = reinterpret_cast<in_pktinfo*>(CMSG_DATA(c));
    std::memcpy(&info->ipi_spec_dst, source.bytes().data(), 4);
    header.msg_controllen = CMSG_SPACE(sizeof(in_pktinfo));
  } else {
    c->cmsg_level = IPPROTO_IPV6;
    c->cmsg_type = IPV6_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(in6_pktinfo));
    auto* info = reinterpret_cast<in6_pktinfo*>(CMSG_DATA(c));
    std::memcpy(&info->ipi6_addr, source.bytes().data(), 16);
  }
}

// How much of the socket's receive buffer is taken, from 0 to 1.
double fill_of(const Fd& socket) {
  std::array<uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof info;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_MEMINFO, info.data(), &size) != 0) return 0;
  return static_cast<double>(info[SK_MEMINFO_RMEM_ALLOC]) / (info[SK_MEMINFO_RCVBUF] + 1.0);
}

uint64_t random_key() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

}  // namespace

struct UdpListener::Batch {
  struct Slot {
    sockaddr_storage peer;
    alignas(cmsghdr) char control[kControlSize];
    iovec in_part;
    iovec out_part;
    uint8_t in[kMaxQuery];
    uint8_t out[kEdnsUdpSize];
  };
  std::array<Slot, kBatch> slots;
  std::array<mmsghdr, kBatch> in;
  std::array<mmsghdr, kBatch> out;
  unsigned to_send = 0;
  unsigned sent = 0;
};

// The way back of one datagram's reply.
class UdpListener::Path : public ReplyPath {
 public:
  Path(UdpListener& listener, const SocketAddress& peer, msghdr& header)
      : listener_(listener), peer_(peer), header_(header) {}
  SendLater later(PluginId) override {
    std::optional<IpAddress> source;
    if (listener_.wildcard_) source = destination_of(header_);
    return [self = listener_.self_, peer = peer_, source](std::span<const uint8_t> message) {
      if (*self != nullptr) (*self)->send_one(peer, source ? &*source : nullptr, message);
    };
  }

 private:
  UdpListener& listener_;
  const SocketAddress& peer_;
  msghdr& header_;
};

UdpListener::UdpListener(Loop& loop, Fd socket, bool wildcard, Handler& handler,
                         WorkerMetrics& metrics, Counter& shed, Readers& readers)
    : socket_(std::move(socket)),
      wildcard_(wildcard),
      handler_(handler),
      metrics_(metrics),
      shed_(&shed),
      readers_(readers),
      loop_(loop),
      share_(random_key()),
      batch_(new Batch),  // not value-initialized: pages nobody uses are never touched
      self_(std::make_shared<UdpListener*>(this)),
      poll_(loop, socket_.get()) {
  for (unsigned i = 0; i < kBatch; ++i) {
    Batch::Slot& slot = batch_->slots[i];
    slot.in_part = {slot.in, sizeof slot.in};
    batch_->in[i] = {};
    batch_->in[i].msg_hdr.msg_iov = &slot.in_part;
    batch_->in[i].msg_hdr.msg_iovlen = 1;
    batch_->in[i].msg_hdr.msg_name = &slot.peer;
  }
}

UdpListener::~UdpListener() {
  *self_ = nullptr;
}

void UdpListener::start() {
  poll_.start(UV_READABLE, [this](int) { on_ready(); });
}

void UdpListener::stop() {
  stopped_ = true;
  poll_.stop();
  for (int round = 0; round < kRoundsAtStop && send_batch() && receive_batch(); ++round) {
  }
  send_batch();
}

void UdpListener::on_ready() {
  for (int round = 0; round < kRoundsPerWakeup; ++round) {
    if (!send_batch()) return wait_until_writable();
    if (!receive_batch()) break;
  }
  if (!send_batch()) wait_until_writable();
}

void UdpListener::wait_until_writable() {
  if (stopped_) return;
  poll_.start(UV_WRITABLE, [this](int) {
    start();
    on_ready();
  });
}

// Told of a batch: whether clients are shed in it.
bool UdpListener::sheds(bool full) {
  const MonoTime now = loop_.clock().now();
  if (share_.batch(full, now)) share_.filled(fill_of(socket_), now);
  return share_.overloaded();
}

// Reads up to a batch and prepares the replies. False: the kernel has no more.
bool UdpListener::receive_batch() {
  for (unsigned i = 0; i < kBatch; ++i) {
    msghdr& header = batch_->in[i].msg_hdr;
    header.msg_namelen = sizeof(sockaddr_storage);
    header.msg_control = wildcard_ ? batch_->slots[i].control : nullptr;
    header.msg_controllen = wildcard_ ? kControlSize : 0;
  }
  const int received = recvmmsg(socket_.get(), batch_->in.data(), kBatch, MSG_DONTWAIT, nullptr);
  metrics_.receive_calls.add();
  if (received <= 0) {
    const bool empty = errno == EAGAIN || errno == EWOULDBLOCK;
    if (empty && share_.concerns(false)) sheds(false);
    return false;
  }
  batch_->to_send = batch_->sent = 0;
  const bool full = static_cast<unsigned>(received) == kBatch;
  const bool shedding = share_.concerns(full) && sheds(full);
  const Readers::Guard guard(readers_);
  for (unsigned i = 0; i < static_cast<unsigned>(received); ++i) {
    Batch::Slot& slot = batch_->slots[i];
    msghdr& header = batch_->in[i].msg_hdr;
    const Client client{SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&slot.peer)),
                        Transport::kUdp};
    if (shedding && !share_.admit(client.address.address)) {
      shed_->add();
      continue;
    }
    Path path(*this, client.address, header);
    const auto reply = handler_.handle({slot.in, batch_->in[i].msg_len}, client, slot.out, path);
    if (reply.empty()) continue;
    msghdr& out = batch_->out[batch_->to_send++].msg_hdr;
    out = {};
    slot.out_part = {slot.out, reply.size()};
    out.msg_iov = &slot.out_part;
    out.msg_iovlen = 1;
    out.msg_name = &slot.peer;
    out.msg_namelen = header.msg_namelen;
    if (!wildcard_) continue;
    if (const auto source = destination_of(header)) set_source(out, slot.control, *source);
  }
  return full;
}

// False: the kernel takes no more for now.
bool UdpListener::send_batch() {
  while (batch_->sent < batch_->to_send) {
    const int sent = sendmmsg(socket_.get(), &batch_->out[batch_->sent],
                              batch_->to_send - batch_->sent, MSG_DONTWAIT);
    metrics_.send_calls.add();
    if (sent > 0) {
      batch_->sent += static_cast<unsigned>(sent);
    } else if (errno == EAGAIN || errno == ENOBUFS) {
      return false;
    } else if (errno != EINTR) {
      metrics_.send_failures.add();  // an unreachable client; the next may be another
      ++batch_->sent;
    }
  }
  batch_->to_send = batch_->sent = 0;
  return true;
}

void UdpListener::send_one(const SocketAddress& peer, const IpAddress* source,
                           std::span<const uint8_t> message) {
  sockaddr_storage storage;
  alignas(cmsghdr) char control[kControlSize];
  iovec part{const_cast<uint8_t*>(message.data()), message.size()};
  msghdr header{};
  header.msg_name = &storage;
  header.msg_namelen = peer.to_sockaddr(storage);
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (source != nullptr) set_source(header, control, *source);
  metrics_.send_calls.add();
  if (sendmsg(socket_.get(), &header, MSG_DONTWAIT) < 0) metrics_.send_failures.add();
}

}  // namespace fairlead::dns
