// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "dns/compare.h"
#include "dns/explain.h"
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

// Of a command for people: its error is a sentence, not a log line.
int report(const Result<void>& result) {
  if (result.ok()) return 0;
  std::fprintf(stderr, "fairlead-dns: %s\n", result.error().message().c_str());
  return 1;
}

// 1: something differs and nobody has said why.
int compare_servers(const dns::Options& options) {
  const auto result = dns::compare(options);
  if (!result.ok()) return report(result.error());
  return result->differences == result->documented ? 0 : 1;
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
  const bool asks = line.options->explain || line.options->compare;
  log::init("dns",
            asks ? std::max(line.options->log_level, log::Level::kWarn) : line.options->log_level);
  if (line.options->explain) return report(dns::explain(*line.options));
  if (line.options->compare) return compare_servers(*line.options);
  const Result<void> result = dns::run_program(*line.options);
  if (result.ok()) return 0;
  log::error("{}", result.error().message());
  return 1;
}
