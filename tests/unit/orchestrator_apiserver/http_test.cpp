// SPDX-License-Identifier: Apache-2.0
// The API server over HTTPS on loopback, as a client meets it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include "orchestrator/apiserver/auth/auth.h"
#include "orchestrator/apiserver/openapi.h"
#include "tests/unit/orchestrator_apiserver/server_fixture.h"

namespace fairlead::orchestrator {
namespace {

using apiserver::at;
using apiserver::int_at;
using apiserver::Json;
using apiserver::string_at;
using std::chrono::seconds;
using testing::HasSubstr;
namespace fs = std::filesystem;

// Answers every log request with one line.
class OneLine : public apiserver::PodLogSource {
 public:
  explicit OneLine(Loop& loop) : loop_(loop) {}
  std::unique_ptr<apiserver::PodLogStream> open(const apiserver::PodLogRequest& request,
                                                std::shared_ptr<HttpResponder> responder,
                                                std::function<void()> on_done) override {
    loop_.post([=] {
      responder->start(200, {{"content-type", "text/plain"}});
      responder->write(request.pod + "/" + request.container + " on " + request.node_address + " " +
                       request.query + "\n");
      responder->finish();
      on_done();
    });
    return std::make_unique<apiserver::PodLogStream>();
  }

 private:
  Loop& loop_;
};

std::string decode_base64(const std::string& text) {
  std::string bytes(text.size(), '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  const size_t padding = text.size() - text.find_last_not_of('=') - 1;
  bytes.resize(length < 0 ? 0 : static_cast<size_t>(length) - padding);
  return bytes;
}

class HttpTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    node_ = client_of("node-n1");
  }
  void TearDown() override {
    node_.reset();
    ServerFixture::TearDown();
  }
  void adjust(ApiServerOptions& options) override {
    options.io_threads = 2;
    options.make_log_source = [](Loop& loop) { return std::make_unique<OneLine>(loop); };
  }

  HttpResponse ask_as(const std::string& token, const std::string& method, const std::string& path,
                      const std::string& body = "") {
    HttpHeaders headers;
    if (!token.empty()) headers.add("authorization", "Bearer " + token);
    return ask(*anonymous_, method, path, body, "application/json", std::move(headers));
  }
  std::string token_of(const std::string& user) {
    std::istringstream lines(pki_.token_file);
    for (std::string line; std::getline(lines, line);)
      if (line.find("," + user + ",") != line.npos) return line.substr(0, line.find(','));
    return "";
  }

  // A watch whose lines are collected.
  struct Watch {
    std::string text;
    std::vector<Json> events;
    bool ended = false;
    HttpCall call;
  };
  std::unique_ptr<Watch> watch(const std::string& path, HttpHeaders headers = {}) {
    auto result = std::make_unique<Watch>();
    Watch* w = result.get();
    HttpRequest request;
    request.url = url(path);
    request.headers = std::move(headers);
    w->call = admin_->send(
        request, {{},
                  [w](std::string_view chunk) {
                    w->text += chunk;
                    for (size_t end; (end = w->text.find('\n')) != std::string::npos;) {
                      w->events.push_back(Json::parse(w->text.substr(0, end), nullptr, false));
                      w->text.erase(0, end + 1);
                    }
                  },
                  [w](const Result<HttpResponseHead>&) { w->ended = true; }});
    return result;
  }
  bool until(const std::function<bool()>& done) { return loop_.run_until(done, seconds(20)); }

