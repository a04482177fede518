// SPDX-License-Identifier: Apache-2.0
#include "netlink/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>

namespace fairlead::netlink {

struct Connection::Pending {
  RequestId id = 0;
  Kind kind = Kind::kRequest;
  std::shared_ptr<MessageWriter> messages;
  uint32_t first_sequence = 0;
  uint32_t count = 0;
  bool interrupted = false;  // NLM_F_DUMP_INTR was seen
  OnMessage on_message;
  BatchDone done;  // empty: abandoned; only the kernel's rows are still to be read away
  Alarm deadline;
};

namespace {

// The kernel builds dumps in buffers of at most 32 KiB (af_netlink.c, netlink_recvmsg).
constexpr size_t kReceiveSize = 128 << 10;

void set_buffer(int fd, int force_option, int option, size_t size) {
  const int value = static_cast<int>(std::min<size_t>(size, 1 << 30));
  if (setsockopt(fd, SOL_SOCKET, force_option, &value, sizeof value) != 0)
    setsockopt(fd, SOL_SOCKET, option, &value, sizeof value);
}

void enable(int fd, int option) {
  const int on = 1;  // absent on old kernels: errors then come without explanation
  setsockopt(fd, SOL_NETLINK, option, &on, sizeof on);
}

// What an NLMSG_ERROR message says. Layout: nlmsgerr, then (not capped) the rest of the request,
// then attributes NLMSGERR_ATTR_* when NLM_F_ACK_TLVS is set.
struct Ack {
  int error = 0;  // positive errno
  std::string text;
  std::optional<uint32_t> offset;
};

Ack read_ack(const MessageView& message) {
  Ack ack;
  const auto head = message.header<nlmsgerr>();
  if (!head) return {EBADMSG, "short error message", {}};
  ack.error = -head->error;
  if ((message.flags & NLM_F_ACK_TLVS) == 0) return ack;
  size_t skip = sizeof(nlmsgerr);
  if ((message.flags & NLM_F_CAPPED) == 0 && head->msg.nlmsg_len > sizeof(nlmsghdr))
    skip += head->msg.nlmsg_len - sizeof(nlmsghdr);
  const AttributeTable<NLMSGERR_ATTR_OFFS> table(message.attributes(skip));
  ack.text = table[NLMSGERR_ATTR_MSG].text();
  if (table.has(NLMSGERR_ATTR_OFFS)) ack.offset = table[NLMSGERR_ATTR_OFFS].u32();
  return ack;
}

Error to_error(const Ack& ack) {
  return Error::from_errno(ack.error, ack.text.empty() ? "netlink" : "netlink: " + ack.text);
}

BatchError whole(Error error) {
  return {std::move(error), {}, {}};
}

// 0, or why the kernel did not take it.
int send_to_kernel(int fd, Bytes bytes) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  for (;;) {
    if (sendto(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&kernel),
               sizeof kernel) >= 0)
      return 0;
    if (errno != EINTR) return errno;
  }
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(Loop& loop, Protocol protocol) {
  return open(loop, protocol, Options());
}

Result<std::unique_ptr<Connection>> Connection::open(Loop& loop, Protocol protocol,
                                                     Options options) {
  const int fd =
      socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, static_cast<int>(protocol));
  if (fd < 0) {
    const int error = errno;
    if (error == EPROTONOSUPPORT || error == EAFNOSUPPORT)
      return Error(ErrorCode::kUnsupported,
                   protocol == Protocol::kRoute
                       ? "this kernel has no rtnetlink"
                       : "this kernel has no nfnetlink (CONFIG_NETFILTER)");
    return Error::from_errno(error, "open a netlink socket");
  }
  enable(fd, NETLINK_EXT_ACK);
  enable(fd, NETLINK_CAP_ACK);
  enable(fd, NETLINK_PKTINFO);
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options.receive_buffer);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  socklen_t length = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    const int error = errno;
    close(fd);
    return Error::from_errno(error, "bind a netlink socket");
  }
  return std::unique_ptr<Connection>(new Connection(loop, fd, address.nl_pid, options));
}

