// SPDX-License-Identifier: Apache-2.0
// What a change of an object may touch, what becomes of what it says, and PUTs of what is not
// there.
#include "tests/unit/orchestrator_apiserver/bad_input.h"

namespace fairlead::orchestrator {
namespace {

struct Change {
  const char* what;
  const char* plural;
  const char* made;     // RFC 7386, over the least of the kind
  const char* changed;  // RFC 7386, over what was stored
  const char* message;  // of the refusal; empty: it is taken
};

#define GATED(members) R"({"spec":{"schedulingGates":[{"name":"a"},{"name":"b"}])" members "}}"
#define TERMS(values)                                                                \
  R"("affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":)" \
  R"({"nodeSelectorTerms":[{"matchExpressions":[)" values "]}]}}}"

const Change kChanges[] = {
    {"an image", "pods", "{}", R"({"spec":{"containers":[{"name":"c","image":"j"}]}})", ""},
    {"a name of a container", "pods", "{}", R"({"spec":{"containers":[{"name":"d","image":"i"}]}})",
     "spec: Forbidden: pod updates may not change fields other than"},
    {"one container more", "pods", "{}",
     R"({"spec":{"containers":[{"name":"c","image":"i"},{"name":"d","image":"i"}]}})",
     "spec.containers: Forbidden: pod updates may not add or remove containers"},
    {"one init container more", "pods", "{}",
     R"({"spec":{"initContainers":[{"name":"d","image":"i"}]}})",
     "spec.initContainers: Forbidden: pod updates may not add or remove containers"},
    {"a deadline", "pods", "{}", R"({"spec":{"activeDeadlineSeconds":9}})", ""},
    {"a nearer deadline", "pods", R"({"spec":{"activeDeadlineSeconds":9}})",
     R"({"spec":{"activeDeadlineSeconds":8}})", ""},
    {"a later deadline", "pods", R"({"spec":{"activeDeadlineSeconds":9}})",
     R"({"spec":{"activeDeadlineSeconds":10}})",
     "spec.activeDeadlineSeconds: Invalid value: 10: must be less than or equal to previous value"},
    {"no deadline any more", "pods", R"({"spec":{"activeDeadlineSeconds":9}})",
     R"({"spec":{"activeDeadlineSeconds":null}})",
     "must not update from a positive integer to nil value"},
    {"one toleration more", "pods", R"({"spec":{"tolerations":[{"key":"a","operator":"Exists"}]}})",
     R"({"spec":{"tolerations":[{"key":"a","operator":"Exists"},{"key":"b","operator":"Exists"}]}})",
     ""},
    {"seconds of a toleration", "pods",
     R"({"spec":{"tolerations":[{"key":"a","operator":"Exists","effect":"NoExecute","tolerationSeconds":5}]}})",
     R"({"spec":{"tolerations":[{"key":"a","operator":"Exists","effect":"NoExecute","tolerationSeconds":6}]}})",
     ""},
    {"one toleration less", "pods", R"({"spec":{"tolerations":[{"key":"a","operator":"Exists"}]}})",
     R"({"spec":{"tolerations":[]}})",
     "existing toleration can not be modified except its tolerationSeconds"},
    {"a node selector", "pods", "{}", R"({"spec":{"nodeSelector":{"a":"b"}}})",
     "pod updates may not change fields other than"},
    {"one gate less", "pods", GATED(""), R"({"spec":{"schedulingGates":[{"name":"b"}]}})", ""},
    {"no gates any more", "pods", GATED(""), R"({"spec":{"schedulingGates":null}})", ""},
    {"one gate more", "pods", GATED(""),
     R"({"spec":{"schedulingGates":[{"name":"a"},{"name":"b"},{"name":"c"}]}})",
     "spec.schedulingGates[2].name: Forbidden: only deletion is allowed, but found new scheduling "
     "gate 'c'"},
    {"a gate at last", "pods", "{}", R"({"spec":{"schedulingGates":[{"name":"a"}]}})",
     "only deletion is allowed, but found new scheduling gate 'a'"},
    {"a node selector behind gates", "pods", GATED(R"(,"nodeSelector":{"a":"b"})"),
     R"({"spec":{"nodeSelector":{"c":"d"}}})", ""},
    {"another node selector behind gates", "pods", GATED(R"(,"nodeSelector":{"a":"b"})"),
     R"({"spec":{"nodeSelector":{"a":"c"}}})",
     "only additions to spec.nodeSelector are allowed (no mutations or deletions)"},
    {"an affinity behind gates", "pods", GATED(""),
     R"({"spec":{)" TERMS(R"({"key":"a","operator":"Exists"})") "}}", ""},
    {"a closer affinity behind gates", "pods",
     GATED("," TERMS(R"({"key":"a","operator":"Exists"})")),
     R"({"spec":{)" TERMS(
         R"({"key":"a","operator":"Exists"},{"key":"b","operator":"Exists"})") "}}",
     ""},
    {"another affinity behind gates", "pods",
     GATED("," TERMS(R"({"key":"a","operator":"Exists"})")),
     R"({"spec":{)" TERMS(R"({"key":"b","operator":"Exists"})") "}}",
     "only additions are allowed (no mutations or deletions)"},
    {"a range", "nodes", "{}", R"({"spec":{"podCIDR":"10.0.0.0/24"}})", ""},
    {"another range", "nodes", R"({"spec":{"podCIDR":"10.0.0.0/24"}})",
     R"({"spec":{"podCIDR":"10.0.1.0/24"}})",
     R"(spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid)"},
    {"a provider", "nodes", "{}", R"({"spec":{"providerID":"a://b"}})", ""},
    {"another provider", "nodes", R"({"spec":{"providerID":"a://b"}})",
     R"({"spec":{"providerID":"a://c"}})",
     R"(spec.providerID: Forbidden: node updates may not change providerID except from "" to valid)"},
    {"taints", "nodes", "{}", R"({"spec":{"taints":null}})", ""},
    {"another kind of address", "endpointslices", "{}", R"({"addressType":"IPv6"})",
     "addressType: Invalid value: \"IPv6\": field is immutable"},
};

class Changes : public BadInput {
 protected:
  const Kind& kind_of(const std::string& plural) {
    const auto& kinds = Kinds::builtin().all();
    return *std::find_if(kinds.begin(), kinds.end(),
                         [&](const Kind& kind) { return kind.plural == plural; });
  }
  Json made(const std::string& plural, const std::string& patch) {
    const Kind& kind = kind_of(plural);
    const HttpResponse answer = ask("POST", path_of(kind), merged(kind, Json::parse(patch)));
    EXPECT_EQ(answer.status, 201) << answer.body;
    return json(answer);
  }
  HttpResponse change(const std::string& path, const char* patch) {
    return ask("PATCH", path, patch, "application/merge-patch+json");
  }
};

TEST_F(Changes, Table) {
  for (const Change& row : kChanges) {
    SCOPED_TRACE(row.what);
    const std::string path = path_of(kind_of(row.plural)) + "/it";
    made(row.plural, row.made);
    const HttpResponse answer = change(path, row.changed);
    EXPECT_EQ(answer.status, *row.message == '\0' ? 200 : 422) << answer.body;
    if (*row.message != '\0')
      EXPECT_THAT(string_at(json(answer), "message"), testing::HasSubstr(row.message));
    EXPECT_EQ(ask("DELETE", path).status, 200);
  }
}

TEST_F(Changes, AGatedPodSaysSoAndIsNotBound) {
  const Json pod = made("pods", GATED(""));
  const Json condition = at(at(pod, "status"), "conditions").at(0);
  EXPECT_EQ(string_at(condition, "type"), "PodScheduled");
  EXPECT_EQ(string_at(condition, "status"), "False");
  EXPECT_EQ(string_at(condition, "reason"), "SchedulingGated");
  const std::string path = "/api/v1/namespaces/default/pods/it";
  const auto status = [&] {
    const HttpResponse answer =
        ask("GET", path, "", "", {{"accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}});
    return at(json(answer), "rows").at(0)["cells"][2];
  };
  EXPECT_EQ(status(), "SchedulingGated");
  const char* binding = R"({"metadata":{"name":"it"},"target":{"kind":"Node","name":"n1"}})";
  const HttpResponse refused = ask("POST", path + "/binding", binding);
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(string_at(json(refused), "message"),
            "Operation cannot be fulfilled on pods/binding \"it\": pod it has non-empty "
            ".spec.schedulingGates");
  EXPECT_EQ(change(path, R"({"spec":{"schedulingGates":null}})").status, 200);
  EXPECT_EQ(ask("POST", path + "/binding", binding).status, 201);
  EXPECT_EQ(status(), "Pending");
}

TEST_F(Changes, ANewNodeIsTaintedUntilItIsReady) {
  const Json taint = {{"key", "node.kubernetes.io/not-ready"}, {"effect", "NoSchedule"}};
  const Json node = made("nodes", R"({"spec":{"podCIDRs":["10.0.0.0/24"],"taints":[
      {"key":"a","effect":"NoSchedule"}]}})");
  EXPECT_EQ(node["spec"]["taints"][1], taint);
  EXPECT_EQ(string_at(node, "spec.podCIDR"), "10.0.0.0/24");
  const HttpResponse cleared = change("/api/v1/nodes/it", R"({"spec":{"taints":null}})");
  EXPECT_TRUE(at(json(cleared)["spec"], "taints").is_null()) << "only a new node is";
}

// What it amounts to decides, as it does for the node that says the same of it.
TEST_F(Changes, ClassesOfQualityAreOfAmounts) {
  made("pods",
       R"({"spec":{"containers":[{"name":"c","image":"i","resources":{
         "requests":{"cpu":"1","memory":"536870912"},"limits":{"cpu":"1000m","memory":"512Mi"}}}]}})");
  EXPECT_EQ(json(ask("GET", "/api/v1/namespaces/default/pods/it"))["status"]["qosClass"],
            "Guaranteed");
}

