// SPDX-License-Identifier: Apache-2.0
// Rows of docs/proxy.md's table that are about the node: what load balancers and operators ask the
// program over HTTP, and the kernel's connection tracking. With the program itself and real
// packets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/kernel/proxy/program_cluster.h"
#include "tests/kernel/proxy/rows.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::StartsWith;

void put_endpoints(ProgramCluster& cluster, const std::vector<std::string>& endpoints) {
  std::vector<std::string> six;
  for (const std::string& endpoint : endpoints) six.push_back(in_ipv6(endpoint));
  cluster.put_slice("web", endpoints);
  cluster.put_slice("web", six);
}

TEST(Row23_HealthCheckNodePort, TellsBalancersWhetherThisNodeHasReadyEndpoints) {
  ProgramCluster cluster;
  cluster.put_service(
      "web", spec_json(1, R"("externalTrafficPolicy":"Local","healthCheckNodePort":32100)"), "",
      R"("loadBalancer":{"ingress":[{"ip":"198.51.100.1"},{"ip":"2001:db8:ff::1"}]})");
  put_endpoints(cluster, {kOn1, kOn2, kOn3});
  cluster.start({"--nodeport-addresses=192.0.2.0/24,2001:db8::/64"});
  const auto balancer_hears = [&](const std::string& status, const std::string& weight) {
    const auto hears = [&](const std::string& url) {
      const std::string answer = cluster.get("outside", url);
      return answer.starts_with("HTTP/1.1 " + status) &&
             answer.find("X-Load-Balancing-Endpoint-Weight: " + weight + "\r\n") !=
                 std::string::npos &&
             answer.find("\"localEndpoints\": " + weight) != std::string::npos;
    };
    EXPECT_TRUE(cluster.run_until([&] {
      return hears("http://192.0.2.1:32100/") && hears("http://[2001:db8::1]:32100/any/path");
    })) << status
        << cluster.get("outside", "http://192.0.2.1:32100/");
  };
  const auto balancer_sends = [&](const std::set<std::string>& ends) {
    check_both(cluster, {"to the balancer's address", "outside", "198.51.100.1:80",
                         "[2001:db8:ff::1]:80", ends});
  };
  balancer_hears("200", "2");
  balancer_sends({"web-1", "web-2"});
  EXPECT_EQ(cluster.get("client", "http://10.244.1.1:32100/"), "") << "not a node port address";
  put_endpoints(cluster, {kOn1, kOn2 + " notready", kOn3});
  balancer_hears("200", "1");
  balancer_sends(kHere);
  // Draining: balancers are sent away, and who comes nevertheless is served.
  put_endpoints(cluster, {kOn1 + " terminating serving", kOn3});
  balancer_hears("503", "0");
  balancer_sends(kHere);
  put_endpoints(cluster, {kOn3});
  balancer_hears("503", "0");
  balancer_sends(kDropped);
}

TEST(Row24_Healthz, SendsBalancersAwayFromANodeThatLeavesWhilePacketsFlow) {
  ProgramCluster cluster;
  cluster.put_service("web", spec_json(1));
  put_endpoints(cluster, {kOn1});
  cluster.start({"--healthz-bind-address=0.0.0.0:10256"});
  const struct {
    const char* what;
    std::function<void()> change;
    const char *healthz, *eligible;
  } kSteps[] = {
      {"well", [] {}, "200", "true"},
      {"to be deleted by the autoscaler",
       [&] {
         cluster.put_node(
             R"("taints":[{"key":"ToBeDeletedByClusterAutoscaler","effect":"NoSchedule"}])");
       },
       "503", "false"},
      {"another taint",
       [&] { cluster.put_node(R"("taints":[{"key":"other","effect":"NoSchedule"}])"); }, "200",
       "true"},
      {"deleting", [&] { cluster.put_node("", R"("deletionTimestamp":"2026-01-01T00:00:00Z")"); },
       "503", "false"},
      {"gone", [&] { cluster.api().remove("/api/v1/nodes", "node"); }, "503", "false"},
      {"back", [&] { cluster.put_node(); }, "200", "true"},
  };
  for (const auto& step : kSteps) {
    SCOPED_TRACE(step.what);
    step.change();
    std::string answer;
    EXPECT_TRUE(cluster.run_until([&] {
      answer = cluster.get("outside", "http://192.0.2.1:10256/healthz");
      return answer.starts_with(std::string("HTTP/1.1 ") + step.healthz);
    })) << answer;
    EXPECT_THAT(answer, HasSubstr(std::string("\"nodeEligible\":") + step.eligible));
    EXPECT_THAT(cluster.get("outside", "http://192.0.2.1:10256/livez"), StartsWith("HTTP/1.1 200"));
    check_both(cluster, {"cluster IP", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere});
    check_both(cluster, {"node port", "outside", "192.0.2.1:30101", "[2001:db8::1]:30101", kHere,
                         Source::kMasqueraded});
  }
}

