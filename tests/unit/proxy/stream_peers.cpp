// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/proxy/stream_peers.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>

#include "proxy/stream/sockets.h"

namespace fairlead::proxy::stream::peers {

namespace {

// Of a test's step: small, so that directions take turns.
constexpr size_t kStep = 256 * 1024;
constexpr int kReads = 8;

int connecting_socket(const SocketAddress& to) {
  sockaddr_storage storage{};
  const socklen_t length = to.to_sockaddr(storage);
  const int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  (void)connect(fd, reinterpret_cast<sockaddr*>(&storage), length);
  return fd;
}

SocketAddress bound_address(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length);
  return SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage));
}

}  // namespace

Peer::Peer(const SocketAddress& to) : fd_(connecting_socket(to)) {}

Peer::Peer(int fd) : fd_(fd) {}

void Peer::send_urgent(char byte) {
  (void)::send(fd_, &byte, 1, MSG_OOB | MSG_NOSIGNAL);
}

void Peer::reset() {
  const linger none = {1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close();
}

void Peer::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void Peer::step() {
  if (fd_ < 0) return;
  if (sent_ < to_send_.size()) {
    const ssize_t sent = ::send(fd_, to_send_.data() + sent_,
                                std::min(kStep, to_send_.size() - sent_), MSG_NOSIGNAL);
    if (sent > 0) sent_ += static_cast<size_t>(sent);
    if (sent < 0 && (errno == ECONNRESET || errno == ECONNREFUSED || errno == EPIPE))
      was_reset_ = true;
  }
  if (finish_ && !finished_ && sent_ == to_send_.size()) finished_ = shutdown(fd_, SHUT_WR) == 0;
  static std::string buffer(kStep, '\0');
  for (int i = 0; i < kReads && !deaf_ && !ended_; ++i) {
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got > 0) received_.append(buffer.data(), static_cast<size_t>(got));
    if (got == 0) ended_ = true;
    if (got < 0 && (errno == ECONNRESET || errno == ECONNREFUSED)) was_reset_ = true;
    if (got < 0) return;
  }
}

uint32_t Peer::packets() const {
  struct {  // tcp_info of linux/tcp.h, which the C library has the beginning of
    tcp_info first;
    uint64_t rates_and_bytes[4];
    uint32_t segs_out, segs_in;
  } info{};
  socklen_t length = sizeof info;
  EXPECT_EQ(getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
  return info.segs_in;
}

Server::Server(int host, bool listening)
    : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  sockaddr_storage storage{};
  const socklen_t length =
      SocketAddress{IpAddress::v4(127, 0, 1, static_cast<uint8_t>(host)), 0}.to_sockaddr(storage);
  EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&storage), length), 0);
  if (listening) EXPECT_EQ(listen(fd_, 1024), 0);
  address_ = bound_address(fd_);
}

Server::~Server() {
  for (const int filler : fillers_) ::close(filler);
  ::close(fd_);
}

void Server::hang() {
  hanging_ = true;
  EXPECT_EQ(listen(fd_, 0), 0);
  for (int i = 0; i < 4; ++i) fillers_.push_back(connecting_socket(address_));
}

void Server::resume() {
  EXPECT_EQ(listen(fd_, 1024), 0);
  hanging_ = false;
}

void Server::step() {
  while (!hanging_) {
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) break;
    peers_.push_back(std::make_shared<Peer>(fd));
  }
  for (const PeerPtr& peer : peers_) peer->step();
}

Datagram::Datagram(const SocketAddress& bind_to)
    : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  sockaddr_storage storage{};
  const socklen_t length = bind_to.to_sockaddr(storage);
  EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&storage), length), 0);
  const int large = 4 << 20;
  if (setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof large) != 0)
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
}

void Datagram::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

SocketAddress Datagram::address() const {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &length);
  return SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage));
}

void Datagram::send(const SocketAddress& to, const std::string& bytes) {
  sockaddr_storage storage{};
  const socklen_t length = to.to_sockaddr(storage);
  EXPECT_EQ(
      sendto(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&storage), length),
      static_cast<ssize_t>(bytes.size()));
}

void Datagram::step() {
  static std::string buffer(65536, '\0');
  for (;;) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    const ssize_t got = recvfrom(fd_, buffer.data(), buffer.size(), 0,
                                 reinterpret_cast<sockaddr*>(&storage), &length);
    if (got < 0) return;
    received.emplace_back(buffer.data(), static_cast<size_t>(got));
    senders.push_back(SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage)));
    if (echo) send(senders.back(), received.back());
  }
}

WorkerTest::WorkerTest() = default;

WorkerTest::~WorkerTest() {
  worker_.reset();
}

void WorkerTest::start(const WorkerSettings& settings) {
  auto opened = Worker::open(loop_, settings, worker_counters_);
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  worker_ = std::move(*opened);
}

std::shared_ptr<Service> WorkerTest::service_of(std::vector<SocketAddress> endpoints,
                                                Protocol protocol) {
  auto set = std::make_shared<EndpointSet>();
  set->id = protocol == Protocol::kTcp ? 1 : 2;
  set->policy = Policy::kRoundRobin;
  set->endpoints = std::move(endpoints);
  std::sort(set->endpoints.begin(), set->endpoints.end());
  auto service = std::make_shared<Service>();
  service->name = "default/web";
  service->protocol = protocol;
  service->treatment = Treatment::kCluster;
  service->outside = set;
  service->origins = std::make_shared<Origins>();
  service->counters = {counters_};
  return service;
}

SocketAddress WorkerTest::add_frontend(ListenerId id, std::shared_ptr<const Service> service) {
  const IpAddress address = IpAddress::v4(127, 0, 0, static_cast<uint8_t>(100 + id));
  auto socket = open_frontend_socket(service->protocol, {address, 0}, admitted(*service, address));
  EXPECT_TRUE(socket.ok()) << socket.error().message();
  const SocketAddress bound = bound_address(socket->get());
  worker_->put(id, std::move(*socket), bound, std::move(service));
  return bound;
}

void WorkerTest::serve(const std::vector<SocketAddress>& endpoints) {
  if (worker_->listeners() == 0)
    frontend_ = add_frontend(1, service_of(endpoints));
  else
    worker_->update(1, service_of(endpoints));
}

PeerPtr WorkerTest::connect() {
  clients_.push_back(std::make_shared<Peer>(frontend_));
  return clients_.back();
}

Server& WorkerTest::server(int host, bool listening) {
  servers_.push_back(std::make_unique<Server>(host, listening));
  return *servers_.back();
}

void WorkerTest::run_until(const std::function<bool()>& done) {
  Timer tick(loop_);
  tick.start_every(std::chrono::milliseconds(1), [] {});
  const bool in_time = loop_.run_until(
      [&] {
        for (const PeerPtr& client : clients_) client->step();
        for (const auto& server : servers_) server->step();
        return done();
      },
      std::chrono::seconds(30));
  ASSERT_TRUE(in_time);
}

void WorkerTest::run_for(Duration span) {
  const MonoTime end = loop_.clock().now() + span;
  run_until([&] { return loop_.clock().now() >= end; });
}

PeerPtr WorkerTest::accepted(const Server& server, size_t index) {
  run_until([&] { return server.peers().size() > index; });
  return server.peers().size() > index ? server.peers()[index] : nullptr;
}

size_t WorkerTest::open_descriptors() {
  const auto entries = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

std::string noise(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size + 8, '\0');
  for (size_t at = 0; at < size; at += 8) {
    const uint64_t word = random();
    std::memcpy(bytes.data() + at, &word, 8);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace fairlead::proxy::stream::peers
