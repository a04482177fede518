// SPDX-License-Identifier: Apache-2.0
// A good object of every kind, and what a refusal of a bad one looks like.
#pragma once

#include <gmock/gmock.h>

#include "orchestrator/apiserver/kind.h"
#include "tests/unit/orchestrator_apiserver/server_fixture.h"

namespace fairlead::orchestrator {

using apiserver::at;
using apiserver::Json;
using apiserver::Kind;
using apiserver::Kinds;
using apiserver::string_at;

// The least that each kind is made of, beside its name.
inline Json valid(const Kind& kind) {
  Json object = {{"metadata", {{"name", "it"}}}};
  const Json pod = {{"containers", Json::array({{{"name", "c"}, {"image", "i"}}})}};
  if (kind.kind == "Pod") object["spec"] = pod;
  if (kind.kind == "Service") object["spec"] = {{"ports", Json::array({{{"port", 80}}})}};
  if (kind.kind == "RuntimeClass") object["handler"] = "runc";
  if (kind.kind == "EndpointSlice") object["addressType"] = "IPv4";
  if (kind.kind == "Deployment" || kind.kind == "ReplicaSet")
    object["spec"] = {{"selector", {{"matchLabels", {{"a", "b"}}}}},
                      {"template", {{"metadata", {{"labels", {{"a", "b"}}}}}, {"spec", pod}}}};
  return object;
}

inline std::string path_of(const Kind& kind) {
  return (kind.group.empty() ? "/api/" : "/apis/") + kind.api_version() +
         (kind.namespaced ? "/namespaces/default/" : "/") + kind.plural;
}

class BadInput : public ServerFixture {
 protected:
  // The store's objects of a kind: unchanged means that nothing was stored.
  std::string stored(const Kind& kind) { return json(ask("GET", path_of(kind)))["items"].dump(); }

  void refused(const Kind& kind, const char* what, const HttpResponse& answer, int status,
               const char* reason, const std::string& message) {
    SCOPED_TRACE(kind.group + "/" + kind.kind + ": " + what);
    EXPECT_EQ(answer.status, status) << answer.body.substr(0, 500);
    const Json body = json(answer);
    EXPECT_EQ(string_at(body, "kind"), "Status");
    EXPECT_EQ(string_at(body, "status"), "Failure");
    EXPECT_EQ(string_at(body, "reason"), reason);
    EXPECT_EQ(at(body, "code"), status);
    EXPECT_THAT(string_at(body, "message"), testing::HasSubstr(message));
  }
};

inline std::string merged(const Kind& kind, const Json& patch) {
  Json object = valid(kind);
  object.merge_patch(patch);
  return object.dump();
}

}  // namespace fairlead::orchestrator
