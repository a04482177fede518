// SPDX-License-Identifier: Apache-2.0
// Random clusters, changed step by step, against a model that is as simple as it gets: it looks at
// all objects for each question.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/unit/dns/support.h"

namespace fairlead::dns {
namespace {

using namespace test;

std::string dashed(const std::string& address) {
  std::string label = address;
  std::replace(label.begin(), label.end(), '.', '-');
  return label;
}

// Everything there is, as objects.
struct Model {
  std::map<std::pair<std::string, std::string>, kube::Service> services;  // by namespace and name
  std::map<std::string, kube::EndpointSlice> slices;                      // all in namespace "n"
  std::set<std::string> namespaces;

  std::set<std::string> addresses(const std::string& service, const std::string& endpoint) const {
    std::set<std::string> found;
    for (const auto& [key, slice] : slices) {
      if (slice.service_name != service) continue;
      for (const kube::Endpoint& e : slice.endpoints) {
        const std::string text = e.addresses[0].to_string();
        const std::string label = e.hostname.empty() ? dashed(text) : e.hostname;
        if (e.ready && (endpoint.empty() || endpoint == label)) found.insert(text);
      }
    }
    return found;
  }

  // What brief() says of "[endpoint.]service.n.svc.cluster.local A".
  std::string answer(const std::string& service, const std::string& endpoint) const {
    const auto at = services.find({"n", service});
    if (at == services.end()) return "NXDOMAIN";
    std::set<std::string> found;
    if (!at->second.headless && endpoint.empty()) {
      for (const IpAddress& address : at->second.cluster_ips) found.insert(address.to_string());
    } else {
      found = addresses(service, endpoint);
    }
    if (found.empty()) return "NXDOMAIN";
    std::string text;
    for (const std::string& address : found) text += (text.empty() ? "" : ", ") + address;
    return text;
  }

  std::string reverse(const std::string& address) const {
    std::set<std::string> cluster;
    std::set<std::string> endpoints;
    for (const auto& [key, service] : services) {
      const std::string name = key.second + "." + key.first + ".svc.cluster.local.";
      for (const IpAddress& ip : service.cluster_ips)
        if (ip.to_string() == address) cluster.insert(name);
      for (const auto& [slice_key, slice] : slices) {
        if (slice.service_name != key.second || key.first != "n") continue;
        for (const kube::Endpoint& e : slice.endpoints)
          if (e.ready && e.addresses[0].to_string() == address)
            endpoints.insert((e.hostname.empty() ? dashed(address) : e.hostname) + "." + name);
      }
    }
    if (!cluster.empty()) return *cluster.begin();
    if (endpoints.empty()) return "NXDOMAIN";
    std::string text;
    for (const std::string& name : endpoints) text += (text.empty() ? "" : ", ") + name;
    return text;
  }
};

void check_reverse(const ZoneConfig& config, const Zone& zone, const Model& model,
                   const std::string& address, const std::string& question) {
  const Bytes query = make_query(question, Type::kPtr);
  ASSERT_EQ(brief(ask(config, zone.snapshot(), query, 0, nullptr, nullptr, true)),
            model.reverse(address))
      << question;
}

TEST(Random, TheZoneAnswersAsTheModelDoes) {
  const uint64_t seed = test_seed();
  SCOPED_TRACE("FAIRLEAD_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto below = [&random](uint64_t n) { return random() % n; };
  const auto address = [&] { return "10.0.0." + std::to_string(below(12)); };
  const auto service_name = [&] { return "s" + std::to_string(below(6)); };
  const auto host = [&]() -> std::string {
    return below(2) == 0 ? "" : "h" + std::to_string(below(3));
  };

  Zone zone;
  ZoneConfig config;
  config.zone = dns_name("cluster.local");
  config.fallthrough.clear();
  zone.set_synced();
  Model model;
  for (uint32_t step = 1; step <= 1500; ++step) {
    const std::string name = service_name();
    const std::string slice_name = "slice" + std::to_string(below(8));
    switch (below(5)) {
      case 0: {
        kube::Service s = below(2) == 0
                              ? headless(name, "n")
                              : service(name, "n", {"10.96.0." + std::to_string(below(4))});
        model.services[{"n", name}] = s;
        zone.put(s);
        break;
      }
      case 1:
        model.services.erase({"n", name});
        zone.remove_service({"n", name});
        break;
      case 2:
        model.slices.erase(slice_name);
        zone.remove_slice({"n", slice_name});
        break;
      default: {
        std::vector<TestEndpoint> endpoints;
        for (uint64_t i = below(5); i > 0; --i)
          endpoints.push_back({address(), host(), below(4) != 0});
        kube::EndpointSlice s = slice(slice_name, name, "n", endpoints);
        model.slices[slice_name] = s;
        zone.put(s);
        break;
      }
    }
    if (below(3) == 0) continue;  // several changes, one publication
    zone.publish(step);
    for (int i = 0; i < 6; ++i) {
      const std::string asked = "s" + std::to_string(i);
      const std::string label = below(3) == 0   ? dashed(address())
                                : below(2) == 0 ? "h" + std::to_string(below(3))
                                                : "";
      const std::string question =
          (label.empty() ? "" : label + ".") + asked + ".n.svc.cluster.local";
      ASSERT_EQ(brief(ask(config, zone.snapshot(), make_query(question, Type::kA), step, nullptr,
                          nullptr, true)),
                model.answer(asked, label))
          << question << " at step " << step;
    }
    const std::string last = std::to_string(below(12));
    check_reverse(config, zone, model, "10.0.0." + last, last + ".0.0.10.in-addr.arpa");
    check_reverse(config, zone, model, "10.96.0." + last, last + ".0.96.10.in-addr.arpa");
  }
}

}  // namespace
}  // namespace fairlead::dns
