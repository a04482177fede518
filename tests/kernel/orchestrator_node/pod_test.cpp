// SPDX-License-Identifier: Apache-2.0
// Pods in a real containerd, specs fed by hand.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/http/server.h"
#include "orchestrator/node/files.h"
#include "tests/kernel/orchestrator_node/machine.h"

namespace fairlead::orchestrator {
namespace {

using Json = nlohmann::json;
using std::chrono::seconds;

Json shell(const std::string& name, const std::string& script) {
  return {{"name", name}, {"command", {"/bin/sh", "-c", script}}};
}

TEST(Pod, RunsAndTellsItsStatus) {
  PodBench bench;
  const Json pod = PodBench::pod("one", {{"containers", {{{"name", "web"}}}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.ready(pod); })) << bench.status(pod).dump(2);
  EXPECT_EQ(bench.phase(pod), "Running");
  const Json web = bench.container(pod, "web");
  EXPECT_EQ(web["restartCount"], 0);
  EXPECT_TRUE(web["state"].contains("running"));
  EXPECT_EQ(web["containerID"].get<std::string>().substr(0, 13), "containerd://");
  EXPECT_EQ(bench.status(pod)["podIP"].get<std::string>().substr(0, 8), "10.99.0.");
  EXPECT_EQ(bench.status(pod)["qosClass"], "BestEffort");
  for (const char* reason : {"Pulled", "Created", "Started"})
    EXPECT_TRUE(bench.events.has(reason)) << reason;
  EXPECT_TRUE(bench.wait([&] {
    return bench.log(pod, "web", 0).find("one serves on port 8080") != std::string::npos;
  }));
  const std::string id = web["containerID"].get<std::string>().substr(13);
  const std::string link = Machine::get().root() + "/links/one_default_web-" + id + ".log";
  const auto linked = files::read(link);
  ASSERT_TRUE(linked.ok()) << linked.error().message();
  EXPECT_EQ(linked->find(bench.log(pod, "web", 0).substr(0, 100)), 0u);
  bench.clean();
  EXPECT_FALSE(files::exists(link));
}

TEST(Pod, ContainersShareLocalhost) {
  PodBench bench;
  const Json pod = PodBench::pod(
      "two", {{"restartPolicy", "OnFailure"},
              {"containers",
               {{{"name", "web"}},
                shell("client", "until demo load 127.0.0.1 8080 3; do sleep 0.1; done")}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] {
    return bench.container(pod, "client")["state"].contains("terminated");
  })) << bench.status(pod).dump(2);
  EXPECT_EQ(bench.container(pod, "client")["state"]["terminated"]["exitCode"], 0);
  EXPECT_NE(bench.log(pod, "client", 0).find("3 two"), std::string::npos)
      << bench.log(pod, "client", 0);
  EXPECT_EQ(bench.phase(pod), "Running");
}

TEST(Pod, InitContainersRunInOrderAndHandOverFiles) {
  PodBench bench;
  const Json mounts = {{{"name", "work"}, {"mountPath", "/work"}}};
  Json first = shell("first", "echo one > /work/text"),
       second = shell("second", "echo two >> /work/text");
  Json main = shell("main", "cat /work/text; exit 0");
  for (Json* each : {&first, &second, &main}) {
    (*each)["volumeMounts"] = mounts;
    (*each)["image"] = "localhost/fairlead/demo:1";
  }
  const Json pod =
      PodBench::pod("init", {{"restartPolicy", "Never"},
                             {"volumes", {{{"name", "work"}, {"emptyDir", Json::object()}}}},
                             {"initContainers", {first, second}},
                             {"containers", {main}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.phase(pod) == "Succeeded"; }))
      << bench.status(pod).dump(2);
  const std::string log = bench.log(pod, "main", 0);
  EXPECT_LT(log.find("one"), log.find("two"));
  EXPECT_NE(log.find("two"), std::string::npos) << log;
}

TEST(Pod, RestartsAtOnceThenBacksOff) {
  PodBench bench;
  const Json pod = PodBench::pod(
      "crash", {{"containers", {shell("c", "echo bye > /dev/termination-log; exit 3")}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] {
    const Json c = bench.container(pod, "c");
    return c.value("restartCount", 0) == 1 && c["state"].contains("waiting") &&
           c["state"]["waiting"]["reason"] == "CrashLoopBackOff";
  })) << bench.status(pod).dump(2);
  const Json c = bench.container(pod, "c");
  EXPECT_EQ(c["lastState"]["terminated"]["exitCode"], 3);
  EXPECT_EQ(c["lastState"]["terminated"]["message"], "bye\n");
  EXPECT_EQ(c["state"]["waiting"]["message"].get<std::string>().substr(0, 47),
            "back-off 10s restarting failed container=c pod=");
  EXPECT_EQ(bench.phase(pod), "Running");
  EXPECT_TRUE(bench.events.has("BackOff"));
}

TEST(Pod, NeverRestartedFails) {
  PodBench bench;
  const Json pod =
      PodBench::pod("fail", {{"restartPolicy", "Never"}, {"containers", {shell("c", "exit 7")}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.phase(pod) == "Failed"; }))
      << bench.status(pod).dump(2);
  EXPECT_EQ(bench.container(pod, "c")["state"]["terminated"]["exitCode"], 7);
  EXPECT_EQ(bench.container(pod, "c")["state"]["terminated"]["reason"], "Error");
}

TEST(Pod, FinishedItHoldsNeitherMemoryNorCgroups) {
  PodBench bench;
  Json c = shell("c", "head -c 1000000 /dev/zero > /fast/file; echo bye > /dev/termination-log");
  c["volumeMounts"] = {{{"name", "fast"}, {"mountPath", "/fast"}}};
  const Json pod = PodBench::pod(
      "over", {{"restartPolicy", "Never"},
               {"volumes", {{{"name", "fast"}, {"emptyDir", {{"medium", "Memory"}}}}}},
               {"containers", {c}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.phase(pod) == "Succeeded"; }))
      << bench.status(pod).dump(2);
  const std::string uid = pod["metadata"]["uid"];
  EXPECT_TRUE(bench.wait([&] { return !files::exists(bench.volumes.pod_dir(uid)); }));
  EXPECT_TRUE(files::mounts_below(bench.volumes.trash_dir()).empty());
  EXPECT_TRUE(bench.wait([&] { return files::list(bench.volumes.trash_dir()).empty(); }));
  for (const auto& hierarchy : bench.cgroups.hierarchies())
    EXPECT_FALSE(files::exists(hierarchy.mount_point + Machine::get().cgroup_root() +
                               "/besteffort/pod" + uid));
  EXPECT_EQ(bench.container(pod, "c")["state"]["terminated"]["message"], "bye\n");
  bench.restart();
  bench.wait([] { return false; }, seconds(1));
  EXPECT_EQ(bench.container(pod, "c")["state"]["terminated"]["message"], "bye\n");
}

TEST(Pod, DeletionLetsTheContainerDrain) {
  PodBench bench;
  const Json pod = PodBench::pod("drain", {{"containers", {{{"name", "web"}}}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.ready(pod); }));
  const std::string uid = pod["metadata"]["uid"];
  const std::string folder = bench.volumes.pod_dir(uid);
  EXPECT_TRUE(files::is_dir(folder));
  const std::string cgroup = Machine::get().cgroup_root() + "/besteffort/pod" + uid;
  for (const auto& hierarchy : bench.cgroups.hierarchies()) {
    const std::vector<std::string> names = files::list(hierarchy.mount_point + cgroup);
    EXPECT_EQ(std::ranges::count_if(names, [](const auto& name) { return name.size() == 64; }), 2)
        << "the sandbox's and the container's in " << hierarchy.mount_point + cgroup;
  }
  bench.remove(pod, 30);
  ASSERT_TRUE(bench.wait([&] { return bench.workers.empty(); }));
  EXPECT_EQ(bench.api.deleted, std::vector<std::string>{uid});
  // The last status tells how it ended: of itself, with 0, not killed.
  EXPECT_EQ(bench.container(pod, "web")["state"]["terminated"]["exitCode"], 0)
      << bench.status(pod).dump(2);
  EXPECT_FALSE(bench.ready(pod));
  EXPECT_FALSE(files::exists(folder));
  EXPECT_TRUE(bench.events.has("Killing"));
  for (const auto& hierarchy : bench.cgroups.hierarchies())
    EXPECT_FALSE(files::exists(hierarchy.mount_point + cgroup));
}

TEST(Pod, ShortenedGraceKillsSooner) {
  PodBench bench;
  const Json pod = PodBench::pod(
      "stubborn", {{"containers", {shell("c", "trap '' TERM; while true; do sleep 1; done")}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.ready(pod); }));
  bench.remove(pod, 600);
  ASSERT_TRUE(bench.wait([&] { return bench.events.has("Killing"); }));
  bench.remove(pod, 1);
  ASSERT_TRUE(bench.wait([&] { return bench.workers.empty(); }, seconds(60)));
  EXPECT_EQ(bench.container(pod, "c")["state"]["terminated"]["exitCode"], 137);
}

TEST(Pod, ConfigurationAndSecretsArrive) {
  PodBench bench;
  bench.api.objects[{false, "conf"}] = {{"mode", "fast"}, {"file.txt", "content"}};
  bench.api.objects[{true, "key"}] = {{"token", "s3cret"}};
  Json c =
      shell("c",
            "echo $MODE $TOKEN $NAME $(cat /conf/file.txt /key/token); stat -Lc %a /key/token; "
            "grep -c cluster.local /etc/resolv.conf; hostname; mount | grep -c ' /key type tmpfs'");
  c["env"] = {
      {{"name", "MODE"}, {"valueFrom", {{"configMapKeyRef", {{"name", "conf"}, {"key", "mode"}}}}}},
      {{"name", "TOKEN"}, {"valueFrom", {{"secretKeyRef", {{"name", "key"}, {"key", "token"}}}}}},
      {{"name", "NAME"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "metadata.name"}}}}}}};
  c["volumeMounts"] = {{{"name", "conf"}, {"mountPath", "/conf"}},
                       {{"name", "key"}, {"mountPath", "/key"}}};
  const Json pod = PodBench::pod(
      "config", {{"restartPolicy", "Never"},
                 {"volumes",
                  {{{"name", "conf"}, {"configMap", {{"name", "conf"}}}},
                   {{"name", "key"}, {"secret", {{"secretName", "key"}, {"defaultMode", 0400}}}}}},
                 {"containers", {c}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.phase(pod) == "Succeeded"; }))
      << bench.status(pod).dump(2) << bench.log(pod, "c", 0);
  const std::string log = bench.log(pod, "c", 0);
  EXPECT_NE(log.find("fast s3cret config contents3cret"), std::string::npos) << log;
  EXPECT_NE(log.find("F 400\n"), std::string::npos) << log;
  EXPECT_NE(log.find("F config\n"), std::string::npos) << log;
}