std::unique_ptr<Connection> Connection::adopt(Loop& loop, int fd, Options options) {
  return std::unique_ptr<Connection>(new Connection(loop, fd, 0, options));
}

Connection::Connection(Loop& loop, int fd, uint32_t port_id, Options options)
    : loop_(loop),
      fd_(fd),
      port_id_(port_id),
      options_(options),
      poll_(loop, fd),
      receive_buffer_(std::make_unique_for_overwrite<uint8_t[]>(kReceiveSize)),
      alive_(std::make_shared<bool>(true)) {
  listen();
}

void Connection::listen() {
  poll_.start(UV_READABLE, [this](int) { on_readable(); });
}

Connection::~Connection() {
  *alive_ = false;
  poll_.stop();
  auto in_flight = std::move(in_flight_);
  auto queue = std::move(queue_);
  auto settled = std::move(settled_);
  const auto shut = [](const PendingPtr& pending) {
    pending->deadline.cancel();
    if (auto done = std::exchange(pending->done, nullptr))
      done(whole(Error(ErrorCode::kCancelled, "netlink: the connection was closed")));
  };
  for (auto& [sequence, pending] : in_flight) shut(pending);
  for (auto& pending : queue) shut(pending);
  for (auto& [pending, error] : settled) shut(pending);
  aside_.reset();
  close(fd_);
}

RequestId Connection::request(MessageWriter message, Done done, OnMessage on_message) {
  return enqueue(Kind::kRequest, std::make_shared<MessageWriter>(std::move(message)),
                 std::move(on_message), [done = std::move(done)](std::optional<BatchError> error) {
                   done(error ? Result<void>(error->error) : ok());
                 });
}

RequestId Connection::dump(MessageWriter message, OnMessage on_message, Done done) {
  return enqueue(Kind::kDump, std::make_shared<MessageWriter>(std::move(message)),
                 std::move(on_message), [done = std::move(done)](std::optional<BatchError> error) {
                   done(error ? Result<void>(error->error) : ok());
                 });
}

RequestId Connection::batch(std::shared_ptr<MessageWriter> messages, BatchDone done) {
  return enqueue(Kind::kBatch, std::move(messages), nullptr, std::move(done));
}

RequestId Connection::complete_later(Result<void> result, Done done) {
  auto pending = std::make_shared<Pending>();
  pending->id = next_id_++;
  pending->done = [done = std::move(done)](std::optional<BatchError> error) {
    done(error ? Result<void>(error->error) : ok());
  };
  settle(pending, result.ok() ? std::nullopt : std::optional<Error>(result.error()));
  return pending->id;
}

RequestId Connection::enqueue(Kind kind, std::shared_ptr<MessageWriter> messages,
                              OnMessage on_message, BatchDone done) {
  auto pending = std::make_shared<Pending>();
  pending->id = next_id_++;
  pending->kind = kind;
  pending->count = static_cast<uint32_t>(messages->message_count());
  pending->messages = std::move(messages);
  pending->on_message = std::move(on_message);
  pending->done = std::move(done);
  const RequestId id = pending->id;
  if (queue_.size() >= options_.max_queued) {
    settle(std::move(pending), Error(ErrorCode::kResourceExhausted,
                                     "netlink: too many requests are waiting for the kernel"));
    return id;
  }
  queue_.push_back(std::move(pending));
  send_queued();
  return id;
}

// In order. A dump waits until the one before it has ended: the kernel runs one per socket and
// answers EBUSY to a second.
void Connection::send_queued() {
  while (!queue_.empty() && in_flight_.size() < options_.max_in_flight) {
    if (queue_.front()->kind == Kind::kDump && dump_running_) return;
    const PendingPtr pending = std::move(queue_.front());
    queue_.pop_front();
    send(pending);
  }
}

