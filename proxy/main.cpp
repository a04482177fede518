// SPDX-License-Identifier: Apache-2.0
// fairlead-proxy: Services and EndpointSlices of an API server become nftables maps, or in mode
// userspace sockets that it relays. Ending it, by whatever signal, leaves the rules: traffic goes
// on, and the next start takes over. In mode userspace open connections have some time to end.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.h"
#include "kube/cluster.h"
#include "proxy/instance_lock.h"
#include "proxy/options.h"
#include "proxy/program.h"
#include "proxy/shadow_command.h"
#include "proxy/stat_command.h"
#include "proxy/sysctls.h"
#include "proxy/trace_command.h"

namespace fairlead::proxy {
namespace {

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

int complain(const Error& error) {
  std::fprintf(stderr, "fairlead-proxy: %s\n", error.message().c_str());
  return 1;
}

// For an init container that has all of root, before one that has CAP_NET_ADMIN alone.
Result<void> init_only(const Options& options) {
  for (const SysctlFailure& failure : write_sysctls(options.conntrack_sysctls(cpu_count())))
    return failure.kind == SysctlFailure::Kind::kMissing
               ? failure.error.with_context(
                     "connection tracking (module nf_conntrack) is not loaded")
               : failure.error;
  return ok();
}

Result<void> write_config(const Options& options) {
  std::ofstream file(options.write_config_to, std::ios::trunc);
  if (file << to_yaml(options.kube) << std::flush) return ok();
  return Error::from_errno(errno, "writing " + options.write_config_to);
}

int trace_main(const std::vector<std::string>& arguments) {
  Result<TraceOptions> options = parse_trace_options(arguments);
  if (!options.ok()) {
    complain(options.error());
    return 2;
  }
  Loop loop;
  const Result<std::string> text = options->print.empty() ? run_trace(loop, std::move(*options))
                                                          : Result<std::string>(options->print);
  if (!text.ok()) return complain(text.error());
  std::fputs(text->c_str(), stdout);
  return 0;
}

int stat_main(const std::vector<std::string>& arguments) {
  const Result<StatOptions> options = parse_stat_options(arguments);
  if (!options.ok()) {
    complain(options.error());
    return 2;
  }
  if (!options->print.empty()) {
    std::fputs(options->print.c_str(), stdout);
    return 0;
  }
  Loop loop;
  const Result<void> result = run_stat(loop, *options);
  return result.ok() ? 0 : complain(result.error());
}

// 0: no difference; 1: some, or none could be looked for.
int shadow_main(const Options& options) {
  Loop loop;
  const Result<std::optional<Comparison>> result = Program(loop, options).run_shadow();
  if (!result.ok()) return complain(result.error());
  if (!*result) return complain(Error(ErrorCode::kCancelled, "ended by a signal"));
  std::fputs(to_text(**result).c_str(), stdout);
  return (*result)->clean() ? 0 : 1;
}

int run_main(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments[0] == "trace")
    return trace_main({arguments.begin() + 1, arguments.end()});
  if (!arguments.empty() && arguments[0] == "stat")
    return stat_main({arguments.begin() + 1, arguments.end()});
  const Result<Options> options = parse_options(arguments, host_name(), kube::read_file);
  if (!options.ok()) {
    complain(options.error());
    return 2;
  }
  if (!options->print.empty()) {
    std::fputs(options->print.c_str(), stdout);
    return 0;
  }
  log::init("proxy", options->log_level,
            options->kube.logging.format == "json" ? log::Format::kJson : log::Format::kText);
  if (options->shadow) return shadow_main(*options);
  for (const std::string& notice : options->notices) log::info("{}", notice);
  Result<void> result;
  if (!options->write_config_to.empty()) {
    result = write_config(*options);
  } else if (options->init_only) {
    result = init_only(*options);
  } else if (options->cleanup) {
    const Result<InstanceLock> lock = InstanceLock::acquire();
    if (!lock.ok()) return complain(lock.error());
    Loop loop;
    result = clean_up(loop);
  } else {
    Loop loop;
    result = Program(loop, *options).run();
  }
  return result.ok() ? 0 : complain(result.error());
}

}  // namespace
}  // namespace fairlead::proxy

int main(int argc, char** argv) {
  return fairlead::proxy::run_main(std::vector<std::string>(argv + 1, argv + argc));
}