TEST(Pod, MissingConfigurationIsToldAndHealed) {
  PodBench bench;
  Json c = {{"name", "web"}, {"envFrom", {{{"configMapRef", {{"name", "later"}}}}}}};
  const Json pod = PodBench::pod("late", {{"containers", {c}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] {
    const Json web = bench.container(pod, "web");
    return web.contains("state") && web["state"].contains("waiting") &&
           web["state"]["waiting"]["reason"] == "CreateContainerConfigError";
  })) << bench.status(pod).dump(2);
  EXPECT_EQ(bench.container(pod, "web")["state"]["waiting"]["message"],
            "configmap \"later\" not found");
  bench.api.objects[{false, "later"}] = {{"A", "1"}};
  EXPECT_TRUE(bench.wait([&] { return bench.ready(pod); }));
}

Json with_volumes(const std::string& name, const Json& container, const Json& volumes) {
  Json c = container;
  for (const Json& volume : volumes)
    c["volumeMounts"].push_back(
        {{"name", volume["name"]}, {"mountPath", "/" + volume["name"].get<std::string>()}});
  return PodBench::pod(name, {{"volumes", volumes}, {"containers", {c}}});
}

TEST(Pod, MissingVolumeObjectIsToldAndHealed) {
  PodBench bench;
  const Json pod = with_volumes("latevol", {{"name", "web"}},
                                {{{"name", "conf"}, {"configMap", {{"name", "later"}}}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.events.has("FailedMount"); }));
  const std::string told = bench.events.list.front();
  EXPECT_NE(told.find("MountVolume.SetUp failed for volume \"conf\""), std::string::npos) << told;
  EXPECT_NE(told.find("configmap \"later\" not found"), std::string::npos) << told;
  ASSERT_TRUE(bench.wait([&] { return !bench.container(pod, "web").is_null(); }));
  EXPECT_EQ(bench.container(pod, "web")["state"]["waiting"]["reason"], "ContainerCreating");
  EXPECT_EQ(bench.phase(pod), "Pending");
  bench.api.objects[{false, "later"}] = {{"a", "1"}};
  EXPECT_TRUE(bench.wait([&] { return bench.ready(pod); })) << bench.status(pod).dump(2);
}

