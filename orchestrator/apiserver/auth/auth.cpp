// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/auth/auth.h"

#include <algorithm>
#include <span>

namespace fairlead::orchestrator::apiserver {
namespace {

using Words = std::span<const std::string_view>;

struct Rule {
  Words verbs;
  Words resources;  // "pods", "pods/status"
  std::string_view ns = {};
  bool own_name = false;  // only the object named as the node
};

constexpr std::string_view kRead[] = {"get", "list", "watch"};
constexpr std::string_view kWrite[] = {"create", "update", "patch"};
constexpr std::string_view kWriteAll[] = {"create", "update", "patch", "delete"};
constexpr std::string_view kDelete[] = {"delete"};
constexpr std::string_view kNames[] = {"nodes", "namespaces", "services", "endpointslices", "pods"};
constexpr std::string_view kNodeReads[] = {
    "nodes",      "namespaces", "services", "endpointslices", "pods",
    "configmaps", "secrets",    "leases",   "csidrivers",     "runtimeclasses"};
constexpr std::string_view kEvents[] = {"events"};
constexpr std::string_view kPods[] = {"pods"};
constexpr std::string_view kPodStatus[] = {"pods/status"};
constexpr std::string_view kNodes[] = {"nodes", "nodes/status"};
constexpr std::string_view kCsiNodes[] = {"csinodes"};
constexpr std::string_view kGet[] = {"get"};
constexpr std::string_view kLeases[] = {"leases"};
constexpr std::string_view kSlices[] = {"endpointslices"};

constexpr Rule kReaderRules[] = {{kRead, kNames}, {kWrite, kEvents}};
constexpr Rule kNodeRules[] = {
    {kRead, kNodeReads},
    {kWrite, kEvents},
    {kWrite, kPodStatus},
    {kDelete, kPods},
    {kWrite, kNodes, {}, true},
    {kGet, kCsiNodes, {}, true},
    {kWriteAll, kCsiNodes, {}, true},
    {kWriteAll, kLeases, "kube-node-lease"},
    {kWriteAll, kSlices, "kube-system"},
};

bool contains(Words words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool allows(std::span<const Rule> rules, const RequestInfo& info, std::string_view own_name) {
  const std::string resource =
      info.subresource.empty() ? info.resource : info.resource + "/" + info.subresource;
  return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) {
    // A create has no name in its path; what it creates is checked by being the only Node it may
    // update.
    const bool named = !rule.own_name || info.verb == "create" || info.name == own_name;
    return contains(rule.verbs, info.verb) && contains(rule.resources, resource) && named &&
           (rule.ns.empty() || rule.ns == info.ns);
  });
}

std::string refusal(const User& user, const RequestInfo& info) {
  std::string text =
      "User \"" + user.name + "\" cannot " + info.verb + " resource \"" + info.resource;
  if (!info.subresource.empty()) text += "/" + info.subresource;
  text += "\" in API group \"" + info.group + "\"";
  if (info.ns.empty()) return text + " at the cluster scope";
  return text + " in the namespace \"" + info.ns + "\"";
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == text.npos) return parts;
    text.remove_prefix(at + 1);
  }
}

}  // namespace

bool User::in_group(std::string_view group) const {
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

Result<Authenticator> Authenticator::parse(std::string_view token_file) {
  Authenticator authenticator;
  size_t number = 0;
  for (const std::string& line : split(token_file, '\n')) {
    ++number;
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> fields = split(line, ',');
    if (fields.size() < 2 || fields[0].size() < 16 || fields[1].empty())
      return Error(ErrorCode::kInvalid,
                   "token file, line " + std::to_string(number) +
                       ": expected token,user[,uid[,group;group]] with a token of "
                       "at least 16 characters");
    User user{fields[1], {}};
    if (fields.size() > 3) user.groups = split(fields[3], ';');
    user.groups.push_back("system:authenticated");
    authenticator.by_token_.emplace(fields[0], std::move(user));
  }
  return authenticator;
}

Outcome<std::optional<User>> Authenticator::identify(const HttpServerRequest& request) const {
  if (request.client) {
    User user{request.client->common_name, request.client->organizations};
    user.groups.push_back("system:authenticated");
    return std::optional<User>(std::move(user));
  }
  const auto header = request.headers.get("authorization");
  if (!header) return std::optional<User>();
  constexpr std::string_view kBearer = "bearer ";
  if (header->size() <= kBearer.size() ||
      !equal_ignoring_case(header->substr(0, kBearer.size()), kBearer))
    return unauthorized();
  const auto it = by_token_.find(header->substr(kBearer.size()));
  if (it == by_token_.end()) return unauthorized();
  return std::optional<User>(it->second);
}

bool open_to_everyone(std::string_view path) {
  for (const std::string_view open : {"/healthz", "/livez", "/readyz", "/version"})
    if (path == open || (path.starts_with(open) && path[open.size()] == '/')) return true;
  return false;
}

std::optional<ApiError> authorize(const User& user, const RequestInfo& info,
                                  std::string_view path) {
  if (user.in_group("system:masters")) return std::nullopt;
  if (!info.is_resource) {
    if (info.verb == "get") return std::nullopt;
    return forbidden({"", std::string(path), "", ""},
                     "User \"" + user.name + "\" cannot " + info.verb);
  }
  constexpr std::string_view kNode = "system:node:";
  if (user.name.starts_with(kNode) &&
      allows(kNodeRules, info, std::string_view(user.name).substr(kNode.size())))
    return std::nullopt;
  const bool reader = user.name == "fairlead-proxy" || user.name == "fairlead-dns";
  if (reader && allows(kReaderRules, info, "")) return std::nullopt;
  return forbidden({info.group, info.resource, "", info.name}, refusal(user, info));
}

}  // namespace fairlead::orchestrator::apiserver