  std::unique_ptr<HttpClient> node_;
};

const char* const kConfigMaps = "/api/v1/namespaces/default/configmaps";

TEST_F(HttpTest, TheApiServersOwnServiceHasEndpointsOfBothKinds) {
  const Json endpoints = json(ask("GET", "/api/v1/namespaces/default/endpoints/kubernetes"));
  const Json slice =
      json(ask("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"));
  EXPECT_EQ(endpoints["subsets"][0]["addresses"][0]["ip"], slice["endpoints"][0]["addresses"][0]);
  EXPECT_EQ(endpoints["subsets"][0]["ports"], slice["ports"]);
  EXPECT_EQ(int_at(slice["ports"][0], "port"), server_->address().port);
}

TEST_F(HttpTest, WhatEveryClusterHasComesBack) {
  const std::string paths[] = {
      "/api/v1/namespaces/default/services/kubernetes",
      "/api/v1/namespaces/default/endpoints/kubernetes",
      "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"};
  std::vector<std::string> before;
  for (const std::string& path : paths) {
    before.push_back(string_at(json(ask("GET", path)), "metadata.uid"));
    EXPECT_EQ(ask("DELETE", path).status, 200) << path;
  }
  for (size_t i = 0; i < before.size(); ++i) {
    HttpResponse now = ask("GET", paths[i]);
    for (int tries = 0; tries < 400 && now.status == 404; ++tries) {
      loop_.run_until([] { return false; }, std::chrono::milliseconds(50));
      now = ask("GET", paths[i]);
    }
    ASSERT_EQ(now.status, 200) << paths[i];
    EXPECT_NE(string_at(json(now), "metadata.uid"), before[i]);
  }
  EXPECT_EQ(string_at(json(ask("GET", paths[0])), "spec.clusterIP"), "10.96.0.1");
}

TEST_F(HttpTest, WhoMayDoWhat) {
  EXPECT_EQ(ask_as("", "GET", "/healthz").status, 200);
  EXPECT_EQ(ask_as("", "GET", "/version").status, 200);
  EXPECT_EQ(ask_as("", "GET", "/api/v1/pods").status, 401);
  EXPECT_EQ(ask_as("", "GET", "/metrics").status, 401);
  EXPECT_EQ(ask_as("not-a-token-of-ours", "GET", "/api/v1/pods").status, 401);
  const std::string proxy = token_of("fairlead-proxy");
  ASSERT_FALSE(proxy.empty());
  EXPECT_EQ(ask_as(proxy, "GET", "/apis").status, 200);
  EXPECT_EQ(ask_as(proxy, "GET", "/api/v1/services").status, 200);
  const HttpResponse refused = ask_as(proxy, "GET", "/api/v1/secrets");
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(
      refused.body,
      HasSubstr(
          R"(User \"fairlead-proxy\" cannot list resource \"secrets\" in API group \"\" at the cluster scope)"));
  EXPECT_EQ(ask_as(proxy, "DELETE", "/api/v1/namespaces/default/services/kubernetes").status, 403);
  EXPECT_EQ(ask(*node_, "POST", "/api/v1/nodes", R"({"metadata":{"name":"n1"}})").status, 201);
  EXPECT_EQ(ask(*node_, "PUT", "/api/v1/nodes/n2/status", "{}").status, 403);
  EXPECT_EQ(ask(*node_, "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
                R"({"metadata":{"name":"n1"}})")
                .status,
            201);
  EXPECT_EQ(ask(*node_, "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
                R"({"metadata":{"name":"x"}})")
                .status,
            403);
}

TEST_F(HttpTest, WritesAndWarnings) {
  const HttpResponse made =
      ask("POST", kConfigMaps, R"({"metadata":{"name":"c"},"data":{"a":"b"},"frob":1})");
  EXPECT_EQ(made.status, 201);
  EXPECT_EQ(made.headers.get("warning"), R"(299 - "unknown field \"frob\"")");
  const std::string path = std::string(kConfigMaps) + "/c";
  EXPECT_EQ(ask("POST", kConfigMaps, R"({"metadata":{"name":"c"}})").status, 409);
  EXPECT_EQ(
      ask("PATCH", path + "?dryRun=All", R"({"data":{"a":"z"}})", "application/merge-patch+json")
          .status,
      200);
  EXPECT_EQ(string_at(json(ask("GET", path)), "data.a"), "b");
  EXPECT_EQ(ask("PATCH", path, R"([{"op":"replace","path":"/data/a","value":"c"}])",
                "application/json-patch+json")
                .status,
            200);
  EXPECT_EQ(ask("PATCH", path, R"({"metadata":{"labels":{"l":"1"}}})",
                "application/strategic-merge-patch+json")
                .status,
            200);
  Json object = json(ask("GET", path));
  EXPECT_EQ(string_at(object, "data.a"), "c");
  EXPECT_EQ(string_at(object, "metadata.labels.l"), "1");
  object["data"]["a"] = "d";
  EXPECT_EQ(ask("PUT", path, object.dump()).status, 200);
  EXPECT_EQ(ask("PUT", path, object.dump()).status, 409);
  const Json gone = json(ask("DELETE", path, R"({"propagationPolicy":"Background"})"));
  EXPECT_EQ(string_at(gone, "status"), "Success");
  EXPECT_EQ(string_at(gone, "details.uid"), string_at(object, "metadata.uid"));
  for (int i = 0; i < 3; ++i)
    ask("POST", kConfigMaps, R"({"metadata":{"generateName":"g-","labels":{"x":"y"}}})");
  EXPECT_EQ(json(ask("GET", std::string(kConfigMaps) + "?labelSelector=x%3Dy"))["items"].size(),
            3u);
  EXPECT_EQ(ask("DELETE", std::string(kConfigMaps) + "?labelSelector=x%3Dy").status, 200);
  EXPECT_EQ(json(ask("GET", kConfigMaps))["items"].size(), 0u);
}

const char* const kDeployment =
    R"({"metadata":{"name":"d"},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"d"}},
  "template":{"metadata":{"labels":{"app":"d"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})";

TEST_F(HttpTest, Scale) {
  const std::string base = "/apis/apps/v1/namespaces/default/deployments";
  ASSERT_EQ(ask("POST", base, kDeployment).status, 201);
  Json scale = json(ask("GET", base + "/d/scale"));
  EXPECT_EQ(string_at(scale, "kind"), "Scale");
  EXPECT_EQ(string_at(scale, "status.selector"), "app=d");
  scale["spec"]["replicas"] = 4;
  EXPECT_EQ(ask("PUT", base + "/d/scale", scale.dump()).status, 200);
  EXPECT_EQ(ask("PUT", base + "/d/scale", scale.dump()).status, 409);
  EXPECT_EQ(
      ask("PATCH", base + "/d/scale", R"({"spec":{"replicas":5}})", "application/merge-patch+json")
          .status,
      200);
  EXPECT_EQ(
      ask("PATCH", base + "/d/scale", R"({"spec":{"replicas":-5}})", "application/merge-patch+json")
          .status,
      422);
  const Json object = json(ask("GET", base + "/d"));
  EXPECT_EQ(int_at(object, "spec.replicas"), 5);
  EXPECT_EQ(int_at(object, "metadata.generation"), 3);
}

TEST_F(HttpTest, PodsAreBoundReadAndEvicted) {
  const std::string base = "/api/v1/namespaces/default/pods";
  ASSERT_EQ(ask("POST", base,
                R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}})")
                .status,
            201);
  EXPECT_EQ(ask("GET", base + "/p/log").status, 204) << "it runs nowhere yet, and has said nothing";
  ASSERT_EQ(
      ask("POST", "/api/v1/nodes",
          R"({"metadata":{"name":"n1"},"status":{"addresses":[{"type":"InternalIP","address":"10.0.0.1"}]}})")
          .status,
      201);
  const char* binding =
      R"({"kind":"Binding","apiVersion":"v1","metadata":{"name":"p"},"target":{"kind":"Node","name":"n1"}})";
  const char* of_another =
      R"({"kind":"Binding","apiVersion":"v1","metadata":{"name":"p","uid":"u"},"target":{"kind":"Node","name":"n1"}})";
  EXPECT_EQ(ask("POST", base + "/p/binding", of_another).status, 409);
  EXPECT_EQ(ask("POST", base + "/p/binding", binding).status, 201);
  EXPECT_EQ(ask("POST", "/api/v1/namespaces/default/bindings", binding).status, 409);
  EXPECT_EQ(ask("GET", base + "/p/log?tailLines=3&container=c").body,
            "p/c on 10.0.0.1 tailLines=3\n");
  EXPECT_EQ(ask("GET", base + "/p/log?container=x").status, 400);
  EXPECT_EQ(json(ask("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1"))["items"].size(), 1u);
  EXPECT_EQ(json(ask("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2"))["items"].size(), 0u);
  EXPECT_EQ(ask("PATCH", base + "/p/status", R"({"status":{"phase":"Running"}})",
                "application/merge-patch+json")
                .status,
            200);
  const char* eviction =
      R"({"kind":"Eviction","apiVersion":"policy/v1","metadata":{"name":"p"},"deleteOptions":{"gracePeriodSeconds":0}})";
  EXPECT_EQ(ask("POST", base + "/p/eviction", eviction).status, 201);
  EXPECT_EQ(ask("GET", base + "/p").status, 404);
}