TEST(Pod, VolumesOfObjectsAreUpdatedAsTheyRun) {
  PodBench bench;
  bench.context->object_period = std::chrono::milliseconds(100);
  bench.api.objects[{false, "conf"}] = {{"a", "one"}, {"b", "left out"}};
  bench.api.objects[{true, "key"}] = {{"token", "first"}};
  const Json volumes = {
      {{"name", "conf"},
       {"configMap",
        {{"name", "conf"}, {"items", {{{"key", "a"}, {"path", "sub/a.txt"}, {"mode", 0440}}}}}}},
      {{"name", "key"}, {"secret", {{"secretName", "key"}, {"defaultMode", 0400}}}},
      {{"name", "none"}, {"configMap", {{"name", "none"}, {"optional", true}}}},
      {{"name", "labels"},
       {"downwardAPI",
        {{"items", {{{"path", "l"}, {"fieldRef", {{"fieldPath", "metadata.labels['tier']"}}}}}}}}},
      {{"name", "scratch"}, {"emptyDir", Json::object()}}};
  const char* const kTell =
      "chmod 700 /scratch; while true; do echo \"$(cat /conf/sub/a.txt) $(cat /key/token) "
      "$(cat /none/x 2>/dev/null || echo none) $(cat /labels/l) $(stat -Lc %a /conf/sub/a.txt "
      "/key/token /scratch | tr '\\n' ' ')$(ls /conf | wc -w)\"; sleep 0.1; done";
  Json pod = with_volumes("live", shell("c", kTell), volumes);
  pod["metadata"]["labels"]["tier"] = "back";
  bench.apply(pod);
  const auto told = [&](const std::string& line) {
    return bench.wait(
        [&] { return bench.log(pod, "c", 0).find("F " + line + "\n") != std::string::npos; });
  };
  ASSERT_TRUE(told("one first none back 440 400 700 1")) << bench.log(pod, "c", 0);
  ASSERT_TRUE(bench.wait([&] { return bench.ready(pod); }));  // its log may be first
  const std::string id = bench.container(pod, "c")["containerID"];
  bench.api.objects[{false, "conf"}]["a"] = "two";
  EXPECT_TRUE(told("two first none back 440 400 700 1")) << bench.log(pod, "c", 0);
  bench.api.objects[{true, "key"}]["token"] = "second";
  bench.api.objects[{false, "none"}] = {{"x", "here"}};
  EXPECT_TRUE(told("two second here back 440 400 700 1")) << bench.log(pod, "c", 0);
  pod["metadata"]["labels"]["tier"] = "front";
  bench.apply(pod);
  EXPECT_TRUE(told("two second here front 440 400 700 1")) << bench.log(pod, "c", 0);
  // What is taken away leaves what is there, and is told.
  bench.api.objects.erase({false, "conf"});
  EXPECT_TRUE(bench.wait([&] { return bench.events.has("FailedMount"); }));
  bench.api.objects.erase({false, "none"});
  bench.api.objects[{false, "conf"}] = {{"a", "three"}};
  EXPECT_TRUE(told("three second none front 440 400 700 1")) << bench.log(pod, "c", 0);
  // After a restart of fairlead, too; what the container did to its own volume stays.
  bench.restart();
  bench.context->object_period = std::chrono::milliseconds(100);
  bench.api.objects[{false, "conf"}]["a"] = "four";
  EXPECT_TRUE(told("four second none front 440 400 700 1")) << bench.log(pod, "c", 0);
  EXPECT_EQ(bench.container(pod, "c")["containerID"], id);
}

