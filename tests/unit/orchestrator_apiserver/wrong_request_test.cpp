// SPDX-License-Identifier: Apache-2.0
// Requests that are refused, and the Status that says why.
#include <gmock/gmock.h>

#include "tests/unit/orchestrator_apiserver/server_fixture.h"

namespace fairlead::orchestrator {
namespace {

using apiserver::Json;
using apiserver::string_at;
using testing::HasSubstr;

const char* const kConfigMaps = "/api/v1/namespaces/default/configmaps";

struct WrongRequest {
  const char* what;
  const char* method;
  const char* path;
  const char* type;
  const char* body;
  int status;
  const char* reason;
  const char* message;
};
const WrongRequest kWrongRequests[] = {
    {"malformed JSON", "POST", kConfigMaps, "application/json", "{\"a\":", 400, "BadRequest",
     "couldn't get version/kind; unexpected end of JSON input"},
    {"wrong type", "POST", kConfigMaps, "application/json", R"({"metadata":{"name":"c"},"data":7})",
     400, "BadRequest", "cannot unmarshal number 7 into Go struct field ConfigMap.data"},
    {"unknown field, strict", "POST",
     "/api/v1/namespaces/default/configmaps?fieldValidation=Strict", "application/json",
     R"({"metadata":{"name":"c"},"x":1})", 400, "BadRequest",
     R"(strict decoding error: unknown field "x")"},
    {"repeated field, strict", "POST",
     "/api/v1/namespaces/default/configmaps?fieldValidation=Strict", "application/json",
     R"({"metadata":{"name":"c"},"data":{"a":"1","a":"2"}})", 400, "BadRequest",
     R"(duplicate field "data.a")"},
    {"protobuf that is none", "POST", kConfigMaps, "application/vnd.kubernetes.protobuf", "k8s",
     400, "BadRequest",
     "(must be of type ConfigMap): couldn't get version/kind; protobuf: the body does not begin"},
    {"DeleteOptions that are none", "DELETE", "/api/v1/namespaces/default/configmaps/c",
     "application/vnd.kubernetes.protobuf", "{}", 400, "BadRequest",
     "(must be of type DeleteOptions)"},
    {"CBOR", "POST", kConfigMaps, "application/cbor", "\xa0", 415, "UnsupportedMediaType",
     "does not read application/cbor"},
    {"a patch in protobuf", "PATCH", "/api/v1/namespaces/default/configmaps/c",
     "application/vnd.kubernetes.protobuf", "k8s", 415, "UnsupportedMediaType",
     "accepted media types include: application/json-patch+json"},
    {"malformed YAML", "POST", kConfigMaps, "application/yaml", "a: [b", 400, "BadRequest",
     "couldn't get version/kind; yaml: line 1: "},
    {"repeated field in YAML, strict", "POST",
     "/api/v1/namespaces/default/configmaps?fieldValidation=Strict", "application/yaml",
     "metadata: {name: c}\ndata:\n  a: x\n  a: z\n", 400, "BadRequest",
     R"(duplicate field "data.a")"},
    {"text", "POST", kConfigMaps, "text/plain", "a: b", 415, "UnsupportedMediaType",
     "accepted media types include: application/json, application/yaml"},
    {"server-side apply", "PATCH", "/api/v1/namespaces/default/configmaps/c",
     "application/apply-patch+yaml", "{}", 415, "UnsupportedMediaType",
     "use kubectl apply without --server-side"},
    {"no such object", "GET", "/api/v1/namespaces/default/configmaps/nope", "", "", 404, "NotFound",
     R"(configmaps "nope" not found)"},
    {"no such resource", "GET", "/api/v1/frobs", "", "", 404, "NotFound",
     "could not find the requested resource"},
    {"no such group", "GET", "/apis/x/v1/frobs", "", "", 404, "NotFound",
     "could not find the requested resource"},
    {"no such subresource", "GET", "/api/v1/namespaces/default/configmaps/c/status", "", "", 404,
     "NotFound", "could not find"},
    {"no such namespace", "POST", "/api/v1/namespaces/nope/configmaps", "application/json",
     R"({"metadata":{"name":"c"}})", 404, "NotFound", R"(namespaces "nope" not found)"},
    {"namespace of another", "POST", kConfigMaps, "application/json",
     R"({"metadata":{"name":"c","namespace":"kube-system"}})", 400, "BadRequest",
     "does not match the namespace"},
    {"bad label selector", "GET", "/api/v1/pods?labelSelector=a%20in%20x", "", "", 400,
     "BadRequest", "unable to parse requirement"},
    {"bad field selector", "GET", "/api/v1/pods?fieldSelector=spec.foo%3Dx", "", "", 400,
     "BadRequest", "field label not supported: spec.foo"},
    {"bad resourceVersion", "GET", "/api/v1/pods?resourceVersion=abc", "", "", 400, "BadRequest",
     "resourceVersion"},
    {"future resourceVersion", "GET", "/api/v1/pods?resourceVersion=999999999", "", "", 504,
     "Timeout", "Too large resource version"},
    {"match without version", "GET", "/api/v1/pods?resourceVersionMatch=Exact", "", "", 422,
     "Invalid", "forbidden unless resourceVersion is provided"},
    {"no match", "GET", "/api/v1/pods?watch=1&sendInitialEvents=true", "", "", 422, "Invalid",
     "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"},
    {"another match", "GET", "/api/v1/pods?watch=1&sendInitialEvents=1&resourceVersionMatch=Exact",
     "", "", 422, "Invalid", "Unsupported value: \"Exact\": supported values: \"NotOlderThan\""},
    {"a list as a stream, of a page", "GET",
     "/api/v1/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x", "",
     "", 422, "Invalid", "resourceVersionMatch is forbidden when continue is provided"},
    {"a list as a stream, of the future", "GET",
     "/api/v1/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
     "&resourceVersion=999999999",
     "", "", 504, "Timeout", "Too large resource version"},
    {"a match alone", "GET", "/api/v1/pods?watch=1&resourceVersionMatch=NotOlderThan", "", "", 422,
     "Invalid", "forbidden for watch unless sendInitialEvents is provided"},
    {"a long manager", "POST",
     "/api/v1/namespaces/default/configmaps?fieldManager="
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
     "application/json", "{}", 422, "Invalid",
     "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128"},
    {"a manager of two lines", "PUT", "/api/v1/namespaces/default/configmaps/x?fieldManager=a%0Ab",
     "application/json", "{}", 422, "Invalid",
     "UpdateOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: "
     "\"a\\nb\": invalid character U+000A (at position 1)"},
    {"another validation", "DELETE", "/api/v1/namespaces/default/configmaps/x?fieldValidation=No",
     "", "", 422, "Invalid",
     "DeleteOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"No\": "
     "supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""},
    {"force without apply", "PATCH", "/api/v1/namespaces/default/configmaps/x?force=true",
     "application/merge-patch+json", "{}", 422, "Invalid",
     "force: Forbidden: may not be specified for non-apply patch"},
    {"no name in a PUT", "PUT", "/api/v1/namespaces/default/configmaps/x", "application/json", "{}",
     400, "BadRequest",
     "the name of the object (x based on URL) was undeterminable: name must be provided"},
    {"PUT to a list", "PUT", "/api/v1/namespaces/default/configmaps", "application/json", "{}", 405,
     "MethodNotAllowed", "does not allow this method"},
    {"PATCH of a list", "PATCH", "/api/v1/namespaces/default/configmaps", "", "{}", 405,
     "MethodNotAllowed", "does not allow this method"},
    {"a binding is written", "GET", "/api/v1/namespaces/default/pods/x/binding", "", "", 405,
     "MethodNotAllowed", "does not allow this method"},
    {"no namespace", "GET", "/api/v1/pods/x", "", "", 404, "NotFound", "could not find"},
    {"a list for a patch", "PATCH", "/api/v1/namespaces/default/services/kubernetes",
     "application/merge-patch+json", "[]", 400, "BadRequest",
     "error decoding patch: json: cannot unmarshal array into Go value of type "
     "map[string]interface {}"},
    {"an object for a JSON patch", "PATCH", "/api/v1/namespaces/default/services/kubernetes",
     "application/json-patch+json", "{}", 400, "BadRequest",
     "error decoding patch: json: cannot unmarshal object into Go value of type "
     "[]handlers.jsonPatchOp"},
    {"a limit of letters", "GET", "/api/v1/pods?limit=x", "", "", 400, "BadRequest",
     "strconv.ParseInt: parsing \"x\": invalid syntax"},
    {"a version of letters", "GET", "/api/v1/pods?resourceVersion=x", "", "", 400, "BadRequest",
     "invalid resource version: resourceVersion: Invalid value: \"x\""},
    {"a field that has no label", "GET", "/api/v1/configmaps?fieldSelector=data%3Dx", "", "", 400,
     "BadRequest",
     "\"data\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""},
    {"a label of nobody's", "GET", "/api/v1/pods?fieldSelector=spec.x%3Dx", "", "", 400,
     "BadRequest", "field label not supported: spec.x"},
    {"options of another kind", "DELETE", "/api/v1/namespaces/default/configmaps/x",
     "application/json", R"({"kind":"Frob","apiVersion":"v1"})", 400, "BadRequest",
     "the kind in the data (Frob) does not match"},
    {"another pod's binding", "POST", "/api/v1/namespaces/default/pods/x/binding",
     "application/json", R"({"metadata":{"name":"y"},"target":{"name":"n"}})", 400, "BadRequest",
     "name in URL does not match name in Binding object"},
    {"another pod's eviction", "POST", "/api/v1/namespaces/default/pods/x/eviction",
     "application/json", R"({"metadata":{"name":"y"}})", 400, "BadRequest",
     "name in URL does not match name in Eviction object"},
    {"bound to something else", "POST", "/api/v1/namespaces/default/pods/x/binding",
     "application/json", R"({"metadata":{"name":"x"},"target":{"kind":"Pod","name":"n"}})", 422,
     "Invalid", "target.kind: Unsupported value: \"Pod\""},
    {"bad dryRun", "POST", "/api/v1/namespaces/default/configmaps?dryRun=Some", "application/json",
     "{}", 422, "Invalid", "dryRun"},
    {"create across namespaces", "POST", "/api/v1/configmaps", "application/json", "{}", 405,
     "MethodNotAllowed", "does not allow this method"},
    {"delete across namespaces", "DELETE", "/api/v1/configmaps", "", "", 405, "MethodNotAllowed",
     "does not allow this method"},
    {"broken patch", "PATCH", "/api/v1/namespaces/default", "application/merge-patch+json", "{",
     400, "BadRequest", "error decoding patch"},
    {"failing JSON patch", "PATCH", "/api/v1/namespaces/default", "application/json-patch+json",
     R"([{"op":"test","path":"/kind","value":"x"}])", 422, "Invalid",
     "the server rejected our request"},
    {"permanent namespace", "DELETE", "/api/v1/namespaces/default", "", "", 403, "Forbidden",
     "this namespace may not be deleted"},
};

class WrongRequestTest : public ServerFixture {};

TEST_F(WrongRequestTest, GetsAStatusThatSaysWhy) {
  for (const WrongRequest& c : kWrongRequests) {
    const HttpResponse response = ask(c.method, c.path, c.body, c.type);
    if (c.status == 404)
      EXPECT_TRUE(json(response).contains("details")) << c.what << ": kubectl debug reads it";
    const Json status = json(response);
    EXPECT_EQ(response.status, c.status) << c.what << ": " << response.body;
    EXPECT_EQ(string_at(status, "kind"), "Status") << c.what;
    EXPECT_EQ(string_at(status, "reason"), c.reason) << c.what;
    EXPECT_THAT(string_at(status, "message"), HasSubstr(c.message)) << c.what;
  }
  const HttpResponse oversize = ask("POST", kConfigMaps, std::string(4 << 20, 'x'));
  EXPECT_EQ(oversize.status, 413);
  EXPECT_EQ(string_at(json(oversize), "kind"), "Status");
  EXPECT_EQ(string_at(json(oversize), "reason"), "RequestEntityTooLarge");
  EXPECT_EQ(ask("GET", "/api/v1/pods", "", "", {{"accept", "text/html"}}).status, 406);
  EXPECT_EQ(json(ask("GET", kConfigMaps))["items"].size(), 0u) << "nothing was stored";
}

}  // namespace
}  // namespace fairlead::orchestrator
