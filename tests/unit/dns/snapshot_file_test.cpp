// SPDX-License-Identifier: Apache-2.0
// A snapshot as a file: what comes out is what went in, or nothing.
#include "dns/zone/snapshot_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "base/file.h"
#include "dns/plugins/kubernetes/saver.h"
#include "tests/unit/dns/support.h"

namespace fairlead::dns {
namespace {

using namespace test;

const ZoneContent kEverything{.pod_names = true, .topology = true, .namespaces = false};
constexpr uint64_t kTaken = 1700000123;

std::string saved(const Zone& zone, const std::string& source = "s") {
  std::string file;
  const auto written = write_snapshot(zone.snapshot(), source, kTaken, [&](std::string_view piece) {
    file += piece;
    return ok();
  });
  EXPECT_TRUE(written.ok());
  return file;
}

std::string resealed(const std::string& file) {
  std::string content = file.substr(0, file.size() - 8);
  const uint64_t checksum = snapshot_checksum(content);
  for (size_t i = 0; i < 8; ++i) content += static_cast<char>(checksum >> (8 * i) & 255);
  return content;
}

std::string text_of(std::span<const uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

std::string ports_text(const ServiceRecord& service, std::span<const PortRecord> ports) {
  std::string text;
  for (const PortRecord& port : ports)
    text += " " + std::string(service.name_of(port)) + "/" + kube::to_string(port.protocol) + "/" +
            std::to_string(port.number);
  return text;
}

// All that readers can see, in an order that does not depend on this process's hashes.
std::vector<std::string> everything(const Snapshot& snapshot) {
  std::vector<std::string> lines;
  snapshot.namespaces.for_each(
      [&](const KeyRecord& r) { lines.push_back("n" + text_of(r.key())); });
  snapshot.pods.for_each([&](const KeyRecord& r) { lines.push_back("p" + text_of(r.key())); });
  snapshot.services.for_each([&](const ServiceRecord& s) {
    const std::string name = text_of(s.key()) + std::to_string(static_cast<int>(s.kind()));
    std::string line = "s" + name + ports_text(s, s.ports()) + " " + text_of(s.external_name());
    for (const auto addresses : {s.cluster_ips(), s.external_ips()})
      for (const IpAddress& address : addresses) line += " " + address.to_string();
    for (size_t i = 0; i < s.external_hosts(); ++i) line += " " + text_of(s.external_host(i));
    lines.push_back(line);
    for (const EndpointRecord& e : s.endpoints())
      lines.push_back("e" + name + " " + std::string(s.label_of(e)) + " " + e.address.to_string() +
                      " " + text_of(s.topology_of(e)) + ports_text(s, s.ports_of(e.ports)) +
                      (e.repeated ? " again" : ""));
  });
  for (const auto* trie : {&snapshot.reverse, &snapshot.external})
    trie->for_each([&](const ReverseRecord& record) {
      for (const ReverseName& name : record.names())
        lines.push_back("r" + record.address().to_string() + " " + std::string(name.label) + " " +
                        text_of(name.service->key()));
    });
  std::sort(lines.begin(), lines.end());
  return lines;
}

// A cluster of any size up to `services`.
void fill(Zone& zone, std::mt19937_64& random, size_t services) {
  const auto below = [&random](size_t n) { return random() % n; };
  const auto address = [&] {
    return below(4) == 0 ? "fd00::" + std::to_string(below(50))
                         : "10.1.2." + std::to_string(below(99));
  };
  for (size_t i = 0; i < services; ++i) {
    const std::string name = "svc-" + std::to_string(i);
    const std::string space = "ns-" + std::to_string(below(5));
    if (below(8) == 0) {
      zone.put(external(name, space, below(3) == 0 ? "10.0.0.1" : "a." + name + ".example.org"));
      continue;
    }
    std::vector<kube::ServicePort> ports;
    for (size_t n = below(3); n > 0; --n)
      ports.push_back(port("port-" + std::to_string(n), static_cast<uint16_t>(below(65536)),
                           static_cast<kube::Protocol>(below(3))));
    kube::Service made = below(2) == 0 ? headless(name, space, ports)
                                       : service(name, space, {address(), address()}, ports);
    for (size_t n = below(3); n > 0; --n) made.external_ips.push_back(ip(address()));
    if (below(4) == 0)
      made.load_balancer_hosts.push_back("lb-" + std::to_string(i) + ".example.org");
    zone.put(made);
    for (size_t n = below(4); n > 0; --n) {
      std::vector<TestEndpoint> endpoints;
      for (size_t k = below(6); k > 0; --k)
        endpoints.push_back({address(), below(2) == 0 ? "host-" + std::to_string(below(4)) : "",
                             below(5) != 0, below(2) == 0 ? "pod-" + std::to_string(k) : "",
                             below(3) == 0 ? "" : "Zone.b-" + std::to_string(below(3))});
      std::vector<kube::EndpointPort> slice_ports;
      for (size_t k = below(3); k > 0; --k)
        slice_ports.push_back({"port-" + std::to_string(k), static_cast<kube::Protocol>(below(3)),
                               static_cast<uint16_t>(below(65536))});
      zone.put(slice(name + "-" + std::to_string(n), name, space, endpoints, slice_ports));
    }
  }
  for (size_t n = below(4); n > 0; --n) zone.put(ns("empty-" + std::to_string(n)));
  for (size_t n = below(9); n > 0; --n)
    zone.put(pod("pod-" + std::to_string(n), "ns-1", {address(), "fd01::" + std::to_string(n)}));
}

TEST(SnapshotFile, RoundTrips) {
  const uint64_t seed = test_seed();
  SCOPED_TRACE("FAIRLEAD_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (const size_t services : {0, 1, 7, 40, 2000}) {
    Zone zone(kEverything);
    fill(zone, random, services);
    zone.set_synced();
    zone.publish(1700000001);
    Zone again(kEverything);
    const auto read = read_snapshot(saved(zone), "s", again);
    ASSERT_TRUE(read.ok()) << read.error().message();
    EXPECT_EQ(read->taken, kTaken);
    again.set_stale();
    again.publish(read->serial);
    EXPECT_EQ(everything(again.snapshot()), everything(zone.snapshot()));
    EXPECT_EQ(again.services(), zone.services());
    EXPECT_EQ(again.endpoints(), zone.endpoints());
    EXPECT_EQ(again.snapshot().serial, 1700000001u);
    EXPECT_TRUE(again.snapshot().stale && !again.snapshot().synced);
    // What is made of a restored service and its slices once something happens to it is the same.
    zone.snapshot().services.for_each([&](const ServiceRecord& of) {
      const std::string name(of.name().name());
      again.put(slice("none", name, std::string(of.name().ns()), {}));
    });
    again.publish(read->serial);
    EXPECT_EQ(everything(again.snapshot()), everything(zone.snapshot()));
    // The API server has nothing of it: nothing is left.
    again.retain_services({});
    again.retain_slices({});
    again.retain_namespaces({});
    again.retain_pods({});
    again.set_synced();
    again.publish(1700000002);
    EXPECT_EQ(everything(again.snapshot()), std::vector<std::string>());
    EXPECT_TRUE(again.snapshot().synced && !again.snapshot().stale);
  }
}

std::string small_file() {
  Zone zone(kEverything);
  zone.put(ns("default"));
  kube::Service web = service("web", "default", {"10.96.0.10", "fd00::10"}, {port("http", 80)});
  web.load_balancer_hosts = {"lb.example.org"};
  zone.put(web);
  zone.put(external("out", "default", "example.org"));
  zone.put(slice("web-1", "web", "default",
                 {{.address = "10.1.0.1", .hostname = "h", .zone = "a.b"}, {.address = "fd00::4"}},
                 {{"http", kube::Protocol::kTcp, 8080}}));
  zone.put(pod("p", "default", {"10.1.0.1"}));
  zone.set_synced();
  zone.publish(1);
  return saved(zone);
}

// Whether it was taken; if not, nothing is left of it.
bool taken(const std::string& file) {
  Zone zone(kEverything);
  const bool read = read_snapshot(file, "s", zone).ok();
  zone.publish(2);
  if (!read) EXPECT_EQ(everything(zone.snapshot()), std::vector<std::string>());
  return read;
}

TEST(SnapshotFile, IsRefusedWhereverItIsDamaged) {
  const std::string file = small_file();
  ASSERT_TRUE(taken(file));
  for (size_t at = 0; at < file.size(); ++at) {
    EXPECT_FALSE(taken(file.substr(0, at))) << at;
    for (const uint8_t flip : {0x01, 0x80, 0xff}) {
      std::string bad = file;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      EXPECT_FALSE(taken(bad)) << at;
      if (at + 8 < file.size()) taken(resealed(bad));  // harmless, whether it is taken or not
    }
  }
  EXPECT_FALSE(taken(file + "x"));
  EXPECT_FALSE(taken(resealed(file + "x")));
}

TEST(SnapshotFile, SaysWhyItIsNotTaken) {
  std::string file = small_file();
  const auto why = [](const std::string& bytes, const std::string& source) {
    Zone zone(kEverything);
    const auto read = read_snapshot(bytes, source, zone);
    return read.ok() ? "taken" : read.error().message();
  };
  EXPECT_EQ(why(file, "s"), "taken");
  EXPECT_EQ(why(file, "other"), "it is of another cluster, or of other objects than are read");
  EXPECT_EQ(why("", "s"), "it is no snapshot");
  EXPECT_EQ(why(file.substr(0, file.size() - 1), "s"), "it is damaged: the checksum differs");
  file[7] = 2;
  EXPECT_EQ(why(file, "s"), "it is of another version");
}

// What is known stays while the true objects come in; what they lack goes when they are complete.
TEST(SnapshotFile, IsAnsweredFromUntilTheClusterIsKnown) {
  Zone before;
  before.put(service("web", "default", {"10.96.0.10"}));
  before.put(headless("db", "default"));
  before.put(slice("db-1", "db", "default", {{"10.1.0.1"}, {"10.1.0.2"}}));
  before.set_synced();
  before.publish(1);
  Zone zone;
  ASSERT_TRUE(read_snapshot(saved(before), "s", zone).ok());
  zone.set_stale();
  zone.publish(1);
  ZoneConfig config;
  config.zone = dns_name("cluster.local");
  const auto look = [&](const std::string& name, bool edns = true, Type type = Type::kA) {
    QueryOptions options;
    if (edns) options.edns_size = 1232;
    return to_text(ask(config, zone.snapshot(), make_query(name, type, options)));
  };
  EXPECT_EQ(look("web.default.svc.cluster.local"),
            "NOERROR aa rd qd=1\nanswer web.default.svc.cluster.local. 5 A 10.96.0.10\n"
            "opt 1232 ede=3\n");
  EXPECT_EQ(look("web.default.svc.cluster.local", false),
            "NOERROR aa rd qd=1\nanswer web.default.svc.cluster.local. 5 A 10.96.0.10\n");
  const std::string nodata = look("web.default.svc.cluster.local", true, Type::kAaaa);
  EXPECT_TRUE(nodata.starts_with("NOERROR") && nodata.ends_with("opt 1232 ede=3\n")) << nodata;
  const std::string unknown = look("new.default.svc.cluster.local");
  EXPECT_TRUE(unknown.starts_with("SERVFAIL") && unknown.ends_with("opt 1232 ede=14\n")) << unknown;
  // Services are complete and web is gone; slices are not complete.
  zone.put(headless("db", "default"));
  zone.put(slice("db-2", "db", "default", {{"10.1.0.3"}}));
  zone.retain_services({{"default", "db"}});
  zone.publish(2);
  EXPECT_TRUE(look("web.default.svc.cluster.local").starts_with("SERVFAIL"));
  EXPECT_EQ(
      brief(ask(config, zone.snapshot(), make_query("db.default.svc.cluster.local", Type::kA))),
      "10.1.0.1, 10.1.0.2, 10.1.0.3");
  zone.retain_slices({{"default", "db-2"}});
  zone.set_synced();
  zone.publish(3);
  EXPECT_TRUE(look("web.default.svc.cluster.local").starts_with("NXDOMAIN"));
  EXPECT_EQ(look("db.default.svc.cluster.local"),
            "NOERROR aa rd qd=1\nanswer db.default.svc.cluster.local. 5 A 10.1.0.3\nopt 1232\n");
}

TEST(SnapshotSaver, WritesWhatIsUnsavedWhenItGoes) {
  char pattern[] = "/tmp/fairlead-snapshot-XXXXXX";
  const std::string directory = mkdtemp(pattern);
  Loop loop;
  Zone zone(kEverything);
  zone.put(service("web", "default", {"10.96.0.10"}));
  zone.set_synced();
  zone.publish(1);
  { SnapshotSaver nothing_new(loop, zone.published(), directory + "/s", "s"); }
  EXPECT_FALSE(std::filesystem::exists(directory + "/s"));
  {
    SnapshotSaver saver(loop, zone.published(), directory + "/s", "s");
    saver.changed();
  }
  const auto file = read_file(directory + "/s", 1 << 20);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(taken(*file));
  {
    SnapshotSaver(loop, zone.published(), directory + "/missing/s", "s").changed();
  }  // is only logged
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory), {}), 1);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace fairlead::dns
