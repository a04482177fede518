// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/proxy/faulty_kernel.h"

#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <ctime>

namespace fairlead::proxy::test {

namespace {

constexpr size_t kLargest = 16 << 20;  // of a batch

void enlarge(int fd) {
  const int size = 2 * kLargest;
  EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size), 0);
}

Duration cpu_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

FaultyKernel::FaultyKernel(Loop& loop, const fairlead::test::NetNamespace& ns)
    : loop_(loop), buffer_(kLargest) {
  ns.run([&] {
    kernel_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
  });
  EXPECT_GE(kernel_, 0);
  enlarge(kernel_);
  from_kernel_ = std::make_unique<Poll>(loop_, kernel_);
  from_kernel_->start(UV_READABLE, [this](int) { on_answer(); });
}

FaultyKernel::~FaultyKernel() {
  from_kernel_->stop();
  if (from_connection_) from_connection_->stop();
  close(kernel_);
  if (ours_ >= 0) close(ours_);
}

std::unique_ptr<netlink::Connection> FaultyKernel::connect() {
  if (from_connection_) from_connection_->stop();
  if (ours_ >= 0) close(ours_);
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  ours_ = ends[0];
  enlarge(ours_);
  from_connection_ = std::make_unique<Poll>(loop_, ours_);
  from_connection_->start(UV_READABLE, [this](int) { on_request(); });
  netlink::Connection::Options options;
  options.timeout = std::chrono::seconds(2);
  return netlink::Connection::adopt(loop_, ends[1], options);
}

void FaultyKernel::on_request() {
  const ssize_t size = recv(ours_, buffer_.data(), buffer_.size(), 0);
  if (size <= 0) return;
  std::vector<uint8_t> datagram(buffer_.begin(), buffer_.begin() + size);
  take(datagram);
}

void FaultyKernel::take(std::vector<uint8_t>& datagram) {
  netlink::Bytes rest(datagram);
  netlink::MessageView message;
  EXPECT_TRUE(next_message(rest, message));
  const uint32_t first = message.sequence;
  const bool dump = (message.flags & NLM_F_DUMP) == NLM_F_DUMP;
  const Kind kind = message.type == NFNL_MSG_BATCH_BEGIN ? Kind::kBatch
                    : dump                               ? Kind::kDump
                                                         : Kind::kRequest;
  uint32_t last = first;
  while (next_message(rest, message))
    if (message.type != NFNL_MSG_BATCH_END) last = message.sequence;
  if (kind == Kind::kBatch) ++batches_;
  const Fault fault = decide_(kind);
  if (fault.error != 0)
    return answer(fault.whole ? first : last, kind == Kind::kDump ? NLMSG_DONE : NLMSG_ERROR,
                  fault.error);
  if (fault.lose_answer) {
    lost_from_ = first;
    lost_to_ = last;
  }
  const Duration before = cpu_time();
  EXPECT_EQ(send(kernel_, datagram.data(), datagram.size(), 0),
            static_cast<ssize_t>(datagram.size()));
  if (kind == Kind::kBatch) longest_ = std::max(longest_, cpu_time() - before);
}

void FaultyKernel::on_answer() {
  const ssize_t size = recv(kernel_, buffer_.data(), buffer_.size(), 0);
  if (size <= 0 || ours_ < 0) return;
  netlink::Bytes rest(buffer_.data(), static_cast<size_t>(size));
  netlink::MessageView message;
  if (next_message(rest, message) && lost_to_ != 0 && message.sequence >= lost_from_ &&
      message.sequence <= lost_to_) {
    lost_from_ = lost_to_ = 0;
    return answer(0, NLMSG_OVERRUN, 0);
  }
  // The other end may have gone.
  (void)!send(ours_, buffer_.data(), static_cast<size_t>(size), MSG_NOSIGNAL);
}

void FaultyKernel::answer(uint32_t sequence, uint16_t type, int error) {
  struct {
    nlmsghdr header;
    nlmsgerr payload;
  } message{};
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = type;
  message.header.nlmsg_flags = type == NLMSG_DONE ? NLM_F_MULTI : NLM_F_CAPPED;
  message.header.nlmsg_seq = sequence;
  message.payload.error = -error;
  EXPECT_EQ(send(ours_, &message, sizeof message, MSG_NOSIGNAL),
            static_cast<ssize_t>(sizeof message));
}

}  // namespace fairlead::proxy::test