// Of a whole pod's, where it has any.
TEST_F(Changes, ClassesOfQualityAreOfTheWholePod) {
  const Json pod = made("pods", R"({"spec":{"resources":{"limits":{"cpu":"1"}}}})");
  EXPECT_EQ(pod["status"]["qosClass"], "Burstable");
  EXPECT_EQ(ask("DELETE", "/api/v1/namespaces/default/pods/it").status, 200);
  const Json none = made("pods", R"({"spec":{"resources":{},"containers":[{"name":"c","image":"i",
                                    "resources":{"requests":{"cpu":"1"}}}]}})");
  EXPECT_EQ(none["status"]["qosClass"], "BestEffort");
}

TEST_F(Changes, LabelsOfASliceCount) {
  made("endpointslices", "{}");
  const std::string path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/it";
  const auto generation = [&](const char* patch) {
    return json(change(path, patch))["metadata"]["generation"];
  };
  EXPECT_EQ(generation(R"({"metadata":{"annotations":{"a":"b"}}})"), 1);
  EXPECT_EQ(generation(R"({"metadata":{"labels":{"a":"b"}}})"), 2);
}

// As one that does not say it: no new template, no new pods.
TEST_F(Changes, AZeroIsNoChange) {
  made("deployments", "{}");
  const Json now = json(change("/apis/apps/v1/namespaces/default/deployments/it",
                               R"({"spec":{"paused":false,"template":{"spec":{"containers":[
                                   {"name":"c","image":"i","tty":false,"env":[]}]}}}})"));
  EXPECT_EQ(now["metadata"]["generation"], 1);
}

