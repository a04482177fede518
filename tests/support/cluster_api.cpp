// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cluster_api.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

namespace fairlead::test {
namespace {

constexpr const char* kVersionMark = "\"@RV@\"";

constexpr std::pair<std::string_view, const char*> kKinds[] = {
    {"/api/v1/services", "Service"},
    {"/api/v1/nodes", "Node"},
    {"/api/v1/namespaces", "Namespace"},
    {"/apis/discovery.k8s.io/v1/endpointslices", "EndpointSlice"},
    {"/apis/networking.k8s.io/v1/servicecidrs", "ServiceCIDR"},
    {"/apis/multicluster.x-k8s.io/v1alpha1/serviceimports", "ServiceImport"},
    {"/apis/multicluster.x-k8s.io/v1beta1/serviceimports", "ServiceImport"},
};

const HttpHeaders kJson = {{"Content-Type", "application/json"}};

using Labels = std::map<std::string, std::string>;

// One requirement: "key", "!key", "key=value", "key!=value".
bool meets(const Labels& labels, const std::string& requirement) {
  const size_t equals = requirement.find('=');
  if (equals == std::string::npos) {
    const bool absent = requirement[0] == '!';
    return labels.contains(requirement.substr(absent ? 1 : 0)) != absent;
  }
  const bool differs = requirement[equals - 1] == '!';
  const auto label = labels.find(requirement.substr(0, equals - (differs ? 1 : 0)));
  const std::string value = requirement.substr(equals + (requirement[equals + 1] == '=' ? 2 : 1));
  return (label != labels.end() && label->second == value) != differs;
}

Labels labels_of(const std::string& object) {
  if (object.find(R"("labels")") == std::string::npos) return {};
  const nlohmann::json json = nlohmann::json::parse(object);
  return json.at("metadata").value("labels", Labels());
}

std::string status(int code, const std::string& message) {
  return R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":")" + message +
         R"(","code":)" + std::to_string(code) + "}";
}

}  // namespace

ClusterApi::ClusterApi(Loop& loop)
    : tick_(loop),
      server_(loop, {},
              [this](HttpServerRequest request, std::shared_ptr<HttpResponder> responder) {
                handle(request, std::move(responder));
              }) {}

ClusterApi::Selection::Selection(const HttpServerRequest& request) : collection(request.path) {
  std::istringstream selector(std::string(request.query_value("labelSelector").value_or("")));
  for (std::string one; std::getline(selector, one, ',');) requirements.push_back(one);
}

bool ClusterApi::Object::matches(const Selection& selection) const {
  return std::all_of(selection.requirements.begin(), selection.requirements.end(),
                     [this](const std::string& one) { return meets(labels, one); });
}

std::string ClusterApi::versioned(std::string json) const {
  const size_t at = json.find(kVersionMark);
  if (at != std::string::npos)
    json.replace(at, std::string_view(kVersionMark).size(), "\"" + std::to_string(version_) + "\"");
  return json;
}

void ClusterApi::put(const std::string& collection, const std::string& key, std::string json) {
  ++version_;
  ObjectPtr& object = objects_[collection][key];
  auto written = std::make_shared<Object>(Object{versioned(std::move(json)), {}});
  written->labels = labels_of(written->json);
  publish(collection, std::exchange(object, written), written);
}

void ClusterApi::remove(const std::string& collection, const std::string& key) {
  auto& objects = objects_[collection];
  const auto at = objects.find(key);
  if (at == objects.end()) return;
  ++version_;
  publish(collection, at->second, nullptr);
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

void ClusterApi::set_trouble(Trouble trouble) {
  trouble_ = trouble;
  silent_.clear();
  if (trouble == Trouble::kNone) return;
  for (const Watch& watch : watches_) watch.responder->finish();
  watches_.clear();
}

void ClusterApi::send_bookmarks() {
  for (const Watch& watch : watches_)
    send(watch.responder, bookmark(watch.selection.collection, false), false);
}

// As the watch cache writes it: an object of the kind with nothing but its version.
std::string ClusterApi::bookmark(const std::string& collection, bool initial_events_end) const {
  std::string kind = "Unknown", version = "v1";
  for (const auto& [path, name] : kKinds)
    if (path == collection) kind = name;
  if (collection.starts_with("/apis/")) version = collection.substr(6, collection.rfind('/') - 6);
  return R"({"type":"BOOKMARK","object":{"kind":")" + kind + R"(","apiVersion":")" + version +
         R"(","metadata":{"resourceVersion":")" + std::to_string(version_) +
         R"(","creationTimestamp":null)" +
         (initial_events_end ? R"(,"annotations":{"k8s.io/initial-events-end":"true"})" : "") +
         "}}}\n";
}

void ClusterApi::send(const std::shared_ptr<HttpResponder>& responder, std::string text,
                      bool finish) {
  const bool behind = std::any_of(trickles_.begin(), trickles_.end(),
                                  [&](const Trickle& t) { return t.responder == responder; });
  if (speed_ == 0 && !behind) {
    responder->write(text);
    if (finish) responder->finish();
    return;
  }
  trickles_.push_back({responder, std::move(text), finish});
  tick_.start_every(std::chrono::milliseconds(1), [this] { trickle(); });
}

