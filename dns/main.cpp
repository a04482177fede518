// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "dns/options.h"
#include "dns/program.h"

namespace {

using namespace fairlead;

int check(const dns::Options& options) {
  const auto notes = dns::check_corefile(options);
  if (!notes.ok()) return std::fprintf(stderr, "%s\n", notes.error().message().c_str()), 1;
  for (const std::string& note : *notes) std::printf("%s\n", note.c_str());
  std::printf("%s: right\n", options.corefile.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const dns::CommandLine line =
      dns::parse_command_line(arguments, std::thread::hardware_concurrency());
  if (!line.options) {
    std::fputs(line.output.c_str(), line.exit_code == 0 ? stdout : stderr);
    return line.exit_code;
  }
  if (line.options->check) return check(*line.options);
  log::init("dns", line.options->log_level);
  const Result<void> result = dns::run_program(*line.options);
  if (result.ok()) return 0;
  log::error("{}", result.error().message());
  return 1;
}
