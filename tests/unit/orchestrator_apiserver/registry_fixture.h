// SPDX-License-Identifier: Apache-2.0
// The in-process Api over a real store of its own.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "orchestrator/apiserver/bootstrap.h"
#include "orchestrator/apiserver/in_process.h"
#include "orchestrator/apiserver/registry/codec.h"
#include "orchestrator/store/sqlite_store.h"

namespace fairlead::orchestrator::apiserver {

class RegistryTest : public testing::Test {
 protected:
  static inline const Resource kPods{"", "pods"}, kServices{"", "services"},
      kConfigMaps{"", "configmaps"}, kNamespaces{"", "namespaces"},
      kDeployments{"apps", "deployments"};

  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "fairlead-api-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    open();
  }
  void TearDown() override {
    close();
    std::filesystem::remove_all(directory_);
  }
  void close() {
    api_.reset();
    registry_.reset();
    store_.reset();
  }
  void open() {
    auto opened = store::SqliteStore::open({.directory = directory_,
                                            .volatile_keys = {{"core/events/", {}, 0}},
                                            .history = {},
                                            .tombstone = tombstone_of});
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    store_ = std::move(*opened);
    registry_ = std::make_unique<Registry>(
        *store_, RegistryOptions{*Cidr::parse("10.96.0.0/24"), {30000, 30009}});
    registry_->rebuild();
    ASSERT_TRUE(bootstrap(*registry_, loop_, {IpAddress::v4(192, 0, 2, 1), 6443}).ok());
    api_ = make_in_process_api(*registry_, loop_);
  }
  Result<Json> wait(const std::function<void(WriteDone)>& ask) {
    std::optional<Result<Bytes>> result;
    ask([&](Result<Bytes> r) { result = std::move(r); });
    EXPECT_FALSE(result.has_value()) << "answered from inside the call";
    EXPECT_TRUE(loop_.run_until([&] { return result.has_value(); }, std::chrono::seconds(30)));
    if (!result) return Error(ErrorCode::kTimeout, "no answer");
    if (!*result) return result->error();
    return decode_stored(**result);
  }
  Result<Json> create(const Resource& resource, const Json& object,
                      const std::string& ns = "default") {
    return wait([&](WriteDone done) { api_->create(resource, ns, object, done); });
  }
  Result<Json> patch(const Resource& resource, const std::string& name, const Json& patch,
                     const char* sub = "") {
    const std::string ns = resource == kNamespaces ? "" : "default";
    return wait([&](WriteDone done) { api_->merge_patch(resource, sub, {ns, name}, patch, done); });
  }
  Result<Json> remove(const Resource& resource, const std::string& name,
                      const DeleteOptions& options = {}) {
    const std::string ns = resource == kNamespaces ? "" : "default";
    return wait([&](WriteDone done) { api_->remove(resource, {ns, name}, options, done); });
  }
  bool exists(const Resource& resource, const std::string& name) {
    return api_->get(resource, {resource == kNamespaces ? "" : "default", name}).ok();
  }
  Json pod(const std::string& name) {
    return {{"metadata", {{"name", name}}},
            {"spec", {{"containers", Json::array({{{"name", "c"}, {"image", "i"}}})}}}};
  }
  Json service(const std::string& name, const Json& spec = Json::object()) {
    Json object = {{"metadata", {{"name", name}}},
                   {"spec", {{"ports", Json::array({{{"port", 80}}})}}}};
    object["spec"].merge_patch(spec);
    return object;
  }
  Json config_map(const std::string& name, const std::string& value = "") {
    return {{"metadata", {{"name", name}}}, {"data", {{"k", value}}}};
  }

  Loop loop_;
  std::filesystem::path directory_;
  std::unique_ptr<store::SqliteStore> store_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<Api> api_;
};

}  // namespace fairlead::orchestrator::apiserver
