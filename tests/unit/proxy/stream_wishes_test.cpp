// SPDX-License-Identifier: Apache-2.0
// What Services ask for by annotations: read, kept, and done by a Worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "proxy/stream/annotations.h"
#include "proxy/stream/proxy_protocol.h"
#include "tests/unit/proxy/objects.h"
#include "tests/unit/proxy/stream_peers.h"

namespace fairlead::proxy::stream {
namespace {

using peers::PeerPtr;
using peers::Server;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::ip;
using testing::HasSubstr;

TEST(StreamWishes, Annotations) {
  struct Case {
    std::map<std::string, std::string> annotations;
    Wishes wishes;
  };
  const Case cases[] = {
      {{}, {}},
      {{{"example.com/balance", "luck"}, {"fairlead.io/balance", "luck"}}, {}},
      {{{"stream.fairlead.io/balance", "source-hash"}}, {Policy::kSourceHash, false, {}}},
      {{{"stream.fairlead.io/proxy-protocol", "v2"}}, {{}, true, {}}},
      {{{"stream.fairlead.io/proxy-protocol", "off"}}, {}},
      {{{"stream.fairlead.io/hold", "1m30s"}}, {{}, false, seconds(90)}},
      {{{"stream.fairlead.io/mode", "userspace"}}, {{}, false, {}, true}},
      {{{"stream.fairlead.io/mode", "nftables"}}, {}},
      {{{"stream.fairlead.io/balance", "random"},
        {"stream.fairlead.io/hold", "5m"},
        {"stream.fairlead.io/proxy-protocol", "v2"},
        {"stream.fairlead.iou/balance", "?"}},
       {Policy::kRandom, true, kMostHold}}};
  for (const Case& c : cases) {
    const auto read =
        read_wishes(c.annotations, Wishes{Policy::kSourceHash, true, seconds(1), true});
    EXPECT_FALSE(read.bad) << read.bad->message();
    EXPECT_EQ(read.wishes, c.wishes);
  }
}

TEST(StreamWishes, WhatMeansNothingIsNamed) {
  struct Case {
    const char* name;
    const char* value;
    const char* why;
  };
  for (const Case& c : {Case{"balance", "luck", "is no way to balance"},
                        {"balance", "", "is no way to balance"},
                        {"proxy-protocol", "v1", "must be v2 or off"},
                        {"mode", "iptables", "must be userspace or nftables"},
                        {"hold", "soon", "soon"},
                        {"hold", "-1s", "must be from 0s to 5m"},
                        {"hold", "5m1s", "must be from 0s to 5m"},
                        {"balanse", "random", "there is no such annotation"}}) {
    const std::string name = std::string("stream.fairlead.io/") + c.name;
    const auto read = read_wishes({{name, c.value}}, {});
    ASSERT_TRUE(read.bad) << name;
    EXPECT_THAT(read.bad->message(),
                HasSubstr("metadata.annotations[" + name + "]: \"" + c.value + "\""));
    EXPECT_THAT(read.bad->message(), HasSubstr(c.why));
  }
}

// A process that has just begun knows of no better ones.
TEST(StreamWishes, EachStandsForItself) {
  const std::map<std::string, std::string> annotations = {
      {"stream.fairlead.io/mode", "userspace"},
      {"stream.fairlead.io/proxy-protocol", "v2"},
      {"stream.fairlead.io/hold", "soon"},
      {"stream.fairlead.io/balance", "luck"}};
  const auto first = read_wishes(annotations, {});
  EXPECT_EQ(first.wishes, (Wishes{{}, true, {}, true}));
  ASSERT_TRUE(first.bad);
  EXPECT_THAT(first.bad->message(), HasSubstr("[stream.fairlead.io/hold]"));
  EXPECT_THAT(first.bad->message(), HasSubstr("[stream.fairlead.io/balance]"));
  const auto later = read_wishes(annotations, Wishes{Policy::kRandom, false, seconds(9), false});
  EXPECT_EQ(later.wishes, (Wishes{Policy::kRandom, true, seconds(9), true}));
}

// Endpoints that expect the PROXY protocol believe what a client writes.
TEST(StreamWishes, WhereNobodyKnowsIfEndpointsAreToBeToldTcpIsDropped) {
  struct Case {
    const char* mode;  // "": no annotation
    const char* proxy_protocol;
    bool mode_unknown, proxy_protocol_unknown, relay_only;
    const char* says = "";
  };
  const Case cases[] = {
      {"userspace", "V2", false, true, true, "TCP of a relayed Service is dropped"},
      {"", "V2", false, true, false, "TCP of a relayed Service is dropped"},
      {"nftables", "V2", false, true, false, "TCP of a relayed Service is dropped"},
      {"userspce", "V2", true, true, true, "in mode nftables TCP is dropped"},
      {"userspce", "v2", true, false, true, "in mode nftables TCP is dropped"},
      {"userspce", "off", true, false, false, "the default where nobody remembers it"},
      {"userspce", "", true, false, false, "the default where nobody remembers it"},
      {"userspace", "v2", false, false, true},
      {"userspace", "off", false, false, false}};
  const auto annotations_of = [](const Case& c) {
    std::map<std::string, std::string> annotations;
    if (*c.mode != '\0') annotations["stream.fairlead.io/mode"] = c.mode;
    if (*c.proxy_protocol != '\0')
      annotations["stream.fairlead.io/proxy-protocol"] = c.proxy_protocol;
    return annotations;
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.mode) + " " + c.proxy_protocol);
    const auto read = read_wishes(annotations_of(c), std::nullopt);
    EXPECT_EQ(read.wishes.mode_unknown, c.mode_unknown);
    EXPECT_EQ(read.wishes.proxy_protocol_unknown, c.proxy_protocol_unknown);
    EXPECT_EQ(read.wishes.relay_only(), c.relay_only);
    EXPECT_EQ(read.bad.has_value(), *c.says != '\0');
    if (read.bad) EXPECT_THAT(read.bad->message(), HasSubstr(c.says));
    // Who had it before knows; what nobody knows stays so, whatever comes and goes beside it.
    const Wishes known = read_wishes(annotations_of(c), Wishes()).wishes;
    EXPECT_FALSE(known.mode_unknown || known.proxy_protocol_unknown);
    for (const Case& before : cases) {
      if (before.mode_unknown != c.mode_unknown ||
          before.proxy_protocol_unknown != c.proxy_protocol_unknown)
        continue;
      const Wishes earlier = read_wishes(annotations_of(before), std::nullopt).wishes;
      const Wishes now = read_wishes(annotations_of(c), earlier).wishes;
      EXPECT_EQ(now, read.wishes) << "after " << before.mode << " " << before.proxy_protocol;
    }
  }
}