TEST(Pod, MissingImageIsTold) {
  PodBench bench;
  const Json never = {
      {"name", "a"}, {"image", "localhost/fairlead/none:1"}, {"imagePullPolicy", "Never"}};
  const Json pull = {{"name", "b"}, {"image", "localhost:1/fairlead/none:1"}};
  const Json pod = PodBench::pod("noimage", {{"containers", {never, pull}}});
  bench.apply(pod);
  const auto reason = [&](const char* name) {
    const Json status = bench.container(pod, name);
    return status.contains("state") && status["state"].contains("waiting")
               ? status["state"]["waiting"].value("reason", "")
               : "";
  };
  EXPECT_TRUE(bench.wait([&] { return reason("a") == "ErrImageNeverPull"; }))
      << bench.status(pod).dump(2);
  EXPECT_TRUE(bench.wait([&] { return reason("b") == "ImagePullBackOff"; }))
      << bench.status(pod).dump(2);
  EXPECT_EQ(bench.phase(pod), "Pending");
}

TEST(Pod, ReadinessFollowsTheProbeAndLivenessRestarts) {
  PodBench bench;
  Json c = shell("c", "touch /tmp/alive; (sleep 3; rm /tmp/alive) & exec demo serve");
  c["readinessProbe"] = {{"httpGet", {{"port", 8080}, {"path", "/readyz"}}}, {"periodSeconds", 1}};
  c["livenessProbe"] = {{"exec", {{"command", {"/bin/cat", "/tmp/alive"}}}},
                        {"periodSeconds", 1},
                        {"failureThreshold", 2}};
  // It ends with 0 when it is told to: stopped by the node it is started again all the same.
  const Json pod = PodBench::pod(
      "probed",
      {{"restartPolicy", "OnFailure"}, {"terminationGracePeriodSeconds", 5}, {"containers", {c}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.ready(pod); })) << bench.status(pod).dump(2);
  ASSERT_TRUE(bench.wait([&] { return bench.container(pod, "c").value("restartCount", 0) >= 1; }));
  EXPECT_TRUE(bench.events.has("Unhealthy"));
}