TEST(Row25_Operations, AnswerOnTheNodeOnly) {
  ProgramCluster cluster;
  cluster.put_service("web", spec_json(1));
  put_endpoints(cluster, {kOn1});
  cluster.start();
  check_both(cluster, {"it is programmed", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere});
  const struct {
    const char *path, *says;
  } kPages[] = {
      {"/metrics", "kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv6\"}"},
      {"/metrics/slis", "kubernetes_healthcheck"},
      {"/proxyMode", "nftables"},
      {"/configz", R"("clusterCIDR":"10.244.0.0/15,fd00:244::/32")"},
      {"/healthz", "ok"},
      {"/flagz", "hostname-override=node"},
      {"/statusz", "fairlead-proxy"},
      {"/debug/pprof", "use perf(1)"},
  };
  for (const auto& page : kPages) {
    const std::string path = page.path;
    EXPECT_THAT(cluster.get("node", "http://127.0.0.1:10249" + path), HasSubstr(page.says)) << path;
    EXPECT_EQ(cluster.get("outside", "http://192.0.2.1:10249" + path), "") << path;
  }
}

// A server that keeps its connections, on web-1's port 9000.
class Keeper {
 public:
  explicit Keeper(Cluster& cluster) {
    const auto inside = cluster.at("web-1").enter();
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage storage{};
    const socklen_t length = SocketAddress{ip("10.244.2.2"), 9000}.to_sockaddr(storage);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&storage), length), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
  }
  ~Keeper() {
    for (const int fd : {listener_, client_, served_})
      if (fd >= 0) close(fd);
  }
  // One connection from client, through the Service.
  void connect(Cluster& cluster, const std::string& to) {
    const auto inside = cluster.at("client").enter();
    client_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage storage{};
    const socklen_t length = SocketAddress::parse(to).value().to_sockaddr(storage);
    ASSERT_EQ(::connect(client_, reinterpret_cast<sockaddr*>(&storage), length), 0);
    served_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    ASSERT_GE(served_, 0);
  }
  // A word each way.
  bool works() {
    char buffer[8];
    return send(client_, "ping", 4, MSG_NOSIGNAL) == 4 && recv(served_, buffer, 4, 0) == 4 &&
           send(served_, "pong", 4, MSG_NOSIGNAL) == 4 && recv(client_, buffer, 4, 0) == 4;
  }

 private:
  int listener_ = -1, client_ = -1, served_ = -1;
};

void put_keeper(ProgramCluster& cluster) {
  cluster.put_service("web", spec_json(1));
  cluster.api().put(
      "/apis/discovery.k8s.io/v1/endpointslices", "web-x",
      R"({"metadata":{"namespace":"default","name":"web-x","resourceVersion":"@RV@",)"
      R"("labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4",)"
      R"("endpoints":[{"addresses":["10.244.2.2"]}],)"
      R"("ports":[{"name":"t","port":9000},{"name":"u","port":8080,"protocol":"UDP"}]})");
}

// What is left of the flow's time, as connection tracking has it, in seconds.
int time_left(Cluster& cluster, const std::string& protocol) {
  const std::string flows = cluster.at("node").must("conntrack -L -p " + protocol +
                                                    " --orig-dst 10.96.0.1 2>/dev/null || true");
  std::istringstream words(flows);
  std::string name;
  int number = 0, left = -1;
  words >> name >> number >> left;
  return left;
}

// Row 27: what there is of them in a network namespace of its own.
TEST(Row27_Sysctls, FlowsLiveAsLongAsTheyAreTold) {
  ProgramCluster cluster;
  put_keeper(cluster);
  cluster.start({"--conntrack-tcp-timeout-established=4000s", "--conntrack-udp-timeout=700s",
                 "--conntrack-udp-timeout-stream=900s", "--conntrack-tcp-timeout-close-wait=500s",
                 "--conntrack-tcp-be-liberal"});
  const struct {
    const char *name, *value;
  } kSysctls[] = {{"tcp_timeout_established", "4000\n"},
                  {"tcp_timeout_close_wait", "500\n"},
                  {"udp_timeout", "700\n"},
                  {"udp_timeout_stream", "900\n"},
                  {"tcp_be_liberal", "1\n"}};
  for (const auto& [name, value] : kSysctls)
    EXPECT_EQ(cluster.at("node").must(std::string("sysctl -n net.netfilter.nf_conntrack_") + name),
              value)
        << name;
  Keeper keeper(cluster);
  keeper.connect(cluster, "10.96.0.1:80");
  EXPECT_TRUE(keeper.works());
  EXPECT_THAT(time_left(cluster, "tcp"), testing::AllOf(testing::Gt(3600), testing::Le(4000)));
  EXPECT_EQ(cluster.udp("client", "10.96.0.1:80").reached, "web-1");
  EXPECT_THAT(time_left(cluster, "udp"), testing::AllOf(testing::Gt(600), testing::Le(900)));
}

