// SPDX-License-Identifier: Apache-2.0
// Asks one server many questions over one TCP connection, several of them at once (RFC 7766
// section 6.2.1.1), so that no answer is cut. Threads: the loop's.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/address.h"
#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "dns/server/framing.h"

namespace fairlead::dns {

class Asker {
 public:
  static constexpr size_t kAtOnce = 64;
  static constexpr Duration kReplyLimit = std::chrono::seconds(10);
  // Connections that broke one after another without a reply in between.
  static constexpr int kMostBroken = 3;

  using OnReply = std::function<void(Result<std::vector<uint8_t>>)>;

  Asker(Loop& loop, const SocketAddress& server);
  ~Asker();
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  // A whole message, whose ID is replaced. The callback runs once, later, with the reply or with
  // what kept the server from giving one; never after the Asker has gone, which
  // it may not destroy.
  void ask(std::vector<uint8_t> query, OnReply on_reply);
  // How many have no reply yet.
  size_t waiting() const { return queued_.size() + asked_.size(); }

 private:
  struct Question {
    std::vector<uint8_t> query;
    OnReply on_reply;
  };

  void pump();
  bool connect();
  void on_ready(int events);
  bool read();
  bool write();
  void broken(const std::string& why);
  void fail_all(const Error& error);

  Loop& loop_;
  const SocketAddress server_;
  Fd socket_;
  std::unique_ptr<Poll> poll_;  // closed before the socket
  std::unique_ptr<Framer> framer_;
  Timer timer_;
  std::deque<Question> queued_;
  std::map<uint16_t, Question> asked_;  // by ID
  uint16_t next_id_ = 1;
  std::vector<uint8_t> out_;  // not yet written
  int broken_ = 0;
  Timer soon_;
};

}  // namespace fairlead::dns
