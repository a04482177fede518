// SPDX-License-Identifier: Apache-2.0
// An API server with a made-up cluster. Usage: bench_dns_api KUBECONFIG SERVICES ENDPOINTS
// Writes KUBECONFIG once it listens. Service sN of namespace bench has address 10.M.H.L (N =
// (M-96)*65536+H*256+L), port http 80, and ENDPOINTS ready endpoints.
//
// Lines on standard input, each answered on standard output:
//   relist                    forgets its history, so that every watcher lists again; "done"
//   changes COUNT ADDR:PORT   times COUNT changes of an endpoint until the server at ADDR:PORT
//                             answers with them (changes.h); a line of microseconds
// Ends at the end of its input.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

#include "base/file.h"
#include "tests/bench/dns/changes.h"
#include "tests/support/cluster_api.h"

namespace {

using namespace fairlead;

void fill(test::ClusterApi& api, int services, int endpoints) {
  api.put("/api/v1/namespaces", "bench", test::namespace_json("bench"));
  const std::string ports = R"([{"name":"http","protocol":"TCP","port":80}])";
  int next = 0;
  for (int n = 0; n < services; ++n) {
    const std::string name = "s" + std::to_string(n);
    const std::string ip = "10." + std::to_string(96 + n / 65536) + "." +
                           std::to_string(n / 256 % 256) + "." + std::to_string(n % 256);
    api.put("/api/v1/services", name, test::service_json("bench", name, ip, ports));
    std::vector<std::string> addresses;
    for (int e = 0; e < endpoints; ++e, ++next)
      addresses.push_back("10." + std::to_string(128 + next / 65536 % 64) + "." +
                          std::to_string(next / 256 % 256) + "." + std::to_string(next % 256));
    api.put("/apis/discovery.k8s.io/v1/endpointslices", name,
            test::slice_json("bench", name + "-1", name, addresses, ports));
  }
  bench::put_moving_service(api);
}

std::string changes(test::ClusterApi& api, int count, const std::string& server) {
  const auto address = SocketAddress::parse(server);
  if (!address.ok()) return address.error().message();
  const auto times = bench::time_changes(api, *address, count);
  if (!times.ok()) return times.error().message();
  std::string line;
  for (const Duration time : *times)
    line +=
        std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(time).count()) + " ";
  return line;
}

std::string obey(test::ClusterApi& api, const std::string& command) {
  std::istringstream words(command);
  std::string verb, server;
  int count = 0;
  words >> verb >> count >> server;
  if (verb == "changes") return changes(api, count, server);
  if (verb != "relist") return "unknown command: " + command;
  api.compact();
  return "done";
}

// A line is short and comes at once.
void read_command(Loop& loop, test::ClusterApi& api) {
  char line[256];
  const ssize_t size = read(STDIN_FILENO, line, sizeof line);
  if (size <= 0) return loop.stop();
  std::puts(obey(api, std::string(line, static_cast<size_t>(size))).c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s KUBECONFIG SERVICES ENDPOINTS\n", argv[0]);
    return 2;
  }
  Loop loop;
  test::ClusterApi api(loop);
  fill(api, std::atoi(argv[2]), std::atoi(argv[3]));
  const auto address = api.listen({IpAddress::v4(127, 0, 0, 1), 0});
  if (!address.ok()) {
    std::fprintf(stderr, "%s\n", address.error().message().c_str());
    return 1;
  }
  const auto written = write_file_atomic(argv[1], test::ClusterApi::kubeconfig(*address), 0600);
  if (!written.ok()) {
    std::fprintf(stderr, "%s\n", written.error().message().c_str());
    return 1;
  }
  Poll commands(loop, STDIN_FILENO);
  commands.start(UV_READABLE, [&](int) { read_command(loop, api); });
  loop.run();
}
