// SPDX-License-Identifier: Apache-2.0
// The forwarding chain beside upstream servers that do as the test says, all on one loop.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "dns/chain.h"
#include "dns/plugins/forward/forward.h"
#include "dns/plugins/kubernetes/kubernetes.h"
#include "dns/router.h"
#include "dns/server/socket.h"
#include "tests/support/ports.h"
#include "tests/unit/dns/support.h"

namespace fairlead::dns::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What an upstream makes of a query; nothing: it keeps silent.
using Script = std::function<std::optional<Bytes>(Bytes query)>;

// A server on one loop with the plugin.
class Upstream {
 public:
  Upstream(Loop& loop, Script udp, Script tcp = nullptr)
      : loop_(loop), udp_script_(std::move(udp)), tcp_script_(std::move(tcp)) {
    address = {ip("127.0.0.1"), fairlead::test::free_port()};
    open();
  }
  void open() {
    udp_ = *open_udp(address);
    udp_poll_ = std::make_unique<Poll>(loop_, udp_.get());
    udp_poll_->start(UV_READABLE, [this](int) { read_udp(); });
    if (!tcp_script_) return;
    tcp_ = *open_tcp(address);
    tcp_poll_ = std::make_unique<Poll>(loop_, tcp_.get());
    tcp_poll_->start(UV_READABLE, [this](int) { on_accept(); });
  }
  void close() {
    udp_poll_.reset();
    udp_.reset();
  }
  // Takes what has been sent over UDP and the loop has not come to: loopback delivers at once.
  void catch_up() {
    while (read_udp()) {
    }
  }
  // Ends every TCP connection; new ones are taken.
  void drop_connections() { connections_.clear(); }

  SocketAddress address;
  std::vector<Bytes> queries;  // over UDP
  int tcp_queries = 0;
  int tcp_connections = 0;
  Bytes after_reply;  // sent behind every reply over TCP
  std::function<void(const SocketAddress&)> on_peer = [](const SocketAddress&) {};

 private:
  struct Connection {
    Connection(Loop& loop, Fd fd) : socket(std::move(fd)), poll(loop, socket.get()) {}
    Fd socket;
    Poll poll;
  };
  // False: there was nothing.
  bool read_udp() {
    Bytes buffer(65535);
    sockaddr_storage peer;
    socklen_t length = sizeof peer;
    const ssize_t size = recvfrom(udp_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                  reinterpret_cast<sockaddr*>(&peer), &length);
    if (size < 0) return false;
    on_peer(SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&peer)));
    buffer.resize(static_cast<size_t>(size));
    queries.push_back(buffer);
    if (const auto reply = udp_script_(buffer))
      sendto(udp_.get(), reply->data(), reply->size(), 0, reinterpret_cast<sockaddr*>(&peer),
             length);
    return true;
  }
  // A query is on the way in one piece.
  void on_accept() {
    sockaddr_storage peer;
    socklen_t length = sizeof peer;
    Fd connection(accept4(tcp_.get(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC));
    if (!connection) return;
    on_peer(SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&peer)));
    ++tcp_connections;
    auto& open =
        connections_.emplace_back(std::make_unique<Connection>(loop_, std::move(connection)));
    open->poll.start(UV_READABLE, [this, c = open.get()](int) { on_tcp(*c); });
  }
  void on_tcp(Connection& open) {
    Fd& connection = open.socket;
    uint8_t length[2];
    if (recv(connection.get(), length, 2, MSG_WAITALL) != 2) return open.poll.stop();
    Bytes query(read_u16(length));
    if (recv(connection.get(), query.data(), query.size(), MSG_WAITALL) !=
        static_cast<ssize_t>(query.size()))
      return;
    ++tcp_queries;
    const auto reply = tcp_script_(query);
    if (!reply) return;
    Bytes framed(2);
    write_u16(framed.data(), static_cast<uint16_t>(reply->size()));
    framed.insert(framed.end(), reply->begin(), reply->end());
    // In two pieces, as a network may.
    send(connection.get(), framed.data(), 3, MSG_NOSIGNAL);
    framed.insert(framed.end(), after_reply.begin(), after_reply.end());
    send(connection.get(), framed.data() + 3, framed.size() - 3, MSG_NOSIGNAL);
  }

  Loop& loop_;
  Script udp_script_;
  Script tcp_script_;
  Fd udp_;
  Fd tcp_;
  std::unique_ptr<Poll> udp_poll_;
  std::unique_ptr<Poll> tcp_poll_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

