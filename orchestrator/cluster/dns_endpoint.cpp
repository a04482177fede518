// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/cluster/dns_endpoint.h"

#include <nlohmann/json.hpp>

#include "base/log.h"

namespace fairlead::orchestrator {

namespace {
using Json = nlohmann::json;
constexpr char kDiscovery[] = "/apis/discovery.k8s.io/v1";
constexpr char kReadyUrl[] = "http://127.0.0.1:8181/ready";

Json slice_object(const std::string& node_name, const std::string& node_ip, bool ready) {
  const auto port = [](const char* name, const char* protocol) {
    return Json{{"name", name}, {"protocol", protocol}, {"port", DnsEndpoint::kPort}};
  };
  return {
      {"apiVersion", "discovery.k8s.io/v1"},
      {"kind", "EndpointSlice"},
      {"metadata",
       {{"name", "kube-dns-" + node_name},
        {"namespace", "kube-system"},
        {"labels",
         {{"kubernetes.io/service-name", "kube-dns"},
          {"endpointslice.kubernetes.io/managed-by", "fairlead-node"}}}}},
      {"addressType", "IPv4"},
      {"endpoints",
       Json::array({{{"addresses", Json::array({node_ip})},
                     {"conditions", {{"ready", ready}, {"serving", ready}, {"terminating", false}}},
                     {"nodeName", node_name}}})},
      {"ports", Json::array({port("dns", "UDP"), port("dns-tcp", "TCP")})}};
}
}  // namespace

DnsEndpoint::DnsEndpoint(Loop& loop, kube::ApiClient& client, std::string node_name,
                         std::string node_ip)
    : loop_(loop),
      http_(loop),
      calls_(client),
      node_name_(std::move(node_name)),
      node_ip_(std::move(node_ip)) {}

void DnsEndpoint::ask() {
  HttpRequest request;
  request.url = kReadyUrl;
  request.total_timeout = std::chrono::seconds(2);
  probe_ = fetch(http_, std::move(request), 4096, [this](Result<HttpResponse> response) {
    ready_ = response.ok() && response->status == 200;
    next_ = loop_.clock().after(
        ready_ ? Duration(std::chrono::seconds(10)) : Duration(std::chrono::milliseconds(250)),
        [this] { ask(); });
    write();
  });
}

void DnsEndpoint::write() {
  if (writing_ || written_ == ready_ || (!written_ && !ready_)) return;
  writing_ = true;
  const bool ready = ready_;
  const Json object = slice_object(node_name_, node_ip_, ready);
  const auto done = [this, ready](const Result<Json>& reply) {
    writing_ = false;
    if (reply.ok()) {
      written_ = ready;
      return write();
    }
    log::debug("kube-dns-{}: {}", node_name_, reply.error().message());
    retry_ = loop_.clock().after(std::chrono::seconds(1), [this] { write(); });
  };
  kube::ApiRequest patch;
  patch.method = "PATCH";
  patch.path =
      kube::resource_path(kDiscovery, "endpointslices", "kube-system", "kube-dns-" + node_name_);
  patch.content_type = "application/merge-patch+json";
  patch.body = object.dump();
  calls_.send(std::move(patch), [this, object, done](Result<Json> reply) {
    if (reply.ok() || !reply.error().is_not_found()) return done(reply);
    kube::ApiRequest post;
    post.method = "POST";
    post.path = kube::resource_path(kDiscovery, "endpointslices", "kube-system");
    post.body = object.dump();
    calls_.send(std::move(post), done);
  });
}

}  // namespace fairlead::orchestrator