TEST(Pod, LastWordsAreTheEndOfTheMessageElseOfTheLog) {
  PodBench bench;
  Json talks = shell("talks", "echo first; echo last words; exit 1");
  Json writes = shell("writes",
                      "echo in the log; yes x | head -c 2000000 > /dev/termination-log; "
                      "printf end >> /dev/termination-log; exit 1");
  Json fine = shell("fine", "echo all is well; exit 0");
  for (Json* each : {&talks, &writes, &fine})
    (*each)["terminationMessagePolicy"] = "FallbackToLogsOnError";
  Json silent = shell("silent", "echo only in the log; exit 1");
  const Json pod = PodBench::pod(
      "words", {{"restartPolicy", "Never"}, {"containers", {talks, writes, fine, silent}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.phase(pod) == "Failed"; }))
      << bench.status(pod).dump(2);
  const auto words = [&](const char* name) {
    return bench.container(pod, name)["state"]["terminated"].value("message", "");
  };
  EXPECT_EQ(words("talks"), "first\nlast words\n");
  EXPECT_EQ(words("writes").size(), 4096u);
  EXPECT_TRUE(words("writes").ends_with("x\nend"));
  EXPECT_EQ(words("fine"), "");
  EXPECT_EQ(words("silent"), "");
}

TEST(Pod, HostNames) {
  PodBench bench;
  char node[256] = "";
  ASSERT_EQ(gethostname(node, sizeof node), 0);
  const auto told = [&](const char* name, Json spec) {
    spec["restartPolicy"] = "Never";
    spec["containers"] = {shell("c", "echo \"<$(hostname) $HOSTNAME>\"")};
    const Json pod = PodBench::pod(name, std::move(spec));
    bench.apply(pod);
    EXPECT_TRUE(bench.wait([&] { return bench.phase(pod) == "Succeeded"; }))
        << bench.status(pod).dump(2);
    const std::string log = bench.log(pod, "c", 0);
    return log.substr(std::min(log.find('<'), log.size()));
  };
  EXPECT_EQ(told("plain", Json::object()), "<plain plain>\n");
  EXPECT_EQ(told("host", {{"hostNetwork", true}}),
            "<" + std::string(node) + " " + std::string(node) + ">\n");
  const std::string full = "full.sub.default.svc.cluster.local";
  EXPECT_EQ(told("full", {{"setHostnameAsFQDN", true}, {"subdomain", "sub"}}),
            "<" + full + " " + full + ">\n");
}

