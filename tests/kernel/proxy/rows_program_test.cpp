// SPDX-License-Identifier: Apache-2.0
// Rows of docs/proxy.md's table that are about what the program reads, and about its life, with the
// program itself and real packets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/kernel/proxy/changes.h"
#include "tests/kernel/proxy/program_cluster.h"
#include "tests/kernel/proxy/rows.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using testing::HasSubstr;

constexpr const char* kOtherProxy = R"("service.kubernetes.io/service-proxy-name":"other")";
constexpr const char* kHeadless = R"("service.kubernetes.io/headless":"")";

// A Service of web-1, number N.
void put_web(ProgramCluster& cluster, const std::string& name = "web", int number = 1,
             const std::string& labels = "") {
  cluster.put_service(name, spec_json(number), labels);
  cluster.put_slice(name, {kOn1});
  cluster.put_slice(name, {in_ipv6(kOn1)});
}

bool ends_at(ProgramCluster& cluster, const std::string& to, const std::string& who) {
  return cluster.run_until([&] { return cluster.tcp("client", to).reached == who; });
}

TEST(Row01_WatchFilters, ServicesOfAnotherProxyAreNotOurs) {
  ProgramCluster cluster;
  put_web(cluster);
  put_web(cluster, "other", 2, kOtherProxy);
  cluster.start();
  const PacketCase web{"no label", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere};
  const PacketCase other{"another proxy's", "client", "10.96.0.2:80", "[fd00:96::2]:80", kDropped};
  check_both(cluster, web);
  check_both(cluster, other);
  EXPECT_EQ(cluster.traced("client", "10.96.0.1:80/tcp"), "balanced to 10.244.2.2:8080");
  EXPECT_EQ(cluster.traced("client", "10.96.0.2:80/tcp"), "dropped");
  // The label comes and goes.
  put_web(cluster, "web", 1, kOtherProxy);
  put_web(cluster, "other", 2);
  ASSERT_TRUE(ends_at(cluster, "10.96.0.2:80", "web-1"));
  PacketCase now = web;
  now.to4 = other.to4, now.to6 = other.to6;
  check_both(cluster, now);
  now = other;
  now.to4 = web.to4, now.to6 = web.to6;
  check_both(cluster, now);
}

TEST(Row01_WatchFilters, HeadlessSlicesHaveNoEndpoints) {
  ProgramCluster cluster;
  put_web(cluster);
  cluster.put_slice("web", {kOn2}, kHeadless, "-headless");
  cluster.start();
  check_both(cluster, {"the plain slice", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere});
  EXPECT_EQ(cluster.traced("client", "10.96.0.1:80/tcp"), "balanced to 10.244.2.2:8080");
}

// Which proxy has a Service, the Service says alone: its slices have the label for a moment longer.
TEST(Row01_WatchFilters, SlicesOfAServiceThatWasAnotherProxysCount) {
  ProgramCluster cluster;
  cluster.put_service("web", spec_json(1));
  cluster.put_slice("web", {kOn1}, kOtherProxy);
  cluster.put_slice("web", {in_ipv6(kOn1)}, kOtherProxy);
  cluster.start();
  check_both(cluster, {"its endpoint", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere});
}

// The external IP is the outside host's own address: where there are no rules it answers itself.
TEST(Row01_WatchFilters, ServicesWithoutClusterIpHaveNoRules) {
  constexpr const char* kProgramPorts =
      R"("ports":[{"name":"t","port":8080},{"name":"u","port":8080,"protocol":"UDP"}],)"
      R"("externalIPs":["192.0.2.2","2001:db8::2"])";
  ProgramCluster cluster;
  put_web(cluster);
  cluster.put_service("headless", std::string(R"("clusterIP":"None","clusterIPs":["None"],)") +
                                      R"("ipFamilies":["IPv4","IPv6"],)" + kProgramPorts);
  cluster.put_service(
      "name",
      std::string(R"("type":"ExternalName","externalName":"example.org",)") + kProgramPorts);
  cluster.put_service("empty", std::string(R"("clusterIP":"",)") + kProgramPorts);
  for (const char* service : {"headless", "name", "empty"})
    for (const auto& endpoint : {kOn1, in_ipv6(kOn1)}) cluster.put_slice(service, {endpoint});
  cluster.start();
  check_both(cluster,
             {"a plain one beside them", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere});
  check_both(cluster, {"no rules", "client", "192.0.2.2:8080", "[2001:db8::2]:8080", {"outside"}});
  EXPECT_EQ(cluster.traced("client", "192.0.2.2:8080/tcp"), "passed");
}

TEST(Row22_DualStack, WithoutIpv6OnTheNodeIpv4IsServed) {
  ProgramCluster cluster;
  cluster.at("node").set_sysctl("net.ipv6.conf.all.disable_ipv6", "1");
  put_web(cluster);
  cluster.start();
  check_both(cluster, {"IPv4", "client", "10.96.0.1:80", "", kHere});
  EXPECT_EQ(cluster.at("node").must("nft list tables"), "table ip fairlead\n");
}