TEST_F(HttpTest, Tables) {
  const HttpHeaders table{{"accept",
                           "application/json;as=Table;v=v1;g=meta.k8s.io,application/"
                           "json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"}};
  const Json list = json(ask("GET", "/api/v1/namespaces", "", "", table));
  EXPECT_EQ(string_at(list, "kind"), "Table");
  EXPECT_EQ(list["rows"].size(), 4u);
  EXPECT_EQ(list["rows"][0]["cells"][0], "default");
  const Json one =
      json(ask("GET", "/api/v1/namespaces/default?includeObject=Object", "", "", table));
  EXPECT_EQ(one["rows"][0]["object"]["kind"], "Namespace");
}

TEST_F(HttpTest, WatchFollowsListsAndBookmarks) {
  ask("POST", kConfigMaps, R"({"metadata":{"name":"a","labels":{"x":"1"}}})");
  const Json list = json(ask("GET", kConfigMaps));
  const std::string version = string_at(list, "metadata.resourceVersion");
  auto from_list = watch(std::string(kConfigMaps) + "?watch=1&resourceVersion=" + version);
  auto from_nothing = watch(std::string(kConfigMaps) + "?watch=true");
  auto selected = watch("/api/v1/configmaps?watch=true&labelSelector=x%3D1");
  auto named = watch(std::string(kConfigMaps) + "?watch=1&fieldSelector=metadata.name%3Db");
  EXPECT_TRUE(
      until([&] { return from_nothing->events.size() == 1 && selected->events.size() == 1; }));
  ask("POST", kConfigMaps, R"({"metadata":{"name":"b"}})");
  const std::string a = std::string(kConfigMaps) + "/a";
  ask("PATCH", a, R"({"metadata":{"labels":{"x":"2"}}})", "application/merge-patch+json");
  ask("DELETE", a);
  EXPECT_TRUE(until([&] {
    return from_list->events.size() == 3 && from_nothing->events.size() == 4 &&
           selected->events.size() == 2 && named->events.size() == 1;
  }));
  std::string types;
  for (const Json& event : from_list->events)
    types += string_at(event, "type") + " " + string_at(event, "object.metadata.name") + ",";
  EXPECT_EQ(types, "ADDED b,MODIFIED a,DELETED a,");
  ASSERT_EQ(selected->events.size(), 2u);
  EXPECT_EQ(string_at(selected->events[1], "type"), "DELETED") << "it left the selector";
  EXPECT_EQ(string_at(selected->events[1], "object.metadata.resourceVersion"),
            string_at(from_list->events[1], "object.metadata.resourceVersion"));
}

