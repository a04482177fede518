// SPDX-License-Identifier: Apache-2.0
// fairlead-dns as a program in a network namespace of its own, an API server beside it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dns/server/socket.h"
#include "tests/support/cluster_api.h"
#include "tests/support/namespace.h"
#include "tests/support/paths.h"

namespace fairlead::dns {

using namespace std::chrono_literals;
using test::ClusterApi;

inline constexpr auto kPatience = 30s;
inline const char* const kServices = "/api/v1/services";
inline const char* const kSlices = "/apis/discovery.k8s.io/v1/endpointslices";
inline const char* const kNamespaces = "/api/v1/namespaces";
inline const char* const kPorts = R"([{"name":"http","protocol":"TCP","port":80}])";

inline std::string read_all(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The API server on a thread of its own, inside the namespace.
class ApiThread {
 public:
  explicit ApiThread(const test::NetNamespace& space) {
    std::atomic<bool> ready{false};
    thread_ = std::thread([&] {
      const auto inside = space.enter();
      Loop loop;
      ClusterApi api(loop);
      address = *api.listen({IpAddress::v4(127, 0, 0, 1), 0});
      loop_ = &loop;
      api_ = &api;
      ready.store(true);
      loop.run();
    });
    while (!ready.load()) std::this_thread::sleep_for(1ms);
  }
  ~ApiThread() {
    loop_->stop();
    thread_.join();
  }
  // Runs on the API's thread, and waits for it.
  void run(const std::function<void(ClusterApi&)>& task) {
    std::atomic<bool> done{false};
    loop_->post([&] {
      task(*api_);
      done.store(true);
    });
    while (!done.load()) std::this_thread::sleep_for(1ms);
  }
  SocketAddress address;

 private:
  Loop* loop_ = nullptr;
  ClusterApi* api_ = nullptr;
  std::thread thread_;
};

class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() : inside(space.enter()), api(space) {
    char pattern[] = "/tmp/fairlead-dns-test-XXXXXX";
    directory = mkdtemp(pattern);
    std::ofstream(directory + "/kubeconfig") << ClusterApi::kubeconfig(api.address);
    std::ofstream(directory + "/resolv.conf") << "nameserver 127.0.0.1\n";
    api.run([](ClusterApi& a) {
      a.put(kNamespaces, "default", test::namespace_json("default"));
      a.put(kServices, "web", test::service_json("default", "web", "10.96.0.10", kPorts));
      a.put(kServices, "db", test::service_json("default", "db", "None", kPorts));
      a.put(kSlices, "db-1",
            test::slice_json("default", "db-1", "db", {"10.244.0.1", "10.244.0.2"}, kPorts));
    });
  }
  ~ProgramTest() override {
    if (pid > 0) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    std::filesystem::remove_all(directory);
  }

  void start(std::vector<std::string> arguments = {"--listen", "127.0.0.1:53"}) {
    arguments.insert(arguments.begin(), {"--resolv-conf", directory + "/resolv.conf"});
    run(std::move(arguments));
  }
  void start_with_corefile(const std::string& text) {
    write_corefile(text);
    run({"-conf", directory + "/Corefile"});
  }
  void write_corefile(const std::string& text) const {
    std::ofstream(directory + "/new") << text;
    std::filesystem::rename(directory + "/new", directory + "/Corefile");
  }
  void run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {fairlead::test::program_path("fairlead-dns"),
                                         "--kubeconfig", directory + "/kubeconfig"});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid = fork();
    if (pid < 0) std::abort();  // -1 is everybody, to kill()
    if (pid == 0) {
      const std::string log = directory + "/log";
      if (freopen(log.c_str(), "a", stderr) == nullptr) _exit(126);
      dup2(STDERR_FILENO, STDOUT_FILENO);
      if (!inherit.empty()) hand_over_sockets();
      for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
      execv(argv[0], argv.data());
      _exit(127);
    }
  }
  // As systemd does, to a program that may not bind the port itself. In the child.
  void hand_over_sockets() const {
    for (size_t i = 0; i < inherit.size(); ++i)  // above what they become first
      fcntl(inherit[i], F_DUPFD, 100 + static_cast<int>(i));
    for (size_t i = 0; i < inherit.size(); ++i)
      dup2(100 + static_cast<int>(i), 3 + static_cast<int>(i));
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", std::to_string(inherit.size()).c_str(), 1);
    prctl(PR_CAPBSET_DROP, CAP_NET_BIND_SERVICE);
  }
  int wait_for_exit() {
    int status = 0;
    waitpid(std::exchange(pid, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string log() const { return read_all(directory + "/log"); }

  static std::string shell(const std::string& command) {
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    std::string out;
    char buffer[4096];
    while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
    pclose(pipe);
    return out;
  }
  static std::string dig(const std::string& what) {
    return shell("dig @127.0.0.1 +time=1 +tries=1 " + what + " | LC_ALL=C sort");
  }
  static bool eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < end) {
      if (condition()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
  static std::string http(const std::string& url) {
    return shell("curl -s -m 5 -w ' %{http_code}' http://" + url);
  }
  bool ready() {
    return eventually([] { return http("127.0.0.1:8181/ready") == "OK 200"; });
  }

  test::NetNamespace space;
  test::NetNamespace::Enter inside;
  ApiThread api;
  std::string directory;
  pid_t pid = -1;
  std::vector<int> inherit;                                      // sockets for the next start
  std::vector<std::pair<std::string, std::string>> environment;  // more of it, for the next start
};

}  // namespace fairlead::dns