// The query as a reply with `count` A records 192.0.2.1...; its OPT record goes, and comes back
// last.
inline Bytes reply_to(const Bytes& query, unsigned count = 1, uint16_t flags = 0x8180) {
  Query q;
  parse_query(query, q);
  Bytes reply(query.begin(), query.begin() + static_cast<ptrdiff_t>(q.question_end));
  write_u16(&reply[2], flags);
  write_u16(&reply[6], static_cast<uint16_t>(count));
  write_u16(&reply[8], 0);
  write_u16(&reply[10], q.edns ? 1 : 0);
  for (unsigned i = 0; i < count; ++i) {
    const Bytes record = {0xc0, 0x0c, 0, 1, 0,   1, 0, 0,
                          0,    60,   0, 4, 192, 0, 2, static_cast<uint8_t>(i + 1)};
    reply.insert(reply.end(), record.begin(), record.end());
  }
  if (q.edns) {
    const Bytes opt = {0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0};
    reply.insert(reply.end(), opt.begin(), opt.end());
  }
  return reply;
}

class LatePath : public ReplyPath {
 public:
  explicit LatePath(std::vector<Bytes>& replies) : replies_(replies) {}
  SendLater later(PluginId) override {
    return [&replies = replies_](std::span<const uint8_t> m) {
      replies.emplace_back(m.begin(), m.end());
    };
  }

 private:
  std::vector<Bytes>& replies_;
};

class PluginForward : public ::testing::Test {
 protected:
  PluginForward() {
    options->limits = {milliseconds(200), milliseconds(200), milliseconds(200)};
    options->policy = UpstreamPolicy::kSequential;
    options->probe_period = milliseconds(20);
  }
  void use(const std::vector<SocketAddress>& servers) {
    use_servers({servers.begin(), servers.end()});
  }
  void use_servers(const std::vector<UpstreamServer>& servers) {
    options->upstreams = std::make_shared<UpstreamList>(servers);
    auto kubernetes = std::make_shared<KubernetesOptions>();
    kubernetes->zones.emplace_back().zone = dns_name("cluster.local");
    kubernetes->published = &zone.published();
    config = {{"forward", options}, {"kubernetes", kubernetes}};
    ASSERT_TRUE(chain.assemble({loop, readers, router}, config).ok());
    router.add({Name(), &chain, nullptr});
  }
  void send(const Bytes& packet, Transport transport = Transport::kUdp,
            const std::string& from = "192.0.2.9") {
    Query query;
    ASSERT_EQ(parse_query(packet, query).verdict, Verdict::kAnswer);
    Bytes buffer(kMaxMessage);
    Reply reply(buffer);
    reply.begin(query, transport == Transport::kUdp ? udp_limit(query) : kMaxMessage);
    LatePath path(replies);
    Client client{{ip(from), 999}, transport};
    client.until = until;
    Request request(query, client, reply, path);
    if (chain.serve(request) != Step::kAnswered) return;
    const auto message = reply.finish();
    replies.emplace_back(message.begin(), message.end());
  }
  std::string ask(const Bytes& packet, Transport transport = Transport::kUdp) {
    const size_t before = replies.size();
    send(packet, transport);
    if (!loop.run_until([&] { return replies.size() > before; }, seconds(20))) return "no reply";
    return to_text(replies.back());
  }

  Loop loop;
  Zone zone;
  Readers readers;
  Router router;
  ChainConfig config;
  std::shared_ptr<ForwardOptions> options = std::make_shared<ForwardOptions>();
  std::vector<Bytes> replies;
  std::optional<MonoTime> until;  // of all clients
  Chain chain;
};

inline const char* const kName = "www.Example.com";
inline const char* const kAnswer = "NOERROR rd ra qd=1\nanswer www.Example.com. 60 A 192.0.2.1\n";

}  // namespace fairlead::dns::test