void Connection::send(const PendingPtr& pending) {
  stamp(*pending);
  const std::span<const uint8_t> bytes = pending->messages->bytes();
  // netlink_sendmsg refuses what does not fit the send buffer, overhead included; the kernel
  // doubles the size asked for.
  if (bytes.size() > send_buffer_) {
    send_buffer_ = std::max<size_t>(bytes.size() + 4096, 64 << 10);
    set_buffer(fd_, SO_SNDBUFFORCE, SO_SNDBUF, send_buffer_);
  }
  const bool aside = pending->kind == Kind::kBatch && bytes.size() >= options_.send_aside_from &&
                     send_aside(pending);
  if (const int error = aside ? 0 : send_to_kernel(fd_, bytes); error != 0) {
    settle(pending, Error::from_errno(error, "send to netlink"));
    return;
  }
  in_flight_.emplace(pending->first_sequence, pending);
  if (pending->kind == Kind::kDump) dump_running_ = true;
  if (pending->kind != Kind::kBatch) pending->messages.reset();
  if (!aside) await_answer(pending);
}

void Connection::await_answer(const PendingPtr& pending) {
  pending->deadline =
      loop_.clock().after(options_.timeout, [this, id = pending->id] { expire(id); });
}

// The thread shares the messages, so that they last whatever becomes of the request. While the call
// lasts the kernel has not decided, however long somebody else's transaction is: nobody is told
// that there is no answer. False: the system has no thread for us.
bool Connection::send_aside(const PendingPtr& pending) {
  if (!aside_) aside_ = std::make_unique<Aside>();
  return aside_->run([this, alive = alive_, id = pending->id, messages = pending->messages] {
    const int error = send_to_kernel(fd_, std::as_const(*messages).bytes());
    loop_.post([this, alive, id, error] {
      if (!*alive) return;
      const PendingPtr sent = find_by_id(id);
      if (!sent) return;
      if (error == 0) return await_answer(sent);
      complete(sent, whole(Error::from_errno(error, "send to netlink")));
      if (*alive) send_queued();
    });
  });
}

// Numbers the messages and asks for the answer each kind of request ends with. Of a batch only the
// last message before the end acknowledges success; a refused message is reported under its own
// number.
void Connection::stamp(Pending& pending) {
  if (next_sequence_ > UINT32_MAX - pending.count) next_sequence_ = 1;
  pending.first_sequence = next_sequence_;
  const std::span<uint8_t> bytes = pending.messages->bytes();
  size_t start = 0;
  for (uint32_t index = 0; index < pending.count; ++index) {
    nlmsghdr header;
    std::memcpy(&header, bytes.data() + start, sizeof header);
    header.nlmsg_seq = next_sequence_++;
    if (pending.kind == Kind::kRequest) header.nlmsg_flags |= NLM_F_ACK;
    if (pending.kind == Kind::kDump) header.nlmsg_flags |= NLM_F_DUMP;
    if (pending.kind == Kind::kBatch && index + 2 == pending.count) header.nlmsg_flags |= NLM_F_ACK;
    std::memcpy(bytes.data() + start, &header, sizeof header);
    start += NLMSG_ALIGN(header.nlmsg_len);
  }
}

void Connection::on_readable() {
  const auto alive = alive_;
  for (int turn = 0; turn < options_.datagrams_per_turn; ++turn) {
    const Received received = receive_datagram();
    if (received == Received::kGone) return;
    if (received == Received::kDatagram) continue;
    // Everything the kernel still had for us has been read: what has no answer now gets none.
    if (std::exchange(overrun_, false)) on_overrun();
    break;
  }
  if (!*alive) return;
  // The turn may have ended with the last datagram: nothing would wake us to tell of the loss.
  if (overrun_) read_on_ = loop_.clock().after(Duration::zero(), [this] { on_readable(); });
  send_queued();
}

