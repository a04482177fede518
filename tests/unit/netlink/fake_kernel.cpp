// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/netlink/fake_kernel.h"

#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <utility>

namespace fairlead::netlink {

namespace {

constexpr uint16_t kRow = NLMSG_MIN_TYPE;

std::vector<uint8_t> integer(int32_t value) {
  std::vector<uint8_t> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

}  // namespace

// SOCK_SEQPACKET keeps boundaries and takes no notice of the netlink address a Connection sends to.
FakeKernel::FakeKernel() {
  int fds[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  ours_ = fds[0];
  theirs_ = fds[1];
  const int size = 8 << 20;
  setsockopt(ours_, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

FakeKernel::~FakeKernel() {
  close(ours_);
  if (theirs_ >= 0) close(theirs_);
}

std::unique_ptr<Connection> FakeKernel::connect(Loop& loop, Connection::Options options) {
  return Connection::adopt(loop, std::exchange(theirs_, -1), options);
}

std::optional<Asked> FakeKernel::take() {
  std::vector<uint8_t> buffer(64 << 10);
  const ssize_t size = recv(ours_, buffer.data(), buffer.size(), 0);
  if (size <= 0) return std::nullopt;
  Bytes rest(buffer.data(), static_cast<size_t>(size));
  Asked asked;
  MessageView message;
  while (next_message(rest, message)) {
    if (asked.count++ > 0) continue;
    asked.first_sequence = message.sequence;
    if (message.type == NFNL_MSG_BATCH_BEGIN) asked.kind = Asked::Kind::kBatch;
    if ((message.flags & NLM_F_DUMP) == NLM_F_DUMP) asked.kind = Asked::Kind::kDump;
  }
  return asked;
}

void FakeKernel::answer(uint32_t sequence, int error) {
  std::vector<uint8_t> payload = integer(-error);
  payload.resize(sizeof(nlmsgerr));
  send(NLMSG_ERROR, NLM_F_CAPPED, sequence, payload);
}

void FakeKernel::row(uint32_t sequence, uint16_t flags) {
  send(kRow, static_cast<uint16_t>(flags | NLM_F_MULTI), sequence, integer(7));
}

void FakeKernel::done(uint32_t sequence, int error, uint16_t flags) {
  send(NLMSG_DONE, static_cast<uint16_t>(flags | NLM_F_MULTI), sequence, integer(-error));
}

void FakeKernel::noop() {
  send(NLMSG_NOOP, 0, 0, {});
}

void FakeKernel::overrun() {
  send(NLMSG_OVERRUN, 0, 0, {});
}

void FakeKernel::send(uint16_t type, uint16_t flags, uint32_t sequence,
                      const std::vector<uint8_t>& payload) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<uint32_t>(sizeof header + payload.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = sequence;
  std::vector<uint8_t> bytes(header.nlmsg_len);
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!payload.empty()) std::memcpy(bytes.data() + sizeof header, payload.data(), payload.size());
  EXPECT_EQ(::send(ours_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

}  // namespace fairlead::netlink