TEST_F(Changes, ANodeTellsItsLabelsWithItsStatus) {
  made("nodes", "{}");
  const Json now = json(change(
      "/api/v1/nodes/it/status",
      R"({"metadata":{"labels":{"kubernetes.io/os":"linux"}},"spec":{"unschedulable":true}})"));
  EXPECT_EQ(now["metadata"]["labels"]["kubernetes.io/os"], "linux");
  EXPECT_FALSE(now["spec"].contains("unschedulable"));
}

TEST_F(Changes, OneAddressAndManyAgree) {
  made("pods", "{}");
  const std::string path = "/api/v1/namespaces/default/pods/it/status";
  const auto status = [&](const char* patch) { return json(change(path, patch))["status"]; };
  Json now = status(R"({"status":{"podIP":"10.0.0.1"}})");
  EXPECT_EQ(now["podIPs"], Json::parse(R"([{"ip":"10.0.0.1"}])"));
  EXPECT_EQ(now["qosClass"], "BestEffort");
  now = status(R"({"status":{"podIP":null,"podIPs":[{"ip":"10.0.0.2"},{"ip":"fd00::2"}]}})");
  EXPECT_EQ(now["podIP"], "10.0.0.2");
  now = status(R"({"status":{"podIP":"10.0.0.3"}})");
  EXPECT_EQ(now["podIPs"], Json::parse(R"([{"ip":"10.0.0.3"}])"));
  const HttpResponse two =
      change(path, R"({"status":{"podIP":null,"podIPs":[{"ip":"10.0.0.2"},{"ip":"10.0.0.3"}]}})");
  EXPECT_EQ(two.status, 422);
  EXPECT_THAT(two.body, testing::HasSubstr("may specify no more than one IP for each IP family"));
  EXPECT_THAT(change(path, R"({"status":{"qosClass":"Guaranteed"}})").body,
              testing::HasSubstr("field is immutable"));
}