TEST_F(HttpTest, WatchEndsAndExpires) {
  auto brief = watch("/api/v1/configmaps?watch=1&timeoutSeconds=1");
  EXPECT_TRUE(until([&] { return brief->ended; }));
  auto table = watch("/api/v1/namespaces?watch=1",
                     {{"accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}});
  EXPECT_TRUE(until([&] { return table->events.size() == 4; }));
  EXPECT_TRUE(table->events[0]["object"]["columnDefinitions"].is_array());
  EXPECT_TRUE(table->events[1]["object"]["columnDefinitions"].is_null());
  brief.reset();
  table.reset();
  server_->stop();  // after a restart the history begins anew
  ASSERT_TRUE(server_->start().ok());
  auto old = watch("/api/v1/configmaps?watch=1&resourceVersion=1");
  ASSERT_TRUE(until([&] { return old->ended && !old->events.empty(); }));
  ASSERT_FALSE(old->events.empty());
  EXPECT_EQ(string_at(old->events[0], "type"), "ERROR");
  EXPECT_EQ(int_at(old->events[0], "object.code"), 410);
}

TEST_F(HttpTest, DiscoveryAndOpenApi) {
  const Json core = json(ask("GET", "/api/v1"));
  std::set<std::string> names;
  for (const Json& one : core["resources"]) names.insert(string_at(one, "name"));
  for (const char* name : {"pods", "pods/status", "pods/log", "pods/binding", "pods/eviction",
                           "nodes", "namespaces/finalize", "events"})
    EXPECT_TRUE(names.contains(name)) << name;
  for (const char* path :
       {"/api", "/apis", "/apis/", "/apis/apps", "/apis/apps/v1/", "/apis/discovery.k8s.io/v1"})
    EXPECT_EQ(ask("GET", path).status, 200) << path;
  const Json paths = json(ask("GET", "/"))["paths"];
  EXPECT_NE(std::find(paths.begin(), paths.end(), "/apis/apps/v1"), paths.end());
  EXPECT_EQ(ask("GET", "/apis/nosuch").status, 404);
  const HttpResponse aggregated = ask(
      "GET", "/apis", "", "",
      {{"accept",
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}});
  EXPECT_EQ(aggregated.headers.get("content-type"),
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  EXPECT_EQ(string_at(json(aggregated), "kind"), "APIGroupDiscoveryList");
  const Json index = json(ask("GET", "/openapi/v3"));
  for (const auto& [path, entry] : index["paths"].items()) {
    const HttpResponse document = ask("GET", entry["serverRelativeURL"]);
    EXPECT_EQ(document.headers.get("cache-control"), "public, immutable") << path;
    const Json api = json(document);
    // Every reference leads somewhere.
    const std::string text = document.body;
    for (size_t at_ref = text.find("#/components/schemas/"); at_ref != text.npos;
         at_ref = text.find("#/components/schemas/", at_ref + 1)) {
      const size_t begin = at_ref + std::string("#/components/schemas/").size();
      EXPECT_TRUE(
          api["components"]["schemas"].contains(text.substr(begin, text.find('"', begin) - begin)));
    }
  }
  EXPECT_EQ(string_at(json(ask("GET", "/openapi/v2")), "swagger"), "2.0");
  const HttpResponse v2 =
      ask("GET", "/openapi/v2", "", "",
          {{"accept", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}});
  EXPECT_EQ(v2.headers.get("content-type"), apiserver::kOpenApiV2Type);
  const std::string etag(v2.headers.get("etag").value_or(""));
  EXPECT_EQ(ask("GET", "/openapi/v2", "", "",
                {{"accept", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"},
                 {"if-none-match", etag}})
                .status,
            304);
  EXPECT_THAT(ask("GET", "/metrics").body, HasSubstr("process_"));
}

TEST_F(HttpTest, PkiIsKeptAndItsFilesArePrivate) {
  PkiOptions options;
  options.directory = directory_ / "pki";
  options.server_url = "https://127.0.0.1:6443";
  options.nodes = {{"n1", {IpAddress::v4(10, 1, 2, 3)}}};
  const auto now = std::chrono::system_clock::now();
  auto again = ensure_pki(options, now);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->server.certificate_pem, pki_.server.certificate_pem);
  EXPECT_EQ(again->token_file, pki_.token_file);
  for (const auto& file : fs::directory_iterator(directory_ / "pki")) {
    struct stat info {};
    ASSERT_EQ(stat(file.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << file.path();
  }
  options.ip_addresses = {IpAddress::v4(10, 1, 2, 3)};
  auto more = ensure_pki(options, now);
  ASSERT_TRUE(more.ok());
  EXPECT_NE(more->server.certificate_pem, pki_.server.certificate_pem);
  EXPECT_EQ(more->authority.certificate_pem, pki_.authority.certificate_pem);
  auto later = ensure_pki(options, now + std::chrono::hours(24 * 350));
  ASSERT_TRUE(later.ok());
  EXPECT_NE(later->server.certificate_pem, more->server.certificate_pem)
      << "renewed before it ends";
}

TEST_F(HttpTest, ANodeElsewhereGetsAKubeconfigOfItsOwn) {
  PkiOptions options;
  options.directory = directory_ / "pki";
  options.server_url = "https://192.0.2.1:6443";
  const auto now = std::chrono::system_clock::now();
  const auto text = node_kubeconfig(options, {"far", {IpAddress::v4(192, 0, 2, 9)}}, now);
  ASSERT_TRUE(text.ok()) << text.error().message();
  EXPECT_THAT(*text, HasSubstr("server: https://192.0.2.1:6443\n"));
  const auto field = [&](const std::string& name) {
    const size_t begin = text->find(name + ": ") + name.size() + 2;
    return decode_base64(text->substr(begin, text->find('\n', begin) - begin));
  };
  EXPECT_EQ(field("certificate-authority-data"), pki_.authority.certificate_pem);
  const std::string pem = field("client-certificate-data");
  const auto certificate = tls::parse_certificate(pem);
  ASSERT_TRUE(certificate.ok());
  EXPECT_EQ(certificate->common_name, "system:node:far");
  EXPECT_EQ(certificate->organizations, std::vector<std::string>{"system:nodes"});
  EXPECT_EQ(certificate->ip_addresses, std::vector<IpAddress>{IpAddress::v4(192, 0, 2, 9)});
  TlsClientConfig tls{pki_.authority.certificate_pem, pem, field("client-key-data"), "", false};
  HttpClient client(loop_, tls);
  EXPECT_EQ(ask(client, "POST", "/api/v1/nodes", R"({"metadata":{"name":"far"}})").status, 201);

  EXPECT_THAT(node_kubeconfig(options, {std::string(60, 'n'), {}}, now).error().message(),
              HasSubstr("longer than 52 bytes"));
  options.directory = directory_ / "nothing";
  EXPECT_THAT(node_kubeconfig(options, {"far", {}}, now).error().message(),
              HasSubstr("`fairlead server` makes it"));
}

TEST_F(HttpTest, AServerThatCannotStartSaysWhy) {
  ApiServerOptions options;
  options.data_dir = directory_ / "store";
  options.service_cidr = *Cidr::parse("10.96.0.0/16");
  options.pki = pki_;
  ApiServer same_data(options);
  EXPECT_THAT(same_data.start().error().message(), HasSubstr("is in use by process"));
  options.data_dir = directory_ / "other";
  options.bind = server_->address();
  ApiServer same_port(options);
  EXPECT_THAT(same_port.start().error().message(), HasSubstr("cannot listen"));
}

TEST(Authenticator, RefusesMalformedLines) {
  using apiserver::Authenticator;
  EXPECT_TRUE(Authenticator::parse("# comment\n0123456789abcdef,user,uid,g1;g2\n").ok());
  for (const char* text : {"short,user", "0123456789abcdef", "0123456789abcdef,"})
    EXPECT_FALSE(Authenticator::parse(text).ok()) << text;
}

}  // namespace
}  // namespace fairlead::orchestrator
