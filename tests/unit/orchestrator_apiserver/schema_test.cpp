// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/apiserver/registry/prepare.h"
#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/selector.h"

namespace fairlead::orchestrator::apiserver {
namespace {

using testing::HasSubstr;

TEST(Json, FindsDuplicatesWithTheirPath) {
  std::vector<std::string> duplicates;
  auto json = parse_json(R"({"a":{"b":1,"b":2},"l":[{"x":1},{"y":1,"y":2}]})", &duplicates);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(dump(*json), R"({"a":{"b":2},"l":[{"x":1},{"y":2}]})");
  EXPECT_EQ(duplicates, (std::vector<std::string>{"a.b", "l[1].y"}));
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text : {"", "{", "{\"a\":}", "[1,]", "{\"a\":\"\xff\"}", "nul", "{} x"})
    EXPECT_FALSE(parse_json(text).ok()) << text;
  EXPECT_FALSE(parse_json(std::string(1000, '[')).ok());
  EXPECT_TRUE(parse_json(std::string(60, '[') + std::string(60, ']')).ok());
}

TEST(Types, ErrorsNameTheLine) {
  using schema::Types;
  EXPECT_THAT(Types::parse({"T\n  a nosuch"}).error().message(),
              HasSubstr("nosuch is used but has no fields"));
  EXPECT_THAT(Types::parse({"T\n  a string frob"}).error().message(),
              HasSubstr("T.a: cannot read 'frob'"));
  EXPECT_THAT(Types::parse({"T\n  a string\n  a string"}).error().message(),
              HasSubstr("T.a is given twice"));
  EXPECT_THAT(Types::parse({"T\n  l []U merge=x\nU\n  y string"}).error().message(),
              HasSubstr("no field x"));
  EXPECT_TRUE(Types::builtin().find("Pod") != nullptr);
}

TEST(Types, NumbersAreCheckedAtTheStart) {
  const std::pair<const char*, const char*> kWrong[] = {
      {"T\n  a string #1\n  b string #1", "T.b: number 1 is given twice"},
      {"T\n  a string #1\n  b string", "T.b has no number"},
      {"T\n  a string #1\n  b string #1.2", "T.a: number 1 is that of a message too"},
      {"T\n  a string #1.2\n  b string #1.2", "T.b: number 1.2 is given twice"},
      {"T\n  a string #0", "cannot read '#0'"},
      {"T\n  a string #x", "cannot read '#x'"},
      {"T\n  a string #1.", "cannot read '#1.'"},
      {"T\n  a string #-1", "cannot read '#-1'"},
      {"T\n  a []string #1*", "T.a: '*' says nothing of this type"},
      {"T\n  a number #1", "T.a: number is not for protobuf"},
      {"T\n  a [][]string #1", "T.a: [][]string is not for protobuf"},
      {"T\n  a map[string][]string #1", "T.a: map[string][]string is not for protobuf"},
      {"T\n  a U #1\nU\n  x string", "T.a: U has no numbers"},
  };
  for (const auto& [text, says] : kWrong) {
    const auto types = schema::Types::parse({text});
    ASSERT_FALSE(types.ok()) << text;
    EXPECT_THAT(types.error().message(), HasSubstr(says)) << text;
  }
  EXPECT_TRUE(
      schema::Types::parse({"T\n  a string #1*\n  b string #2.1\n  c bool #2.2\n  d int32 #-"})
          .ok());
}

struct Format {
  const char* name;
  const char* value;  // JSON
  bool good;
};
const Format kFormats[] = {
    {"dns1123label", "\"a-1\"", true},
    {"dns1123label", "\"-a\"", false},
    {"labelkey", "\"example.com/a_b.C\"", true},
    {"labelkey", "\"/a\"", false},
    {"labelkey", "\"Ex/a\"", false},
    {"port", "0", false},
    {"port", "65535", true},
    {"port", "65536", false},
    {"portname", "\"http\"", true},
    {"portname", "\"80\"", false},
    {"portname", "\"a--b\"", false},
    {"portname", "\"abcdefghijklmnop\"", false},
    {"portnumberorname", "80", true},
    {"portnumberorname", "\"web\"", true},
    {"countorpercent", "\"25%\"", true},
    {"countorpercent", "\"25\"", false},
    {"countorpercent", "-1", false},
    {"ip", "\"10.0.0.1\"", true},
    {"ip", "\"10.0.0.256\"", false},
    {"configkeys", R"({"a.b":""})", true},
    {"configkeys", R"({"..a":""})", false},
    {"labels", R"({"a":"b c"})", false},
    {"envname", "\"A=B\"", false},
    {"cidrs", "[\"10.0.0.0/8\"]", true},
    {"cidrs", "[\"10.0.0.0/33\"]", false},
};

TEST(Formats, Table) {
  for (const Format& f : kFormats)
    EXPECT_EQ(!schema::check_format(f.name, Json::parse(f.value)).has_value(), f.good)
        << f.name << " " << f.value;
  EXPECT_FALSE(schema::base64_error("aGk=").has_value());
  EXPECT_TRUE(schema::base64_error("a$k=").has_value());
  EXPECT_TRUE(schema::base64_error("abc").has_value());
  EXPECT_EQ(schema::base64_encode("hi"), "aGk=");
  EXPECT_TRUE(schema::is_rfc3339("2026-01-02T03:04:05Z"));
  EXPECT_TRUE(schema::is_rfc3339("2026-01-02T03:04:05.123456+02:00"));
  EXPECT_FALSE(schema::is_rfc3339("2026-13-02T03:04:05Z"));
  EXPECT_FALSE(schema::is_rfc3339("yesterday"));
}

const Kind& kind(const char* group, const char* plural) {
  return *Kinds::builtin().find(Resource{group, plural});
}

const char* const kDeployment =
    R"({"metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"app":"web"}},
  "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}}}})";