TEST(Pod, SubPathsStayInTheirVolume) {
  PodBench bench;
  bench.api.objects[{false, "conf"}] = {{"key", "value"}};
  const Json volumes = {{{"name", "work"}, {"emptyDir", Json::object()}},
                        {{"name", "conf"}, {"configMap", {{"name", "conf"}}}}};
  const std::string target = Machine::get().root() + "/target";
  Json first = shell("first", "ln -s " + Machine::get().root() + " /work/link");
  first["image"] = "localhost/fairlead/demo:1";
  first["volumeMounts"] = {{{"name", "work"}, {"mountPath", "/work"}}};
  Json second = shell("second",
                      "cat /key; touch /conf/new 2>/dev/null || echo read only; "
                      "touch /deep/file && echo writes; stat -c %a /deep");
  second["securityContext"] = {{"runAsUser", 1000}};
  second["volumeMounts"] = {{{"name", "conf"}, {"mountPath", "/key"}, {"subPath", "key"}},
                            {{"name", "conf"}, {"mountPath", "/conf"}},
                            {{"name", "work"}, {"mountPath", "/deep"}, {"subPath", "a/b"}}};
  Json pod = PodBench::pod("subpath", {{"restartPolicy", "Never"},
                                       {"volumes", volumes},
                                       {"initContainers", {first}},
                                       {"containers", {second}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.phase(pod) == "Succeeded"; }))
      << bench.status(pod).dump(2) << bench.log(pod, "second", 0);
  const std::string log = bench.log(pod, "second", 0);
  for (const char* word : {"value", "read only", "writes", "777"})
    EXPECT_NE(log.find(word), std::string::npos) << word << "\n" << log;

  second["volumeMounts"] = {{{"name", "work"}, {"mountPath", "/out"}, {"subPath", "link/target"}}};
  pod = PodBench::pod("escape", {{"restartPolicy", "Never"},
                                 {"volumes", volumes},
                                 {"initContainers", {first}},
                                 {"containers", {second}}});
  bench.apply(pod);
  EXPECT_TRUE(bench.wait([&] {
    return bench.container(pod, "second")["state"].dump().find("leaves the volume") !=
           std::string::npos;
  })) << bench.status(pod).dump(2);
  EXPECT_FALSE(files::exists(target));
  bench.clean();
  EXPECT_TRUE(files::mounts_below(bench.volumes.pod_dir("")).empty());
}

TEST(Pod, PullsWithTheLoginsOfItsSecrets) {
  PodBench bench;
  std::vector<std::string> logins;
  HttpServer registry(
      bench.loop, {},
      [&](const HttpServerRequest& request, std::shared_ptr<HttpResponder> responder) {
        const auto login = request.headers.get("Authorization");
        if (!login)
          return responder->respond(401, {{"WWW-Authenticate", "Basic realm=\"test\""}}, "");
        if (logins.empty() || logins.back() != *login) logins.emplace_back(*login);
        responder->respond(404, {}, "");
      });
  const auto address = registry.listen({IpAddress::v4(127, 0, 0, 1), 0});
  ASSERT_TRUE(address.ok());
  const std::string host = "localhost:" + std::to_string(address->port);
  bench.api.objects[{true, "login"}] = {
      {".dockerconfigjson",
       Json{{"auths",
             {{host, {{"username", "me"}, {"password", "secret"}}},
              {host + "/private", {{"username", "other"}, {"password", "word"}}},
              {"elsewhere.test", {{"username", "no"}, {"password", "no"}}}}}}
           .dump()}};
  const Json pod = PodBench::pod(
      "private", {{"imagePullSecrets", {{{"name", "login"}}, {{"name", "absent"}}}},
                  {"containers", {{{"name", "c"}, {"image", host + "/private/app:1"}}}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.events.has("Failed"); })) << bench.status(pod).dump(2);
  // "other:word", then "me:secret".
  EXPECT_EQ(logins, (std::vector<std::string>{"Basic b3RoZXI6d29yZA==", "Basic bWU6c2VjcmV0"}));
  EXPECT_TRUE(bench.events.has("FailedToRetrieveImagePullSecret"));
}

