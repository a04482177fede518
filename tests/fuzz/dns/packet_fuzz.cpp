// SPDX-License-Identifier: Apache-2.0
// Any bytes as a query: parsed, answered from a small zone, the reply must be a well-formed message
// within its limit.
#include <cstdlib>
#include <vector>

#include "dns/answer.h"
#include "dns/cookie.h"
#include "dns/message.h"
#include "dns/plugins/forward/relay.h"
#include "dns/zone/zone.h"

namespace {

using namespace fairlead;

struct Cluster {
  Cluster() {
    config.zone = *dns::Name::from_text("cluster.local");
    config.local_addresses = {IpAddress::v4(10, 96, 0, 53)};
    kube::Service web;
    web.meta.ns = "default";
    web.meta.name = "web";
    web.cluster_ips = {IpAddress::v4(10, 96, 0, 10)};
    web.ports.push_back({"http", kube::Protocol::kTcp, 80, 0});
    zone.put(web);
    kube::Service db = web;
    db.meta.name = "db";
    db.cluster_ips.clear();
    db.headless = true;
    zone.put(db);
    kube::EndpointSlice slice;
    slice.meta.ns = "default";
    slice.meta.name = slice.service_name = "db";
    slice.ports.push_back({"http", kube::Protocol::kTcp, 80});
    for (uint8_t i = 0; i < 100; ++i) {
      kube::Endpoint endpoint;
      endpoint.addresses = {IpAddress::v4(10, 244, 0, i)};
      if (i % 3 == 0) endpoint.hostname = "db-" + std::to_string(i / 6);
      slice.endpoints.push_back(endpoint);
    }
    zone.put(slice);
    kube::Service out = web;
    out.meta.name = "out";
    out.type = kube::ServiceType::kExternalName;
    out.external_name = "out.default.svc.cluster.local";
    zone.put(out);
    zone.set_synced();
    zone.publish(1);
  }
  dns::Zone zone;
  dns::ZoneConfig config;
};

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Cluster cluster;
  static std::vector<uint8_t> buffer(dns::kMaxMessage);
  static const dns::CookieMaker cookies({});
  dns::Query query;
  const dns::Parsed parsed = dns::parse_query({data, size}, query);
  if (parsed.verdict == dns::Verdict::kDrop) return 0;
  for (const size_t limit : {dns::udp_limit(query), dns::kMaxMessage}) {
    dns::Reply reply(buffer);
    reply.begin(query, limit);
    if (query.edns && query.edns->cookie_size != 0) {
      const auto cookie =
          std::span<const uint8_t>(query.edns->cookie).first(query.edns->cookie_size);
      reply.set_cookie(cookies.reply_to(cookie, IpAddress::v4(192, 0, 2, 1), 1));
    }
    dns::Name target;
    if (parsed.verdict == dns::Verdict::kReject) {
      reply.set_rcode(parsed.rcode);
    } else {
      dns::answer(cluster.config, cluster.zone.snapshot(), query, 1, reply, target);
    }
    const auto message = reply.finish();
    require(message.size() <= limit);
    const auto view = dns::parse_reply(message);
    require(view && view->id == query.id);
  }
  if (parsed.verdict == dns::Verdict::kAnswer) {
    const std::vector<uint8_t> upstream = dns::upstream_query(query);
    dns::Query again;
    require(dns::parse_query(upstream, again).verdict == dns::Verdict::kAnswer);
    require(again.name == query.name);
  }
  return 0;
}
