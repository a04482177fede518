// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cluster_api.h"

#include <algorithm>
#include <cstdlib>

namespace fairlead::test {
namespace {

constexpr const char* kVersionMark = "\"@RV@\"";

const HttpHeaders kJson = {{"Content-Type", "application/json"}};

std::string status(int code, const std::string& message) {
  return R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":")" + message +
         R"(","code":)" + std::to_string(code) + "}";
}

}  // namespace

ClusterApi::ClusterApi(Loop& loop)
    : server_(loop, {},
              [this](HttpServerRequest request, std::shared_ptr<HttpResponder> responder) {
                handle(request, std::move(responder));
              }) {}

std::string ClusterApi::versioned(std::string json) const {
  const size_t at = json.find(kVersionMark);
  if (at != std::string::npos)
    json.replace(at, std::string_view(kVersionMark).size(), "\"" + std::to_string(version_) + "\"");
  return json;
}

void ClusterApi::put(const std::string& collection, const std::string& key, std::string json) {
  ++version_;
  std::string& object = objects_[collection][key];
  const bool added = object.empty();
  object = versioned(std::move(json));
  publish(added ? "ADDED" : "MODIFIED", collection, object);
}

void ClusterApi::remove(const std::string& collection, const std::string& key) {
  auto& objects = objects_[collection];
  const auto at = objects.find(key);
  if (at == objects.end()) return;
  ++version_;
  publish("DELETED", collection, at->second);
  objects.erase(at);
}

void ClusterApi::set_down(bool down) {
  down_ = down;
  if (!down) return;
  for (const Watch& watch : watches_) watch.responder->finish();
  watches_.clear();
}

void ClusterApi::compact() {
  floor_ = ++version_;
  events_.clear();
  for (const Watch& watch : watches_) watch.responder->finish();
  watches_.clear();
}

void ClusterApi::publish(const char* type, const std::string& collection,
                         const std::string& object) {
  std::string line = std::string(R"({"type":")") + type + R"(","object":)" + object + "}\n";
  std::erase_if(watches_, [](const Watch& watch) { return watch.responder->closed(); });
  for (const Watch& watch : watches_)
    if (watch.collection == collection) watch.responder->write(line);
  events_.push_back({version_, collection, std::move(line)});
}

void ClusterApi::handle(const HttpServerRequest& request,
                        std::shared_ptr<HttpResponder> responder) {
  if (down_) return;  // dropped: the connection is closed
  if (request.query_value("sendInitialEvents"))
    return responder->respond(400, kJson, status(400, "no WatchList here"));
  if (!request.query_value("watch")) return list(request.path, *responder);
  const std::string since(request.query_value("resourceVersion").value_or("0"));
  watch(request.path, std::strtoull(since.c_str(), nullptr, 10), std::move(responder));
}

void ClusterApi::list(const std::string& collection, HttpResponder& responder) {
  std::string body = R"({"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":")" +
                     std::to_string(version_) + R"("},"items":[)";
  bool first = true;
  for (const auto& [key, object] : objects_[collection]) {
    if (!first) body += ',';
    first = false;
    body += object;
  }
  ++lists_served_[collection];
  responder.respond(200, kJson, body + "]}");
}

void ClusterApi::watch(const std::string& collection, uint64_t since,
                       std::shared_ptr<HttpResponder> responder) {
  if (since < floor_)
    return responder->respond(410, kJson, status(410, "too old resource version"));
  responder->start(200, kJson);
  for (const Event& event : events_)
    if (event.version > since && event.collection == collection) responder->write(event.line);
  watches_.push_back({collection, std::move(responder)});
}

std::string ClusterApi::kubeconfig(const SocketAddress& address) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
         "clusters: [{name: test, cluster: {server: \"http://" +
         address.to_string() +
         "\"}}]\n"
         "users: [{name: test, user: {}}]\n"
         "contexts: [{name: test, context: {cluster: test, user: test}}]\n";
}

std::string namespace_json(const std::string& name) {
  return R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":")" + name +
         R"(","resourceVersion":"@RV@"}})";
}

std::string service_json(const std::string& ns, const std::string& name,
                         const std::string& cluster_ip, const std::string& ports) {
  return R"({"apiVersion":"v1","kind":"Service","metadata":{"name":")" + name +
         R"(","namespace":")" + ns +
         R"(","resourceVersion":"@RV@"},"spec":{"type":"ClusterIP","clusterIP":")" + cluster_ip +
         R"(","clusterIPs":[")" + cluster_ip + R"("],"ipFamilies":["IPv4"],"ports":)" + ports +
         "}}";
}

std::string slice_json(const std::string& ns, const std::string& name, const std::string& service,
                       const std::vector<std::string>& addresses, const std::string& ports) {
  std::string endpoints;
  for (const std::string& address : addresses) {
    if (!endpoints.empty()) endpoints += ',';
    endpoints += R"({"addresses":[")" + address + R"("],"conditions":{"ready":true}})";
  }
  return R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":")" +
         name + R"(","namespace":")" + ns +
         R"(","resourceVersion":"@RV@","labels":{"kubernetes.io/service-name":")" + service +
         R"("}},"addressType":"IPv4","endpoints":[)" + endpoints + R"(],"ports":)" + ports + "}";
}

}  // namespace fairlead::test
