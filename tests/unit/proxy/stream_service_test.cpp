// SPDX-License-Identifier: Apache-2.0
// Where clients of a frontend go, who is let in at all, and the socket filter that says so to the
// kernel, run here as the kernel would.
#include <gtest/gtest.h>

#include <cstring>

#include "proxy/stream/metrics_text.h"
#include "proxy/stream/service.h"
#include "proxy/stream/source_filter.h"
#include "proxy/stream/timeout_queue.h"
#include "tests/unit/proxy/objects.h"

namespace fairlead::proxy::stream {
namespace {

using test::cidr;
using test::ip;

Service frontend(Treatment treatment, bool here, std::vector<Cidr> ranges = {}) {
  Service service;
  service.treatment = treatment;
  auto outside = std::make_shared<EndpointSet>();
  if (here) outside->endpoints = {{ip("10.244.2.2"), 8080}};
  service.outside = outside;
  if (treatment == Treatment::kLocal) {
    auto inside = std::make_shared<EndpointSet>();
    inside->endpoints = {{ip("10.244.2.2"), 8080}, {ip("10.245.4.2"), 8080}};
    service.inside = inside;
  }
  if (!ranges.empty()) service.ranges = std::make_shared<const std::vector<Cidr>>(ranges);
  Origins origins;
  origins.pods = {cidr("10.244.0.0/15"), cidr("fd00:244::/32")};
  origins.node = {ip("192.0.2.1"), ip("2001:db8::1")};
  service.origins = std::make_shared<const Origins>(origins);
  return service;
}

struct Who {
  const char* what;
  Service service;
  const char* client;
  const char* goes;  // "outside", "inside", "nowhere"
};

TEST(StreamService, ClientsGoWhereTheKernelPlanesChainsSendThem) {
  const std::vector<Cidr> ranges = {cidr("203.0.113.0/24"), cidr("10.244.1.0/24")};
  const Who cases[] = {
      {"cluster IP", frontend(Treatment::kCluster, true), "10.244.1.2", "outside"},
      {"external", frontend(Treatment::kExternal, true), "198.51.100.7", "outside"},
      {"refused", frontend(Treatment::kRefuse, false), "10.244.1.2", "nowhere"},
      {"dropped", frontend(Treatment::kDrop, false), "10.244.1.2", "nowhere"},
      {"local, a stranger", frontend(Treatment::kLocal, true), "198.51.100.7", "outside"},
      {"local, a pod", frontend(Treatment::kLocal, true), "10.245.9.9", "inside"},
      {"local, this node", frontend(Treatment::kLocal, true), "192.0.2.1", "inside"},
      {"local, this node by the address it asks", frontend(Treatment::kLocal, true), "203.0.113.1",
       "inside"},
      {"local, loopback", frontend(Treatment::kLocal, true), "127.0.0.1", "inside"},
      {"none here, a stranger", frontend(Treatment::kLocal, false), "198.51.100.7", "nowhere"},
      {"none here, a pod", frontend(Treatment::kLocal, false), "10.245.9.9", "inside"},
      {"in a range", frontend(Treatment::kExternal, true, ranges), "203.0.113.9", "outside"},
      {"in no range", frontend(Treatment::kExternal, true, ranges), "198.51.100.7", "nowhere"},
      {"a pod in a range", frontend(Treatment::kLocal, true, ranges), "10.244.1.2", "inside"},
      {"a pod in no range", frontend(Treatment::kLocal, true, ranges), "10.245.9.9", "nowhere"},
  };
  for (const Who& c : cases) {
    SCOPED_TRACE(c.what);
    const EndpointSet* set = set_for(c.service, ip(c.client), ip("203.0.113.1"));
    const std::string goes = set == nullptr                  ? "nowhere"
                             : set == c.service.inside.get() ? "inside"
                                                             : "outside";
    EXPECT_EQ(goes, c.goes);
    // The kernel lets in exactly those that go somewhere; nobody listens where all are refused.
    const auto sources = admitted(c.service, ip("203.0.113.1"));
    const bool let_in =
        !sources || std::any_of(sources->begin(), sources->end(),
                                [&](const Cidr& s) { return s.contains(ip(c.client)); });
    EXPECT_EQ(let_in, set != nullptr);
  }
}

// Enough of the machine of Documentation/networking/filter.rst for what source_filter() writes.
bool lets_in(const std::vector<sock_filter>& program, const IpAddress& source) {
  const size_t header_offset = source.is_v4() ? 12 : 8;
  uint32_t accumulator = 0;
  for (size_t at = 0; at < program.size(); ++at) {
    const sock_filter& step = program[at];
    switch (step.code) {
      case BPF_LD | BPF_W | BPF_ABS: {
        const auto offset = step.k - static_cast<uint32_t>(SKF_NET_OFF);
        EXPECT_LE(offset - header_offset + 4, source.bytes().size());
        std::memcpy(&accumulator, source.bytes().data() + (offset - header_offset), 4);
        accumulator = __builtin_bswap32(accumulator);
        break;
      }
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= step.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += accumulator == step.k ? step.jt : step.jf;
        break;
      case BPF_RET | BPF_K:
        return step.k != 0;
      default:
        ADD_FAILURE() << "instruction " << step.code;
        return false;
    }
  }
  ADD_FAILURE() << "ran off its end";
  return false;
}

struct FilterCase {
  std::vector<const char*> sources;
  const char* from;
  bool in;
};

TEST(StreamService, EndpointsSeeWhomTheRulesWouldNotMasquerade) {
  Service service = frontend(Treatment::kCluster, true);
  struct Case {
    const char* client;
    bool none, pods, all;
  };
  for (const Case& c : {Case{"10.244.1.2", false, true, true},  // a pod
                        {"198.51.100.7", false, false, true},
                        {"192.0.2.1", false, false, false},  // this node
                        {"127.0.0.1", false, false, false}}) {
    SCOPED_TRACE(c.client);
    for (const auto& [kept, wanted] :
         {std::pair{KeptSources::kNone, c.none}, std::pair{KeptSources::kPods, c.pods},
          std::pair{KeptSources::kAll, c.all}}) {
      service.kept = kept;
      EXPECT_EQ(keeps_source(service, test::ip(c.client)), wanted);
    }
  }
}

TEST(StreamFilter, LetsInWhatIsInARange) {
  const FilterCase cases[] = {
      {{}, "10.0.0.1", false},
      {{"10.0.0.1/32"}, "10.0.0.1", true},
      {{"10.0.0.1/32"}, "10.0.0.2", false},
      {{"10.0.0.0/8", "192.0.2.0/25"}, "192.0.2.127", true},
      {{"10.0.0.0/8", "192.0.2.0/25"}, "192.0.2.128", false},
      {{"0.0.0.0/0"}, "255.255.255.255", true},
      {{"fd00::/8"}, "10.0.0.1", false},
      {{"2001:db8::/32"}, "2001:db8:ffff::1", true},
      {{"2001:db8::/32"}, "2001:db9::1", false},
      {{"2001:db8:0:1::/63"}, "2001:db8::1", true},
      {{"2001:db8:0:2::/63"}, "2001:db8:0:3::1", true},
      {{"2001:db8:0:2::/63"}, "2001:db8:0:4::1", false},
      {{"2001:db8::1/128"}, "2001:db8::1", true},
      {{"2001:db8::1/128"}, "2001:db8::2", false},
      {{"2001:db8::1/128", "fd00::/127"}, "fd00::1", true},
      {{"2001:db8::1/128", "fd00::/127"}, "fd00::2", false},
      {{"10.0.0.0/8"}, "fd00::1", false},
  };
  for (const FilterCase& c : cases) {
    std::vector<Cidr> sources;
    std::string text;
    for (const char* source : c.sources) {
      sources.push_back(cidr(source));
      text += std::string(source) + " ";
    }
    SCOPED_TRACE(text + "from " + c.from);
    const auto program = source_filter(ip(c.from).family(), sources);
    ASSERT_TRUE(program);
    EXPECT_EQ(lets_in(*program, ip(c.from)), c.in);
  }
}

TEST(StreamFilter, HasARoomOf4096Instructions) {
  std::vector<Cidr> many;
  for (int i = 0; i < 1365; ++i)  // three each, and the end
    many.push_back(
        Cidr::host(IpAddress::v4(10, 0, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i))));
  ASSERT_TRUE(source_filter(Family::kIpv4, many));
  EXPECT_TRUE(lets_in(*source_filter(Family::kIpv4, many), ip("10.0.5.84")));
  many.push_back(cidr("10.1.0.0/32"));
  EXPECT_FALSE(source_filter(Family::kIpv4, many));
}

struct Waiting : TimeoutLink {
  void expired() override {
    ++times;
    unlink();
  }
  int times = 0;
};

TEST(StreamTimeouts, TheLongestWaitingComesFirst) {
  using std::chrono::seconds;
  const MonoTime start{seconds(100)};
  Waiting one, two;
  TimeoutQueue queue(seconds(10)), other(seconds(10));
  EXPECT_TRUE(queue.empty());
  queue.begin(one, start);
  queue.begin(two, start + seconds(1));
  EXPECT_EQ(queue.due(), start + seconds(10));
  queue.begin(one, start + seconds(2));  // something has moved
  EXPECT_EQ(&queue.front(), &two);
  queue.expire(start + seconds(11));
  EXPECT_EQ(two.times, 1);
  EXPECT_EQ(one.times, 0);
  other.begin(one, start + seconds(3));
  EXPECT_TRUE(queue.empty());
  {
    Waiting three;
    queue.begin(three, start);
  }
  EXPECT_TRUE(queue.empty()) << "it leaves when it is destroyed";
  other.expire(start + seconds(13));
  EXPECT_EQ(one.times, 1);
}

TEST(StreamMetrics, AreSumsOfWhatWorkersCount) {
  Counters one, other;
  one.opened.add(3);
  one.open.add(3);
  one.open.take();
  other.opened.add(2);
  other.client_bytes.add(1000);
  other.connect_micros.add(1500000);
  StreamFacts facts;
  facts.totals[Protocol::kTcp].add(one);
  facts.totals[Protocol::kTcp].add(other);
  facts.totals[Protocol::kUdp];
  facts.services[{{"default", "we\"b"}, "http", Protocol::kTcp}] = facts.totals[Protocol::kTcp];
  WorkerCounters worker;
  worker.pauses.add(4);
  facts.workers = {&worker, &worker};
  facts.unserved = 7;
  const std::string text = metrics_text(facts);
  for (const char* line :
       {"# TYPE fairlead_stream_connections_total counter\n"
        "fairlead_stream_connections_total{protocol=\"tcp\"} 5\n"
        "fairlead_stream_connections_total{protocol=\"udp\"} 0\n",
        "fairlead_stream_connections{protocol=\"tcp\"} 2\n",
        "fairlead_stream_bytes_total{protocol=\"tcp\",from=\"client\"} 1000\n",
        "fairlead_stream_connect_seconds_total{protocol=\"tcp\"} 1.500000\n",
        "fairlead_stream_service_connections_total{namespace=\"default\",service=\"we\\\"b\","
        "port=\"http\",protocol=\"tcp\"} 5\n",
        "\nfairlead_stream_accept_pauses_total 8\n", "\nfairlead_stream_unserved_sockets 7\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
  facts.services.clear();
  EXPECT_EQ(metrics_text(facts).find("fairlead_stream_service_"), std::string::npos);
}

}  // namespace
}  // namespace fairlead::proxy::stream
