// SPDX-License-Identifier: Apache-2.0
// Tables of the node's small pure parts: quantities, times, environment, resolv.conf, cgroups,
// logs.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "orchestrator/node/cgroup.h"
#include "orchestrator/node/container_config.h"
#include "orchestrator/node/containerd.h"
#include "orchestrator/node/cri_log.h"
#include "orchestrator/node/cri_messages.h"
#include "orchestrator/node/node_api.h"
#include "orchestrator/node/node_object.h"
#include "orchestrator/node/probe.h"
#include "orchestrator/node/qos_cgroups.h"
#include "orchestrator/node/resolv_conf.h"
#include "orchestrator/node/resources.h"
#include "orchestrator/node/volumes.h"
#include "tests/unit/orchestrator_node/pods.h"

namespace fairlead::orchestrator {
namespace {

TEST(Time, RoundTrips) {
  for (const char* text :
       {"1970-01-01T00:00:00Z", "2026-11-23T17:50:36Z", "2000-02-29T23:59:59Z"}) {
    const auto time = parse_time(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(format_time(*time), text);
  }
  EXPECT_EQ(format_time_nanos(*parse_time("2026-01-02T03:04:05.678901234Z")),
            "2026-01-02T03:04:05.678901234Z");
  EXPECT_EQ(*parse_time("2026-01-02T05:04:05+02:00"), *parse_time("2026-01-02T03:04:05Z"));
  for (const char* text : {"", "2026", "2026-13-01T00:00:00Z", "2026-01-01 00:00:00Z",
                           "2026-01-01T00:00:00", "2026-01-01T00:00:00Zx", "9999-01-01T00:00:00Z"})
    EXPECT_FALSE(parse_time(text)) << text;
}

TEST(Base64, Decodes) {
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("Zg=="), "f");
  EXPECT_EQ(decode_base64("Zm8="), "fo");
  EXPECT_EQ(decode_base64("Zm9v"), "foo");
  for (const char* text : {"Z", "Zg=", "Zg", "Z===", "Zh==", "Zm9 ", "Zm-v"})
    EXPECT_FALSE(decode_base64(text)) << text;
}

TEST(ResolvConf, ParsesAndSkips) {
  const DnsConfig dns = parse_resolv_conf(
      "# comment\nnameserver 192.0.2.1\nsearch a.example b.example # trailing\n;x\nnameserver\n"
      "options ndots:2 edns0\noptions ndots:3\nrubbish here\nnameserver 192.0.2.2");
  EXPECT_EQ(dns.servers, (std::vector<std::string>{"192.0.2.1", "192.0.2.2"}));
  EXPECT_EQ(dns.searches, (std::vector<std::string>{"a.example", "b.example"}));
  EXPECT_EQ(dns.options, (std::vector<std::string>{"edns0", "ndots:3"}));
  EXPECT_EQ(parse_resolv_conf("search ."), DnsConfig());
}

TEST(ResolvConf, FollowsThePolicy) {
  const ClusterDns cluster{"10.96.0.10", "cluster.local"};
  const DnsConfig host{{"192.0.2.1"}, {"corp.example"}, {"edns0"}};
  struct Row {
    const char* policy;
    bool host_network;
    std::vector<std::string> servers;
    size_t searches;
  };
  const Row rows[] = {{"ClusterFirst", false, {"10.96.0.10"}, 4},
                      {"ClusterFirst", true, {"192.0.2.1"}, 1},
                      {"ClusterFirstWithHostNet", true, {"10.96.0.10"}, 4},
                      {"Default", false, {"192.0.2.1"}, 1},
                      {"None", false, {}, 0}};
  for (const Row& row : rows) {
    PodSpec pod = pod_of({{"dnsPolicy", row.policy}, {"hostNetwork", row.host_network}});
    const DnsConfig dns = pod_dns(pod, cluster, host);
    EXPECT_EQ(dns.servers, row.servers) << row.policy;
    EXPECT_EQ(dns.searches.size(), row.searches) << row.policy;
  }
  PodSpec pod =
      pod_of({{"dnsConfig",
               {{"searches", {"x.example"}}, {"options", {{{"name", "ndots"}, {"value", "1"}}}}}}});
  const DnsConfig dns = pod_dns(pod, cluster, host);
  EXPECT_EQ(dns.searches, (std::vector<std::string>{"ns.svc.cluster.local", "svc.cluster.local",
                                                    "cluster.local", "corp.example", "x.example"}));
  EXPECT_EQ(dns.options, (std::vector<std::string>{"ndots:1"}));
}

TEST(ResolvConf, KnowsAResolverOfTheHostAlone) {
  EXPECT_TRUE(only_loopback({{"127.0.0.53"}, {}, {}}));
  EXPECT_TRUE(only_loopback({{"127.0.0.1", "::1"}, {}, {}}));
  EXPECT_FALSE(only_loopback({{"127.0.0.53", "192.0.2.1"}, {}, {}}));
  EXPECT_FALSE(only_loopback({}));
}

TEST(PodHosts, AreTheKubelets) {
  PodSpec pod = pod_of({{"hostAliases", {{{"ip", "192.0.2.9"}, {"hostnames", {"a", "b"}}}}}});
  std::string text = pod_hosts(pod, {"10.0.0.2"}, "cluster.local", "");
  EXPECT_TRUE(text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")) << text;
  EXPECT_TRUE(text.ends_with("10.0.0.2\tp\n\n# Entries added by HostAliases.\n192.0.2.9\ta\tb\n"))
      << text;
  pod = pod_of({{"hostNetwork", true}});
  EXPECT_EQ(pod_hosts(pod, {"192.0.2.1"}, "cluster.local", "127.0.0.1 localhost"),
            "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n");
}

// What a class gets beside the others is what its pods ask for, not a share for each class.
TEST(Resources, ClassesWeighWhatTheirPodsAskFor) {
  const auto pod = [](const char* kind, const char* cpu) {
    const Json resources = {{kind, {{"cpu", cpu}, {"memory", "1Mi"}}}};
    return pod_of({{"containers", {{{"name", "c"}, {"resources", resources}}}}});
  };
  const PodSpec a = pod("requests", "500m"), b = pod("requests", "1"),
                guaranteed = pod("limits", "4"), none = pod_of({{"containers", {{{"name", "c"}}}}}),
                most = pod("requests", "1e30");
  EXPECT_EQ(class_shares({}, 2000), (ClassShares{2048, 2, 2}));
  EXPECT_EQ(class_shares({&a, &b, &guaranteed, &none}, 2000), (ClassShares{2048, 1536, 2}));
  EXPECT_EQ(class_shares({&most, &most}, 2000).burstable, 262144);
}

TEST(Resources, BecomeKernelNumbers) {
  const auto pod = [](const Json& resources) {
    return pod_of({{"containers", {{{"name", "c"}, {"resources", resources}}}}});
  };
  const PodSpec none = pod(Json::object());
  EXPECT_EQ(pod_limits(none), (PodLimits{2, 0, 0}));
  EXPECT_EQ(container_resources(none, none.containers[0], 1 << 30).oom_score_adj, 1000);
  const PodSpec full = pod({{"limits", {{"cpu", "500m"}, {"memory", "64Mi"}}}});
  EXPECT_EQ(qos_class(full), QosClass::kGuaranteed) << "requests follow limits";
  EXPECT_EQ(pod_limits(full), (PodLimits{512, 50000, 67108864}));
  EXPECT_EQ(container_resources(full, full.containers[0], 1 << 30).oom_score_adj, -997);
  EXPECT_EQ(pod_cgroup("/fairlead-pods", full), "/fairlead-pods/podu");
  const Json most = {{"limits", {{"cpu", "1e30"}, {"memory", "8Ei"}}}};
  const PodSpec two =
      pod_of({{"containers",
               {{{"name", "a"}, {"resources", most}}, {{"name", "b"}, {"resources", most}}}}});
  EXPECT_EQ(pod_limits(two).cpu_shares, 262144) << "the most there is, not a sum gone negative";
  EXPECT_GT(pod_limits(two).memory_bytes, 0);
  const PodSpec some = pod({{"requests", {{"memory", "512Mi"}}}});
  EXPECT_EQ(container_resources(some, some.containers[0], int64_t{1} << 30).oom_score_adj, 500);
  EXPECT_EQ(pod_cgroup("/fairlead-pods", some), "/fairlead-pods/burstable/podu");
  EXPECT_EQ(weight_of_shares(2), 1);
  EXPECT_EQ(weight_of_shares(262144), 10000);
  EXPECT_EQ(weight_of_shares(1024), 39);
}

TEST(Resources, SidecarsCountTwice) {
  const auto with = [](const char* cpu) { return Json{{"requests", {{"cpu", cpu}}}}; };
  const PodSpec pod =
      pod_of({{"initContainers",
               {{{"name", "a"}, {"resources", with("1")}},
                {{"name", "b"}, {"restartPolicy", "Always"}, {"resources", with("300m")}},
                {{"name", "d"}, {"resources", with("900m")}}}},
              {"containers", {{{"name", "c"}, {"resources", with("500m")}}}}});
  EXPECT_EQ(cpu_request(pod), 1200) << "d beside b";
}

TEST(Cgroups, AreFoundInMountinfo) {
  const Cgroups split = Cgroups::parse(
      "30 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
      "31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
      "32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
      "33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  EXPECT_FALSE(split.unified());
  ASSERT_EQ(split.hierarchies().size(), 1u);
  EXPECT_TRUE(split.hierarchies()[0].has("cpuacct"));
  EXPECT_FALSE(split.hierarchies()[0].ours);
  EXPECT_TRUE(
      Cgroups::parse("34 30 0:30 / /sys/fs/cgroup/hugetlb rw - cgroup fairlead rw,hugetlb\n")
          .hierarchies()[0]
          .ours);
  const Cgroups unified = Cgroups::parse("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  EXPECT_TRUE(unified.unified());
  EXPECT_TRUE(Cgroups::parse("").hierarchies().empty());
}

// Where v1 and v2 are; controllers in a v2 beside v1 are the kernel tests'.
TEST(Cgroups, WhereCrunRuns) {
  const std::string tmpfs = "30 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n";
  const std::string cpu = "31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
  const std::string v2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
  const std::string net_cls = "31 30 0:27 / /sys/fs/cgroup/net_cls rw - cgroup cgroup rw,net_cls\n";
  const std::string elsewhere = "33 30 0:29 / /mnt/v2 rw - cgroup2 cgroup2 rw\n";
  for (const std::string& layout : {tmpfs + cpu, v2, v2 + net_cls, tmpfs + cpu + elsewhere})
    EXPECT_EQ(Cgroups::parse(layout).crun_obstacle(), "") << layout;
  EXPECT_TRUE(Cgroups::parse(v2 + net_cls).unified());
  for (const std::string& layout : {std::string(), cpu, elsewhere})
    EXPECT_EQ(Cgroups::parse(layout).crun_obstacle(), "there are no cgroups at /sys/fs/cgroup")
        << layout;
}

TEST(PodSpec, RefusesWhatItCannotDo) {
  const std::pair<Json, const char*> rows[] = {
      {{{"containers", {{{"name", "c"}, {"ports", {{{"containerPort", 80}, {"hostPort", 80}}}}}}}},
       "hostPort"},
      {{{"containers",
         {{{"name", "c"}, {"lifecycle", {{"preStop", {{"tcpSocket", {{"port", 1}}}}}}}}}}},
       "lifecycle.preStop"},
      {{{"containers", {{{"name", "c"}, {"lifecycle", {{"stopSignal", "SIGUSR1"}}}}}}},
       "lifecycle.stopSignal"},
      {{{"containers", {{{"name", "c"}, {"livenessProbe", {{"grpc", {{"port", 1}}}}}}}}},
       "livenessProbe"},
      {{{"volumes", {{{"name", "v"}, {"csi", {{"driver", "x"}}}}}}}, "csi"},
      {{{"initContainers", {{{"name", "i"}, {"restartPolicy", "Never"}}}}}, "restartPolicy"},
      {{{"containers", {{{"name", "c"}, {"restartPolicy", "Never"}}}}}, "restartPolicy"},
      {{{"containers",
         {{{"name", "c"},
           {"livenessProbe", {{"tcpSocket", {{"port", 1}, {"host", "web.test"}}}}}}}}},
       "tcpSocket.host"},
      {{{"volumes", {{{"name", "v"}, {"emptyDir", {{"medium", "HugePages-2Mi"}}}}}}},
       "medium HugePages-2Mi"},
      {{{"hostUsers", false}}, "hostUsers"},
      {{{"securityContext", {{"appArmorProfile", {{"type", "Unconfined"}}}}}}, "appArmorProfile"},
      {{{"securityContext", {{"seLinuxOptions", {{"level", "s0"}}}}}}, "seLinuxOptions"},
  };
  for (const auto& [spec, word] : rows) {
    const PodSpec pod = pod_of(spec);
    ASSERT_EQ(pod.refused.size(), 1u) << spec.dump();
    EXPECT_NE(pod.refused[0].find(word), std::string::npos) << pod.refused[0];
  }
  EXPECT_TRUE(pod_of({{"hostNetwork", true},
                      {"containers",
                       {{{"name", "c"}, {"ports", {{{"containerPort", 80}, {"hostPort", 80}}}}}}}})
                  .refused.empty());
  EXPECT_FALSE(parse_pod(Json::parse("[]")).ok());
  EXPECT_FALSE(parse_pod({{"metadata", {{"name", "p"}}}}).ok());
}

TEST(PodSpec, PullPolicyFollowsTheTag) {
  const std::pair<const char*, PullPolicy> rows[] = {{"a", PullPolicy::kAlways},
                                                     {"a:latest", PullPolicy::kAlways},
                                                     {"a:1", PullPolicy::kIfNotPresent},
                                                     {"host:5000/a", PullPolicy::kAlways},
                                                     {"host:5000/a:1", PullPolicy::kIfNotPresent},
                                                     {"a@sha256:00", PullPolicy::kIfNotPresent}};
  for (const auto& [image, policy] : rows)
    EXPECT_EQ(
        pod_of({{"containers", {{{"name", "c"}, {"image", image}}}}}).containers[0].pull_policy,
        policy)
        << image;
}

TEST(Volumes, FilesOfObjects) {
  const PodSpec pod = pod_of(
      {{"volumes",
        {{{"name", "v"},
          {"projected",
           {{"sources",
             {{{"configMap",
                {{"name", "m"}, {"items", {{{"key", "a"}, {"path", "x/a"}, {"mode", 0400}}}}}}},
              {{"downwardAPI",
                {{"items", {{{"path", "name"}, {"fieldRef", {{"fieldPath", "metadata.name"}}}}}}}}},
              {{"secret", {{"name", "absent"}, {"optional", true}}}}}}}}}}}});
  const Objects objects = {{{false, "m"}, {{"a", "1"}, {"b", "2"}}}};
  const auto files = volume_files(pod, pod.volumes[0].source, {}, objects);
  ASSERT_TRUE(files.ok()) << files.error().message();
  EXPECT_EQ(*files, (std::vector<VolumeFile>{{"x/a", "1", 0400}, {"name", "p", 0644}}));
  EXPECT_FALSE(volume_files(pod, pod.volumes[0].source, {}, {}).ok());
}

TEST(ContainerConfig, RefusesRootWhereForbidden) {
  PodSpec pod = pod_of({{"securityContext", {{"runAsNonRoot", true}}},
                        {"containers", {{{"name", "c"}, {"image", "i:1"}}}}});
  ImageInfo image;
  const auto config = [&] {
    return container_config({pod, pod.containers[0], 0, image, {}, {}, 0});
  };
  EXPECT_FALSE(config().ok()) << "an image that says nothing runs as root";
  image.user_id = 0;
  EXPECT_FALSE(config().ok());
  image.user_id = 1000;
  EXPECT_TRUE(config().ok());
  pod.containers[0].run_as_user = 0;
  EXPECT_FALSE(config().ok());
}

TEST(ContainerConfig, AGroupAloneGoesWithTheImagesUser) {
  const auto config = [](const ImageInfo& image, const Json& security) {
    const PodSpec pod = pod_of({{"containers", {{{"name", "c"}, {"securityContext", security}}}}});
    return *container_config({pod, pod.containers[0], 0, image, {}, {}, 0});
  };
  const Json group = {{"runAsGroup", 5}};
  EXPECT_EQ(config({"i", {}, 0, {}, ""}, group).run_as_user, 0);
  EXPECT_EQ(config({"i", {}, 0, 7, ""}, group).run_as_user, 7);
  EXPECT_EQ(config({"i", {}, 0, {}, "www"}, group).run_as_user_name, "www");
  EXPECT_FALSE(config({"i", {}, 0, {}, "www"}, group).run_as_user);
  EXPECT_EQ(config({"i", {}, 0, 7, ""}, {{"runAsGroup", 5}, {"runAsUser", 9}}).run_as_user, 9);
  EXPECT_EQ(config({"i", {}, 0, 7, ""}, group).run_as_group, 5);
  EXPECT_FALSE(config({"i", {}, 0, 7, ""}, Json::object()).run_as_user) << "the runtime knows it";
}

TEST(ContainerConfig, AllOfItEndsOutOfMemory) {
  const PodSpec pod = pod_of({{"containers", {{{"name", "c"}, {"image", "i:1"}}}}});
  const auto unified = [&](bool v2) {
    runtime::v1::ContainerConfig message;
    to_message(*container_config({pod, pod.containers[0], 0, {}, {}, {}, 0, v2}), &message);
    return message.linux().resources().unified();
  };
  EXPECT_TRUE(unified(false).empty());
  EXPECT_EQ(unified(true).at("memory.oom.group"), "1");
}

TEST(SandboxConfig, HostNames) {
  const auto hostname = [](const Json& spec) {
    const std::string logs = "/logs", domain = "cluster.test";
    const PodSpec pod = pod_of(spec);
    const auto config = sandbox_config({pod, 0, logs, domain, "", {}});
    return config.ok() ? config->hostname : config.error().message();
  };
  const Json full = {{"setHostnameAsFQDN", true}, {"subdomain", "sub"}, {"hostname", "h"}};
  EXPECT_EQ(hostname(Json::object()), "p");
  EXPECT_EQ(hostname({{"hostname", "h"}, {"subdomain", "sub"}}), "h");
  EXPECT_EQ(hostname(full), "h.sub.ns.svc.cluster.test");
  EXPECT_EQ(hostname({{"setHostnameAsFQDN", true}}), "p") << "without a subdomain it has none";
  Json other = full;
  other["hostnameOverride"] = "mine.example.org";
  EXPECT_EQ(hostname(other), "mine.example.org");
  other = full;
  other["hostNetwork"] = true;
  EXPECT_EQ(hostname(other), "") << "the node's own";
  other = full;
  other["subdomain"] = std::string(50, 's');
  EXPECT_NE(hostname(other).find("a host name at most 64"), std::string::npos) << hostname(other);
}

TEST(NodeObject, ChoosesAFreeRange) {
  const Cidr cluster = *Cidr::parse("10.244.0.0/16");
  EXPECT_EQ(choose_pod_cidr(cluster, {})->to_string(), "10.244.0.0/24");
  EXPECT_EQ(choose_pod_cidr(cluster, {*Cidr::parse("10.244.0.0/24"), *Cidr::parse("10.244.2.0/24")})
                ->to_string(),
            "10.244.1.0/24");
  EXPECT_EQ(choose_pod_cidr(*Cidr::parse("10.1.0.0/26"), {})->to_string(), "10.1.0.0/26");
  EXPECT_FALSE(choose_pod_cidr(*Cidr::parse("10.1.0.0/24"), {*Cidr::parse("10.1.0.0/24")}).ok());
}

TEST(Containerd, ConfigurationIsQuoted) {
  const std::string config =
      containerd_config({"/data \"x\"", "/run"}, {false, true, "/usr/bin/crun", ""});
  EXPECT_NE(config.find("root = \"/data \\\"x\\\"/containerd\""), std::string::npos) << config;
  EXPECT_NE(config.find("snapshotter = \"native\""), std::string::npos);
  EXPECT_NE(config.find("restrict_oom_score_adj = true"), std::string::npos);
  EXPECT_NE(config.find("default_runtime_name = \"crun\""), std::string::npos);
  EXPECT_NE(config.find("BinaryName = \"/usr/bin/crun\""), std::string::npos);
  const Json list = Json::parse(cni_conflist({"/d", "/r"}, *Cidr::parse("10.244.3.0/24")));
  EXPECT_EQ(list["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], "10.244.3.0/24");
}

TEST(ProbeCounter, CountsRuns) {
  ProbeCounter counter(2, 3, false);
  EXPECT_FALSE(counter.add(true));
  EXPECT_TRUE(counter.add(true));
  EXPECT_TRUE(counter.result());
  for (const bool success : {false, false, true, false, false}) EXPECT_FALSE(counter.add(success));
  EXPECT_TRUE(counter.add(false));
  EXPECT_FALSE(counter.result());
}

TEST(CriLog, ParsesLines) {
  const auto full = parse_log_line("2026-01-02T03:04:05.000000001Z stdout F hello world");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->text, "hello world");
  EXPECT_FALSE(full->partial);
  EXPECT_TRUE(parse_log_line("t stderr P:x y")->partial);
  EXPECT_EQ(parse_log_line("t stdout F ")->text, "");
  for (const char* line :
       {"", "t", "t stdout", "t stdout F", "t other F x", "t stdout X x", " stdout F x"})
    EXPECT_FALSE(parse_log_line(line)) << line;
}

std::string format(const LogQuery& query, std::string_view bytes) {
  LogFormatter formatter(query);
  std::string out;
  formatter.feed(bytes, out);
  return out;
}

constexpr char kLog[] =
    "2026-01-01T00:00:01.000000000Z stdout F one\n"
    "2026-01-01T00:00:02.000000000Z stdout P two-\n"
    "2026-01-01T00:00:02.000000000Z stdout F and-a-half\n"
    "rubbish\n"
    "2026-01-01T00:00:03.000000000Z stderr F three\n";

TEST(CriLog, Formats) {
  EXPECT_EQ(format({}, kLog), "one\ntwo-and-a-half\nthree\n");
  LogQuery times;
  times.timestamps = true;
  EXPECT_EQ(format(times, kLog),
            "2026-01-01T00:00:01.000000000Z one\n2026-01-01T00:00:02.000000000Z two-and-a-half\n"
            "2026-01-01T00:00:03.000000000Z three\n");
  LogQuery since;
  since.since = *parse_time("2026-01-01T00:00:02Z");
  EXPECT_EQ(format(since, kLog), "two-and-a-half\nthree\n");
  LogQuery limit;
  limit.limit_bytes = 6;
  EXPECT_EQ(format(limit, kLog), "one\ntw");
}

TEST(CriLog, AnyCutGivesTheSame) {
  const std::string_view log = kLog;
  for (size_t cut = 0; cut <= log.size(); ++cut) {
    LogFormatter formatter{LogQuery()};
    std::string out;
    formatter.feed(log.substr(0, cut), out);
    formatter.feed(log.substr(cut), out);
    EXPECT_EQ(out, "one\ntwo-and-a-half\nthree\n") << cut;
  }
}

size_t tail_of(std::string_view log, int64_t lines) {
  return static_cast<size_t>(tail_offset(
      [log](int64_t offset, size_t size) {
        return std::string(log.substr(static_cast<size_t>(offset), size));
      },
      static_cast<int64_t>(log.size()), lines));
}

TEST(CriLog, TailCountsWholeLines) {
  const std::pair<int, const char*> rows[] = {{0, ""},
                                              {1, "three\n"},
                                              {2, "two-and-a-half\nthree\n"},
                                              {3, "one\ntwo-and-a-half\nthree\n"},
                                              {9, "one\ntwo-and-a-half\nthree\n"}};
  for (const auto& [lines, expected] : rows)
    EXPECT_EQ(format({}, std::string_view(kLog).substr(tail_of(kLog, lines))), expected) << lines;
}

TEST(CriLog, TailOfAFileLargerThanABlock) {
  constexpr const char* kEntry = "2026-01-01T00:00:01.000000000Z stdout ";
  std::string log;
  std::vector<size_t> begins;
  for (int i = 0; i < 5000; ++i) {
    begins.push_back(log.size());
    if (i % 7 == 0) log += kEntry + std::string("P ") + std::string(i % 97, 'p') + "\n";
    if (i % 11 == 0) log += "rubbish\n";
    log += kEntry + std::string("F ") + std::string(i % 131, 'f') + "\n";
  }
  for (const int lines : {1, 2, 10, 600, 4000, 4999, 5000})
    EXPECT_EQ(tail_of(log, lines), begins[5000 - lines]) << lines;
  EXPECT_EQ(tail_of(log, 5001), 0u);
  // Damage without an end is passed over; what follows it counts.
  const std::string damaged = std::string(1 << 20, 'x') + "\n" + kLog;
  EXPECT_EQ(format({}, std::string_view(damaged).substr(tail_of(damaged, 1))), "three\n");
  EXPECT_EQ(format({}, std::string_view(damaged).substr(tail_of(damaged, 9))),
            "one\ntwo-and-a-half\nthree\n");
}

TEST(CriLog, LastLines) {
  const std::string head = "2026-01-01T00:00:01.000000000Z stdout F ";
  const std::string text = "cut off\n" + head + "one\n" + head + "\n" + head + "three\n";
  EXPECT_EQ(last_lines(text, 80, 2048), "one\n\nthree\n");
  EXPECT_EQ(last_lines(text, 2, 2048), "\nthree\n");
  EXPECT_EQ(last_lines(text, 1, 2048), "three\n");
  EXPECT_EQ(last_lines(text, 80, 4), "ree\n");
  EXPECT_EQ(last_lines("", 80, 4), "");
  EXPECT_EQ(last_lines(head + "\n", 1, 4), "\n");
}

TEST(CriLog, ALineWithoutEndIsBounded) {
  LogFormatter formatter{LogQuery()};
  std::string out;
  for (int i = 0; i < 100; ++i) formatter.feed(std::string(4096, 'x'), out);
  EXPECT_LE(formatter.pending(), LogFormatter::kMaxLine);
  formatter.feed("\n2026-01-01T00:00:01Z stdout F after\n", out);
  EXPECT_EQ(out, "after\n");
}

}  // namespace
}  // namespace fairlead::orchestrator
