// SPDX-License-Identifier: Apache-2.0
// The table of default Corefiles, row by row, as the distributions ship them (suite TableA2): a
// second server stands for the cluster's own DNS and for the resolvers outside.
#include "tests/support/default_corefiles.h"

#include <algorithm>

#include "tests/kernel/dns/program_support.h"

namespace fairlead::dns {
namespace {

// Where each is asked, and what it has beside; "": nothing.
struct Asked {
  const char* server;  // dig's arguments
  const char* health;
  const char* ready;
  const char* metrics;
};

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

Asked asked(const std::string& name) {
  if (name == "OpenShift" || name == "MicroShift")
    return {"@127.0.0.1 -p 5353", "127.0.0.1:8080", "127.0.0.1:8181", "127.0.0.1:9153"};
  if (name == "NodeLocal") return {"@169.254.20.10", "169.254.20.10:8080", "", "127.0.0.1:9253"};
  if (name == "AKS LocalDNS") return {"@169.254.10.10", "", "169.254.10.10:8181", "127.0.0.1:9253"};
  return {"@127.0.0.1", "127.0.0.1:8080", "127.0.0.1:8181", "127.0.0.1:9153"};
}

class TableA2 : public ProgramTest {
 protected:
  TableA2() {
    for (const char* address : {"169.254.20.10", "10.96.0.10", "10.96.0.11", "169.254.10.10",
                                "169.254.10.11", "10.0.0.10", "168.63.129.16"})
      shell(std::string("ip address add ") + address + "/32 dev lo");
    std::ofstream(directory + "/resolv.conf") << "nameserver 127.0.0.9\n";
    setenv("KUBE_DNS_UPSTREAM_SERVICE_HOST", "10.96.0.11", 1);  // as the kubelet does
  }
  ~TableA2() override {
    unsetenv("KUBE_DNS_UPSTREAM_SERVICE_HOST");
    stop(upstream);
  }

  // At the addresses of the files, or, beside a server that has port 53 everywhere, at another
  // port.
  void start_upstream(bool beside) {
    std::ofstream(directory + "/upstream")
        << (beside ? ".:5300 {\nbind 127.0.0.9\n"
                   : ".:53 {\nbind 127.0.0.9 10.96.0.11 10.0.0.10 168.63.129.16\n")
        << "template IN A example.test {\nanswer \"{{ .Name }} 60 IN A 192.0.2.80\"\n}\n"
           "kubernetes cluster.local in-addr.arpa ip6.arpa\n}\n";
    run({"-conf", directory + "/upstream"});
    upstream = std::exchange(pid, -1);
    ASSERT_TRUE(eventually([&] {
      return short_answer(beside ? "@127.0.0.9 -p 5300" : "@127.0.0.9",
                          "web.default.svc.cluster.local") == "10.96.0.10\n";
    })) << log();
  }
  static void stop(pid_t& process) {
    if (process <= 0) return;
    kill(process, SIGKILL);
    waitpid(std::exchange(process, -1), nullptr, 0);
  }
  // The same file, but that ours are read for those it names, or what would be in them.
  std::string adapted(std::string text, bool beside) const {
    const std::pair<std::string, std::string> kFiles[] = {
        {"__PILLAR__UPSTREAM__SERVERS__", "/etc/resolv.conf"},
        {"/etc/resolv.conf", beside ? "127.0.0.9:5300" : directory + "/resolv.conf"},
        {"/etc/coredns/", directory + "/coredns/"},
        {"/tmp/hosts/", directory + "/"}};
    for (const auto& [file, ours] : kFiles)
      for (size_t at = text.find(file); at != std::string::npos;
           at = text.find(file, at + ours.size()))
        text.replace(at, file.size(), ours);
    return text;
  }
  static std::string short_answer(const std::string& server, const std::string& question) {
    return shell("dig " + server + " +time=2 +tries=1 +short " + question);
  }