TEST(StreamWishes, TheLastGoodOnesStay) {
  WishBook book;
  std::vector<std::string> told;
  book.set_on_bad([&](const kube::Service& about, const Error& error) {
    told.push_back(about.meta.key().to_string() + ": " + error.message());
  });
  kube::Service service;
  service.meta.ns = "default";
  service.meta.name = "web";
  const kube::ObjectKey key = service.meta.key();
  EXPECT_FALSE(book.put(service, true));
  std::string& balance = service.meta.annotations["stream.fairlead.io/balance"];
  balance = "random";
  EXPECT_TRUE(book.put(service, true));
  EXPECT_FALSE(book.put(service, true));
  balance = "luck";
  EXPECT_FALSE(book.put(service, true));
  EXPECT_FALSE(book.put(service, true));
  EXPECT_EQ(book.of(key).balance, Policy::kRandom);
  ASSERT_EQ(told.size(), 1u) << "once";
  EXPECT_THAT(told[0], HasSubstr("default/web: metadata.annotations[stream.fairlead.io/balance]"));
  balance = "round-robin";
  EXPECT_TRUE(book.put(service, true));
  balance = "luck";
  book.put(service, true);
  EXPECT_EQ(told.size(), 2u);
  service.meta.annotations.clear();
  EXPECT_TRUE(book.put(service, true));
  EXPECT_EQ(book.of(key), Wishes());
  book.remove(key);

  // Seen first, and without a good one before; then it has been.
  service.meta.annotations = {{"stream.fairlead.io/proxy-protocol", "V2"}};
  EXPECT_TRUE(book.put(service, false));
  EXPECT_TRUE(book.of(key).proxy_protocol_unknown);
  EXPECT_FALSE(book.put(service, true));
  EXPECT_TRUE(book.of(key).proxy_protocol_unknown);
  service.meta.annotations["stream.fairlead.io/proxy-protocol"] = "off";
  EXPECT_TRUE(book.put(service, true));
  service.meta.annotations["stream.fairlead.io/proxy-protocol"] = "V2";
  book.put(service, true);
  EXPECT_EQ(book.of(key), Wishes()) << "what it was is known";
  service.meta.uid = "another";
  book.put(service, true);
  EXPECT_TRUE(book.of(key).proxy_protocol_unknown) << "another one of that name";
}