const char* const kPod =
    R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}})";
const char* const kService = R"({"metadata":{"name":"s"},"spec":{"ports":[{"port":80}]}})";

struct Bad {
  const char* what;
  const char* group;
  const char* plural;
  const char* base;
  const char* patch;   // RFC 7386 over the base
  const char* expect;  // in the message
};
const Bad kBad[] = {
    {"unknown field", "apps", "deployments", kDeployment, R"({"spec":{"foo":1}})",
     R"(strict decoding error: unknown field "spec.foo")"},
    {"unknown nested in list", "", "pods", kPod,
     R"({"spec":{"containers":[{"name":"c","image":"i","x":1}]}})",
     R"(unknown field "spec.containers[0].x")"},
    {"wrong type", "apps", "deployments", kDeployment, R"({"spec":{"replicas":"three"}})",
     "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type "
     "int32"},
    {"number for text", "", "pods", kPod, R"({"spec":{"nodeName":7}})",
     "json: cannot unmarshal number into Go struct field PodSpec.spec.nodeName of type string"},
    {"too large a number", "apps", "deployments", kDeployment,
     R"({"spec":{"replicas":99999999999}})",
     "cannot unmarshal number 99999999999 into Go struct field DeploymentSpec.spec.replicas of "
     "type int32"},
    {"object for list", "", "pods", kPod, R"({"spec":{"containers":{}}})",
     "cannot unmarshal object into Go struct field PodSpec.spec.containers"},
    {"bad quantity", "", "pods", kPod,
     R"({"spec":{"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":"lots"}}}]}})",
     "quantities must match the regular expression"},
    {"bad base64", "", "secrets", R"({"metadata":{"name":"s"}})", R"({"data":{"k":"%%"}})",
     "illegal base64 data at input byte 0"},
    {"negative replicas", "apps", "deployments", kDeployment, R"({"spec":{"replicas":-1}})",
     R"(Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0)"},
    {"no containers", "", "pods", kPod, R"({"spec":{"containers":[]}})",
     R"(Pod "p" is invalid: spec.containers: Required value)"},
    {"no spec", "", "pods", kPod, R"({"spec":null})", "spec.containers: Required value"},
    {"bad name", "", "configmaps", R"({"metadata":{"name":"Bad_Name"}})", "{}",
     R"(metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of)"},
    {"no name", "", "configmaps", R"({"metadata":{}})", "{}",
     "metadata.name: Required value: name or generateName is required"},
    {"two containers of a name", "", "pods", kPod,
     R"({"spec":{"containers":[{"name":"c","image":"i"},{"name":"c","image":"i"}]}})",
     R"(spec.containers[1].name: Duplicate value: "c")"},
    {"enum", "", "pods", kPod, R"({"spec":{"restartPolicy":"Sometimes"}})",
     R"(spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure")"},
    {"selector of others", "apps", "deployments", kDeployment,
     R"({"spec":{"selector":{"matchLabels":{"app":"x"}}}})",
     "`selector` does not match template `labels`"},
    {"unknown volume", "", "pods", kPod,
     R"({"spec":{"containers":[{"name":"c","image":"i","volumeMounts":[{"name":"v","mountPath":"/v"}]}]}})",
     R"(spec.containers[0].volumeMounts[0].name: Not found: "v")"},
    {"two volume sources", "", "pods", kPod,
     R"({"spec":{"volumes":[{"name":"v","emptyDir":{},"hostPath":{"path":"/"}}]}})",
     "spec.volumes[0]: Forbidden: may not specify more than 1 volume type"},
    {"request over limit", "", "pods", kPod,
     R"({"spec":{"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":"1"},"requests":{"cpu":"2"}}}]}})",
     "must be less than or equal to cpu limit of 1"},
    {"no ports", "", "services", kService, R"({"spec":{"ports":null}})",
     R"(Service "s" is invalid: spec.ports: Required value)"},
    {"unnamed ports", "", "services", kService, R"({"spec":{"ports":[{"port":80},{"port":81}]}})",
     "spec.ports[0].name: Required value"},
    {"port 0", "", "services", kService, R"({"spec":{"ports":[{"port":0}]}})",
     "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"},
    {"node port of a ClusterIP", "", "services", kService,
     R"({"spec":{"ports":[{"port":80,"nodePort":30000}]}})",
     "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"},
    {"bad label", "", "configmaps", R"({"metadata":{"name":"c"}})",
     R"({"metadata":{"labels":{"a":"b c"}}})",
     "a valid label must be an empty string or consist of"},
    {"config key", "", "configmaps", R"({"metadata":{"name":"c"}})", R"({"data":{"a/b":"x"}})",
     "a valid config key must consist of"},
    {"slice family", "discovery.k8s.io", "endpointslices",
     R"({"metadata":{"name":"e"},"addressType":"IPv4"})",
     R"({"endpoints":[{"addresses":["fd00::1"]}]})", "endpoints[0].addresses[0]: Invalid value"},
    {"endpoints without an address", "", "endpoints", R"({"metadata":{"name":"e"}})",
     R"({"subsets":[{"ports":[{"port":80}]}]})",
     "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"},
    {"endpoints with a name for an address", "", "endpoints", R"({"metadata":{"name":"e"}})",
     R"({"subsets":[{"addresses":[{"ip":"example.org"}]}]})",
     "subsets[0].addresses[0].ip: Invalid value: \"example.org\""},
    {"endpoints without a port", "", "endpoints", R"({"metadata":{"name":"e"}})",
     R"({"subsets":[{"addresses":[{"ip":"10.0.0.1"}],"ports":[{}]}]})",
     "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"},
    {"api version of another", "", "pods", kPod, R"({"apiVersion":"v2"})",
     "does not match the expected API version (v1)"},
};