// The size of the table is the host's, in which no test writes: the program sees files of ours in
// the place of the kernel's.
TEST(Row27_Sysctls, TheTableIsAsLargeAsItIsTold) {
  char pattern[] = "/tmp/fairlead-proxy-test-XXXXXX";
  const std::string directory = mkdtemp(pattern);
  const auto put = [&](const std::string& name, const std::string& text) {
    std::ofstream(directory + "/" + name) << text;
  };
  for (const char* name : {"nf_conntrack_max", "nf_conntrack_tcp_timeout_established",
                           "nf_conntrack_tcp_timeout_close_wait", "hashsize"})
    put(name, "1\n");  // not longer than what is written: a file is not cut as sysctls are
  const auto run = fairlead::test::run_command(
      {"unshare", "--mount", "sh", "-c",
       "mount --bind " + directory + "/hashsize /sys/module/nf_conntrack/parameters/hashsize && " +
           "mount --bind " + directory + " /proc/sys/net/netfilter && exec " + Cluster::program() +
           " --init-only --conntrack-max-per-core=30000 --conntrack-min=50000"},
      {}, 20);
  EXPECT_EQ(run.status, 0) << run.errors;
  const long most = std::max(50'000L, 30'000L * sysconf(_SC_NPROCESSORS_ONLN));
  const std::pair<const char*, long> kWritten[] = {{"nf_conntrack_max", std::min(most, 1'048'576L)},
                                                   {"hashsize", std::min(most, 1'048'576L) / 4},
                                                   {"nf_conntrack_tcp_timeout_established", 86'400},
                                                   {"nf_conntrack_tcp_timeout_close_wait", 3600}};
  for (const auto& [name, value] : kWritten) {
    long found = 0;
    std::ifstream(directory + "/" + name) >> found;
    EXPECT_EQ(found, value) << name;
  }
  std::filesystem::remove_all(directory);
}

// ---- row 33 ----

uint16_t checksum(const std::vector<uint8_t>& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) sum += bytes[i] << (i % 2 == 0 ? 8 : 0);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

// TCP segments that come to web-1's port 9000, and one of its own making.
class Segments {
 public:
  explicit Segments(Cluster& cluster) {
    const auto inside = cluster.at("web-1").enter();
    fd_ = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
    EXPECT_GE(fd_, 0);
  }
  ~Segments() { close(fd_); }
  // The next one; all that come are looked at until there is none for a second.
  bool next(tcphdr& header) {
    for (;;) {
      pollfd one{fd_, POLLIN, 0};
      if (poll(&one, 1, 1000) <= 0) return false;
      uint8_t packet[2048];
      const ssize_t size = recv(fd_, packet, sizeof packet, 0);
      const size_t begin = static_cast<size_t>(packet[0] & 15) * 4;
      if (size < static_cast<ssize_t>(begin + sizeof header)) continue;
      std::memcpy(&header, packet + begin, sizeof header);
      if (ntohs(header.dest) == 9000) return true;
    }
  }
  // A byte far beyond the window, in answer to `heard`.
  void send_far_beyond(const tcphdr& heard) {
    tcphdr header{};
    header.source = heard.dest;
    header.dest = heard.source;
    header.seq = htonl(ntohl(heard.ack_seq) + (1u << 29));
    header.ack_seq = heard.seq;
    header.doff = 5;
    header.ack = 1;
    header.window = htons(512);
    std::vector<uint8_t> pseudo = {10, 244, 2, 2, 10, 244, 1, 2, 0, IPPROTO_TCP, 0, 21};
    std::vector<uint8_t> segment(sizeof header + 1, '!');
    std::memcpy(segment.data(), &header, sizeof header);
    pseudo.insert(pseudo.end(), segment.begin(), segment.end());
    header.check = htons(checksum(pseudo));
    std::memcpy(segment.data(), &header, sizeof header);
    sockaddr_storage storage{};
    const socklen_t length = SocketAddress{ip("10.244.1.2"), 0}.to_sockaddr(storage);
    EXPECT_EQ(sendto(fd_, segment.data(), segment.size(), 0, reinterpret_cast<sockaddr*>(&storage),
                     length),
              static_cast<ssize_t>(segment.size()));
  }

 private:
  int fd_;
};

// An endpoint's segment that connection tracking finds out of window goes to the client as it is,
// from an address the client knows nothing of, and is answered with a reset; unless connection
// tracking is liberal. No rule of ours is in the way of either.
TEST(Row33_OutOfWindow, LiberalConnectionTrackingSparesTheConnection) {
  for (const bool liberal : {false, true}) {
    SCOPED_TRACE(liberal ? "liberal" : "as the kernel has it");
    ProgramCluster cluster;
    put_keeper(cluster);
    cluster.start(liberal ? std::vector<std::string>{"--conntrack-tcp-be-liberal"}
                          : std::vector<std::string>{});
    Keeper keeper(cluster);
    Segments segments(cluster);
    keeper.connect(cluster, "10.96.0.1:80");
    ASSERT_TRUE(keeper.works());
    tcphdr heard{}, last{};
    while (segments.next(heard)) last = heard;
    ASSERT_NE(last.source, 0);
    segments.send_far_beyond(last);
    ASSERT_TRUE(segments.next(heard)) << "the client answers, one way or another";
    EXPECT_EQ(heard.rst, liberal ? 0 : 1);
    if (liberal) EXPECT_TRUE(keeper.works());
  }
}

}  // namespace
}  // namespace fairlead::proxy
