// SPDX-License-Identifier: Apache-2.0
// The API server without nodes, controllers or scheduler, for tests that need only the API.
// Usage: apiserver_alone DIRECTORY [PORT].  Prints "ready PORT KUBECONFIG"; SIGTERM ends it.
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/loop.h"
#include "orchestrator/apiserver/server.h"

using namespace fairlead;
using namespace fairlead::orchestrator;

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: %s DIRECTORY [PORT]\n", argv[0]);
    return 2;
  }
  const std::string directory = argv[1];
  const auto port = static_cast<uint16_t>(argc > 2 ? std::atoi(argv[2]) : 6443);
  PkiOptions pki_options;
  pki_options.directory = directory + "/pki";
  pki_options.server_url = "https://127.0.0.1:" + std::to_string(port);
  pki_options.ip_addresses = {IpAddress::v4(10, 96, 0, 1)};
  pki_options.nodes = {{"n1", {}}};
  auto pki = ensure_pki(pki_options, std::chrono::system_clock::now());
  if (!pki) {
    std::fprintf(stderr, "apiserver_alone: %s\n", pki.error().message().c_str());
    return 1;
  }
  ApiServerOptions options;
  options.data_dir = directory + "/store";
  options.bind = {IpAddress::v4(127, 0, 0, 1), port};
  options.advertise = IpAddress::v4(192, 0, 2, 1);  // nobody asks there: there are no pods
  options.service_cidr = *Cidr::parse("10.96.0.0/16");
  options.pki = *pki;
  ApiServer server(std::move(options));
  if (auto started = server.start(); !started) {
    std::fprintf(stderr, "apiserver_alone: %s\n", started.error().message().c_str());
    return 1;
  }
  std::printf("ready %u %s\n", server.address().port, pki->admin_kubeconfig.c_str());
  std::fflush(stdout);
  Loop loop;
  SignalWatch term(loop, SIGTERM, [&] { loop.stop(); });
  SignalWatch interrupt(loop, SIGINT, [&] { loop.stop(); });
  loop.run();
  server.stop();
  return 0;
}
