// SPDX-License-Identifier: Apache-2.0
// Clients and endpoints for a Worker under test, on loopback addresses, all on the test's thread:
// they read and write when the test lets the loop run.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/loop.h"
#include "proxy/stream/worker.h"

namespace fairlead::proxy::stream::peers {

// One end of a TCP connection.
class Peer {
 public:
  explicit Peer(const SocketAddress& to);  // connects
  explicit Peer(int fd);
  ~Peer() { close(); }

  void send(const std::string& bytes) { to_send_ += bytes; }
  void finish() { finish_ = true; }  // shutdown after what is to be sent
  void send_urgent(char byte);
  void reset();
  void close();
  void stop_reading(bool stop = true) { deaf_ = stop; }
  void step();

  int fd() const { return fd_; }
  // That its kernel has got.
  uint32_t packets() const;
  const std::string& received() const { return received_; }
  size_t unsent() const { return to_send_.size() - sent_; }
  bool ended() const { return ended_; }          // the other side's end of stream has come
  bool was_reset() const { return was_reset_; }  // or refused

 private:
  int fd_ = -1;
  std::string to_send_, received_;
  size_t sent_ = 0;
  bool finish_ = false, finished_ = false, deaf_ = false;
  bool ended_ = false, was_reset_ = false;
};
using PeerPtr = std::shared_ptr<Peer>;

// A listening endpoint; accepts when it is stepped.
class Server {
 public:
  // `host` is the last byte of 127.0.1.x. Not listening: connections are refused.
  explicit Server(int host, bool listening = true);
  ~Server();
  // Takes no more connections: the kernel drops what comes once its backlog is full.
  void hang();
  // Takes them again, and those that were in the backlog.
  void resume();
  void step();
  const SocketAddress& address() const { return address_; }
  const std::vector<PeerPtr>& peers() const { return peers_; }

 private:
  SocketAddress address_;
  int fd_;
  bool hanging_ = false;
  std::vector<PeerPtr> peers_;
  std::vector<int> fillers_;
};

// A UDP socket; what it has received, in order.
class Datagram {
 public:
  explicit Datagram(const SocketAddress& bind_to = {IpAddress::v4(127, 0, 0, 1), 0});
  ~Datagram() { close(); }
  void close();
  SocketAddress address() const;
  void send(const SocketAddress& to, const std::string& bytes);
  void step();

  bool echo = false;
  std::vector<std::string> received;
  std::vector<SocketAddress> senders;

 private:
  int fd_;
};

// A Worker with one TCP frontend on a loopback address.
class WorkerTest : public testing::Test {
 protected:
  WorkerTest();
  ~WorkerTest() override;

  void start(const WorkerSettings& settings = {});
  void serve(const std::vector<SocketAddress>& endpoints);
  std::shared_ptr<Service> service_of(std::vector<SocketAddress> endpoints,
                                      Protocol protocol = Protocol::kTcp);
  // A new frontend; its address.
  SocketAddress add_frontend(ListenerId id, std::shared_ptr<const Service> service);
  PeerPtr connect();
  Server& server(int host, bool listening = true);
  // Lets everything run until `done`; fails the test when it never is.
  void run_until(const std::function<bool()>& done);
  void run_for(Duration span);
  // The connection of a server that has the client's first byte; waits for it.
  PeerPtr accepted(const Server& server, size_t index = 0);
  static size_t open_descriptors();

  Loop loop_;
  std::shared_ptr<WorkerCounters> worker_counters_ = std::make_shared<WorkerCounters>();
  std::shared_ptr<Counters> counters_ = std::make_shared<Counters>();
  std::unique_ptr<Worker> worker_;
  SocketAddress frontend_;
  std::vector<PeerPtr> clients_;
  std::vector<std::unique_ptr<Server>> servers_;
};

// Bytes that are easy to compare and hard to get right by accident.
std::string noise(size_t size, uint64_t seed);

}  // namespace fairlead::proxy::stream::peers
