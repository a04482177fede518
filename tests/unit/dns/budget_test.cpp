// SPDX-License-Identifier: Apache-2.0
// What an answer from the zone may cost: no allocation, no lock, and one system call each way for a
// batch of datagrams.
#include <cstdlib>
#include <mutex>
#include <thread>

#include "dns/chain.h"
#include "dns/server/handler.h"
#include "tests/unit/dns/costs.h"
#include "tests/unit/dns/server_support.h"

namespace fairlead::dns {
namespace {

using namespace test;

TEST(Budget, TheCountersCount) {
  std::mutex mutex;
  {
    const Counting counting(Watch::kThisThread);
    const std::lock_guard lock(mutex);
    ::operator delete(::operator new(1));
    void* volatile memory = std::malloc(1);
    std::free(memory);
  }
  const size_t one = Counting::possible() ? 1 : 0;
  EXPECT_EQ(allocations(), 2 * one);
  EXPECT_EQ(locks(), one);
  size_t before = 0;
  {
    std::thread other([&] {
      while (!Counting::active()) std::this_thread::yield();
      before = allocations();
      ::operator delete(::operator new(1));
    });
    {
      const Counting counting(Watch::kOtherThreads);
      ::operator delete(::operator new(1));
      other.join();
    }
  }
  EXPECT_EQ(before, 0u);
  EXPECT_EQ(allocations(), one);
}

class NoPath : public ReplyPath {
 public:
  SendLater later(PluginId) override { return nullptr; }
};

TEST(Budget, AHandlerAllocatesNothing) {
  Zone zone;
  zone.put(ns("n"));
  zone.put(service("web", "n", {"10.96.0.1", "fd00::1"}, {port("http", 80)}));
  zone.put(headless("db", "n", {port("sql", 5432)}));
  zone.put(slice("db-1", "db", "n", {{"10.0.0.1", "a"}, {"10.0.0.2"}},
                 {{"sql", kube::Protocol::kTcp, 5432}}));
  zone.put(external("in", "n", "web.n.svc.cluster.local"));
  zone.set_synced();
  zone.publish(1);
  Loop loop;
  Readers readers;
  Router router;
  auto kubernetes = std::make_shared<KubernetesOptions>();
  kubernetes->zones.emplace_back().zone = dns_name("cluster.local");
  kubernetes->published = &zone.published();
  Chain chain;
  const ChainConfig config = {{"kubernetes", kubernetes}};
  ASSERT_TRUE(chain.assemble({loop, readers, router}, config).ok());
  WorkerMetrics metrics;
  const CookieMaker cookies({});
  router.add({Name(), &chain, &metrics.block({"dns://:53", "."})});
  Handler handler({ip("127.0.0.1"), 53}, metrics, cookies, loop.clock());
  handler.set_router(router);
  QueryOptions edns;
  edns.edns_size = 1232;
  std::vector<Bytes> queries;
  for (const char* name :
       {"web.n.svc.cluster.local", "db.n.svc.cluster.local", "_sql._tcp.db.n.svc.cluster.local",
        "a.db.n.svc.cluster.local", "in.n.svc.cluster.local", "nobody.n.svc.cluster.local",
        "1-2-3-4.n.pod.cluster.local", "cluster.local", "1.0.96.10.in-addr.arpa",
        "2.0.0.10.in-addr.arpa", "www.example.com.n.svc.cluster.local"})
    for (const Type type :
         {Type::kA, Type::kAaaa, Type::kSrv, Type::kPtr, Type::kSoa, Type::kNs, Type::kAny})
      queries.push_back(make_query(name, type, edns));
  queries.push_back(Bytes(12, 0));  // FORMERR
  Bytes buffer(kEdnsUdpSize);
  NoPath path;
  const Client client;
  size_t replies = 0;
  Counting counting(Watch::kThisThread);
  for (const Bytes& query : queries)
    replies += handler.handle(query, client, buffer, path).empty() ? 0 : 1;
  counting.stop();
  EXPECT_EQ(replies, queries.size());
  EXPECT_EQ(allocations(), 0u);
  EXPECT_EQ(locks(), 0u);
}

// The same through a worker with its sockets, batches and counters.
TEST_F(ServerTest, BudgetOfAWorker) {
  start("127.0.0.1", 1);
  Socket socket(address, SOCK_DGRAM);
  QueryOptions edns;
  edns.edns_size = 1232;
  edns.edns_options = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
  const Bytes queries[] = {make_query(kWeb, Type::kA),
                           make_query(kWeb, Type::kAaaa),
                           make_query("big.default.svc.cluster.local", Type::kA),
                           make_query("www.example.com.default.svc.cluster.local", Type::kA),
                           make_query("_http._tcp.web.default.svc.cluster.local", Type::kSrv),
                           make_query("10.0.96.10.in-addr.arpa", Type::kPtr, edns)};
  uint8_t buffer[2048];
  const auto ask_all = [&] {
    int answered = 0;
    for (const Bytes& query : queries) {
      ::send(socket.fd(), query.data(), query.size(), 0);
      if (socket.readable(kWaitMillis) && recv(socket.fd(), buffer, sizeof buffer, 0) > 12)
        ++answered;
    }
    return answered;
  };
  ASSERT_EQ(ask_all(), 6) << "the first use of everything";
  int answered = 0;
  {
    const Counting counting(Watch::kOtherThreads);
    for (int i = 0; i < 100; ++i) answered += ask_all();
  }
  EXPECT_EQ(answered, 600);
  EXPECT_EQ(allocations(), 0u);
  EXPECT_EQ(locks(), 0u);
}

struct BatchCase {
  unsigned queries;
  uint64_t calls;  // each way
};

// What waits in the kernel is read and answered in batches of 64. A full batch is followed by one
// more look, since there may be more.
TEST_F(ServerTest, BudgetOfSystemCalls) {
  for (const BatchCase& c : {BatchCase{1, 1}, {40, 1}, {63, 1}, {100, 2}, {150, 3}}) {
    open("127.0.0.1", 1);
    Socket socket(address, SOCK_DGRAM);
    for (unsigned i = 0; i < c.queries; ++i) socket.send(make_query(kWeb, Type::kA));
    server->run();
    for (unsigned i = 0; i < c.queries; ++i) EXPECT_EQ(to_text(socket.receive()), kWebAnswer);
    server->stop(std::chrono::seconds(5));
    // stop() looks once more for what has arrived.
    EXPECT_EQ(metric(&WorkerMetrics::receive_calls), c.calls + 1) << c.queries;
    EXPECT_EQ(metric(&WorkerMetrics::send_calls), c.calls) << c.queries;
    server.reset();
  }
}

}  // namespace
}  // namespace fairlead::dns