Outcome<Json> create(const Kind& k, const char* base, const char* patch) {
  Json document = Json::parse(base);
  document.merge_patch(Json::parse(patch));
  std::vector<std::string> warnings;
  auto admitted = admit_document(k, document, {FieldValidation::kStrict, {}}, warnings);
  if (!admitted) return admitted;
  return prepare_create(k, "default", *admitted,
                        {WallTime(std::chrono::seconds(1'700'000'000)), "uid-1", "abcde"});
}

TEST(Validation, ComplainsAsKubernetesDoes) {
  for (const Bad& c : kBad) {
    auto result = create(kind(c.group, c.plural), c.base, c.patch);
    ASSERT_FALSE(result.ok()) << c.what << ": " << dump(*result);
    EXPECT_THAT(result.error().message, HasSubstr(c.expect)) << c.what;
    EXPECT_TRUE(result.error().status == 400 || result.error().status == 422) << c.what;
  }
}

TEST(Validation, UnknownFieldsAreWarnedOfOrIgnored) {
  const Json document = Json::parse(R"({"metadata":{"name":"c"},"foo":1,"data":{"a":"b"}})");
  std::vector<std::string> warnings;
  auto warned = admit_document(kind("", "configmaps"), document,
                               {FieldValidation::kWarn, {"data.a"}}, warnings);
  ASSERT_TRUE(warned.ok());
  EXPECT_FALSE(warned->contains("foo"));
  EXPECT_EQ(warnings,
            (std::vector<std::string>{R"(unknown field "foo")", R"(duplicate field "data.a")"}));
  warnings.clear();
  EXPECT_TRUE(
      admit_document(kind("", "configmaps"), document, {FieldValidation::kIgnore, {}}, warnings)
          .ok());
  EXPECT_TRUE(warnings.empty());
}

// Go's omitempty: a template that says "tty": false is the one that does not.
TEST(Decoding, LeavesOutWhatGoDoes) {
  const struct {
    const char *type, *given, *kept;
  } kRows[] = {
      {"Container", R"({"name":"c","tty":false,"workingDir":"","env":[],"command":null})",
       R"({"name":"c"})"},
      {"EnvVar", R"({"name":"A","value":""})", R"({"name":"A"})"},
      {"DeploymentSpec", R"({"replicas":0,"paused":false,"minReadySeconds":0})",
       R"({"replicas":0})"},
      {"ConfigMap", R"({"immutable":false,"data":{},"metadata":{"labels":{},"name":""}})",
       R"({"immutable":false,"metadata":{}})"},
      {"PodSpec", R"({"nodeSelector":{},"hostNetwork":false,"enableServiceLinks":false})",
       R"({"enableServiceLinks":false})"},
      {"Volume", R"({"name":"v","emptyDir":{}})", R"({"emptyDir":{},"name":"v"})"},
      {"Secret", R"({"data":{"a":null,"b":""}})", R"({"data":{"a":"","b":""}})"},
      {"LabelSelector", R"({"matchLabels":{"a":""},"matchExpressions":[]})",
       R"({"matchLabels":{"a":""}})"},
      {"DeploymentSpec", R"({"paused":false,"minReadySeconds":0,"replicas":0})",
       R"({"replicas":0})"},
      {"ObjectMeta", R"({"annotations":{},"labels":{},"ownerReferences":[],"finalizers":[]})",
       "{}"},
      {"ObjectMeta", R"({"annotations":{"a":""}})", R"({"annotations":{"a":""}})"},
      {"ServiceSpec", R"({"ports":[],"selector":{},"publishNotReadyAddresses":false})", "{}"},
      {"PodSpec", R"({"hostNetwork":false,"nodeName":"","hostUsers":false,"securityContext":{}})",
       R"({"hostUsers":false,"securityContext":{}})"},
      {"Volume", R"({"name":"v","emptyDir":{}})", R"({"emptyDir":{},"name":"v"})"},
      {"ReplicaSetStatus", R"({"replicas":0,"readyReplicas":0,"terminatingReplicas":0})",
       R"({"replicas":0,"terminatingReplicas":0})"},
      {"ConfigMap", R"({"data":{},"immutable":false})", R"({"immutable":false})"},
      {"EndpointSlice", R"({"addressType":"IPv4","endpoints":[]})", R"({"addressType":"IPv4"})"},
  };
  for (const auto& row : kRows) {
    Json value = Json::parse(row.given);
    std::vector<std::string> unknown;
    ASSERT_TRUE(schema::decode(*schema::Types::builtin().find(row.type), value, unknown).ok());
    EXPECT_EQ(dump(value), row.kept) << row.type;
    EXPECT_TRUE(unknown.empty());
  }
}

TEST(Owners, OneTwiceIsOnce) {
  const Json owner = {{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", "p"}, {"uid", "u"}};
  Json other = owner;
  other["controller"] = true;
  const Json document = {
      {"metadata", {{"name", "c"}, {"ownerReferences", Json::array({owner, other, owner})}}}};
  std::vector<std::string> warnings;
  const auto admitted = admit_document(kind("", "configmaps"), document, {}, warnings);
  ASSERT_TRUE(admitted.ok());
  EXPECT_EQ(at_path(*admitted, "metadata.ownerReferences"), Json::array({owner, other}));
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], HasSubstr("duplicate UID(s) observed: u"));
}

// Stored before the rule was.
TEST(Rules, WhatWasWrongBeforeHoldsUpNoWriter) {
  const Kind& pods = kind("", "pods");
  auto pod = create(pods, kPod, R"({"spec":{"containers":[{"name":"c","image":"i:2"}]}})");
  ASSERT_TRUE(pod.ok());
  Json old = *pod;
  old["spec"]["hostname"] = "no.label";
  Json next = old;
  next["metadata"]["labels"] = {{"a", "b"}};
  EXPECT_TRUE(prepare_update(pods, "", next, old).ok());
  next["spec"]["nodeName"] = "n";
  EXPECT_TRUE(prepare_update(pods, "binding", next, old).ok());
  next["metadata"]["labels"] = {{"a", "-"}};
  const auto refused = prepare_update(pods, "", next, old);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message.find("hostname"), std::string::npos);
}

TEST(Defaults, PodAndDeployment) {
  auto pod = create(kind("", "pods"), kPod,
                    R"({"spec":{"volumes":[{"name":"v"}],"containers":[{"name":"c","image":"i:2",
      "livenessProbe":{"httpGet":{"port":80},"periodSeconds":0},"resources":{"limits":{"cpu":1}}}]},"status":{"phase":"Running"}})");
  ASSERT_TRUE(pod.ok()) << pod.error().message;
  EXPECT_EQ(string_at(*pod, "spec.restartPolicy"), "Always");
  EXPECT_EQ(string_at(*pod, "spec.dnsPolicy"), "ClusterFirst");
  EXPECT_EQ(int_at(*pod, "spec.terminationGracePeriodSeconds"), 30);
  EXPECT_EQ(string_at(*pod, "status.phase"), "Pending");
  EXPECT_EQ(string_at(*pod, "status.qosClass"), "Burstable");
  EXPECT_EQ(string_at(*pod, "metadata.namespace"), "default");
  const Json& container = (*pod)["spec"]["containers"][0];
  EXPECT_EQ(string_at(container, "imagePullPolicy"), "IfNotPresent");
  EXPECT_EQ(int_at(container, "livenessProbe.periodSeconds"), 10);
  EXPECT_EQ(int_at(container, "livenessProbe.failureThreshold"), 3);
  EXPECT_EQ(string_at(container, "livenessProbe.httpGet.scheme"), "HTTP");
  EXPECT_EQ(string_at(container, "resources.requests.cpu"), "1");
  EXPECT_TRUE((*pod)["spec"]["volumes"][0].contains("emptyDir"));
  EXPECT_EQ((*pod)["spec"]["enableServiceLinks"], true);
  auto deployment = create(kind("apps", "deployments"), kDeployment, "{}");
  ASSERT_TRUE(deployment.ok());
  EXPECT_EQ(int_at(*deployment, "spec.replicas"), 1);
  EXPECT_EQ(string_at(*deployment, "spec.strategy.rollingUpdate.maxSurge"), "25%");
  EXPECT_TRUE(at_path(*deployment, "spec.template.spec.enableServiceLinks").is_null())
      << "a default of pods alone";
  EXPECT_TRUE(at_path(*deployment, "metadata.labels").is_null()) << "the template's are its own";
  EXPECT_EQ(int_at(*deployment, "metadata.generation"), 1);
}

