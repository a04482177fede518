// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/front/health.h"

#include <algorithm>
#include <set>

namespace fairlead::orchestrator::apiserver {
namespace {

// Names that monitoring knows; "etcd" is the store.
constexpr std::string_view kChecks[] = {"ping", "log", "etcd"};
constexpr std::string_view kRoots[] = {"healthz", "livez", "readyz"};

std::string verbose_text(std::string_view root, std::set<std::string> excluded) {
  std::string text;
  for (const std::string_view check : kChecks) {
    const bool skipped = excluded.erase(std::string(check)) != 0;
    text.append("[+]").append(check).append(skipped ? " excluded: ok\n" : " ok\n");
  }
  if (!excluded.empty()) {
    text += "warn: some health checks cannot be excluded: no matches for ";
    for (auto it = excluded.begin(); it != excluded.end(); ++it)
      text += (it == excluded.begin() ? "\"" : ",\"") + *it + "\"";
    text += "\n";
  }
  return text.append(root).append(" check passed\n");
}

}  // namespace

std::optional<std::string> health_text(
    std::string_view path, const std::vector<std::pair<std::string, std::string>>& query) {
  if (!path.starts_with('/')) return std::nullopt;
  path.remove_prefix(1);
  const size_t slash = std::min(path.find('/'), path.size());
  const std::string_view root = path.substr(0, slash);
  if (std::ranges::find(kRoots, root) == std::end(kRoots)) return std::nullopt;
  if (slash < path.size())
    return std::ranges::find(kChecks, path.substr(slash + 1)) == std::end(kChecks)
               ? std::nullopt
               : std::optional<std::string>("ok");
  bool verbose = false;
  std::set<std::string> excluded;
  for (const auto& [name, value] : query) {
    verbose = verbose || name == "verbose";
    if (name == "exclude") excluded.insert(value);
  }
  if (!verbose) return "ok";
  return verbose_text(root, std::move(excluded));
}

}  // namespace fairlead::orchestrator::apiserver
