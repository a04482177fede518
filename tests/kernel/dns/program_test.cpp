// SPDX-License-Identifier: Apache-2.0
// fairlead-dns as a program: its Corefile, its cluster, how it starts and stops.
#include "dns/server/socket.h"
#include "tests/kernel/dns/program_support.h"

namespace fairlead::dns {
namespace {

std::string corefile(const std::string& more, const std::string& cluster = "cluster.local") {
  return ".:53 {\n    bind 127.0.0.1\n    health\n    ready\n    prometheus\n    kubernetes " +
         cluster + " {\n        ttl 7\n    }\n    reload 2s 1s\n" + more + "}\n";
}

TEST_F(ProgramTest, ExplainsWhyAQuestionIsAnsweredAsItIs) {
  const auto explain = [&](const std::string& what) {
    return shell(fairlead::test::program_path("fairlead-dns") + " explain " + what +
                 " --log-level error --kubeconfig " + directory + "/kubeconfig --resolv-conf " +
                 directory + "/resolv.conf");
  };
  EXPECT_EQ(explain("web.default.svc.cluster.local --from 10.244.0.7"),
            "web.default.svc.cluster.local. A from 10.244.0.7\n"
            "block dns://:53, zone .\n"
            "  kubernetes    answers: Service default/web, ClusterIP 10.96.0.10\n"
            "\nNOERROR, qr aa rd\n"
            "web.default.svc.cluster.local. 5 IN A 10.96.0.10\n");
  EXPECT_NE(explain("nobody.default.svc.cluster.local")
                .find("  kubernetes    answers: there is no Service default/nobody\n\nNXDOMAIN,"),
            std::string::npos);
  EXPECT_NE(explain("db.default.svc.cluster.local AAAA")
                .find("answers: Service default/db, headless, 2 ready endpoints\n"),
            std::string::npos);
  EXPECT_NE(explain("x.test").find("  kubernetes    passes on: not in cluster.local.\n"),
            std::string::npos);
  EXPECT_EQ(explain("x.test NOTYPE"), "fairlead-dns: 'NOTYPE' is no record type\n");
}

// Whatever ports and addresses it has; here from standard input.
TEST_F(ProgramTest, ExplainsEachBlockThatServesTheName) {
  std::ofstream(directory + "/blocks")
      << ".:5353 {\n    bind 127.0.0.2\n    whoami\n}\n"
         ".:5353 {\n    bind 127.0.0.3\n"
         "    template IN A . {\n        rcode NXDOMAIN\n    }\n}\n";
  const std::string program = fairlead::test::program_path("fairlead-dns");
  const std::string text =
      shell(program + " explain x.test -conf stdin < " + directory + "/blocks");
  EXPECT_NE(text.find("block dns://127.0.0.2:5353, zone .\n  whoami "), std::string::npos) << text;
  EXPECT_NE(text.find("block dns://127.0.0.3:5353, zone .\n  template "), std::string::npos)
      << text;
  EXPECT_EQ(shell(program + " check stdin < " + directory + "/blocks"), "stdin: right\n");
}

TEST_F(ProgramTest, ComparesWithAnotherServer) {
  start_with_corefile(corefile(""));
  ASSERT_TRUE(ready()) << log();
  const auto compare = [&](const std::string& with) {
    std::ofstream(directory + "/other") << with;  // the server follows its own
    return shell(fairlead::test::program_path("fairlead-dns") + " compare --kubeconfig " +
                 directory + "/kubeconfig --against 127.0.0.1:53 -conf " + directory +
                 "/other; echo \"exit $?\"");
  };
  const std::string same = compare(corefile(""));
  EXPECT_NE(same.find(" questions, 0 differences, 0 of them documented\nexit 0\n"),
            std::string::npos)
      << same;
  // A lower TTL there that stays is no cache's; nor are the names of pods documented.
  const std::string other = compare(
      ".:53 {\n    kubernetes cluster.local {\n        ttl 9\n"
      "        pods insecure\n    }\n}\n");
  EXPECT_NE(other.find("web.default.svc.cluster.local. A\n  here   NOERROR aa\n"),
            std::string::npos)
      << other;
  EXPECT_NE(other.find(" 0 of them documented\nexit 1\n"), std::string::npos) << other;
  EXPECT_NE(other.find("10-244-0-1.default.pod.cluster.local. A\n  here   NOERROR aa\n"),
            std::string::npos)
      << other;
  EXPECT_NE(other.find("exit 1\n"), std::string::npos) << other;
  const std::string nobody =
      shell(fairlead::test::program_path("fairlead-dns") + " compare --kubeconfig " + directory +
            "/kubeconfig --against 127.0.0.1:54 -conf " + directory + "/Corefile");
  EXPECT_EQ(nobody, "fairlead-dns: 127.0.0.1:54: Connection refused\n");
  // The server is to deny a name that only has others below it, as CoreDNS does.
  write_corefile(
      corefile("    template ANY ANY cluster.local {\n        match ^_tcp[.]web[.]\n"
               "        rcode NXDOMAIN\n        authority \"cluster.local. 7 IN SOA "
               "ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 7\"\n"
               "        fallthrough\n    }\n"));
  kill(pid, SIGUSR1);
  EXPECT_TRUE(eventually([] {
    return dig("_tcp.web.default.svc.cluster.local").find("NXDOMAIN") != std::string::npos;
  })) << log();
  const std::string documented = compare(corefile(""));
  EXPECT_NE(documented.find("_tcp.web.default.svc.cluster.local. A\n  here   NOERROR aa\n"),
            std::string::npos)
      << documented;
  EXPECT_NE(documented.find("  documented: there are names below it, so it exists (RFC 8020)\n"),
            std::string::npos)
      << documented;
  EXPECT_NE(documented.find(" questions, 1 differences, 1 of them documented\nexit 0\n"),
            std::string::npos)
      << documented;
}

// Under load: what is changed in the file is served, a bad file changes nothing, and no query is
// lost over either.
TEST_F(ProgramTest, FollowsItsCorefile) {
  start_with_corefile(corefile(""));
  ASSERT_TRUE(ready()) << log();
  EXPECT_NE(dig("+noall +answer +ttlid web.default.svc.cluster.local | tr -s '\\t ' ' '")
                .find("web.default.svc.cluster.local. 7 IN A 10.96.0.10"),
            std::string::npos);
  EXPECT_NE(dig("web.default.svc.other.test").find("status: REFUSED"), std::string::npos);
  std::atomic<bool> done{false};
  std::atomic<int> lost{0};
  std::thread load([&] {
    const auto in_space = space.enter();
    while (!done.load())
      if (dig("+time=5 +short web.default.svc.cluster.local") != "10.96.0.10\n") ++lost;
  });
  write_corefile(corefile("    nonsense\n"));
  EXPECT_TRUE(eventually([&] {
    return log().find("Corefile:10: there is no plugin 'nonsense'") != std::string::npos;
  })) << log();
  EXPECT_EQ(http("127.0.0.1:8080/health"), "OK 200");
  write_corefile(corefile("", "cluster.local other.test") +
                 "x.test:53 {\n    bind 127.0.0.1 127.0.0.2\n    kubernetes x.test\n}\n");
  EXPECT_TRUE(eventually([] { return dig("+short web.default.svc.other.test") == "10.96.0.10\n"; }))
      << log();
  EXPECT_EQ(shell("dig @127.0.0.2 +short web.default.svc.x.test"), "10.96.0.10\n");
  write_corefile(corefile(""));
  kill(pid, SIGUSR1);
  EXPECT_TRUE(eventually([] {
    return dig("web.default.svc.other.test").find("status: REFUSED") != std::string::npos;
  })) << log();
  EXPECT_NE(shell("dig @127.0.0.2 +time=1 +tries=1 web.default.svc.x.test").find("refused"),
            std::string::npos);
  EXPECT_EQ(http("127.0.0.1:8181/ready"), "OK 200");
  done.store(true);
  load.join();
  EXPECT_EQ(lost.load(), 0) << log();
  kill(pid, SIGTERM);
  EXPECT_EQ(wait_for_exit(), 0) << log();
}

TEST_F(ProgramTest, ReadsWhatItIsToldOfTheCluster) {
  api.run([](ClusterApi& a) {
    a.put(kNamespaces, "other", test::namespace_json("other"));
    a.put(kServices, "shop", test::service_json("other", "shop", "10.96.0.77", kPorts));
  });
  start_with_corefile(
      ".:53 {\nbind 127.0.0.1\nready\nkubernetes some.test {\nnamespaces other\n}\n}\n"
      "none.test:53 {\nbind 127.0.0.1\nkubernetes none.test {\nnoendpoints\nendpoint http://" +
      api.address.to_string() + "\n}\n}\n");
  ASSERT_TRUE(ready()) << log();
  EXPECT_EQ(dig("+short shop.other.svc.some.test"), "10.96.0.77\n");
  EXPECT_NE(dig("web.default.svc.some.test").find("status: NXDOMAIN"), std::string::npos);
  EXPECT_NE(dig("default.svc.some.test").find("status: NXDOMAIN"), std::string::npos);
  EXPECT_EQ(dig("+short web.default.svc.none.test"), "10.96.0.10\n");
  EXPECT_NE(dig("db.default.svc.none.test").find("status: NXDOMAIN"), std::string::npos);
}

// From 1.27 on: one request for each kind, and no list. Without it, and before, there are both.
TEST_F(ProgramTest, ReadsTheClusterByWatchListWhereThereIsOne) {
  api.run([](ClusterApi& a) { a.serve_watch_list(); });
  start();
  ASSERT_TRUE(ready()) << log();
  EXPECT_EQ(dig("+short web.default.svc.cluster.local"), "10.96.0.10\n");
  api.run([](ClusterApi& a) {
    for (const char* kind : {kServices, kSlices, kNamespaces}) {
      EXPECT_EQ(a.lists_served(kind), 0u) << kind;
      EXPECT_EQ(std::ranges::count_if(a.requests(),
                                      [&](const ClusterApi::Request& r) {
                                        return r.target.starts_with(std::string(kind) + "?") &&
                                               r.target.find("sendInitialEvents=true") !=
                                                   r.target.npos;
                                      }),
                1)
          << kind;
    }
    a.put(kServices, "late", test::service_json("default", "late", "10.96.0.11", kPorts));
    a.remove(kServices, "web");
  });
  EXPECT_TRUE(eventually([] {
    return dig("+short late.default.svc.cluster.local") == "10.96.0.11\n" &&
           dig("web.default.svc.cluster.local").find("status: NXDOMAIN") != std::string::npos;
  })) << log();
}

// The kernel's count, as strace sees it.
TEST_F(ProgramTest, AnAnswerTakesOneCallToReadAndOneToWrite) {
  constexpr int kQuestions = 200;
  start();
  ASSERT_TRUE(ready()) << log();
  const std::string one_socket =
      "dig @127.0.0.1 -b 127.0.0.1#4000 +noedns +short -f " + directory + "/names";
  std::ofstream names(directory + "/names");
  for (int i = 0; i < kQuestions; ++i) names << "web.default.svc.cluster.local A\n";
  names.close();
  ASSERT_EQ(std::ranges::count(shell(one_socket), '\n'), kQuestions)
      << "the first use of everything";
  const std::string process = std::to_string(pid);
  std::thread tracer([&] { shell("strace -f -qq -o " + directory + "/calls -p " + process); });
  EXPECT_TRUE(eventually([&] {
    return shell("grep -L 'TracerPid:.[1-9]' /proc/" + process + "/task/*/status").empty();
  }));
  EXPECT_EQ(std::ranges::count(shell(one_socket), '\n'), kQuestions);
  kill(pid, SIGKILL);
  wait_for_exit();
  tracer.join();
  std::map<std::string, std::map<std::string, int>> calls;  // by thread and name
  std::ifstream lines(directory + "/calls");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string thread, call;
    words >> thread >> call;
    if (const size_t end = call.find('('); end != call.npos) ++calls[thread][call.substr(0, end)];
  }
  int read = 0, written = 0;
  for (auto& [thread, names_of] : calls) {
    if (!names_of.contains("sendmmsg")) continue;
    read += names_of["recvmmsg"];
    written += names_of["sendmmsg"];
    for (const auto& [name, count] : names_of)
      EXPECT_TRUE(name == "recvmmsg" || name == "sendmmsg" || name.starts_with("epoll_"))
          << count << " times " << name;
  }
  EXPECT_EQ(written, read);
  EXPECT_GE(written, kQuestions);
  EXPECT_LE(written, kQuestions + kQuestions / 20) << "dig may have asked again";
}

TEST_F(ProgramTest, ChecksACorefile) {
  const std::string check = "{ " + fairlead::test::program_path("fairlead-dns") + " check " +
                            directory + "/Corefile; echo $?; }";
  write_corefile(corefile(""));
  EXPECT_EQ(shell(check), directory + "/Corefile: right\n0\n");
  write_corefile(corefile("    forwrad . 1.1.1.1\n"));
  EXPECT_EQ(shell(check), directory +
                              "/Corefile:10: there is no plugin 'forwrad', here or in CoreDNS, did "
                              "you mean 'forward'?\n1\n");
}

TEST_F(ProgramTest, AnswersDigAndFollowsTheCluster) {
  start();
  ASSERT_TRUE(ready()) << log();
  EXPECT_EQ(dig("+short web.default.svc.cluster.local"), "10.96.0.10\n");
  EXPECT_EQ(dig("+short +tcp web.default.svc.cluster.local"), "10.96.0.10\n");
  EXPECT_EQ(dig("+short db.default.svc.cluster.local"), "10.244.0.1\n10.244.0.2\n");
  EXPECT_EQ(dig("+short SRV _http._tcp.web.default.svc.cluster.local"),
            "0 100 80 web.default.svc.cluster.local.\n");
  EXPECT_EQ(dig("+short -x 10.96.0.10"), "web.default.svc.cluster.local.\n");
  EXPECT_EQ(dig("+short -x 10.244.0.2"), "10-244-0-2.db.default.svc.cluster.local.\n");
  const std::string nothing = shell("dig @127.0.0.1 +time=1 +tries=1 x.default.svc.cluster.local");
  EXPECT_NE(nothing.find("status: NXDOMAIN"), std::string::npos) << nothing;
  EXPECT_NE(nothing.find("ns.dns.cluster.local. hostmaster.cluster.local."), std::string::npos)
      << nothing;
  EXPECT_NE(nothing.find("flags: qr aa rd;"), std::string::npos) << nothing;

  api.run([](ClusterApi& a) {
    std::string slice =
        test::slice_json("default", "db-1", "db", {"10.244.0.2", "10.244.0.3"}, kPorts);
    const std::string labels = "\"labels\":";
    slice.insert(slice.find(labels),
                 "\"annotations\":{\"endpoints.kubernetes.io/last-change-trigger-time\":"
                 "\"2026-01-31T12:00:00Z\"},");
    a.put(kSlices, "db-1", slice);
    a.remove(kServices, "web");
  });
  EXPECT_TRUE(eventually(
      [] { return dig("+short db.default.svc.cluster.local") == "10.244.0.2\n10.244.0.3\n"; }));
  EXPECT_TRUE(eventually([] { return dig("+short web.default.svc.cluster.local").empty(); }));
  const std::string metrics = http("127.0.0.1:9153/metrics");
  EXPECT_NE(metrics.find("coredns_kubernetes_dns_programming_duration_seconds_count{"
                         "service_kind=\"headless_with_selector\"} 1\n"),
            std::string::npos)
      << metrics;
  EXPECT_NE(metrics.find("fairlead_dns_event_to_answer_seconds_count 2\n"), std::string::npos)
      << metrics;
  EXPECT_NE(metrics.find("coredns_plugin_enabled{server=\"dns://127.0.0.1:53\",zone=\".\","
                         "view=\"\",name=\"kubernetes\"} 1\n"),
            std::string::npos)
      << metrics;
  EXPECT_NE(metrics.find("coredns_dns_requests_total{server=\"dns://127.0.0.1:53\""),
            std::string::npos)
      << metrics;
  EXPECT_EQ(http("127.0.0.1:8080/health"), "OK 200");
}

class PluginPrometheus : public ProgramTest {};

// What CoreDNS documents, of the plugins that are here.
TEST_F(PluginPrometheus, HasWhatCoreDnsDocuments) {
  std::ofstream(directory + "/hosts") << "10.0.0.1 known.test\n";
  start_with_corefile(
      ".:53 {\nbind 127.0.0.1\nhealth\nready\nprometheus\nreload\nerrors\nlocal\ncache\n"
      "acl a.test {\nblock\n}\nacl b.test {\nfilter\n}\nacl c.test {\ndrop\n}\n"
      "template IN A d.test {\nanswer \"{{ .Name }} 60 IN A 192.0.2.1\"\n}\n"
      "template IN A e.test {\nanswer \"{{ .Name }} 60 IN A {{ .Zone }}\"\n}\n"
      "hosts " +
      directory + "/hosts {\nfallthrough\n}\nkubernetes cluster.local\nforward . 127.0.0.9\n}\n");
  ASSERT_TRUE(ready()) << log();
  for (const char* name : {"web.default.svc.cluster.local", "a.test", "b.test", "c.test", "d.test",
                           "e.test", "known.test", "localhost.f.test", "unknown.test"})
    dig(std::string(name));
  const std::string text = http("127.0.0.1:9153/metrics");
  for (const char* name : {"acl_allowed_requests_total",
                           "acl_blocked_requests_total",
                           "acl_dropped_requests_total",
                           "acl_filtered_requests_total",
                           "build_info",
                           "cache_drops_total",
                           "cache_entries",
                           "cache_evictions_total",
                           "cache_hits_total",
                           "cache_misses_total",
                           "cache_prefetch_total",
                           "cache_requests_total",
                           "cache_served_stale_total",
                           "dns_do_requests_total",
                           "dns_request_duration_seconds",
                           "dns_request_size_bytes",
                           "dns_requests_total",
                           "dns_response_size_bytes",
                           "dns_responses_total",
                           "forward_healthcheck_broken_total",
                           "forward_max_concurrent_rejects_total",
                           "health_request_duration_seconds",
                           "health_request_failures_total",
                           "hosts_entries",
                           "hosts_reload_timestamp_seconds",
                           "kubernetes_dns_programming_duration_seconds",
                           "local_localhost_requests_total",
                           "panics_total",
                           "plugin_enabled",
                           "proxy_conn_cache_hits_total",
                           "proxy_conn_cache_misses_total",
                           "proxy_healthcheck_failures_total",
                           "proxy_request_duration_seconds",
                           "reload_failed_total",
                           "reload_version_info",
                           "template_matches_total",
                           "template_rr_failures_total"})
    EXPECT_NE(text.find(std::string("# TYPE coredns_") + name + " "), std::string::npos)
        << name << "\n"
        << text;
}

TEST_F(ProgramTest, ListensOnTheClusterAddressBeforeItExists) {
  start({"--listen", "10.96.0.53:53"});
  ASSERT_TRUE(ready()) << log();
  space.must("ip route add local 10.96.0.53/32 dev lo");
  EXPECT_EQ(shell("dig @10.96.0.53 +time=1 +tries=1 +short web.default.svc.cluster.local"),
            "10.96.0.10\n");
}

TEST_F(ProgramTest, DefaultsAnswerOnEveryAddressOfBothFamilies) {
  start({});
  ASSERT_TRUE(ready()) << log();
  EXPECT_EQ(shell("dig @127.1.2.3 +time=1 +tries=1 +short web.default.svc.cluster.local"),
            "10.96.0.10\n");
  EXPECT_EQ(shell("dig @::1 +time=1 +tries=1 +short web.default.svc.cluster.local"),
            "10.96.0.10\n");
}

// No API server: after five seconds what is not known is SERVFAIL, and /ready says no.
TEST_F(ProgramTest, StartsWithoutTheApiServerAndCatchesUp) {
  api.run([](ClusterApi& a) { a.set_down(true); });
  start();
  ASSERT_TRUE(eventually([] {
    return shell("dig @127.0.0.1 +time=1 +tries=1 web.default.svc.cluster.local")
               .find("status: SERVFAIL") != std::string::npos;
  })) << log();
  EXPECT_EQ(http("127.0.0.1:8181/ready"), "kubernetes 503");
  EXPECT_EQ(http("127.0.0.1:8080/health"), "OK 200") << "a restart would not help";
  api.run([](ClusterApi& a) { a.set_down(false); });
  EXPECT_TRUE(ready()) << log();
  EXPECT_EQ(dig("+short web.default.svc.cluster.local"), "10.96.0.10\n");
}

// The answers stay while the API server is away.
TEST_F(ProgramTest, KeepsAnsweringWhileTheApiServerIsAway) {
  start();
  ASSERT_TRUE(ready()) << log();
  api.run([](ClusterApi& a) { a.set_down(true); });
  EXPECT_EQ(dig("+short web.default.svc.cluster.local"), "10.96.0.10\n");
  EXPECT_NE(
      shell("dig @127.0.0.1 +time=1 +tries=1 x.default.svc.cluster.local").find("status: NXDOMAIN"),
      std::string::npos);
  EXPECT_EQ(http("127.0.0.1:8181/ready"), "OK 200");
  api.run([](ClusterApi& a) {
    a.set_down(false);
    a.put(kServices, "late", test::service_json("default", "late", "10.96.0.11", kPorts));
  });
  EXPECT_TRUE(eventually([] {
    return dig("+short late.default.svc.cluster.local") == "10.96.0.11\n";
  })) << log();
}

// A second server stands in for the upstream; resolv.conf is followed.
TEST_F(ProgramTest, ForwardsToTheServersOfResolvConfAndFollowsIt) {
  start({"--listen", "127.0.0.1:53"});
  ASSERT_TRUE(ready()) << log();
  EXPECT_NE(log().find("nameserver 127.0.0.1 is this server itself: left out"), std::string::npos)
      << log();
  EXPECT_NE(shell("dig @127.0.0.1 +time=2 +tries=1 example.org").find("status: SERVFAIL"),
            std::string::npos);
  const pid_t first = std::exchange(pid, -1);
  start({"--listen", "127.0.0.2:53", "--cluster-domain", "example.org", "--health-listen", "off",
         "--ready-listen", "127.0.0.1:8282", "--metrics-listen", "off"});
  const pid_t second = std::exchange(pid, first);
  EXPECT_TRUE(eventually([] { return http("127.0.0.1:8282/ready") == "OK 200"; })) << log();
  std::ofstream(directory + "/resolv.conf.new") << "nameserver 127.0.0.2\n";
  std::filesystem::rename(directory + "/resolv.conf.new", directory + "/resolv.conf");
  EXPECT_TRUE(eventually([] {
    return dig("+short web.default.svc.example.org") == "10.96.0.10\n";
  })) << log();
  EXPECT_EQ(dig("+short +tcp web.default.svc.example.org"), "10.96.0.10\n");
  kill(second, SIGKILL);
  waitpid(second, nullptr, 0);
}

TEST_F(ProgramTest, StopsCleanlyOnSigterm) {
  start();
  ASSERT_TRUE(ready()) << log();
  kill(pid, SIGTERM);
  EXPECT_EQ(wait_for_exit(), 0) << log();
}

// Queries wait in the sockets from the start; nobody is told to send any before there are answers.
TEST_F(ProgramTest, IsReadyOnlyWhenItKnowsEverything) {
  api.run([](ClusterApi& a) { a.set_down(true); });
  start();
  ASSERT_TRUE(eventually([] { return http("127.0.0.1:8080/health") == "OK 200"; })) << log();
  EXPECT_EQ(http("127.0.0.1:8181/ready"), "kubernetes 503");
  FILE* waiting =
      popen("dig @127.0.0.1 +time=20 +tries=1 +short web.default.svc.cluster.local", "r");
  ASSERT_NE(waiting, nullptr);
  api.run([](ClusterApi& a) { a.set_down(false); });
  char line[64] = {};
  EXPECT_NE(fgets(line, sizeof line, waiting), nullptr);
  EXPECT_STREQ(line, "10.96.0.10\n");
  pclose(waiting);
  EXPECT_TRUE(ready()) << log();
}

// One sentence with the address and what to do, and exit code 1.
TEST_F(ProgramTest, SaysWhichPortItCannotHave) {
  const std::string program = fairlead::test::program_path("fairlead-dns");
  const std::string arguments = " --kubeconfig " + directory + "/kubeconfig --resolv-conf " +
                                directory +
                                "/resolv.conf --health-listen off --ready-listen off "
                                "--metrics-listen off --listen 127.0.0.4:53; echo rc=$?; }";
  const std::string without_right =
      shell("{ setpriv --bounding-set -net_bind_service " + program + arguments);
  EXPECT_NE(without_right.find("listen on 127.0.0.4:53 (UDP): Permission denied; ports below 1024 "
                               "need root or CAP_NET_BIND_SERVICE\nrc=1\n"),
            std::string::npos)
      << without_right;
  const auto taken = open_tcp({IpAddress::v4(127, 0, 0, 4), 53});
  ASSERT_TRUE(taken.ok()) << taken.error().message();
  const std::string busy = shell("{ " + program + arguments);
  EXPECT_NE(busy.find("listen on 127.0.0.4:53 (TCP): Address already in use; another DNS server "
                      "has it: stop that, or give another --listen\nrc=1\n"),
            std::string::npos)
      << busy;
}

// As docs/examples/deployment-dns.yaml runs it: a user like any other, and one capability.
TEST_F(ProgramTest, RunsAsAnOrdinaryUserWhoMayBindItsPort) {
  std::filesystem::permissions(directory, std::filesystem::perms(0755));
  std::filesystem::copy(fairlead::test::program_path("fairlead-dns"), directory + "/program");
  write_corefile(corefile(""));
  const std::string log_path = directory + "/log";
  shell(
      "setpriv --reuid=65534 --regid=65534 --clear-groups "
      "--bounding-set=-all,+net_bind_service --inh-caps=-all,+net_bind_service "
      "--ambient-caps=-all,+net_bind_service --no-new-privs " +
      directory + "/program -conf " + directory + "/Corefile --kubeconfig " + directory +
      "/kubeconfig >" + log_path + " 2>&1 & echo $! >" + directory + "/pid");
  pid = std::stoi(read_all(directory + "/pid"));
  const bool was_ready = ready();
  EXPECT_TRUE(was_ready) << log();
  EXPECT_EQ(dig("+short web.default.svc.cluster.local"), "10.96.0.10\n");
  const std::string status = read_all("/proc/" + std::to_string(pid) + "/status");
  EXPECT_NE(status.find("CapEff:\t0000000000000400\n"), std::string::npos) << status;
  EXPECT_NE(status.find("Uid:\t65534\t65534\t65534\t65534\n"), std::string::npos) << status;
  kill(pid, SIGKILL);
  pid = -1;
}

TEST_F(ProgramTest, SaysWhyItCannotStart) {
  start();
  ASSERT_TRUE(ready()) << log();
  const pid_t first = std::exchange(pid, -1);
  start();
  EXPECT_EQ(wait_for_exit(), 1);
  EXPECT_NE(log().find("listen on 127.0.0.1:53 (UDP): Address already in use"), std::string::npos)
      << log();
  start({"--listen", "127.0.0.3:53"});
  EXPECT_EQ(wait_for_exit(), 1);
  EXPECT_NE(log().find("ready: listen 127.0.0.1:8181: "), std::string::npos) << log();
  start({"--listen", "127.0.0.3:53", "--forward", "127.0.0.3", "--health-listen", "off",
         "--ready-listen", "off", "--metrics-listen", "off"});
  EXPECT_EQ(wait_for_exit(), 1);
  EXPECT_NE(log().find("forward: nameserver 127.0.0.3 is this server itself"), std::string::npos)
      << log();
  pid = first;
  const std::string missing =
      shell("{ " + fairlead::test::program_path("fairlead-dns") +
            " --kubeconfig /nowhere --listen 127.0.0.4:53 "
            "--health-listen off --ready-listen off --metrics-listen off; echo rc=$?; }");
  EXPECT_NE(missing.find("/nowhere"), std::string::npos) << missing;
  EXPECT_NE(missing.find("rc=1"), std::string::npos) << missing;
}

}  // namespace
}  // namespace fairlead::dns