void ClusterApi::trickle() {
  std::vector<const HttpResponder*> served;
  for (Trickle& one : trickles_) {
    // What is for one client goes in order.
    if (std::find(served.begin(), served.end(), one.responder.get()) != served.end()) continue;
    served.push_back(one.responder.get());
    const size_t size = speed_ == 0 ? one.text.size() : std::min(speed_, one.text.size());
    one.responder->write(one.text.substr(0, size));
    one.text.erase(0, size);
    if (one.text.empty() && one.finish) one.responder->finish();
  }
  std::erase_if(trickles_, [](const Trickle& one) { return one.text.empty(); });
  if (trickles_.empty()) tick_.stop();
}

void ClusterApi::publish(const std::string& collection, ObjectPtr before, ObjectPtr after) {
  std::erase_if(watches_, [](const Watch& watch) { return watch.responder->closed(); });
  events_.push_back({version_, collection, std::move(before), std::move(after)});
  for (const Watch& watch : watches_)
    if (std::string line = line_of(events_.back(), watch.selection); !line.empty())
      send(watch.responder, std::move(line), false);
}

std::string ClusterApi::line_of(const Event& event, const Selection& selection) {
  if (event.collection != selection.collection) return "";
  const bool was = event.before && event.before->matches(selection);
  const bool is = event.after && event.after->matches(selection);
  if (!was && !is) return "";
  const char* type = !is ? "DELETED" : was ? "MODIFIED" : "ADDED";
  return std::string(R"({"type":")") + type + R"(","object":)" +
         (event.after ? event.after : event.before)->json + "}\n";
}

void ClusterApi::handle(const HttpServerRequest& request,
                        std::shared_ptr<HttpResponder> responder) {
  if (down_) return;  // dropped: the connection is closed
  requests_.push_back({request.method, request.target, request.body});
  if (request.method != "GET") return responder->respond(201, kJson, request.body);
  if (troubled(request, responder)) return;
  if (missing_.contains(request.path))
    return responder->respond(404, kJson, status(404, "could not find the requested resource"));
  if (request.query_value("sendInitialEvents")) return watch_list(request, std::move(responder));
  const Selection selection(request);
  if (!request.query_value("watch")) return list(selection, std::move(responder));
  const std::string since(request.query_value("resourceVersion").value_or("0"));
  watch(selection, std::strtoull(since.c_str(), nullptr, 10), std::move(responder));
}

bool ClusterApi::troubled(const HttpServerRequest& request,
                          const std::shared_ptr<HttpResponder>& responder) {
  switch (trouble_) {
    case Trouble::kNone:
      return false;
    case Trouble::kTooMany:
      responder->respond(429, {{"Content-Type", "application/json"}, {"Retry-After", "1"}},
                         status(429, "too many requests, please try again later"));
      return true;
    case Trouble::kExpired:
      if (!request.query_value("watch")) return false;
      responder->start(200, kJson);
      responder->write(R"({"type":"ERROR","object":{"kind":"Status","apiVersion":"v1",)"
                       R"("status":"Failure","message":"too old resource version",)"
                       R"("reason":"Expired","code":410}})"
                       "\n");
      responder->finish();
      return true;
    case Trouble::kCutOff:
      responder->start(200, kJson);
      responder->write(
          request.query_value("watch")
              ? R"({"type":"ADDED","object":{"metadata":{"na)"
              : R"({"kind":"List","metadata":{"resourceVersion":"9"},"items":[{"meta)");
      return true;  // dropped
    case Trouble::kSilent:
      silent_.push_back(responder);
      return true;
  }
  return false;
}

void ClusterApi::list(const Selection& selection, std::shared_ptr<HttpResponder> responder) {
  std::string body = R"({"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":")" +
                     std::to_string(version_) + R"("},"items":[)";
  bool first = true;
  for (const auto& [key, object] : objects_[selection.collection]) {
    if (!object->matches(selection)) continue;
    if (!first) body += ',';
    first = false;
    body += object->json;
  }
  ++lists_served_[selection.collection];
  if (speed_ == 0) return responder->respond(200, kJson, body + "]}");
  responder->start(200, kJson);
  send(responder, body + "]}", true);
}

// KEP-3157: every object as ADDED, then a bookmark that says so.
void ClusterApi::watch_list(const HttpServerRequest& request,
                            std::shared_ptr<HttpResponder> responder) {
  if (!watch_list_) return responder->respond(400, kJson, status(400, "no WatchList here"));
  const std::string match(request.query_value("resourceVersionMatch").value_or(""));
  const std::string bookmarks(request.query_value("allowWatchBookmarks").value_or(""));
  if (match != "NotOlderThan" || (bookmarks != "true" && bookmarks != "1"))
    return responder->respond(422, kJson, status(422, "sendInitialEvents: Forbidden"));
  const Selection selection(request);
  responder->start(200, kJson);
  std::string text;
  for (const auto& [key, object] : objects_[request.path])
    if (object->matches(selection)) text += R"({"type":"ADDED","object":)" + object->json + "}\n";
  send(responder, text + bookmark(request.path, true), false);
  watches_.push_back({selection, std::move(responder)});
}

void ClusterApi::watch(const Selection& selection, uint64_t since,
                       std::shared_ptr<HttpResponder> responder) {
  if (since < floor_)
    return responder->respond(410, kJson, status(410, "too old resource version"));
  responder->start(200, kJson);
  for (const Event& event : events_) {
    if (event.version <= since) continue;
    if (std::string line = line_of(event, selection); !line.empty())
      send(responder, std::move(line), false);
  }
  watches_.push_back({selection, std::move(responder)});
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