TEST(Row29_Configuration, AFileDecidesAndFlagsBesideItDoNot) {
  char directory[] = "/tmp/fairlead-proxy-rows-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string path = std::string(directory) + "/config.conf";
  std::ofstream(path) << "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n"
                         "kind: KubeProxyConfiguration\n"
                         "mode: nftables\n"
                         "clusterCIDR: 10.244.0.0/15,fd00:244::/32\n"
                         "nodePortAddresses: [10.244.0.0/15, fd00:244::/32]\n"
                         "nftables: {masqueradeAll: true}\n";
  ProgramCluster cluster;
  put_web(cluster);
  std::vector<std::string> flags = cluster.flags();
  for (const char* more : {"--nodeport-addresses=primary", "--masquerade-all=false",
                           "--cluster-cidr=10.99.0.0/16", "--config"})
    flags.push_back(more);
  flags.push_back(path);
  cluster.launch(flags);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.healthy(); }));
  check_both(cluster, {"masqueradeAll", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere,
                       Source::kMasqueraded});
  check_both(cluster, {"an address in nodePortAddresses", "client", "10.244.1.1:30101",
                       "[fd00:244:1::1]:30101", kHere, Source::kMasqueraded});
  check_both(cluster, {"not ours: the primary one is not", "outside", "192.0.2.1:30101",
                       "[2001:db8::1]:30101", kRefused});
  EXPECT_EQ(cluster.traced("client", "10.96.0.1:80/tcp"),
            "balanced to 10.244.2.2:8080 (masqueraded)");
  std::filesystem::remove_all(directory);
}

TEST(Row30_Life, TrafficGoesOnWhileTheProgramEndsAndStartsAndCleanupEndsIt) {
  ProgramCluster cluster;
  put_web(cluster);
  cluster.start();
  Traffic pod(cluster, "client", "10.96.0.1:80");
  Traffic outside(cluster, "outside", "[2001:db8::1]:30101");
  UdpFlow flow(cluster, "client", "10.96.0.1:80");
  const auto more_traffic = [&] {
    const int before = pod.connections(), six = outside.connections(), answers = flow.answers();
    EXPECT_TRUE(cluster.run_until([&] {
      return pod.connections() > before + 20 && outside.connections() > six + 20 &&
             flow.answers() > answers + 20;
    }));
  };
  for (const int signal : {SIGTERM, SIGKILL, SIGINT}) {
    more_traffic();
    cluster.kill_with(signal);
    more_traffic();
    cluster.start();
  }
  more_traffic();
  cluster.kill_with(SIGTERM);
  pod.stop();
  outside.stop();
  flow.stop();
  EXPECT_EQ(pod.failures(), 0) << "of " << pod.connections();
  EXPECT_EQ(outside.failures(), 0) << "of " << outside.connections();
  EXPECT_EQ(flow.stalls(), 0);

  const auto cleaned = cluster.run({"--cleanup"});
  EXPECT_EQ(cleaned.status, 0) << cleaned.errors;
  EXPECT_EQ(cluster.at("node").must("nft list ruleset"), "");
  check_both(cluster, {"a node port is a port as any", "outside", "192.0.2.1:30101",
                       "[2001:db8::1]:30101", kRefused});
  check_both(cluster, {"a cluster IP is nowhere", "client", "10.96.0.1:80", "", kDropped});
}

// The bodies of events with that reason.
std::vector<std::string> events(ProgramCluster& cluster, const std::string& reason) {
  std::vector<std::string> result;
  for (const ClusterApi::Request& request : cluster.api().requests())
    if (request.method == "POST" && request.target.ends_with("/events") &&
        request.body.find("\"reason\":\"" + reason + "\"") != std::string::npos)
      result.push_back(request.body);
  return result;
}

TEST(Row31_Events, TellOfTheStartAndOfPortsThatAreTaken) {
  ProgramCluster cluster;
  put_web(cluster);
  cluster.put_service(
      "balanced", spec_json(2, R"("externalTrafficPolicy":"Local","healthCheckNodePort":32100)"));
  HttpServer squatter(cluster.loop(), {}, nullptr);
  cluster.at("node").run([&] {
    EXPECT_TRUE(squatter.listen({ip("192.0.2.1"), 32100}).ok());
    EXPECT_TRUE(squatter.listen({ip("192.0.2.1"), 10256}).ok());
  });
  std::vector<std::string> flags = cluster.flags();
  flags.push_back("--cluster-cidr=10.244.0.0/15,fd00:244::/32");
  flags.push_back("--healthz-bind-address=192.0.2.1:10256");
  cluster.launch(flags);
  for (const char* reason :
       {"Starting", "FailedToStartServiceHealthcheck", "FailedToStartProxierHealthcheck"})
    EXPECT_TRUE(cluster.run_until([&] { return !events(cluster, reason).empty(); })) << reason;
  EXPECT_THAT(events(cluster, "Starting").front(), HasSubstr(R"("type":"Normal")"));
  EXPECT_THAT(events(cluster, "Starting").front(), HasSubstr(R"("kind":"Node")"));
  const std::string service = events(cluster, "FailedToStartServiceHealthcheck").front();
  EXPECT_THAT(service, HasSubstr(R"("type":"Warning")"));
  EXPECT_THAT(service, HasSubstr(R"("name":"balanced")"));
  EXPECT_THAT(service, HasSubstr("on port 32100"));
  EXPECT_THAT(events(cluster, "FailedToStartProxierHealthcheck").front(),
              HasSubstr(R"("type":"Warning")"));
  ASSERT_TRUE(ends_at(cluster, "10.96.0.1:80", "web-1"));
  check_both(cluster,
             {"packets flow all the same", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere});
}

}  // namespace
}  // namespace fairlead::proxy
