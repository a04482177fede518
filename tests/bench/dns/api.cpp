// SPDX-License-Identifier: Apache-2.0
// An API server with a made-up cluster. Usage: bench_dns_api KUBECONFIG SERVICES ENDPOINTS
// Writes KUBECONFIG once it listens. Service sN of namespace bench has address 10.96.H.L (N =
// H*256+L), port http 80, and ENDPOINTS ready endpoints.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/file.h"
#include "tests/support/cluster_api.h"

int main(int argc, char** argv) {
  using namespace fairlead;
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s KUBECONFIG SERVICES ENDPOINTS\n", argv[0]);
    return 2;
  }
  const int services = std::atoi(argv[2]);
  const int endpoints = std::atoi(argv[3]);
  Loop loop;
  test::ClusterApi api(loop);
  api.put("/api/v1/namespaces", "bench", test::namespace_json("bench"));
  const std::string ports = R"([{"name":"http","protocol":"TCP","port":80}])";
  int next = 0;
  for (int n = 0; n < services; ++n) {
    const std::string name = "s" + std::to_string(n);
    const std::string ip = "10.96." + std::to_string(n / 256 % 256) + "." + std::to_string(n % 256);
    api.put("/api/v1/services", name, test::service_json("bench", name, ip, ports));
    std::vector<std::string> addresses;
    for (int e = 0; e < endpoints; ++e, ++next)
      addresses.push_back("10." + std::to_string(128 + next / 65536 % 64) + "." +
                          std::to_string(next / 256 % 256) + "." + std::to_string(next % 256));
    api.put("/apis/discovery.k8s.io/v1/endpointslices", name,
            test::slice_json("bench", name + "-1", name, addresses, ports));
  }
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
  loop.run();
}