TEST_F(Changes, TimesAndAmountsAreWrittenAsGoWritesThem) {
  const Json lease = made("leases", R"({"spec":{"renewTime":"2026-01-02T03:04:05.5+01:00",
      "acquireTime":"2026-01-02T03:04:05Z"}})");
  EXPECT_EQ(string_at(lease, "spec.renewTime"), "2026-01-02T02:04:05.500000Z");
  EXPECT_EQ(string_at(lease, "spec.acquireTime"), "2026-01-02T03:04:05.000000Z");
  const Json event = made("events", R"({"firstTimestamp":"2026-01-02T03:04:05.999+01:00",
      "lastTimestamp":"0001-01-01T00:00:00Z"})");
  EXPECT_EQ(string_at(event, "firstTimestamp"), "2026-01-02T02:04:05Z");
  EXPECT_FALSE(event.contains("lastTimestamp")) << "Go's zero is no time";
  const Json pod = made("pods", R"({"spec":{"containers":[{"name":"c","image":"i",
      "resources":{"limits":{"cpu":"0.0005","memory":"0.1Ki"}}}]}})");
  EXPECT_EQ(pod["spec"]["containers"][0]["resources"]["limits"]["cpu"], "1m");
}

TEST_F(Changes, APutMakesWhatItsKindLets) {
  for (const Kind& kind : Kinds::builtin().all()) {
    if (!kind.renames.empty()) continue;
    SCOPED_TRACE(kind.kind);
    const std::string path = path_of(kind) + "/it";
    Json object = valid(kind);
    object["metadata"]["resourceVersion"] = "7";
    const bool makes = kind.kind == "Endpoints" || kind.kind == "Event" || kind.kind == "Lease" ||
                       kind.kind == "Service";
    if (makes) {
      EXPECT_EQ(ask("PUT", path + "?dryRun=All", object.dump()).status, 201);
      EXPECT_EQ(ask("GET", path).status, 404);
    }
    const HttpResponse made = ask("PUT", path, object.dump());
    EXPECT_EQ(made.status, makes ? 201 : 404) << made.body;
    if (!makes) continue;
    EXPECT_FALSE(string_at(json(made), "metadata.uid").empty());
    EXPECT_EQ(ask("PUT", path, json(made).dump()).status, 200) << "it is there now";
    EXPECT_EQ(ask("DELETE", path).status, 200);
    EXPECT_EQ(ask("PUT", path, json(made).dump()).status, 409) << "that one is gone for ever";
    const std::string elsewhere = "/api/v1/namespaces/none/" + kind.plural + "/it";
    if (kind.group.empty()) EXPECT_EQ(ask("PUT", elsewhere, valid(kind).dump()).status, 404);
  }
}

TEST_F(Changes, ALeaseIsReplacedByItsVersionOnly) {
  const std::string path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/it";
  made("leases", "{}");
  const HttpResponse blind = ask("PUT", path, R"({"metadata":{"name":"it"}})");
  EXPECT_EQ(blind.status, 422);
  EXPECT_EQ(string_at(json(blind), "message"),
            "leases.coordination.k8s.io \"it\" is invalid: metadata.resourceVersion: Invalid "
            "value: 0: must be specified for an update");
  EXPECT_EQ(change(path, R"({"spec":{"leaseTransitions":1}})").status, 200);
}

