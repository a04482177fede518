// SPDX-License-Identifier: Apache-2.0
// Forwarding over TLS, beside servers with certificates of a test's own authority.
#include <fcntl.h>
#include <openssl/ssl.h>

#include "base/tls/certificate.h"
#include "base/tls/openssl.h"
#include "tests/unit/dns/forward_support.h"

namespace fairlead::dns {
namespace {

using namespace test;
using std::chrono::hours;
using tls::CertificateAndKey;

CertificateAndKey authority(const std::string& name) {
  return *tls::make_authority(name, std::chrono::system_clock::now() - hours(1), hours(24));
}

// Shared by all tests: keys take a while.
const CertificateAndKey& our_authority() {
  static const CertificateAndKey made = authority("test CA");
  return made;
}

// For a name and an address.
CertificateAndKey certificate(const CertificateAndKey& by, const std::string& name,
                              const std::string& address) {
  tls::CertificateSpec spec;
  spec.common_name = name;
  spec.dns_names = {name};
  spec.ip_addresses = {ip(address)};
  spec.server_auth = spec.client_auth = true;
  spec.not_before = std::chrono::system_clock::now() - hours(1);
  spec.validity = hours(2);
  return *tls::issue_certificate(by, spec);
}

const CertificateAndKey& our_certificate() {
  static const CertificateAndKey made = certificate(our_authority(), "dns.test", "127.0.0.1");
  return made;
}

// Speaks TLS over memory and sends what comes of it as the test says.
class TlsUpstream {
 public:
  struct Behaviour {
    bool close_at_hello = false;
    bool speaks_plainly = false;  // no TLS at all
    bool half_closes = false;     // after every reply
    bool needs_certificate = false;
    size_t piece = SIZE_MAX;  // so many bytes each millisecond
    size_t cut = SIZE_MAX;    // so many bytes of the first reply, then the end
    int max_version = 0;
    Bytes after_reply = {};
  };

  TlsUpstream(Loop& loop, const CertificateAndKey& identity, Script script, Behaviour behaviour)
      : loop_(loop), script_(std::move(script)), behaviour_(std::move(behaviour)) {
    context_ = SSL_CTX_new(TLS_server_method());
    const auto chain = *tls::read_certificates(identity.certificate_pem);
    const auto key = *tls::read_key(identity.key_pem);
    SSL_CTX_use_certificate(context_, chain.front().get());
    SSL_CTX_use_PrivateKey(context_, key.get());
    SSL_CTX_set_max_proto_version(context_, behaviour_.max_version);
    if (behaviour_.needs_certificate) {
      const auto ca = *tls::read_certificates(our_authority().certificate_pem);
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), ca.front().get());
      SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
      SSL_CTX_set_session_id_context(context_, reinterpret_cast<const uint8_t*>("t"), 1);
    }
    address = {ip("127.0.0.1"), fairlead::test::free_port()};
    listener_ = *open_tcp(address);
    poll_ = std::make_unique<Poll>(loop_, listener_.get());
    poll_->start(UV_READABLE, [this](int) { on_accept(); });
  }
  ~TlsUpstream() {
    open_.clear();
    SSL_CTX_free(context_);
  }
  void drop_connections() { open_.clear(); }
  UpstreamServer named(const std::string& name) const { return {address, UpstreamWay::kTls, name}; }
  // Over every connection that is there, unasked.
  void say(const Bytes& bytes) {
    for (const auto& each : open_) {
      SSL_write(each->ssl, bytes.data(), static_cast<int>(bytes.size()));
      flush(*each);
    }
  }

  SocketAddress address;
  int connections = 0;
  int resumed = 0;
  int queries = 0;
  std::string asked_for;  // the last name in a handshake

 private:
  struct Connection {
    Connection(Loop& loop, Fd fd, SSL_CTX* context)
        : socket(std::move(fd)), poll(loop, socket.get()), timer(loop), ssl(SSL_new(context)) {
      SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
      SSL_set_accept_state(ssl);
    }
    ~Connection() { SSL_free(ssl); }
    Fd socket;
    Poll poll;
    Timer timer;
    SSL* ssl;
    bool greeted = false;
    Bytes in;
    Bytes out;
    size_t left = SIZE_MAX;  // that may still be sent
  };

