// SPDX-License-Identifier: Apache-2.0
#include "dns/zone/zone.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <thread>
#include <tuple>

#include "tests/unit/dns/support.h"

namespace fairlead::dns {
namespace {

using namespace test;

// A leaf for the tree alone.
struct Word {
  std::string text;
  uint8_t nibble(size_t index) const {
    const auto c = static_cast<uint8_t>(index / 2 < text.size() ? text[index / 2] : 0);
    return index % 2 == 0 ? c >> 4 : c & 15;
  }
};
struct WordKey {
  const std::string& text;
  uint8_t nibble(size_t index) const { return Word{text}.nibble(index); }
  bool matches(const Word& word) const { return word.text == text; }
};

TEST(Trie, DoesAsAMapDoesAndOldVersionsStay) {
  const uint64_t seed = test_seed();
  SCOPED_TRACE("FAIRLEAD_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  Trie<Word> trie;
  Trash trash;
  std::map<std::string, std::unique_ptr<Word>> model;
  std::vector<std::unique_ptr<Word>> gone;
  std::vector<std::pair<Trie<Word>, std::vector<std::string>>> versions;
  for (int step = 0; step < 4000; ++step) {
    std::string text(3, 'a');  // few letters: many shared prefixes; all of one length: no prefixes
    for (char& c : text) c = static_cast<char>("aabbq\x01\xf0"[random() % 7]);
    if (random() % 3 != 0) {
      auto word = std::make_unique<Word>(Word{text});
      const Word* replaced = trie.put(word.get(), WordKey{text}, trash);
      EXPECT_EQ(replaced, model.contains(text) ? model[text].get() : nullptr);
      if (model.contains(text)) gone.push_back(std::move(model[text]));
      model[text] = std::move(word);
    } else {
      const Word* removed = trie.remove(WordKey{text}, trash);
      EXPECT_EQ(removed != nullptr, model.contains(text));
      if (model.contains(text)) gone.push_back(std::move(model[text]));
      model.erase(text);
    }
    if (random() % 50 == 0) {  // publish
      ++trash.generation;
      std::vector<std::string> words;
      for (const auto& [known, word] : model) words.push_back(known);
      versions.emplace_back(trie, std::move(words));
    }
  }
  for (const auto& [version, words] : versions) {
    std::vector<std::string> found;
    version.for_each([&](const Word& word) { found.push_back(word.text); });
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, words);
    for (const std::string& word : words) EXPECT_NE(version.find(WordKey{word}), nullptr);
    for (const std::string prefix : {"a", "ab", "q", "\xf0", "qqb"})
      EXPECT_EQ(version.has_prefix(WordKey{prefix}, prefix.size() * 2),
                std::any_of(words.begin(), words.end(),
                            [&](const std::string& word) { return word.starts_with(prefix); }));
  }
  trie.destroy_nodes();
  for (const Trash::Item& item : trash.items) item.destroy(item.object);
}

TEST(Dashed, RoundTrips) {
  for (const auto& [address, label] :
       std::map<std::string, std::string>{{"10.0.0.1", "10-0-0-1"},
                                          {"255.100.20.3", "255-100-20-3"},
                                          {"5678:abcd::1", "5678-abcd--1"},
                                          {"5678:abcd::", "5678-abcd--0"},
                                          {"::1", "--1"},
                                          {"1:2:3:4:5:6:7:8", "1-2-3-4-5-6-7-8"}}) {
    char out[64];
    EXPECT_EQ(std::string(out, write_dashed(ip(address), out)), label);
    IpAddress parsed;
    ASSERT_TRUE(parse_dashed(label, parsed)) << label;
    EXPECT_EQ(parsed, ip(address));
  }
  IpAddress parsed;
  for (const char* bad : {"", "web", "1-2-3", "1-2-3-4-5", "1-2-3-256", "g--1", "---"})
    EXPECT_FALSE(parse_dashed(bad, parsed)) << bad;
}

std::vector<std::string> names_of(const Zone& zone, const std::string& address) {
  std::vector<std::string> names;
  const ReverseRecord* record = zone.snapshot().address(ip(address));
  if (record == nullptr) return names;
  for (const ReverseName& name : record->names())
    names.push_back(std::string(name.label) + (name.cluster_ip ? "=" : "/") +
                    std::string(name.service->name()) + "." + std::string(name.service->ns()));
  return names;
}

using Names = std::vector<std::string>;

TEST(Zone, ReverseNamesFollowServicesAndEndpoints) {
  Zone zone;
  zone.put(service("a", "x", {"10.0.0.1"}));
  zone.put(slice("a-1", "a", "x", {{"10.1.0.1", "h"}, {"10.1.0.2"}}));
  zone.publish(1);
  EXPECT_EQ(names_of(zone, "10.0.0.1"), Names{"=a.x"});
  EXPECT_EQ(names_of(zone, "10.1.0.1"), Names{"h/a.x"});
  EXPECT_EQ(names_of(zone, "10.1.0.2"), Names{"/a.x"});
  zone.put(slice("a-1", "a", "x", {{"10.1.0.1", "h2"}, {"10.1.0.3"}}));
  zone.put(headless("b", "x"));
  zone.put(slice("b-1", "b", "x", {{"10.0.0.1"}, {"10.1.0.3"}}));
  zone.publish(2);
  EXPECT_EQ(names_of(zone, "10.0.0.1"), (Names{"=a.x", "/b.x"}));
  EXPECT_EQ(names_of(zone, "10.1.0.1"), Names{"h2/a.x"});
  EXPECT_EQ(names_of(zone, "10.1.0.2"), Names{});
  EXPECT_EQ(names_of(zone, "10.1.0.3"), (Names{"/a.x", "/b.x"}));
  zone.remove_service({"x", "a"});
  zone.publish(3);
  EXPECT_EQ(names_of(zone, "10.0.0.1"), Names{"/b.x"});
  EXPECT_EQ(names_of(zone, "10.1.0.3"), Names{"/b.x"});
  zone.remove_slice({"x", "b-1"});
  zone.remove_slice({"x", "a-1"});
  zone.publish(4);
  EXPECT_EQ(names_of(zone, "10.0.0.1"), Names{});
  EXPECT_EQ(zone.endpoints(), 0u);
  EXPECT_EQ(zone.services(), 1u);
}

TEST(Zone, SlicesMayComeBeforeTheirServiceAndMoveBetweenServices) {
  Zone zone;
  zone.put(slice("s", "a", "x", {{"10.1.0.1"}}));
  zone.publish(1);
  EXPECT_EQ(zone.services(), 0u);
  EXPECT_EQ(names_of(zone, "10.1.0.1"), Names{});
  zone.put(headless("a", "x"));
  zone.put(headless("b", "x"));
  zone.publish(2);
  EXPECT_EQ(names_of(zone, "10.1.0.1"), Names{"/a.x"});
  zone.put(slice("s", "b", "x", {{"10.1.0.1"}}));
  zone.publish(3);
  EXPECT_EQ(names_of(zone, "10.1.0.1"), Names{"/b.x"});
}

// What is known of a service is in its record alone, from which later records are made.
TEST(Zone, AServiceStaysWhatItIsWhileItsSlicesAndItsNamespaceChange) {
  kube::Service full = service("a", "x", {"10.0.0.1", "fd00::1"},
                               {port("Http", 80), port("", 53, kube::Protocol::kUdp)});
  full.external_ips = {ip("192.0.2.1")};
  full.load_balancer_ingress.push_back({ip("192.0.2.2"), true});
  full.load_balancer_hosts = {"lb.example.com", "lb2.example.com"};
  const kube::Service services[] = {full, headless("b", "x", {port("db", 5432)}),
                                    external("c", "x", "www.example.com")};
  Zone zone({.namespaces = true});
  for (const kube::Service& each : services) zone.put(each);
  zone.put(ns("x"));
  zone.publish(1);
  const auto endpoints = [&](const std::string& address) {
    for (const kube::Service& each : services)
      zone.put(slice(each.meta.name + "-1", each.meta.name, "x", {{address}},
                     {{"p", kube::Protocol::kTcp, 1}}));
  };
  const auto record_of = [](const Zone& of, const kube::Service& each) {
    return of.snapshot().service(ServiceName::make(each.meta.name, each.meta.ns)->key());
  };
  const auto parts_of = [](const ServiceRecord& record) {
    const ServiceDraft d = record.draft();
    return std::tuple(d.kind, d.cluster_ips, d.ports, d.external_name, d.external_ips,
                      d.external_hosts);
  };
  const auto expect_like_new = [&](const std::string& address) {
    Zone fresh;
    for (const kube::Service& each : services) {
      fresh.put(each);
      fresh.put(slice(each.meta.name + "-1", each.meta.name, "x", {{address}},
                      {{"p", kube::Protocol::kTcp, 1}}));
    }
    fresh.publish(1);
    for (const kube::Service& each : services) {
      const ServiceRecord* const record = record_of(zone, each);
      ASSERT_NE(record, nullptr) << each.meta.name;
      EXPECT_TRUE(parts_of(*record) == parts_of(*record_of(fresh, each))) << each.meta.name;
      EXPECT_EQ(record->endpoints().size(), record_of(fresh, each)->endpoints().size());
    }
  };
  endpoints("10.1.0.1");
  zone.publish(2);
  expect_like_new("10.1.0.1");
  zone.remove_namespace({"", "x"});
  zone.publish(3);
  for (const kube::Service& each : services) EXPECT_EQ(record_of(zone, each), nullptr);
  endpoints("10.1.0.2");
  zone.publish(4);
  zone.put(ns("x"));
  zone.publish(5);
  expect_like_new("10.1.0.2");
}

TEST(Zone, RetainRemovesWhatAListDidNotHave) {
  Zone zone;
  zone.put(ns("x"));
  zone.put(ns("y"));
  zone.put(service("a", "x", {"10.0.0.1"}));
  zone.put(service("b", "x", {"10.0.0.2"}));
  zone.put(slice("a-1", "a", "x", {{"10.1.0.1"}}));
  zone.publish(1);
  zone.retain_services({{"x", "b"}});
  zone.retain_slices({});
  zone.retain_namespaces({{"", "x"}});
  zone.publish(2);
  EXPECT_EQ(zone.services(), 1u);
  EXPECT_EQ(zone.endpoints(), 0u);
  EXPECT_EQ(names_of(zone, "10.0.0.1"), Names{});
  EXPECT_EQ(names_of(zone, "10.0.0.2"), Names{"=b.x"});
  size_t namespaces = 0;
  zone.snapshot().namespaces.for_each([&](const KeyRecord&) { ++namespaces; });
  EXPECT_EQ(namespaces, 1u);
}

TEST(Zone, AnAddressThatIsListedTwiceKeepsItsName) {
  Zone zone;
  zone.put(service("a", "x", {"10.0.0.1", "10.0.0.1"}));
  zone.publish(1);
  EXPECT_EQ(names_of(zone, "10.0.0.1"), Names{"=a.x"});
  zone.put(service("a", "x", {"10.0.0.1"}));
  zone.publish(2);
  EXPECT_EQ(names_of(zone, "10.0.0.1"), Names{"=a.x"});
  zone.remove_service({"x", "a"});
  zone.publish(3);
  EXPECT_EQ(names_of(zone, "10.0.0.1"), Names{});
}

// RFC 8020: what has names below it exists, whether or not its own object has been seen.
TEST(Zone, ANamespaceExistsAsLongAsItHasServices) {
  Zone zone;
  const auto count = [&] {
    size_t n = 0;
    zone.snapshot().namespaces.for_each([&](const KeyRecord&) { ++n; });
    return n;
  };
  zone.put(service("a", "x", {"10.0.0.1"}));
  zone.publish(1);
  EXPECT_EQ(count(), 1u);
  zone.put(ns("x"));
  zone.remove_service({"x", "a"});
  zone.publish(2);
  EXPECT_EQ(count(), 1u);
  zone.remove_namespace({"", "x"});
  zone.publish(3);
  EXPECT_EQ(count(), 0u);
}

// Make before break: an endpoint that moves from slice to slice is never missed.
class HeldEndpoints : public ::testing::Test {
 protected:
  HeldEndpoints() : zone({.hold = std::chrono::seconds(2)}) {
    zone.set_time(at(0));
    zone.put(headless("db", "x"));
    zone.put(service("web", "x", {"10.0.0.1"}));
    zone.put(slice("db-1", "db", "x", {{"10.1.0.1", "a"}, {"10.1.0.2", "b"}}));
    zone.put(slice("web-1", "web", "x", {{"10.1.1.1"}}));
    zone.publish(1);
  }
  static MonoTime at(int milliseconds) {
    return MonoTime() + std::chrono::hours(1) + std::chrono::milliseconds(milliseconds);
  }
  std::string addresses(const std::string& service) {
    zone.publish(2);
    std::string text;
    const ServiceRecord* record = zone.snapshot().service(ServiceName::make(service, "x")->key());
    if (record == nullptr) return "none";
    for (const EndpointRecord& endpoint : record->endpoints())
      text += (text.empty() ? "" : " ") + endpoint.address.to_string();
    return text;
  }
  Zone zone;
};

TEST_F(HeldEndpoints, AMoveIsNotSeen) {
  zone.put(slice("db-1", "db", "x", {{"10.1.0.1", "a"}}));
  EXPECT_EQ(addresses("db"), "10.1.0.1 10.1.0.2");
  EXPECT_EQ(zone.due(), at(2000));
  zone.set_time(at(500));
  zone.put(slice("db-2", "db", "x", {{"10.1.0.2", "b"}}));
  EXPECT_EQ(addresses("db"), "10.1.0.1 10.1.0.2");
  zone.set_time(at(5000));
  EXPECT_EQ(addresses("db"), "10.1.0.1 10.1.0.2");
  EXPECT_EQ(zone.due(), std::nullopt);
}

// What a restored service has is elsewhere, also before anything of it has been published.
TEST_F(HeldEndpoints, NotWhatIsRestored) {
  ServiceDraft draft;
  draft.kind = ServiceKind::kHeadless;
  draft.endpoints.push_back({"", "", ip("10.1.2.1"), {}});
  ASSERT_TRUE(zone.restore({"x", "old"}, std::move(draft)));
  zone.put(slice("old-1", "old", "x", {{"10.1.2.1"}, {"10.1.2.2"}}));
  zone.remove_slice({"x", "old-1"});
  EXPECT_EQ(addresses("old"), "10.1.2.1 10.1.2.2");
  zone.retain_slices({{"x", "db-1"}, {"x", "web-1"}});
  EXPECT_EQ(addresses("old"), "10.1.2.2") << "held; the other was the file's alone";
}

TEST_F(HeldEndpoints, WhatHasGoneGoesInTime) {
  zone.remove_slice({"x", "db-1"});
  EXPECT_EQ(addresses("db"), "10.1.0.1 10.1.0.2");
  zone.set_time(at(1999));
  EXPECT_EQ(addresses("db"), "10.1.0.1 10.1.0.2");
  zone.set_time(at(2000));
  EXPECT_TRUE(zone.changed());
  EXPECT_EQ(addresses("db"), "");
  EXPECT_EQ(zone.snapshot().address(ip("10.1.0.1")), nullptr);
}

TEST_F(HeldEndpoints, UnreadyIsGoneAtOnce) {
  zone.put(slice("db-1", "db", "x", {{"10.1.0.1", "a"}, {"10.1.0.2", "b", false}}));
  EXPECT_EQ(addresses("db"), "10.1.0.1");
  // Also one that is held: it has come again, and is not ready.
  zone.put(slice("db-1", "db", "x", {{"10.1.0.2", "b", false}}));
  EXPECT_EQ(addresses("db"), "10.1.0.1");
  zone.put(slice("db-2", "db", "x", {{"10.1.0.1", "a", false}}));
  EXPECT_EQ(addresses("db"), "");
}

TEST_F(HeldEndpoints, WhatAnotherSliceSaysOfItCounts) {
  // It has moved, and is not ready where it is now.
  zone.put(slice("db-2", "db", "x", {{"10.1.0.2", "b", false}}));
  zone.put(slice("db-1", "db", "x", {{"10.1.0.1", "a"}}));
  EXPECT_EQ(addresses("db"), "10.1.0.1");
  // Its name is another pod's now.
  zone.put(slice("db-1", "db", "x", {{"10.1.0.9", "a"}}));
  EXPECT_EQ(addresses("db"), "10.1.0.9");
}

// A pod that is made anew has another address: its old one is no answer beside it, nor before the
// new one is ready.
TEST_F(HeldEndpoints, ASuccessorTakesThePlaceOfWhatIsHeld) {
  for (const bool ready : {true, false}) {
    zone.put(slice("db-1", "db", "x", {{"10.1.0.1", "a"}, {"10.1.0.2", "b"}}));
    zone.put(slice("db-1", "db", "x", {{"10.1.0.1", "a"}}));
    EXPECT_EQ(addresses("db"), "10.1.0.1 10.1.0.2");
    zone.put(slice("db-1", "db", "x", {{"10.1.0.1", "a"}, {"10.1.0.9", "b", ready}}));
    EXPECT_EQ(addresses("db"), ready ? "10.1.0.1 10.1.0.9" : "10.1.0.1");
    zone.put(slice("db-1", "db", "x", {{"10.1.0.1", "a"}, {"10.1.0.2", "b"}}));
    zone.put(slice("db-1", "db", "x", {{"10.1.0.1", "a"}, {"10.1.0.8", "b", ready}}));
    EXPECT_EQ(addresses("db"), ready ? "10.1.0.1 10.1.0.8" : "10.1.0.1") << "in one change";
  }
}

TEST_F(HeldEndpoints, ASliceThatChangesItsServiceTakesNothingAlong) {
  zone.put(headless("other", "x"));
  zone.put(slice("db-1", "other", "x", {{"10.1.0.7"}}));
  EXPECT_EQ(addresses("other"), "10.1.0.7");
  EXPECT_EQ(addresses("db"), "");
}

TEST_F(HeldEndpoints, OnlyOfHeadlessServicesThatAreThere) {
  zone.remove_slice({"x", "web-1"});
  EXPECT_EQ(addresses("web"), "");
  zone.put(slice("db-1", "db", "x", {}));
  EXPECT_EQ(addresses("db"), "10.1.0.1 10.1.0.2");
  zone.put(service("db", "x", {"10.0.0.2"}));
  EXPECT_EQ(addresses("db"), "");
  zone.put(headless("db", "x"));
  zone.put(slice("db-1", "db", "x", {{"10.1.0.1", "a"}}));
  zone.put(slice("db-1", "db", "x", {}));
  zone.remove_service({"x", "db"});
  EXPECT_EQ(addresses("db"), "none");
  zone.put(headless("db", "x"));
  EXPECT_EQ(addresses("db"), "");
  zone.set_time(at(9000));
  EXPECT_EQ(zone.due(), std::nullopt);
}

TEST(Zone, NamesThatAreNoLabelsAreLeftOut) {
  Zone zone;
  zone.put(service(std::string(64, 'a'), "x", {"10.0.0.1"}));
  zone.put(service("", "x", {"10.0.0.1"}));
  zone.put(service("Upper", "x", {"10.0.0.1"}));
  zone.put(service(std::string(63, 'a'), std::string(63, 'b'), {"10.0.0.2"}));
  zone.put(slice("s", "", "x", {{"10.1.0.1"}}));
  zone.publish(1);
  EXPECT_EQ(zone.services(), 1u);
}

TEST(Zone, TheSerialNeverGoesBack) {
  Zone zone;
  zone.put(ns("a"));
  zone.publish(100);
  zone.put(ns("b"));
  zone.publish(90);
  EXPECT_EQ(zone.snapshot().serial, 100u);
  zone.put(ns("c"));
  zone.publish(101);
  EXPECT_EQ(zone.snapshot().serial, 101u);
  zone.publish(200);
  EXPECT_EQ(zone.snapshot().serial, 101u) << "nothing changed";
}

TEST(Zone, WhatAReaderHoldsIsKeptUntilItLeaves) {
  Zone zone;
  Published::Reader reader(zone.published());
  zone.put(service("a", "x", {"10.0.0.1"}));
  zone.publish(1);
  EXPECT_EQ(zone.reclaim(), 0u);
  {
    const Published::Reader::Guard guard(reader);
    const Snapshot& held = reader.snapshot();
    {
      const Published::Reader::Guard nested(reader);
      zone.put(service("a", "x", {"10.0.0.2"}));
      zone.publish(2);
    }
    EXPECT_GT(zone.reclaim(), 0u);
    EXPECT_NE(held.address(ip("10.0.0.1")), nullptr);
    EXPECT_EQ(held.address(ip("10.0.0.2")), nullptr);
  }
  EXPECT_EQ(zone.reclaim(), 0u);
  const Published::Reader::Guard guard(reader);
  EXPECT_EQ(reader.snapshot().address(ip("10.0.0.1")), nullptr);
}

// A writer and readers at once; the sanitizers watch. Every snapshot is whole: a service's address
// leads back to the service.
TEST(Zone, ReadersSeeWholeSnapshotsWhileTheWriterGoesOn) {
  Zone zone;
  std::atomic<bool> done{false};
  std::atomic<uint64_t> reads{0};
  std::vector<std::unique_ptr<Published::Reader>> readers;
  for (int i = 0; i < 2; ++i)
    readers.push_back(std::make_unique<Published::Reader>(zone.published()));
  std::vector<std::thread> threads;
  for (const auto& reader : readers) {
    threads.emplace_back([&, r = reader.get()] {
      while (!done.load()) {
        const Published::Reader::Guard guard(*r);
        const Snapshot& snapshot = r->snapshot();
        snapshot.services.for_each([&](const ServiceRecord& record) {
          for (const IpAddress& address : record.cluster_ips()) {
            const ReverseRecord* back = snapshot.address(address);
            ASSERT_NE(back, nullptr);
            ASSERT_EQ((*back->names().begin()).service->name(), record.name().name());
          }
        });
        reads.fetch_add(1);
      }
    });
  }
  const uint64_t seed = test_seed();
  SCOPED_TRACE("FAIRLEAD_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (uint32_t step = 1; step < 3000 || reads.load() < 100; ++step) {
    const auto n = static_cast<uint8_t>(random() % 60);
    const std::string name = "s" + std::to_string(n);
    if (random() % 4 == 0) {
      zone.remove_service({"x", name});
    } else {
      const IpAddress address = IpAddress::v4(10, static_cast<uint8_t>(random() % 4), 0, n);
      zone.put(service(name, "x", {address.to_string()}));
    }
    zone.publish(step);
  }
  done.store(true);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(zone.reclaim(), 0u);
}

}  // namespace
}  // namespace fairlead::dns
