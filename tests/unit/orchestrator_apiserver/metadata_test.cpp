// SPDX-License-Identifier: Apache-2.0
// PartialObjectMetadata: names and labels alone, for client-go's metadata clients.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/orchestrator_apiserver/server_fixture.h"

namespace fairlead::orchestrator {
namespace {

using apiserver::Json;
using apiserver::string_at;
using std::chrono::seconds;

const std::string kMetadataConfigMaps = "/api/v1/namespaces/default/configmaps";

class MetadataTest : public ServerFixture {
 protected:
  Json get(const std::string& path, const std::string& accept, int status = 200) {
    HttpRequest request;
    request.url = path;
    request.headers.add("accept", accept);
    const HttpResponse response = ask(*admin_, std::move(request));
    EXPECT_EQ(response.status, status) << response.body;
    return json(response);
  }
};

TEST_F(MetadataTest, GetListAndWatch) {
  ask("POST", kMetadataConfigMaps,
      R"({"metadata":{"name":"a","labels":{"x":"1"}},"data":{"k":"v"}})");
  const std::string form = ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
  const std::string accept =
      "application/vnd.kubernetes.protobuf" + form + ",application/json" + form;
  const Json one = get(kMetadataConfigMaps + "/a", accept);
  EXPECT_EQ(string_at(one, "kind"), "PartialObjectMetadata");
  EXPECT_EQ(string_at(one, "apiVersion"), "meta.k8s.io/v1");
  EXPECT_EQ(string_at(one, "metadata.labels.x"), "1");
  EXPECT_FALSE(one.contains("data"));
  const Json list = get(kMetadataConfigMaps + "?limit=1",
                        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
  EXPECT_EQ(string_at(list, "kind"), "PartialObjectMetadataList");
  EXPECT_FALSE(string_at(list, "metadata.resourceVersion").empty());
  ASSERT_EQ(list["items"].size(), 1u);
  EXPECT_EQ(list["items"][0], one);

  std::string text;
  HttpRequest request;
  request.url = url(kMetadataConfigMaps + "?watch=1");
  request.headers.add("accept", accept);
  HttpCall call = admin_->send(request, {{},
                                         [&text](std::string_view chunk) { text += chunk; },
                                         [](const Result<HttpResponseHead>&) {}});
  const auto lines = [&text] { return std::count(text.begin(), text.end(), '\n'); };
  ASSERT_TRUE(loop_.run_until([&] { return lines() == 1; }, seconds(20)));
  EXPECT_EQ(Json::parse(text)["object"], one);
  text.clear();
  ask("DELETE", kMetadataConfigMaps + "/a");
  ASSERT_TRUE(loop_.run_until([&] { return lines() == 1; }, seconds(20)));
  const Json deleted = Json::parse(text);
  EXPECT_EQ(string_at(deleted, "type"), "DELETED");
  EXPECT_EQ(string_at(deleted, "object.kind"), "PartialObjectMetadata");
  EXPECT_FALSE(deleted["object"].contains("data"));
}

TEST_F(MetadataTest, VersionsAndGroups) {
  const std::string form = "application/json;as=PartialObjectMetadata;";
  const Json old = get("/api/v1/namespaces/default", form + "g=meta.k8s.io;v=v1beta1");
  EXPECT_EQ(string_at(old, "apiVersion"), "meta.k8s.io/v1beta1");
  get("/api/v1/namespaces/default", form + "g=other;v=v1", 406);
}

}  // namespace
}  // namespace fairlead::orchestrator
