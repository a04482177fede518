// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/patch/patch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::orchestrator::apiserver {
namespace {

struct Case {
  const char* what;
  const char* document;
  const char* patch;
  const char* expect;  // JSON, or "!text" of the error
};

void check(const Case& c, const Result<Json>& result) {
  SCOPED_TRACE(c.what);
  if (c.expect[0] == '!') {
    ASSERT_FALSE(result.ok()) << dump(*result);
    EXPECT_THAT(result.error().message(), testing::HasSubstr(c.expect + 1));
  } else {
    ASSERT_TRUE(result.ok()) << result.error().message();
    EXPECT_EQ(dump(*result), dump(Json::parse(c.expect)));
  }
}

// RFC 7386 appendix A.
const Case kMerge[] = {
    {"replace", R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
    {"add", R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
    {"remove", R"({"a":"b"})", R"({"a":null})", "{}"},
    {"remove one", R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
    {"list becomes text", R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
    {"text becomes list", R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
    {"nested", R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
    {"lists are replaced", R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
    {"not an object", R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
    {"object over list", R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
    {"nulls of new objects go", "{}", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
};

TEST(MergePatch, Rfc7386) {
  for (const Case& c : kMerge)
    check(c, apply_merge_patch(Json::parse(c.document), Json::parse(c.patch)));
}

// RFC 6902 appendix A.
const Case kJson[] = {
    {"add member", R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])",
     R"({"baz":"qux","foo":"bar"})"},
    {"add element", R"({"foo":["bar","baz"]})", R"([{"op":"add","path":"/foo/1","value":"qux"}])",
     R"({"foo":["bar","qux","baz"]})"},
    {"append", R"({"foo":["bar"]})", R"([{"op":"add","path":"/foo/-","value":1}])",
     R"({"foo":["bar",1]})"},
    {"remove", R"({"baz":"qux","foo":"bar"})", R"([{"op":"remove","path":"/baz"}])",
     R"({"foo":"bar"})"},
    {"replace", R"({"a":1})", R"([{"op":"replace","path":"/a","value":2}])", R"({"a":2})"},
    {"replace what is not there", R"({"a":{}})", R"([{"op":"replace","path":"/a/b","value":2}])",
     R"({"a":{"b":2}})"},
    {"replace below what is not there", "{}", R"([{"op":"replace","path":"/a/b","value":2}])", "!"},
    {"replace an element that is not there", R"({"a":[1]})",
     R"([{"op":"replace","path":"/a/1","value":2}])", "!"},
    {"move", R"({"a":1})", R"([{"op":"move","from":"/a","path":"/b"}])", R"({"b":1})"},
    {"copy", R"({"a":1})", R"([{"op":"copy","from":"/a","path":"/b"}])", R"({"a":1,"b":1})"},
    {"test holds", R"({"a":1})", R"([{"op":"test","path":"/a","value":1}])", R"({"a":1})"},
    {"test fails", R"({"a":1})", R"([{"op":"test","path":"/a","value":2}])", "!unsuccessful"},
    {"escaped path", R"({"a/b":1})", R"([{"op":"replace","path":"/a~1b","value":2}])",
     R"({"a/b":2})"},
    {"missing path", R"({"a":1})", R"([{"op":"remove","path":"/x"}])", "!"},
    {"no operation", R"({"a":1})", R"([{"op":"jump","path":"/a"}])", "!"},
    {"not a list", R"({"a":1})", R"({"op":"add"})", "!a JSON patch is a list"},
};

TEST(JsonPatch, Rfc6902) {
  for (const Case& c : kJson)
    check(c, apply_json_patch(Json::parse(c.document), Json::parse(c.patch)));
}

TEST(JsonPatch, CopiesCannotExplode) {
  Json patch = Json::array();
  patch.push_back({{"op", "add"}, {"path", "/a"}, {"value", std::string(1000, 'x')}});
  for (int i = 0; i < 40; ++i)
    patch.push_back({{"op", "copy"}, {"from", ""}, {"path", "/b" + std::to_string(i)}});
  auto result = apply_json_patch(Json::object(), patch);
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message(), testing::HasSubstr("larger than"));
}

TEST(JsonPatch, DepthIsBounded) {
  Json patch = Json::array();
  for (int i = 0; i < 200; ++i) patch.push_back({{"op", "copy"}, {"from", ""}, {"path", "/b"}});
  EXPECT_THAT(apply_json_patch(Json::object(), patch).error().message(),
              testing::HasSubstr("deeper than"));
}

const Case kStrategic[] = {
    {"containers merge by name",
     R"({"containers":[{"name":"a","image":"1"},{"name":"b","image":"1"}]})",
     R"({"containers":[{"name":"b","image":"2"}]})",
     R"({"containers":[{"name":"a","image":"1"},{"name":"b","image":"2"}]})"},
    {"a new item is appended", R"({"containers":[{"name":"a"}]})",
     R"({"containers":[{"name":"z","image":"1"}]})",
     R"({"containers":[{"name":"a"},{"name":"z","image":"1"}]})"},
    {"$patch delete of an item", R"({"containers":[{"name":"a"},{"name":"b"}]})",
     R"({"containers":[{"$patch":"delete","name":"a"}]})", R"({"containers":[{"name":"b"}]})"},
    {"$patch delete of nothing", R"({"containers":[{"name":"b"}]})",
     R"({"containers":[{"$patch":"delete","name":"a"}]})", R"({"containers":[{"name":"b"}]})"},
    {"$patch replace of a list", R"({"containers":[{"name":"a"},{"name":"b"}]})",
     R"({"containers":[{"name":"c","image":"x"},{"$patch":"replace"}]})",
     R"({"containers":[{"name":"c","image":"x"}]})"},
    {"$patch replace of an object", R"({"securityContext":{"runAsUser":1,"fsGroup":2}})",
     R"({"securityContext":{"$patch":"replace","runAsUser":3}})",
     R"({"securityContext":{"runAsUser":3}})"},
    {"$patch delete of an object", R"({"securityContext":{"runAsUser":1}})",
     R"({"securityContext":{"$patch":"delete"}})", R"({"securityContext":{}})"},
    {"$patch of another word", R"({})", R"({"$patch":"explode"})",
     "!unknown patch type found: \"explode\""},
    {"null removes", R"({"nodeSelector":{"a":"b","c":"d"}})", R"({"nodeSelector":{"a":null}})",
     R"({"nodeSelector":{"c":"d"}})"},
    {"null of what is not there", R"({})", R"({"nodeName":null})", "{}"},
    {"atomic lists are replaced", R"({"tolerations":[{"key":"a"},{"key":"b"}]})",
     R"({"tolerations":[{"key":"c"}]})", R"({"tolerations":[{"key":"c"}]})"},
    {"nested merge: env by name",
     R"({"containers":[{"name":"a","env":[{"name":"X","value":"1"},{"name":"Y","value":"1"}]}]})",
     R"({"containers":[{"name":"a","env":[{"name":"Y","value":"2"},{"name":"Z","value":"3"}]}]})",
     R"({"containers":[{"name":"a","env":[{"name":"X","value":"1"},{"name":"Y","value":"2"},{"name":"Z","value":"3"}]}]})"},
    {"a value source takes the place of a value",
     R"({"containers":[{"name":"a","env":[{"name":"X","value":"1"}]}]})",
     R"({"containers":[{"name":"a","env":[{"name":"X","value":null,"valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}}]}]})",
     R"({"containers":[{"name":"a","env":[{"name":"X","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}}]}]})"},
    {"$setElementOrder sorts what the client knows",
     R"({"containers":[{"name":"a"},{"name":"b"},{"name":"c"}]})",
     R"({"$setElementOrder/containers":[{"name":"c"},{"name":"a"},{"name":"b"}]})",
     R"({"containers":[{"name":"c"},{"name":"a"},{"name":"b"}]})"},
    {"$setElementOrder keeps the server's own items among the rest",
     R"({"containers":[{"name":"a"},{"name":"server"},{"name":"b"}]})",
     R"({"$setElementOrder/containers":[{"name":"a"},{"name":"b"},{"name":"new"}],"containers":[{"name":"new"}]})",
     R"({"containers":[{"name":"a"},{"name":"server"},{"name":"b"},{"name":"new"}]})"},
    {"$setElementOrder must know every item of the patch", R"({"containers":[]})",
     R"({"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"b"}]})",
     "!doesn't match $setElementOrder"},
    {"$retainKeys drops the other volume source", R"({"volumes":[{"name":"v","emptyDir":{}}]})",
     R"({"volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/x"}}]})",
     R"({"volumes":[{"name":"v","hostPath":{"path":"/x"}}]})"},
    {"$retainKeys must name what the patch sets", R"({"volumes":[{"name":"v"}]})",
     R"({"volumes":[{"name":"v","$retainKeys":["name"],"hostPath":{"path":"/x"}}]})",
     "!$retainKeys does not contain hostPath"},
    {"an item needs its merge key", R"({"containers":[{"name":"a"}]})",
     R"({"containers":[{"image":"x"}]})", "!does not contain declared merge key: name"},
    {"a new list needs none", "{}", R"({"containers":[{"image":"x"},{"image":"y"}]})",
     R"({"containers":[{"image":"x"},{"image":"y"}]})"},
    {"what is to go is not in a new list", "{}",
     R"({"containers":[{"name":"a","$patch":"delete"},{"name":"b","$retainKeys":["name"]}]})",
     R"({"containers":[{"name":"b"}]})"},
    {"nulls in a new item go", R"({})", R"({"containers":[{"name":"a","image":null}]})",
     R"({"containers":[{"name":"a"}]})"},
    {"not an object", R"({})", R"([1])", "!is an object"},
};

