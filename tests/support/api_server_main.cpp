// SPDX-License-Identifier: Apache-2.0
// ClusterApi as a program:  test_api_server ADDRESS:PORT
//
// It has the namespace default and the Service web; with SIGUSR1 the Service late, too. It ends
// with who has started it.
#include <signal.h>
#include <sys/prctl.h>

#include <cstdio>

#include "tests/support/cluster_api.h"

namespace fairlead::test {
namespace {

int run(const SocketAddress& address) {
  constexpr const char* kPorts = R"([{"name":"http","protocol":"TCP","port":80}])";
  const auto put = [](ClusterApi& api, const char* name, const char* ip) {
    api.put("/api/v1/services", name, service_json("default", name, ip, kPorts));
  };
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Loop loop;
  ClusterApi api(loop);
  if (const auto listening = api.listen(address); !listening.ok()) {
    std::fprintf(stderr, "test_api_server: %s\n", listening.error().message().c_str());
    return 1;
  }
  api.put("/api/v1/namespaces", "default", namespace_json("default"));
  put(api, "web", "10.96.0.10");
  const SignalWatch more(loop, SIGUSR1, [&] { put(api, "late", "10.96.0.11"); });
  loop.run();
  return 0;
}

}  // namespace
}  // namespace fairlead::test

int main(int argc, char** argv) {
  const auto address = fairlead::SocketAddress::parse(argc == 2 ? argv[1] : "");
  if (!address.ok()) {
    std::fprintf(stderr, "usage: test_api_server ADDRESS:PORT\n");
    return 2;
  }
  return fairlead::test::run(*address);
}