TEST(Pod, UnsupportedIsRefusedWithAReason) {
  PodBench bench;
  const Json pod = PodBench::pod(
      "nfs", {{"volumes", {{{"name", "v"}, {"nfs", {{"server", "x"}, {"path", "/"}}}}}},
              {"containers", {{{"name", "web"}}}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.phase(pod) == "Pending"; }));
  EXPECT_TRUE(bench.events.has("FailedCreatePodSandBox"));
}

TEST(Pod, SurvivesARestartOfFairlead) {
  PodBench bench;
  const Json probe = {{"httpGet", {{"port", 8080}, {"path", "/readyz"}}}, {"periodSeconds", 1}};
  const Json pod = PodBench::pod(
      "adopted",
      {{"containers", {{{"name", "web"}, {"readinessProbe", probe}, {"startupProbe", probe}}}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.ready(pod); }));
  const std::string id = bench.container(pod, "web")["containerID"];
  const size_t written = bench.api.history.size();
  bench.restart();
  ASSERT_TRUE(bench.wait(
      [&] { return bench.workers.begin()->second->runtime().latest("web") != nullptr; }));
  bench.wait([] { return false; }, seconds(1));
  EXPECT_EQ(bench.container(pod, "web")["containerID"], id);
  EXPECT_EQ(bench.container(pod, "web")["restartCount"], 0);
  EXPECT_EQ(bench.api.history.size(), written) << "nothing changed, so nothing is written";
}

TEST(Pod, ContainerdMayBeKilled) {
  PodBench bench;
  const Json probe = {
      {"exec", {{"command", {"/bin/true"}}}}, {"periodSeconds", 1}, {"failureThreshold", 1}};
  const Json pod =
      PodBench::pod("steady", {{"containers", {{{"name", "web"}, {"livenessProbe", probe}}}}});
  bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.ready(pod); }));
  const std::string id = bench.container(pod, "web")["containerID"];
  Machine::get().kill_containerd();
  const Json second = PodBench::pod("second", {{"containers", {{{"name", "web"}}}}});
  bench.apply(second);
  ASSERT_TRUE(bench.wait([&] { return bench.events.has("Unhealthy"); }));
  Machine::get().start_containerd();
  ASSERT_TRUE(bench.wait([&] { return bench.ready(second); })) << bench.status(second).dump(2);
  EXPECT_EQ(bench.container(pod, "web")["containerID"], id);
  EXPECT_EQ(bench.container(pod, "web")["restartCount"], 0);
}

TEST(Pod, DeadSandboxIsMadeAgain) {
  PodBench bench;
  const Json pod = PodBench::pod("phoenix", {{"containers", {{{"name", "web"}}}}});
  PodWorker& worker = bench.apply(pod);
  ASSERT_TRUE(bench.wait([&] { return bench.ready(pod); }));
  const std::string sandbox = worker.runtime().ready_sandbox()->id;
  bool stopped = false;
  bench.cri->stop_sandbox(sandbox, [&](Result<void> done) { stopped = done.ok(); });
  ASSERT_TRUE(bench.wait([&] { return stopped; }));
  ASSERT_TRUE(bench.wait([&] {
    const SandboxInfo* now = worker.runtime().ready_sandbox();
    return now != nullptr && now->id != sandbox && bench.ready(pod);
  })) << bench.status(pod).dump(2);
  EXPECT_EQ(worker.runtime().ready_sandbox()->attempt, 1u);
  EXPECT_GE(bench.container(pod, "web")["restartCount"], 1);
}

}  // namespace
}  // namespace fairlead::orchestrator