Connection::Received Connection::receive_datagram() {
  sockaddr_nl from{};
  iovec vector{receive_buffer_.get(), kReceiveSize};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(nl_pktinfo))];
  msghdr head{};
  head.msg_name = &from;
  head.msg_namelen = sizeof from;
  head.msg_iov = &vector;
  head.msg_iovlen = 1;
  head.msg_control = control;
  head.msg_controllen = sizeof control;
  const ssize_t size = recvmsg(fd_, &head, 0);
  if (size < 0) {
    if (errno == EINTR) return Received::kDatagram;
    if (errno != ENOBUFS) return Received::kNothing;
    listen();  // libuv stops polling a socket that had an error
    overrun_ = true;
    return Received::kDatagram;
  }
  if ((head.msg_flags & MSG_TRUNC) != 0) overrun_ = true;
  if (from.nl_pid != 0) return Received::kDatagram;  // another process may not speak for the kernel
  bool multicast = false;
  for (cmsghdr* c = CMSG_FIRSTHDR(&head); c != nullptr; c = CMSG_NXTHDR(&head, c))
    if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_PKTINFO) {
      nl_pktinfo info;
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      multicast = info.group != 0;
    }
  return dispatch({receive_buffer_.get(), static_cast<size_t>(size)}, multicast)
             ? Received::kDatagram
             : Received::kGone;
}

// False when a callback destroyed this Connection.
bool Connection::dispatch(Bytes datagram, bool multicast) {
  const auto alive = alive_;
  MessageView message;
  while (next_message(datagram, message)) {
    if (multicast) {
      if (const OnMessage callback = on_notification_) callback(message);
    } else if (message.type == NLMSG_OVERRUN) {
      overrun_ = true;
    } else if (message.type != NLMSG_NOOP) {
      if (const PendingPtr pending = find_by_sequence(message.sequence)) on_reply(pending, message);
    }
    if (!*alive) return false;
  }
  return true;
}

void Connection::on_reply(const PendingPtr& pending, const MessageView& message) {
  if ((message.flags & NLM_F_DUMP_INTR) != 0) pending->interrupted = true;
  if (message.type == NLMSG_ERROR || (message.type == NLMSG_DONE && pending->kind == Kind::kDump)) {
    Ack ack;
    if (message.type == NLMSG_ERROR) {
      ack = read_ack(message);
    } else if (const auto status = message.header<int32_t>(); status && *status < 0) {
      ack.error = -*status;
    }
    if (ack.error != 0) {
      BatchError error{to_error(ack), {}, ack.offset};
      const uint32_t index = message.sequence - pending->first_sequence;
      // An error under the first message's number concerns the batch as a whole
      // (nfnetlink_rcv_batch).
      if (pending->kind == Kind::kBatch && index > 0) error.message = index;
      return complete(pending, std::move(error));
    }
    if (pending->interrupted)
      return complete(pending, whole(Error(ErrorCode::kInterrupted,
                                           "netlink dump: another change came in between")));
    // A dump ends with NLMSG_DONE; an ack in front of it says only that it began.
    if (message.type == NLMSG_ERROR && pending->kind == Kind::kDump) return;
    return complete(pending, std::nullopt);
  }
  if (pending->on_message && pending->done) {
    const OnMessage callback = pending->on_message;
    callback(message);
  }
}

// Answers to requests may be among what the kernel dropped. Rows of a dump are never dropped: the
// kernel waits for room (netlink_dump).
void Connection::on_overrun() {
  const auto alive = alive_;
  std::vector<PendingPtr> lost;
  for (const auto& [sequence, pending] : in_flight_)
    if (pending->kind != Kind::kDump) lost.push_back(pending);
  for (const PendingPtr& pending : lost) {
    complete(pending, whole(Error(ErrorCode::kInterrupted,
                                  "netlink: the kernel dropped messages (receive buffer full); "
                                  "whether the request was done is unknown")));
    if (!*alive) return;
  }
  if (const auto callback = on_resync_) callback();
}

bool Connection::cancel(RequestId id) {
  const Error error(ErrorCode::kCancelled, "netlink: the request was cancelled");
  for (auto at = settled_.begin(); at != settled_.end(); ++at)
    if (at->first->id == id) {
      const PendingPtr pending = at->first;
      settled_.erase(at);
      complete(pending, whole(error));
      return true;
    }
  const PendingPtr pending = find_by_id(id);
  if (!pending || !pending->done) return false;
  const auto alive = alive_;
  abandon(pending, error);
  if (*alive) send_queued();
  return true;
}

