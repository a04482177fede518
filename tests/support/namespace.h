// SPDX-License-Identifier: Apache-2.0
// Network namespaces for kernel tests: unnamed, held by a descriptor, gone with the object (or the
// process, however it ends). Needs root.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::test {

// A fresh network namespace with lo up. Creation failure aborts the test program with the reason.
class NetNamespace {
 public:
  NetNamespace();
  ~NetNamespace();
  NetNamespace(const NetNamespace&) = delete;
  NetNamespace& operator=(const NetNamespace&) = delete;

  // While it lives, the calling thread (its new sockets, its children, /proc/sys/net) is inside.
  // Nests.
  class Enter {
   public:
    explicit Enter(const NetNamespace& target);
    ~Enter();
    Enter(const Enter&) = delete;
    Enter& operator=(const Enter&) = delete;

   private:
    int previous_;
  };
  Enter enter() const { return Enter(*this); }
  // Runs `function` inside, on the calling thread.
  void run(const std::function<void()>& function) const;

  // Runs a shell command inside; its standard output. A failure aborts the test program.
  std::string must(std::string_view command) const;

  void set_sysctl(std::string_view name,
                  std::string_view value) const;  // "net.ipv4.ip_forward", "1"

  int fd() const { return fd_; }

 private:
  int fd_;
};

// A veth pair with one end in each namespace, both up. Addresses are CIDR text ("10.0.0.1/24");
// empty for none. IPv6 addresses skip duplicate address detection.
void connect(const NetNamespace& left, std::string_view left_name, std::string_view left_address,
             const NetNamespace& right, std::string_view right_name,
             std::string_view right_address);

struct CommandResult {
  int status = -1;  // exit code; 128 + signal when killed
  std::string output;
  std::string errors;
};
// Runs argv (found on PATH) in the calling thread's namespace with `input` on standard input;
// killed after `limit_seconds`.
CommandResult run_command(const std::vector<std::string>& argv, std::string_view input = {},
                          int limit_seconds = 60);

// A process of the test's own that runs until the object goes.
class BackgroundProcess {
 public:
  explicit BackgroundProcess(const std::vector<std::string>& argv);
  ~BackgroundProcess();
  BackgroundProcess(const BackgroundProcess&) = delete;
  BackgroundProcess& operator=(const BackgroundProcess&) = delete;
  int pid() const { return pid_; }
  bool running() const;

 private:
  int pid_;
};

// True when the calling process is root; kernel tests assert it.
bool is_root();

}  // namespace fairlead::test