TEST(Defaults, PullPolicyFollowsTheTag) {
  struct Case {
    const char* image;
    const char* policy;
  };
  for (const Case& c :
       {Case{"a", "Always"}, Case{"a:latest", "Always"}, Case{"a:1", "IfNotPresent"},
        Case{"host:5000/a", "Always"}, Case{"host:5000/a:1", "IfNotPresent"},
        Case{"a@sha256:00", "IfNotPresent"}}) {
    Json value = {{"image", c.image}};
    schema::apply_defaults(*schema::Types::builtin().find("Container"), value);
    EXPECT_EQ(string_at(value, "imagePullPolicy"), c.policy) << c.image;
  }
}

struct Update {
  const char* what;
  const char* group;
  const char* plural;
  const char* base;
  const char* patch;
  const char* expect;  // in the error; "" for success
};
const Update kUpdates[] = {
    {"selector is fixed", "apps", "deployments", kDeployment,
     R"({"spec":{"selector":{"matchLabels":{"app":"b"}},"template":{"metadata":{"labels":{"app":"b"}}}}})",
     "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable"},
    {"replicas may change", "apps", "deployments", kDeployment, R"({"spec":{"replicas":3}})", ""},
    {"pod's image may change", "", "pods", kPod,
     R"({"spec":{"containers":[{"name":"c","image":"new"}]}})", ""},
    {"pod's command may not", "", "pods", kPod,
     R"({"spec":{"containers":[{"name":"c","image":"i","command":["x"]}]}})",
     "pod updates may not change fields other than"},
    {"another uid", "", "pods", kPod, R"({"metadata":{"uid":"other"}})",
     "Precondition failed: UID"},
    {"an old version", "", "pods", kPod, R"({"metadata":{"resourceVersion":"1"}})",
     "the object has been modified"},
    {"cluster IP is fixed", "", "services",
     R"({"metadata":{"name":"s"},"spec":{"clusterIP":"10.96.0.5","ports":[{"port":80}]}})",
     R"({"spec":{"clusterIP":"10.96.0.6"}})", "may not change once set"},
    {"secret type is fixed", "", "secrets", R"({"metadata":{"name":"s"}})", R"({"type":"x/y"})",
     "type: Invalid value: \"x/y\": field is immutable"},
    {"an immutable config map", "", "configmaps",
     R"({"metadata":{"name":"c"},"immutable":true,"data":{"a":"b"}})", R"({"data":{"a":"c"}})",
     "field is immutable when `immutable` is set"},
};