TEST(ProxyHeader, AsItsSpecificationHasIt) {
  EXPECT_EQ(proxy_header({ip("192.0.2.7"), 0x1234}, {ip("10.96.0.1"), 443}),
            (std::vector<uint8_t>{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49,
                                  0x54, 0x0a, 0x21, 0x11, 0,    12,   192,  0,    2,    7,
                                  10,   96,   0,    1,    0x12, 0x34, 0x01, 0xbb}));
  const auto six = proxy_header({ip("2001:db8::7"), 1}, {ip("fd00::1"), 2});
  ASSERT_EQ(six.size(), 16u + 36u);
  EXPECT_EQ(six[13], 0x21);
  EXPECT_EQ(six[15], 36);
  EXPECT_EQ(six[16], 0x20);
  EXPECT_EQ(six[32], 0xfd);
  EXPECT_EQ(six[49], 1);
  EXPECT_EQ(six[51], 2);
}

class StreamHold : public peers::WorkerTest {
 protected:
  // A service without endpoints, whose clients wait.
  std::shared_ptr<Service> empty(Duration hold) {
    auto service = service_of({});
    service->treatment = Treatment::kRefuse;
    service->hold = hold;
    return service;
  }
};

TEST_F(StreamHold, ClientsWaitForAFirstEndpoint) {
  start();
  Server& web = server(1);
  frontend_ = add_frontend(1, empty(seconds(60)));
  const PeerPtr first = connect(), second = connect();
  first->send("first");
  run_until([&] { return worker_->held() == 2; });
  EXPECT_EQ(counters_->waiting.value(), 2u);
  run_for(milliseconds(50));
  EXPECT_FALSE(first->was_reset() || second->was_reset());
  worker_->update(1, service_of({web.address()}));
  EXPECT_EQ(worker_->held(), 0u);
  second->send("second");
  run_until([&] {
    return web.peers().size() == 2 && web.peers()[0]->received() == "first" &&
           web.peers()[1]->received() == "second";
  });
  EXPECT_EQ(counters_->held.value(), 2u);
  EXPECT_EQ(counters_->waiting.value(), 0u);
  EXPECT_EQ(counters_->failed.value(), 0u);
}

TEST_F(StreamHold, ForSoLongAndNoLonger) {
  start();
  frontend_ = add_frontend(1, empty(milliseconds(100)));
  const MonoTime begin = loop_.clock().now();
  const PeerPtr client = connect();
  run_until([&] { return client->was_reset(); });
  EXPECT_GE(loop_.clock().now() - begin, milliseconds(100));
  EXPECT_EQ(worker_->held(), 0u);
  EXPECT_EQ(counters_->failed.value(), 1u);
  EXPECT_EQ(counters_->waiting.value(), 0u);
}

TEST_F(StreamHold, AnotherTimeHoldsForThoseWhoWaitToo) {
  start();
  frontend_ = add_frontend(1, empty(seconds(60)));
  const PeerPtr client = connect();
  run_until([&] { return worker_->held() == 1; });
  worker_->update(1, empty(milliseconds(100)));
  run_until([&] { return client->was_reset(); });
  EXPECT_EQ(worker_->held(), 0u);
}

// As when its port gets another name.
TEST_F(StreamHold, IsCountedWhereItBegan) {
  start();
  Server& web = server(1);
  frontend_ = add_frontend(1, empty(seconds(60)));
  const PeerPtr client = connect();
  run_until([&] { return worker_->held() == 1; });
  auto renamed = service_of({web.address()});
  const auto others = std::make_shared<Counters>();
  renamed->counters = {others};
  worker_->update(1, renamed);
  EXPECT_EQ(counters_->waiting.value(), 0u);
  EXPECT_EQ(others->waiting.value(), 0u);
  EXPECT_EQ(others->opened.value(), 1u);
}

TEST_F(StreamHold, WhoHasHungUpGivesItsPlace) {
  start();
  frontend_ = add_frontend(1, empty(seconds(60)));
  for (size_t i = 0; i < Worker::kMostHeld; ++i) connect();
  clients_.back()->send("a word, and its end");
  clients_.back()->finish();
  run_until([&] { return worker_->held() == Worker::kMostHeld; });
  const PeerPtr beyond = connect();
  run_until([&] { return beyond->was_reset(); });
  const PeerPtr with_a_word = clients_[Worker::kMostHeld - 1];
  for (const PeerPtr& client : clients_)
    if (client != with_a_word) client->close();
  run_for(Worker::kPause);
  const PeerPtr now = connect();
  run_until([&] { return worker_->held() == 2; });
  Server& web = server(1);
  worker_->update(1, service_of({web.address()}));
  run_until([&] { return web.peers().size() == 2; });
  run_until([&] { return web.peers()[0]->received() == "a word, and its end"; });
  EXPECT_FALSE(now->was_reset());
}