// events.k8s.io takes new events alone, and little of one may change.
TEST_F(Changes, NewEventsAreWhole) {
  const std::string path = "/apis/events.k8s.io/v1/namespaces/default/events";
  Json event = {{"metadata", {{"name", "it"}}}};
  const auto refused = [&](const char* message) {
    const HttpResponse answer = ask("POST", path, event.dump());
    EXPECT_EQ(answer.status, 422) << answer.body;
    EXPECT_THAT(string_at(json(answer), "message"), testing::HasSubstr(message));
  };
  refused("eventTime: Required value");
  event.update({{"eventTime", "2026-01-02T03:04:05.000000Z"},
                {"reportingController", "c"},
                {"reportingInstance", "i"},
                {"action", "a"},
                {"reason", "r"}});
  refused("type: Invalid value: \"\": has invalid value: ");
  event["type"] = "Normal";
  event["deprecatedCount"] = 2;
  refused("count: Invalid value: \"\": needs to be unset");
  event.erase("deprecatedCount");
  event["series"] = {{"count", 1}};
  refused("series.count: Invalid value: \"\": should be at least 2");
  event.erase("series");
  EXPECT_EQ(ask("POST", path, event.dump()).status, 201);
  EXPECT_THAT(change(path + "/it", R"({"note":"n"})").body,
              testing::HasSubstr("message: Invalid value: \\\"n\\\": field is immutable"));
  EXPECT_EQ(change(path + "/it",
                   R"({"series":{"count":2,"lastObservedTime":"2026-01-02T03:04:05.000000Z"}})")
                .status,
            200);
}

TEST_F(Changes, NothingComesIntoANamespaceThatGoes) {
  made("namespaces", R"({"metadata":{"finalizers":["a.b/c"]}})");
  EXPECT_EQ(ask("DELETE", "/api/v1/namespaces/it").status, 200);
  const HttpResponse answer = ask("POST", "/api/v1/namespaces/it/configmaps",
                                  R"({"metadata":{"name":"c"},"data":{"a b":"invalid, too"}})");
  EXPECT_EQ(answer.status, 403);
  const Json status = json(answer);
  EXPECT_EQ(string_at(status, "message"),
            "configmaps \"c\" is forbidden: unable to create new content in namespace it because "
            "it is being terminated");
  EXPECT_EQ(
      status["details"],
      Json::parse(R"({"name":"c","kind":"configmaps","causes":[{"reason":"NamespaceTerminating",
            "message":"namespace it is being terminated","field":"metadata.namespace"}]})"));
}

// A patch that leads to no object is refused for itself: 422 about what it says.
TEST_F(Changes, PatchesThatDoNotDecode) {
  made("deployments", "{}");
  const std::string path = "/apis/apps/v1/namespaces/default/deployments/it";
  struct Wrong {
    const char* type;
    const char* patch;
    const char* message;
  };
  const std::string wrong = R"({"spec":{"replicas":"three"}})";
  for (
      const Wrong& row :
      {Wrong{
           "strategic-merge-patch", wrong.c_str(),
           R"( "" is invalid: patch: Invalid value: "map[spec:map[replicas:three]]": unrecognized type: int32)"},
       Wrong{"merge-patch", wrong.c_str(),
             R"( "" is invalid: patch: Invalid value: "{\"apiVersion)"},
       Wrong{"json-patch", R"([{"op":"replace","path":"/spec/replicas","value":"three"}])",
             R"( "" is invalid: patch: Invalid value: "{\"apiVersion)"}}) {
    const HttpResponse answer =
        ask("PATCH", path, row.patch, std::string("application/") + row.type + "+json");
    EXPECT_EQ(answer.status, 422) << row.type;
    const Json status = json(answer);
    EXPECT_THAT(string_at(status, "message"), testing::StartsWith(row.message));
    EXPECT_THAT(string_at(status, "message"),
                testing::AnyOf(testing::EndsWith("unrecognized type: int32"),
                               testing::HasSubstr("json: cannot unmarshal string")));
    EXPECT_EQ(string_at(at(at(status, "details"), "causes").at(0), "field"), "patch");
  }
}

#undef GATED
#undef TERMS

}  // namespace
}  // namespace fairlead::orchestrator