  void on_accept() {
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    ++connections;
    open_.push_back(std::make_unique<Connection>(loop_, std::move(fd), context_));
    open_.back()->poll.start(UV_READABLE, [this, c = open_.back().get()](int) { on_readable(*c); });
  }
  void close(Connection& c) {
    std::erase_if(open_, [&](const auto& each) { return each.get() == &c; });
  }
  void on_readable(Connection& c) {
    uint8_t buffer[4096];
    const ssize_t size = recv(c.socket.get(), buffer, sizeof buffer, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0 || behaviour_.close_at_hello) return close(c);
    if (behaviour_.speaks_plainly) {
      c.out.assign(100, 'x');
      return send_piece(c);
    }
    BIO_write(SSL_get_rbio(c.ssl), buffer, static_cast<int>(size));
    if (SSL_do_handshake(c.ssl) == 1) on_plain(c);
    flush(c);
  }
  void on_plain(Connection& c) {
    if (!std::exchange(c.greeted, true)) {
      if (SSL_session_reused(c.ssl) == 1) ++resumed;
      const char* name = SSL_get_servername(c.ssl, TLSEXT_NAMETYPE_host_name);
      asked_for = name == nullptr ? "" : name;
    }
    uint8_t buffer[4096];
    for (int size; (size = SSL_read(c.ssl, buffer, sizeof buffer)) > 0;)
      c.in.insert(c.in.end(), buffer, buffer + size);
    if (c.in.size() < 2 || c.in.size() < 2u + read_u16(c.in.data())) return;
    ++queries;
    const auto reply = script_(Bytes(c.in.begin() + 2, c.in.end()));
    c.in.clear();
    if (!reply) return;
    Bytes framed(2);
    write_u16(framed.data(), static_cast<uint16_t>(reply->size()));
    framed.insert(framed.end(), reply->begin(), reply->end());
    framed.insert(framed.end(), behaviour_.after_reply.begin(), behaviour_.after_reply.end());
    flush(c);
    c.left = behaviour_.cut;
    SSL_write(c.ssl, framed.data(), static_cast<int>(framed.size()));
    if (behaviour_.half_closes) SSL_shutdown(c.ssl);
  }
  void flush(Connection& c) {
    uint8_t buffer[4096];
    for (int size; (size = BIO_read(SSL_get_wbio(c.ssl), buffer, sizeof buffer)) > 0;)
      c.out.insert(c.out.end(), buffer, buffer + size);
    if (!c.timer.active()) send_piece(c);
  }
  void send_piece(Connection& c) {
    const size_t size = std::min({c.out.size(), behaviour_.piece, c.left});
    ::send(c.socket.get(), c.out.data(), size, MSG_NOSIGNAL);
    c.out.erase(c.out.begin(), c.out.begin() + static_cast<ptrdiff_t>(size));
    if (c.left != SIZE_MAX) c.left -= size;
    if (c.left == 0) shutdown(c.socket.get(), SHUT_WR);
    if (c.left != 0 && !c.out.empty())
      c.timer.start_once(milliseconds(1), [this, raw = &c] { send_piece(*raw); });
  }

  Loop& loop_;
  Script script_;
  const Behaviour behaviour_;
  SSL_CTX* context_;
  Fd listener_;
  std::unique_ptr<Poll> poll_;
  std::vector<std::unique_ptr<Connection>> open_;
};

std::optional<Bytes> answers(const Bytes& query) {
  return reply_to(query);
}

class PluginForwardTls : public PluginForward {
 protected:
  PluginForwardTls() {
    trust(our_authority());
    options->limits = {seconds(20), seconds(20), seconds(20)};
    options->total = seconds(60);
  }
  void be_impatient() {
    options->limits = {milliseconds(100), milliseconds(100), milliseconds(100)};
  }
  void trust(const CertificateAndKey& ca) {
    options->tls = *TlsClient::make({"", "", ca.certificate_pem});
  }
  TlsUpstream& serve(TlsUpstream::Behaviour behaviour = {}, Script script = answers) {
    up = std::make_unique<TlsUpstream>(loop, our_certificate(), std::move(script),
                                       std::move(behaviour));
    use_only({up->named("dns.test")});
    return *up;
  }
  void use_only(const std::vector<UpstreamServer>& servers) {
    chain.clear();
    use_servers(servers);
  }
  std::string ask_once() { return ask(make_query(kName, Type::kA)); }
  // The text of the extended error in a reply.
  std::string failure() {
    QueryOptions o;
    o.edns_size = 1232;
    const std::string text = ask(make_query(kName, Type::kA, o));
    const Bytes& reply = replies.back();
    const std::string bytes(reply.begin(), reply.end());
    const size_t at = bytes.find("upstream TLS");
    return text + (at == std::string::npos ? "" : bytes.substr(at));
  }