TEST(StrategicPatch, PodSpec) {
  const schema::Type& type = *schema::Types::builtin().find("PodSpec");
  for (const Case& c : kStrategic)
    check(c, apply_strategic_patch(type, Json::parse(c.document), Json::parse(c.patch)));
}

const Case kStrategicMeta[] = {
    {"plain lists unite", R"({"finalizers":["a/x"]})", R"({"finalizers":["b/x","a/x"]})",
     R"({"finalizers":["a/x","b/x"]})"},
    {"$deleteFromPrimitiveList", R"({"finalizers":["a/x","b/x"]})",
     R"({"$deleteFromPrimitiveList/finalizers":["a/x"]})", R"({"finalizers":["b/x"]})"},
    {"delete and add at once", R"({"finalizers":["a/x","b/x"]})",
     R"({"$deleteFromPrimitiveList/finalizers":["a/x"],"$setElementOrder/finalizers":["c/x","b/x"],"finalizers":["c/x"]})",
     R"({"finalizers":["c/x","b/x"]})"},
    {"labels merge", R"({"labels":{"a":"1"}})", R"({"labels":{"b":"2"}})",
     R"({"labels":{"a":"1","b":"2"}})"},
};

TEST(StrategicPatch, Metadata) {
  const schema::Type& type = *schema::Types::builtin().find("ObjectMeta");
  for (const Case& c : kStrategicMeta)
    check(c, apply_strategic_patch(type, Json::parse(c.document), Json::parse(c.patch)));
}

TEST(StrategicPatch, DepthIsBounded) {
  Json patch = Json::object();
  Json* at = &patch;
  for (int i = 0; i < 200; ++i) at = &((*at)["a"] = Json::object());
  EXPECT_FALSE(
      apply_strategic_patch(*schema::Types::builtin().find("Pod"), Json::object(), patch).ok());
}

}  // namespace
}  // namespace fairlead::orchestrator::apiserver