// `nc host 25 < /dev/null`: where the server speaks first.
TEST_F(StreamHold, WhoHasEndedOnlyItsOwnSideIsServed) {
  start();
  Server& web = server(1);
  frontend_ = add_frontend(1, empty(seconds(60)));
  const PeerPtr client = connect();
  client->finish();
  run_until([&] { return worker_->held() == 1; });
  run_for(milliseconds(20));
  worker_->update(1, service_of({web.address()}));
  const PeerPtr endpoint = accepted(web, 0);
  ASSERT_TRUE(endpoint);
  endpoint->send("220 welcome");
  endpoint->finish();
  run_until([&] { return client->received() == "220 welcome"; });
  EXPECT_EQ(counters_->failed.value(), 0u);
}

// The service goes, or does not ask for it any more.
TEST_F(StreamHold, EndsWithItsFrontend) {
  start();
  const size_t before = open_descriptors();
  frontend_ = add_frontend(1, empty(seconds(60)));
  const PeerPtr client = connect();
  run_until([&] { return worker_->held() == 1; });
  worker_->remove(1);
  run_until([&] { return client->was_reset(); });
  EXPECT_EQ(worker_->held(), 0u);
  client->close();
  run_until([&] { return open_descriptors() == before; });
}

TEST_F(StreamHold, CountsAmongConnections) {
  WorkerSettings settings;
  settings.relay.connections = 2;
  start(settings);
  frontend_ = add_frontend(1, empty(seconds(60)));
  const PeerPtr first = connect(), second = connect(), third = connect();
  run_until([&] { return worker_counters_->pauses.value() >= 2; });
  EXPECT_EQ(worker_->held(), 2u);
  Server& web = server(1);
  worker_->update(1, service_of({web.address()}));
  first->reset();
  third->send("my turn");
  run_until([&] {
    return std::any_of(web.peers().begin(), web.peers().end(),
                       [](const PeerPtr& endpoint) { return endpoint->received() == "my turn"; });
  });
}

TEST_F(StreamHold, WhoIsNotLetInDoesNotWait) {
  start();
  auto service = empty(seconds(60));
  service->ranges =
      std::make_shared<const std::vector<Cidr>>(std::vector<Cidr>{Cidr::host(ip("192.0.2.1"))});
  EXPECT_TRUE(may_wait(*service, ip("192.0.2.1")));
  EXPECT_FALSE(may_wait(*service, ip("192.0.2.2")));
  EXPECT_EQ(admitted(*service, ip("127.0.0.1")), std::vector<Cidr>{Cidr::host(ip("192.0.2.1"))});
  EXPECT_FALSE(may_wait(*service_of({}), ip("192.0.2.1")));
}

TEST_F(StreamHold, TheEndpointHearsOfTheClientFirst) {
  start();
  Server& refuses = server(1, false);
  Server& web = server(2);
  auto service = service_of({refuses.address(), web.address()});
  service->proxy_protocol = true;
  frontend_ = add_frontend(1, service);
  for (size_t i = 0; i < 4; ++i) {  // half of them are tried at the one that refuses, first
    const PeerPtr client = connect();
    const PeerPtr endpoint = accepted(web, i);
    ASSERT_TRUE(endpoint);
    constexpr size_t kHeader = 28;
    run_until([&] { return endpoint->received().size() == kHeader; });
    client->send("hello");
    run_until([&] { return endpoint->received().size() == kHeader + 5; });
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    ASSERT_EQ(getsockname(client->fd(), reinterpret_cast<sockaddr*>(&storage), &length), 0);
    const auto own = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage));
    const std::vector<uint8_t> header = proxy_header(own, frontend_);
    EXPECT_EQ(endpoint->received(), std::string(header.begin(), header.end()) + "hello");
  }
  EXPECT_GT(counters_->retried.value(), 0u);
  EXPECT_EQ(counters_->client_bytes.value(), 20u) << "of clients alone";
}

}  // namespace
}  // namespace fairlead::proxy::stream
