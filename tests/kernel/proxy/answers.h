// SPDX-License-Identifier: Apache-2.0
// Servers that say who they are: each answers "NAME PEER-ADDRESS" on TCP and UDP port 8080 of its
// namespace, in both IP families, from one thread for all.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/namespace.h"

namespace fairlead::proxy::test {

class Answers {
 public:
  ~Answers();
  void add(const fairlead::test::NetNamespace& ns, const std::string& name);
  // From here on they answer; none can be added any more.
  void start();

 private:
  struct Server {
    std::string name;
    int fd;
    bool stream;
  };
  void serve();

  std::vector<Server> servers_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace fairlead::proxy::test
