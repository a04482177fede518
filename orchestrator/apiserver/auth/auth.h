// SPDX-License-Identifier: Apache-2.0
// Who asks, and may they. No I/O: the token file is given as text. Read-only once made: any thread.
//
// Authentication: a client certificate of the cluster's authority (common name is the user,
// organizations the groups), or a bearer token of the token file.
// Authorization is thin until RBAC comes:
//   system:masters            everything
//   system:node:NAME          reads what a node needs; writes its Node, pods' status, its
//   deletions, its
//                             lease, events, and the cluster DNS endpoint slices
//   fairlead-proxy, -dns      read nodes, namespaces, services, endpoint slices, pods; write events
//   everyone known            discovery, OpenAPI, /metrics
//   everyone                  /healthz /livez /readyz /version
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/http/server.h"
#include "orchestrator/apiserver/error.h"
#include "orchestrator/apiserver/front/request_info.h"

namespace fairlead::orchestrator::apiserver {

struct User {
  std::string name;
  std::vector<std::string> groups;
  bool in_group(std::string_view group) const;
};

class Authenticator {
 public:
  // Lines "token,user,uid,group;group" (uid and groups may be absent). kInvalid names the line.
  static Result<Authenticator> parse(std::string_view token_file);
  // nullopt: nobody (anonymous); an error: credentials that are not valid.
  Outcome<std::optional<User>> identify(const HttpServerRequest& request) const;

 private:
  std::map<std::string, User, std::less<>> by_token_;
};

bool open_to_everyone(std::string_view path);
// nullopt: allowed.
std::optional<ApiError> authorize(const User& user, const RequestInfo& info, std::string_view path);

}  // namespace fairlead::orchestrator::apiserver
