// SPDX-License-Identifier: Apache-2.0
// One netlink socket on one Loop, in the network namespace of the thread that opens it.
// Not thread-safe: everything happens on the loop's thread, but for the one system call that sends
// a large batch (Options::send_aside_from): a thread of its own makes it (aside.h), since the
// kernel does the whole of a batch's work inside of it. One at a time; the next one waits for it,
// as does the destructor.
//
// Every request completes exactly once: reply, kernel error (with the kernel's own explanation
// where it gives one), timeout, cancel, or shutdown (kCancelled, from the destructor; those
// callbacks must not use the Connection). A completion never runs inside the call that made the
// request.
//
// Bounded: at most `max_in_flight` requests wait for the kernel and `max_queued` for their turn; a
// request beyond that completes with kResourceExhausted. A dump runs alone, as the kernel wants it.
//
// Resync: when the kernel drops messages for us (ENOBUFS), on_resync runs and all state learned
// from notifications must be dumped again; requests whose answer may have been dropped complete
// with kInterrupted. A dump that another change disturbed (NLM_F_DUMP_INTR) completes with
// kInterrupted too: its rows are incomplete, do it again. Subscribe on a Connection of its own
// where a flood of notifications must not disturb requests.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "netlink/aside.h"
#include "netlink/message.h"

namespace fairlead::netlink {

enum class Protocol : int { kRoute = NETLINK_ROUTE, kNetfilter = NETLINK_NETFILTER };

using RequestId = uint64_t;  // never reused; 0 is none
using Done = std::function<void(Result<void>)>;
using OnMessage = std::function<void(const MessageView&)>;

// Why a batch was refused, and by which of its messages: 0 is the first message of the buffer.
struct BatchError {
  Error error;
  std::optional<size_t> message;   // absent when the batch as a whole failed
  std::optional<uint32_t> offset;  // in that message, of the attribute the kernel names
};
using BatchDone = std::function<void(std::optional<BatchError>)>;

class Connection {
 public:
  struct Options {
    Duration timeout = std::chrono::seconds(10);  // of each request, from the end of its sending
    size_t max_in_flight = 64;
    size_t max_queued = 4096;
    size_t receive_buffer = 8 << 20;  // bytes; without CAP_NET_ADMIN the system's limit holds
    int datagrams_per_turn = 256;     // read before the rest of the loop has its turn again
    // Bytes of a batch from which a thread sends it, if there is one to be had. Not beside wait(),
    // which would learn of a refused send by its limit only.
    size_t send_aside_from = SIZE_MAX;
  };

