// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "dns/options.h"
#include "dns/program.h"

int main(int argc, char** argv) {
  using namespace fairlead;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const dns::CommandLine line =
      dns::parse_command_line(arguments, std::thread::hardware_concurrency());
  if (!line.options) {
    std::fputs(line.output.c_str(), line.exit_code == 0 ? stdout : stderr);
    return line.exit_code;
  }
  log::init("dns", line.options->log_level);
  const Result<void> result = dns::run_program(*line.options);
  if (result.ok()) return 0;
  log::error("{}", result.error().message());
  return 1;
}