void Connection::expire(RequestId id) {
  const PendingPtr pending = find_by_id(id);
  if (!pending) return;
  const auto alive = alive_;
  if (pending->done) {
    abandon(pending, Error(ErrorCode::kTimeout, "netlink: no answer in time"));
  } else {
    complete(pending, std::nullopt);  // the rows of an abandoned dump never ended
  }
  if (*alive) send_queued();
}

// The kernel goes on sending the rows of a dump nobody wants: they are read away, and only then may
// the next dump start.
void Connection::abandon(const PendingPtr& pending, Error error) {
  if (pending->kind != Kind::kDump || in_flight_.count(pending->first_sequence) == 0)
    return complete(pending, whole(std::move(error)));
  pending->deadline =
      loop_.clock().after(options_.timeout, [this, id = pending->id] { expire(id); });
  pending->on_message = nullptr;
  const BatchDone done = std::exchange(pending->done, nullptr);
  done(whole(std::move(error)));
}

void Connection::settle(PendingPtr pending, std::optional<Error> error) {
  settled_.emplace_back(std::move(pending), std::move(error));
  tell_settled_ = loop_.clock().after(Duration::zero(), [this] { run_settled(); });
}

void Connection::run_settled() {
  const auto alive = alive_;
  while (*alive && !settled_.empty()) {
    const auto [pending, error] = std::move(settled_.front());
    settled_.pop_front();
    complete(pending, error ? std::optional<BatchError>(whole(*error)) : std::nullopt);
  }
}

void Connection::complete(const PendingPtr& pending, std::optional<BatchError> error) {
  pending->deadline.cancel();
  const auto sent = in_flight_.find(pending->first_sequence);
  if (sent != in_flight_.end() && sent->second == pending) {
    in_flight_.erase(sent);
    if (pending->kind == Kind::kDump) dump_running_ = false;
  } else {
    queue_.erase(std::remove(queue_.begin(), queue_.end(), pending), queue_.end());
  }
  if (const BatchDone done = std::exchange(pending->done, nullptr)) done(std::move(error));
}

Connection::PendingPtr Connection::find_by_sequence(uint32_t sequence) const {
  auto at = in_flight_.upper_bound(sequence);
  if (at == in_flight_.begin()) return nullptr;
  --at;
  return sequence - at->first < at->second->count ? at->second : nullptr;
}

Connection::PendingPtr Connection::find_by_id(RequestId id) const {
  for (const auto& [sequence, pending] : in_flight_)
    if (pending->id == id) return pending;
  for (const PendingPtr& pending : queue_)
    if (pending->id == id) return pending;
  return nullptr;
}

Result<void> Connection::subscribe(uint32_t group) {
  const int value = static_cast<int>(group);
  if (setsockopt(fd_, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &value, sizeof value) != 0)
    return Error::from_errno(errno, "join netlink group " + std::to_string(group));
  return ok();
}

Result<void> Connection::unsubscribe(uint32_t group) {
  const int value = static_cast<int>(group);
  if (setsockopt(fd_, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &value, sizeof value) != 0)
    return Error::from_errno(errno, "leave netlink group " + std::to_string(group));
  return ok();
}

bool Connection::wait(const std::function<bool()>& done, Duration limit) {
  const auto alive = alive_;
  const auto until = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    run_settled();
    if (!*alive || done()) break;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd descriptor{fd_, POLLIN, 0};
    if (poll(&descriptor, 1, static_cast<int>(std::min<int64_t>(left.count(), 1000))) > 0)
      on_readable();
    if (!*alive) break;
  }
  return done();
}

Result<void> Connection::request_sync(MessageWriter message, Duration limit, OnMessage on_message) {
  auto result = std::make_shared<std::optional<Result<void>>>();
  const RequestId id = request(
      std::move(message), [result](Result<void> answer) { *result = std::move(answer); },
      std::move(on_message));
  if (!wait([&] { return result->has_value(); }, limit)) {
    cancel(id);
    return Error(ErrorCode::kTimeout, "netlink request: no answer in time");
  }
  return **result;
}

}  // namespace fairlead::netlink