TEST(Updates, KeepWhatMustNotChange) {
  for (const Update& c : kUpdates) {
    const Kind& k = kind(c.group, c.plural);
    auto current = create(k, c.base, "{}");
    ASSERT_TRUE(current.ok()) << c.what << current.error().message;
    (*current)["metadata"]["resourceVersion"] = "7";
    Json next = *current;
    next.merge_patch(Json::parse(c.patch));
    auto result = prepare_update(k, "", next, *current);
    if (*c.expect == '\0') {
      EXPECT_TRUE(result.ok()) << c.what;
    } else {
      ASSERT_FALSE(result.ok()) << c.what;
      EXPECT_THAT(result.error().message, HasSubstr(c.expect)) << c.what;
    }
  }
}

TEST(Updates, StatusAndSpecAreIsolatedAndGenerationCounts) {
  const Kind& k = kind("apps", "deployments");
  auto current = create(k, kDeployment, "{}");
  ASSERT_TRUE(current.ok());
  Json next = *current;
  next["spec"]["replicas"] = 9;
  next["status"] = {{"replicas", 4}};
  auto spec = prepare_update(k, "", next, *current);
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(int_at(*spec, "spec.replicas"), 9);
  EXPECT_EQ(int_at(*spec, "status.replicas"), 0);
  EXPECT_EQ(int_at(*spec, "metadata.generation"), 2);
  auto status = prepare_update(k, "status", next, *current);
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(int_at(*status, "spec.replicas"), 1);
  EXPECT_EQ(int_at(*status, "status.replicas"), 4);
  EXPECT_EQ(int_at(*status, "metadata.generation"), 1);
}