  std::unique_ptr<TlsUpstream> up;
};

TEST_F(PluginForwardTls, ConnectionsAreUsedAgain) {
  serve();
  for (int i = 1; i <= 5; ++i) EXPECT_EQ(ask_once(), kAnswer) << i;
  EXPECT_EQ(up->connections, 1);
  EXPECT_EQ(up->queries, 5);
  EXPECT_EQ(up->asked_for, "dns.test");
  auto& counts = options->metrics->server(up->address);
  EXPECT_EQ(counts.hits[ForwardMetrics::kTls], 4u);
  EXPECT_EQ(counts.misses[ForwardMetrics::kTls], 1u);
}

TEST_F(PluginForwardTls, AServerWithoutANameIsKnownByItsAddress) {
  serve();
  use_only({up->named("")});
  EXPECT_EQ(ask_once(), kAnswer);
  EXPECT_EQ(up->asked_for, "") << "no address is sent as a name";
  use_only({up->named("127.0.0.1")});
  EXPECT_EQ(ask_once(), kAnswer);
}

TEST_F(PluginForwardTls, SessionsAreResumed) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    serve({.max_version = version});
    EXPECT_EQ(ask_once(), kAnswer);
    up->drop_connections();
    EXPECT_EQ(ask_once(), kAnswer);
    EXPECT_EQ(up->connections, 2);
    EXPECT_EQ(up->resumed, 1) << version;
  }
}

TEST_F(PluginForwardTls, StrangersAreNotBelieved) {
  serve();
  trust(authority("another CA"));
  use_only({up->named("dns.test")});
  EXPECT_EQ(failure(),
            "SERVFAIL rd qd=1\nopt 1232 ede=23\nupstream TLS: "
            "unable to get local issuer certificate");
  EXPECT_EQ(up->queries, 0);
}

TEST_F(PluginForwardTls, AnotherNameIsNotBelieved) {
  serve();
  use_only({up->named("other.test")});
  EXPECT_EQ(failure(),
            "SERVFAIL rd qd=1\nopt 1232 ede=23\nupstream TLS: "
            "hostname mismatch");
  EXPECT_EQ(up->queries, 0);
}

TEST_F(PluginForwardTls, AnotherAddressIsNotBelieved) {
  const CertificateAndKey elsewhere = certificate(our_authority(), "dns.test", "127.0.0.9");
  TlsUpstream other(loop, elsewhere, answers, {});
  use_only({other.named("")});
  EXPECT_EQ(failure(),
            "SERVFAIL rd qd=1\nopt 1232 ede=23\nupstream TLS: IP "
            "address mismatch");
  EXPECT_EQ(other.queries, 0);
}

TEST_F(PluginForwardTls, AServerThatHangsUp) {
  serve({.close_at_hello = true});
  EXPECT_EQ(failure(),
            "SERVFAIL rd qd=1\nopt 1232 ede=23\nupstream TLS: closed during the "
            "handshake");
  EXPECT_EQ(up->connections, 2) << "two rounds";
}

TEST_F(PluginForwardTls, AServerWithoutTls) {
  serve({.speaks_plainly = true});
  EXPECT_EQ(failure(),
            "SERVFAIL rd qd=1\nopt 1232 ede=23\nupstream TLS: handshake: wrong "
            "version number");
}

TEST_F(PluginForwardTls, AnotherServerIsAskedInstead) {
  serve({.close_at_hello = true});
  Upstream plain(loop, answers);
  use_only({up->named("dns.test"), plain.address});
  EXPECT_EQ(ask_once(), kAnswer);
  EXPECT_EQ(plain.queries.size(), 1u);
}

TEST_F(PluginForwardTls, OurCertificateIsShown) {
  serve({.needs_certificate = true});
  EXPECT_EQ(ask_once(), "SERVFAIL rd qd=1\n");
  const CertificateAndKey ours = certificate(our_authority(), "client.test", "127.0.0.1");
  options->tls =
      *TlsClient::make({ours.certificate_pem, ours.key_pem, our_authority().certificate_pem});
  use_only({up->named("dns.test")});
  EXPECT_EQ(ask_once(), kAnswer);
}

