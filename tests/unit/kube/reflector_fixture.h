// SPDX-License-Identifier: Apache-2.0
// A reflector of namespaces against an API server played by the test, one exchange after the other,
// on a clock the test turns.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kube/reflector.h"
#include "tests/unit/kube/fake_transport.h"

namespace fairlead::kube {

// A namespace "name" whose label v says which version of it this is.
inline std::string object(const std::string& name, int version) {
  const std::string v = std::to_string(version);
  return R"({"metadata":{"name":")" + name + R"(","resourceVersion":")" + v +
         R"(","labels":{"v":")" + v + R"("}}})";
}
inline std::string list(const std::string& version, const std::vector<std::string>& items,
                        const std::string& token = "") {
  std::string text = R"({"kind":"NamespaceList","metadata":{"resourceVersion":")" + version +
                     R"(","continue":")" + token + R"("},"items":[)";
  for (size_t i = 0; i < items.size(); ++i) text += (i > 0 ? "," : "") + items[i];
  return text + "]}";
}
inline std::string event(const std::string& type, const std::string& text) {
  return R"({"type":")" + type + R"(","object":)" + text + "}\n";
}
inline std::string bookmark(const std::string& version, bool initial_end = false) {
  const std::string annotations =
      initial_end ? R"(,"annotations":{"k8s.io/initial-events-end":"true"})" : "";
  return event("BOOKMARK", R"({"kind":"Namespace","metadata":{"resourceVersion":")" + version +
                               "\"" + annotations + "}}");
}
inline std::string status(int code, const std::string& reason, const std::string& details = "{}") {
  return R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":")" + reason +
         R"( it is","reason":")" + reason + R"(","details":)" + details + R"(,"code":)" +
         std::to_string(code) + "}";
}

class ReflectorTest : public testing::Test {
 protected:
  ReflectorTest() {
    ClientConfig config;
    config.server = "https://api:6443";
    config.token.file = "/token";
    credentials_ = std::make_unique<Credentials>(
        *Credentials::load(clock_, config, [this](const std::string&) -> Result<std::string> {
          ++token_reads_;
          return token_;
        }));
    api_ = std::make_unique<ApiClient>(transport_, *credentials_, "test/1");
    make({});
  }
  void make(ReflectorOptions options) {
    if (options.seed == 0) options.seed = 7;
    reflector_ = std::make_unique<TypedReflector<Namespace>>(clock_, *api_, store_, options);
  }
  void make_without_watch_list() {
    ReflectorOptions options;
    options.watch_list = false;
    make(options);
  }
  std::shared_ptr<Exchange> last() { return transport_.last(); }
  const ReflectorStatus& state() { return reflector_->status(); }

  // {"a=1", "b=7"}
  std::vector<std::string> stored() const {
    std::vector<std::string> result;
    for (const auto& [key, value] : store_.all())
      result.push_back(key.to_string() + "=" + value->meta.labels.at("v"));
    return result;
  }
  // Lists a=1 at version 10 and leaves the watch open.
  std::shared_ptr<Exchange> listed_and_watching() {
    make_without_watch_list();
    reflector_->start();
    last()->respond(200, list("10", {object("a", 1)}));
    const auto watch = last();
    EXPECT_EQ(watch->query("watch"), "true");
    watch->head(200);
    EXPECT_TRUE(state().watching);
    return watch;
  }
  // Nothing must be asked before `at_least`, something before `at_most`.
  void expect_retry(Duration at_least, Duration at_most) {
    const size_t before = transport_.count();
    EXPECT_EQ(transport_.open_count(), 0u);
    clock_.advance(at_least - std::chrono::milliseconds(1));
    EXPECT_EQ(transport_.count(), before) << "too early";
    clock_.advance(at_most - at_least + std::chrono::milliseconds(1));
    EXPECT_EQ(transport_.count(), before + 1) << "too late, or twice";
  }

  ManualClock clock_;
  FakeTransport transport_;
  std::string token_ = "secret\n";
  int token_reads_ = 0;
  Store<Namespace> store_;
  std::unique_ptr<Credentials> credentials_;
  std::unique_ptr<ApiClient> api_;
  std::unique_ptr<TypedReflector<Namespace>> reflector_;
};

}  // namespace fairlead::kube
