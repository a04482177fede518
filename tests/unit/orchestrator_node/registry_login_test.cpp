// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/registry_login.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fairlead::orchestrator {
namespace {

using Json = nlohmann::json;

Json login(const std::string& user) {
  return {{"username", user}, {"password", "p"}};
}

std::string users(const std::string& image, const Objects& secrets) {
  std::string text;
  for (const RegistryLogin& each : registry_logins(image, secrets))
    text += (text.empty() ? "" : " ") + each.user;
  return text;
}

TEST(RegistryLogin, BelongsToItsRegistry) {
  const Json auths = {{"https://index.docker.io/v1/", login("hub")},
                      {"docker.io/team", login("team")},
                      {"registry.test", login("any")},
                      {"registry.test/team", login("path")},
                      {"https://registry.test:5000/v2/", login("port")},
                      {"*.cloud.test", login("star")},
                      {"localhost:5000", login("local")}};
  const Objects secrets = {{{true, "s"}, {{".dockerconfigjson", Json{{"auths", auths}}.dump()}}}};
  const std::pair<const char*, const char*> rows[] = {
      {"alpine", "hub"},
      {"alpine:3", "hub"},
      {"docker.io/library/alpine", "hub"},
      {"team/app", "team hub"},
      {"teamwork/app", "hub"},
      {"registry.test/app:1", "any"},
      {"registry.test/team/app@sha256:00", "path any"},
      {"registry.test/team:1", "path any"},
      {"registry.test/teams/app", "any"},
      {"registry.test:5000/app", "port"},
      {"eu.cloud.test/app", "star"},
      {"a.eu.cloud.test/app", ""},
      {"cloud.test/app", ""},
      {"localhost:5000/app", "local"},
      {"localhost/app", ""},
      {"other.test/app", ""},
  };
  for (const auto& [image, expected] : rows) EXPECT_EQ(users(image, secrets), expected) << image;
}

// distribution/reference: what may be asked of a registry at all.
TEST(RegistryLogin, KnowsAnImagesName) {
  const std::string digest = "@sha256:" + std::string(64, 'a');
  for (const std::string& good :
       {std::string("nginx"), std::string("a/b:1"), std::string("localhost/fairlead/demo:1"),
        std::string("reg.io:5000/a.b/c_d/e__f/g--h:V1.2-x_y"), "a" + digest, "a:1" + digest,
        std::string("Host/x"), std::string("[2001:db8::1]:5000/x")})
    EXPECT_TRUE(check_image_name(good).ok()) << good;
  const std::pair<const char*, const char*> bad[] = {
      {"INVALID//x:::", "invalid reference format"},
      {"a..b", "invalid reference format"},
      {"a___b", "invalid reference format"},
      {"-a", "invalid reference format"},
      {"a/", "invalid reference format"},
      {"a:", "invalid reference format"},
      {"a b", "invalid reference format"},
      {"a@sha256:12", "invalid reference format"},
      {"a.b:x/y", "invalid reference format"},
      {"foo/Bar:1", "invalid reference format: repository name (foo/Bar) must be lowercase"},
      {"Bar", "invalid reference format: repository name (library/Bar) must be lowercase"}};
  for (const auto& [image, words] : bad) {
    const Result<void> result = check_image_name(image);
    ASSERT_FALSE(result.ok()) << image;
    EXPECT_EQ(result.error().message(),
              "couldn't parse image name \"" + std::string(image) + "\": " + words);
  }
}

TEST(RegistryLogin, ReadsBothKindsOfSecretAndDamage) {
  const Objects secrets = {
      {{true, "a"},
       {{".dockerconfigjson",
         R"({"auths":{"r.test":{"auth":"dTpwOnc="},"r.test/x":{"identitytoken":"t"}}})"}}},
      {{true, "b"}, {{".dockercfg", R"({"r.test":{"username":"old","password":"q"}})"}}},
      {{true, "c"}, {{".dockercfg", R"({"r.test":{"username":"old","password":"q"}})"}}},
      {{true, "d"}, {{".dockerconfigjson", "{"}}},
      {{true, "e"}, {{".dockerconfigjson", R"({"auths":[1]})"}}},
      {{true, "f"}, {{".dockerconfigjson", R"({"auths":{"r.test":{"auth":"!"}}})"}}},
      {{true, "g"}, {{"other", "{}"}}}};
  const std::vector<RegistryLogin> expected = {{"", "", "t"}, {"u", "p:w", ""}, {"old", "q", ""}};
  EXPECT_EQ(registry_logins("r.test/x", secrets), expected);
}

}  // namespace
}  // namespace fairlead::orchestrator