// A connection the server has closed meanwhile costs nothing but a new one.
TEST_F(PluginForwardTls, AConnectionThatEndedIsNotAFailure) {
  serve();
  options->max_fails = 1;
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(ask_once(), kAnswer) << i;
    up->drop_connections();
  }
  EXPECT_EQ(up->connections, 3);
  EXPECT_EQ(up->queries, 3) << "no probe";
}

TEST_F(PluginForwardTls, AHalfClosedConnectionIsNotUsedAgain) {
  serve({.half_closes = true});
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(ask_once(), kAnswer) << i;
  EXPECT_EQ(up->connections, 3);
}

TEST_F(PluginForwardTls, AConnectionThatSaysTooMuchIsClosed) {
  serve({.after_reply = {0, 1, 7}});
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(ask_once(), kAnswer) << i;
  EXPECT_EQ(up->connections, 3);
}

TEST_F(PluginForwardTls, WhatComesUnaskedEndsAConnection) {
  serve();
  EXPECT_EQ(ask_once(), kAnswer);
  up->say({0, 1, 7});
  loop.run_until([] { return false; }, milliseconds(20));
  EXPECT_EQ(ask_once(), kAnswer);
  EXPECT_EQ(up->connections, 2);
}

// Handshake and reply a few bytes at a time.
TEST_F(PluginForwardTls, SmallPieces) {
  serve({.piece = 13});
  EXPECT_EQ(ask_once(), kAnswer);
  EXPECT_EQ(ask_once(), kAnswer);
  EXPECT_EQ(up->connections, 1);
}

// However long a server drips, the deadlines stand.
TEST_F(PluginForwardTls, ADripIsNotWaitedFor) {
  be_impatient();
  serve({.piece = 1});
  EXPECT_EQ(failure(), "SERVFAIL rd qd=1\nopt 1232 ede=22\n");
  EXPECT_EQ(up->queries, 0);
}

TEST_F(PluginForwardTls, ATruncatedRecordIsNoReply) {
  serve({.cut = 20});
  EXPECT_EQ(ask_once(), "SERVFAIL rd qd=1\n");
  EXPECT_EQ(up->connections, 2);
  EXPECT_EQ(up->queries, 2);
}

TEST_F(PluginForwardTls, SilenceAfterTheHandshake) {
  be_impatient();
  serve({}, [](const Bytes&) { return std::nullopt; });
  EXPECT_EQ(failure(), "SERVFAIL rd qd=1\nopt 1232 ede=22\n");
}

TEST_F(PluginForwardTls, LiesAreNotPassedOn) {
  serve({}, [](const Bytes& query) {
    Bytes reply = reply_to(query);
    reply[0] ^= 1;
    return std::optional(reply);
  });
  EXPECT_EQ(ask_once(), "SERVFAIL rd qd=1\n");
  EXPECT_EQ(up->connections, 2) << "such a connection is not used again";
}

TEST_F(PluginForwardTls, ALongReply) {
  serve({}, [](const Bytes& query) { return reply_to(query, 4000); });
  EXPECT_EQ(ask(make_query(kName, Type::kA), Transport::kTcp).substr(0, 18), "NOERROR rd ra qd=1");
  EXPECT_GT(replies.back().size(), 60'000u);
  EXPECT_EQ(ask_once().substr(0, 21), "NOERROR tc rd ra qd=1");
  EXPECT_EQ(up->connections, 1);
}

TEST_F(PluginForwardTls, ProbesGoOverTls) {
  bool silent = true;
  be_impatient();
  serve({}, [&](const Bytes& query) { return silent ? std::nullopt : answers(query); });
  EXPECT_EQ(ask_once(), "SERVFAIL rd qd=1\n");
  silent = false;
  const int before = up->queries;
  EXPECT_TRUE(loop.run_until([&] { return up->queries > before; }, seconds(20)));
}

TEST_F(PluginForwardTls, DestroyedInTheHandshake) {
  serve({.piece = 1});
  send(make_query(kName, Type::kA));
  loop.run_until([&] { return up->connections == 1; }, seconds(20));
  loop.run_until([] { return false; }, milliseconds(10));
  chain.clear();
  loop.run_until([] { return false; }, milliseconds(10));
  EXPECT_TRUE(replies.empty());
}

}  // namespace
}  // namespace fairlead::dns