  // Serves the file, and asks what every cluster asks; `server` is where it answers from then on.
  void serve(const std::string& name) {
    const auto each = std::ranges::find(test::kDefaultCorefiles, name,
                                        [](const auto& file) { return std::string(file.name); });
    ASSERT_NE(each, std::end(test::kDefaultCorefiles));
    const Asked at = asked(name);
    server = at.server;
    const bool beside = server == "@127.0.0.1";
    start_upstream(beside);
    start_with_corefile(adapted(each->text, beside));
    EXPECT_TRUE(eventually([&] {
      return short_answer(server, "web.default.svc.cluster.local") == "10.96.0.10\n";
    })) << log();
    EXPECT_EQ(short_answer(server, "db.default.svc.cluster.local | sort"),
              "10.244.0.1\n10.244.0.2\n");
    EXPECT_EQ(short_answer(server, "-x 10.96.0.10"), "web.default.svc.cluster.local.\n");
    EXPECT_EQ(short_answer(server, "www.example.test"), "192.0.2.80\n");
    EXPECT_EQ(short_answer(server, "+tcp www.example.test"), "192.0.2.80\n");
    if (*at.health != 0) EXPECT_EQ(http(std::string(at.health) + "/health"), "OK 200");
    if (*at.ready != 0) EXPECT_EQ(http(std::string(at.ready) + "/ready"), "OK 200");
    EXPECT_NE(http(std::string(at.metrics) + "/metrics").find("\ncoredns_dns_requests_total{"),
              std::string::npos);
  }
  std::string ttl_of(const std::string& name) const {
    return shell("dig " + server + " +time=2 +tries=1 +noall +answer " + name +
                 " | awk 'NR == 1 { print $2 }'");
  }
  std::string status_of(const std::string& question) const {
    return shell("dig " + server + " +time=2 +tries=1 " + question +
                 " | sed -n 's/.*status: \\([A-Z]*\\).*/\\1/p'");
  }

  std::string server;
  pid_t upstream = -1;
};

TEST_F(TableA2, Kubeadm) {
  serve("kubeadm");
  EXPECT_EQ(ttl_of("web.default.svc.cluster.local"), "30\n");
  EXPECT_EQ(short_answer(server, "10-1-2-3.default.pod.cluster.local"), "10.1.2.3\n");
}

TEST_F(TableA2, Minikube) {
  serve("minikube");
  EXPECT_EQ(short_answer(server, "host.minikube.internal"), "192.168.49.1\n");
  EXPECT_NE(log().find("\"A IN host.minikube.internal. udp "), std::string::npos) << log();
}

TEST_F(TableA2, Eks) {
  serve("EKS");
  EXPECT_EQ(ttl_of("web.default.svc.cluster.local"), "5\n");
}

// With the nodes' names and with what people add beside, of which a file is taken up when it
// changes.
TEST_F(TableA2, K3s) {
  std::filesystem::create_directories(directory + "/coredns/custom");
  std::ofstream(directory + "/coredns/NodeHosts") << "192.0.2.7 node-one\n";
  std::ofstream(directory + "/coredns/custom/own.override")
      << "template IN A override.test {\nanswer \"{{ .Name }} 60 IN A 192.0.2.81\"\n}\n";
  std::ofstream(directory + "/coredns/custom/own.server")
      << "server.test:53 {\ntemplate IN A {\nanswer \"{{ .Name }} 60 IN A 192.0.2.82\"\n}\n}\n";
  serve("k3s");
  EXPECT_EQ(short_answer(server, "node-one"), "192.0.2.7\n");
  EXPECT_EQ(ttl_of("node-one"), "30\n") << "what the cache bounds it to, there too";
  EXPECT_EQ(short_answer(server, "-x 192.0.2.7"), "node-one.\n");
  EXPECT_EQ(short_answer(server, "a.override.test"), "192.0.2.81\n");
  EXPECT_EQ(short_answer(server, "a.server.test"), "192.0.2.82\n");
}

TEST_F(TableA2, MicroShift) {
  std::ofstream(directory + "/hosts") << "192.0.2.8 shift-one\n";
  serve("MicroShift");
  EXPECT_EQ(short_answer(server, "shift-one"), "192.0.2.8\n");
  EXPECT_EQ(shell("dig " + server + " +short CH TXT hostname.bind"), "\"" + host_name() + "\"\n");
}

TEST_F(TableA2, Aks) {
  serve("AKS");
  EXPECT_EQ(status_of("x.reddog.microsoft.com"), "NXDOMAIN\n");
  EXPECT_EQ(status_of("a.b.c.d.e.internal.cloudapp.net"), "NXDOMAIN\n");
}

TEST_F(TableA2, AksLocalDns) {
  serve("AKS LocalDNS");
  EXPECT_EQ(status_of("health-check.localdns.local"), "NOERROR\n");
  EXPECT_EQ(short_answer("@169.254.10.11", "web.default.svc.cluster.local"), "10.96.0.10\n");
  EXPECT_NE(shell("dig @169.254.10.11 +nsid www.example.test").find("(\"localdns-pod\")"),
            std::string::npos);
}

TEST_F(TableA2, OpenShift) {
  serve("OpenShift");
  EXPECT_EQ(shell("dig " + server + " +short CH TXT hostname.bind"), "\"" + host_name() + "\"\n");
}

TEST_F(TableA2, NodeLocal) {
  serve("NodeLocal");
  EXPECT_EQ(short_answer("@10.96.0.10", "www.example.test"), "192.0.2.80\n");
}

}  // namespace
}  // namespace fairlead::dns