  // Fails with kPermission, kUnsupported (no such netlink family in this kernel) or
  // kResourceExhausted.
  static Result<std::unique_ptr<Connection>> open(Loop& loop, Protocol protocol);
  static Result<std::unique_ptr<Connection>> open(Loop& loop, Protocol protocol, Options options);
  // Over a socket of the caller's that keeps message boundaries, now owned: whoever holds the other
  // end plays the kernel, as tests do.
  static std::unique_ptr<Connection> adopt(Loop& loop, int fd, Options options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One message with NLM_F_ACK set by us; completes with the kernel's ack. `on_message` gets what
  // the kernel sends before it (NLM_F_ECHO, a GET's answer).
  RequestId request(MessageWriter message, Done done, OnMessage on_message = nullptr);
  // One message with NLM_F_DUMP set by us: `on_message` for each row, then `done`.
  RequestId dump(MessageWriter message, OnMessage on_message, Done done);
  // Rows parsed by `parse`, Result<T>(const MessageView&); the first that fails fails the dump.
  template <typename T>
  RequestId dump(MessageWriter message, Result<T> (*parse)(const MessageView&),
                 std::function<void(Result<std::vector<T>>)> done);
  // Several messages in one datagram, taken as one transaction by nfnetlink: the first message must
  // be NFNL_MSG_BATCH_BEGIN and the last NFNL_MSG_BATCH_END. They are shared, not copied, until
  // `done`, and after an unanswered one maybe longer; only their sequence numbers are written to.
  RequestId batch(std::shared_ptr<MessageWriter> messages, BatchDone done);

  // Completes with `result` without asking the kernel, at its next chance: for callers that learn
  // the outcome before sending and owe their own callers the same promise.
  RequestId complete_later(Result<void> result, Done done);

  // Completes the request with kCancelled; false when it has completed. The kernel may still act on
  // it.
  bool cancel(RequestId id);

  // Joins a multicast group (RTNLGRP_*, NFNLGRP_*); its messages go to on_notification.
  Result<void> subscribe(uint32_t group);
  // Leaves it; what the kernel has said until now still comes.
  Result<void> unsubscribe(uint32_t group);
  void set_on_notification(OnMessage callback) { on_notification_ = std::move(callback); }
  void set_on_resync(std::function<void()> callback) { on_resync_ = std::move(callback); }

  // For short tools and tests: serves this socket alone, without the loop, until `done` says true
  // or `limit` has passed; returns done(). Other callbacks of this Connection may run inside.
  bool wait(const std::function<bool()>& done, Duration limit);
  // The same for one request: its result, or kTimeout after `limit`.
  Result<void> request_sync(MessageWriter message, Duration limit, OnMessage on_message = nullptr);
  template <typename T>
  Result<std::vector<T>> dump_sync(MessageWriter message, Result<T> (*parse)(const MessageView&),
                                   Duration limit);

  // This socket's address; notifications of our own changes carry it (MessageView::port_id).
  uint32_t port_id() const { return port_id_; }
  size_t in_flight() const { return in_flight_.size(); }
  size_t queued() const { return queue_.size(); }

 private:
  enum class Kind : uint8_t { kRequest, kDump, kBatch };
  struct Pending;
  using PendingPtr = std::shared_ptr<Pending>;

  Connection(Loop& loop, int fd, uint32_t port_id, Options options);

  RequestId enqueue(Kind kind, std::shared_ptr<MessageWriter> messages, OnMessage on_message,
                    BatchDone done);
  void send_queued();
  void send(const PendingPtr& pending);
  bool send_aside(const PendingPtr& pending);
  void await_answer(const PendingPtr& pending);
  void stamp(Pending& pending);
  void listen();
  void on_readable();
  enum class Received { kNothing, kDatagram, kGone };
  Received receive_datagram();
  bool dispatch(Bytes datagram, bool multicast);
  void on_reply(const PendingPtr& pending, const MessageView& message);
  void on_overrun();
  void settle(PendingPtr pending, std::optional<Error> error);
  void run_settled();
  void expire(RequestId id);
  void abandon(const PendingPtr& pending, Error error);
  void complete(const PendingPtr& pending, std::optional<BatchError> error);
  PendingPtr find_by_sequence(uint32_t sequence) const;
  PendingPtr find_by_id(RequestId id) const;

  Loop& loop_;
  const int fd_;
  const uint32_t port_id_;
  const Options options_;
  Poll poll_;
  size_t send_buffer_ = 0;
  std::unique_ptr<Aside> aside_;
  RequestId next_id_ = 1;
  uint32_t next_sequence_ = 1;
  bool dump_running_ = false;
  bool overrun_ = false;
  std::deque<PendingPtr> queue_;
  std::map<uint32_t, PendingPtr> in_flight_;                         // by first sequence number
  std::deque<std::pair<PendingPtr, std::optional<Error>>> settled_;  // the loop will tell them
  Alarm tell_settled_;
  Alarm read_on_;
  OnMessage on_notification_;
  std::function<void()> on_resync_;
  std::unique_ptr<uint8_t[]> receive_buffer_;  // not cleared: no memory until it is used
  std::shared_ptr<bool> alive_;  // false once destroyed; callbacks may destroy the Connection
};

template <typename T>
RequestId Connection::dump(MessageWriter message, Result<T> (*parse)(const MessageView&),
                           std::function<void(Result<std::vector<T>>)> done) {
  struct Rows {
    std::vector<T> values;
    std::optional<Error> error;
  };
  auto rows = std::make_shared<Rows>();
  return dump(
      std::move(message),
      [rows, parse](const MessageView& view) {
        Result<T> value = parse(view);
        if (value.ok()) {
          rows->values.push_back(std::move(*value));
        } else if (!rows->error) {
          rows->error = value.error();
        }
      },
      [rows, done = std::move(done)](Result<void> result) {
        if (!result.ok()) return done(result.error());
        if (rows->error) return done(*rows->error);
        done(std::move(rows->values));
      });
}

template <typename T>
Result<std::vector<T>> Connection::dump_sync(MessageWriter message,
                                             Result<T> (*parse)(const MessageView&),
                                             Duration limit) {
  auto result = std::make_shared<std::optional<Result<std::vector<T>>>>();
  const RequestId id = dump<T>(std::move(message), parse, [result](Result<std::vector<T>> rows) {
    *result = std::move(rows);
  });
  if (!wait([&] { return result->has_value(); }, limit)) {
    cancel(id);
    return Error(ErrorCode::kTimeout, "netlink dump: no answer in time");
  }
  return std::move(**result);
}

}  // namespace fairlead::netlink
