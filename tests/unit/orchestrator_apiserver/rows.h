// SPDX-License-Identifier: Apache-2.0
// Tables of what Kubernetes refuses, and what it does not.
#pragma once

#include <algorithm>
#include <span>

#include "tests/unit/orchestrator_apiserver/bad_input.h"

namespace fairlead::orchestrator {

// What Kubernetes refuses of each kind, beside what its data says: a change to a good object, the
// field that is wrong, the reason and the words. An empty field: it is taken.
struct Refused {
  const char* what;
  const char* plural;
  const char* patch;  // RFC 7386
  const char* field;
  const char* reason;
  const char* message;
};

// A pod whose one container has `members` too; a pod with `members` beside its container.
#define CONTAINER(members) R"({"spec":{"containers":[{"name":"c","image":"i",)" members "}]}}"
#define POD(members) R"({"spec":{)" members "}}"
#define TEMPLATE(members) R"({"spec":{"template":{"spec":{)" members "}}}}"

class Rows : public BadInput {
 protected:
  void try_all(std::span<const Refused> rows) {
    for (const Refused& row : rows) try_one(row);
  }

  void try_one(const Refused& row) {
    const auto& kinds = Kinds::builtin().all();
    const Kind& kind = *std::find_if(kinds.begin(), kinds.end(),
                                     [&](const Kind& k) { return k.plural == row.plural; });
    const std::string path = path_of(kind) + "?dryRun=All&fieldValidation=Strict";
    const HttpResponse answer = ask("POST", path, merged(kind, Json::parse(row.patch)));
    if (*row.field == '\0') {
      EXPECT_EQ(answer.status, 201) << row.what << ": " << answer.body;
      return;
    }
    refused(kind, row.what, answer, 422, "Invalid", row.message);
    const Json causes = at(at(json(answer), "details"), "causes");
    ASSERT_GE(causes.size(), 1u) << row.what << ": " << answer.body;  // some are wrong twice
    EXPECT_EQ(string_at(causes[0], "field"), row.field) << row.what;
    EXPECT_EQ(string_at(causes[0], "reason"), row.reason) << row.what;
  }
};

}  // namespace fairlead::orchestrator