TEST(Kinds, EventsHaveTwoFaces) {
  const Kind& events = *Kinds::builtin().find("events.k8s.io", "v1", "events");
  const Json served = {{"kind", "Event"},
                       {"apiVersion", "events.k8s.io/v1"},
                       {"note", "hi"},
                       {"regarding", {{"name", "p"}}}};
  const Json stored = to_stored(events, served);
  EXPECT_EQ(string_at(stored, "message"), "hi");
  EXPECT_EQ(string_at(stored, "involvedObject.name"), "p");
  EXPECT_EQ(to_served(events, stored), served);
  EXPECT_EQ(events.key("ns", "e"), "core/events/ns/e");
}

struct Selector {
  const char* text;
  const char* labels;
  int expect;  // 1 matches, 0 not, -1 malformed
};
const Selector kFields[] = {
    {"spec.nodeName=n1", R"({"spec":{"nodeName":"n1"}})", 1},
    {"spec.nodeName=", "{}", 1},
    {"status.phase!=Failed,status.phase!=Succeeded", R"({"status":{"phase":"Running"}})", 1},
    {"a==b", R"({"a":"b"})", 1},
    {R"(a=x\,y\=z)", R"({"a":"x,y=z"})", 1},
    {"a", "{}", -1},
    {"=a", "{}", -1},
};

TEST(FieldSelector, Table) {
  for (const Selector& s : kFields) {
    auto selector = FieldSelector::parse(s.text);
    EXPECT_EQ(selector.ok(), s.expect >= 0) << s.text;
    if (selector && s.expect >= 0)
      EXPECT_EQ(selector->matches(Json::parse(s.labels)), s.expect == 1) << s.text;
  }
}

}  // namespace
}  // namespace fairlead::orchestrator::apiserver
