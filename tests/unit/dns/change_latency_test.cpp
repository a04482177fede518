// SPDX-License-Identifier: Apache-2.0
#include "dns/change_latency.h"

#include <gtest/gtest.h>

#include "tests/unit/dns/support.h"

namespace fairlead::dns::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";

kube::EndpointSlice triggered(const std::string& service, const std::string& time) {
  kube::EndpointSlice made = slice(service + "-1", service, "n", {{"10.0.0.1"}});
  if (!time.empty()) made.meta.annotations[kAnnotation] = time;
  return made;
}

TEST(ChangeLatency, ReadsTheAnnotation) {
  const WallTime start(seconds(1'769'860'800));  // 2026-01-31T12:00:00Z
  const std::pair<const char*, std::optional<WallTime>> kCases[] = {
      {"", {}},
      {"2026-01-31T12:00:00Z", start},
      {"2026-01-31T12:00:00.25Z", start + milliseconds(250)},
      {"2026-01-31T12:00:00.123456789Z", start + Duration(123'456'789)},
      {"2026-01-31T13:00:00+01:00", start},
      {"2026-01-31T08:30:00.5-03:30", start + milliseconds(500)},
      {"2026-01-31 12:00:00Z", {}},
      {"2026-01-31T12:00:00", {}},
      {"2026-01-31T12:00:00Zx", {}},
      {"yesterday", {}}};
  for (const auto& [text, time] : kCases)
    EXPECT_EQ(trigger_time(triggered("web", text)), time) << text;
}

class ChangeLatencyTest : public ::testing::Test {
 protected:
  ChangeLatencyTest() {
    zone.put(ns("n"));
    zone.put(service("web", "n", {"10.96.0.1"}));
    zone.put(headless("db", "n"));
    zone.set_synced();
    zone.publish(1);
  }
  bool has(const std::string& line) const {
    std::string text;
    histograms.render(text);
    return text.find("\n" + line + "\n") != std::string::npos;
  }
  Zone zone;
  ChangeHistograms histograms;
  ChangeLatency latency{zone, histograms};
  const WallTime wall{seconds(1'769'860'800)};
  const MonoTime mono{seconds(5)};
};

// By the kind of the service; of one that nobody knows, and without the annotation, nothing.
TEST_F(ChangeLatencyTest, ProgrammingIsCountedByTheKindOfService) {
  for (const char* service : {"web", "db", "db", "unknown"})
    latency.slice(triggered(service, "2026-01-31T11:59:59.5Z"));
  latency.slice(triggered("web", ""));
  latency.published(wall, true);
  latency.published(wall, true);
  const std::string name = "coredns_kubernetes_dns_programming_duration_seconds";
  EXPECT_TRUE(has(name + "_count{service_kind=\"cluster_ip\"} 1"));
  EXPECT_TRUE(has(name + "_count{service_kind=\"headless_with_selector\"} 2"));
  EXPECT_TRUE(has(name + "_sum{service_kind=\"headless_with_selector\"} 1"));
  EXPECT_TRUE(has(name + "_bucket{service_kind=\"cluster_ip\",le=\"0.256\"} 0"));
  EXPECT_TRUE(has(name + "_bucket{service_kind=\"cluster_ip\",le=\"0.512\"} 1"));
  EXPECT_TRUE(has(name + "_bucket{service_kind=\"cluster_ip\",le=\"524.288\"} 1"));
}

// From the reading of the bytes until nobody answers with anything older; what changes no answer
// is not counted.
TEST_F(ChangeLatencyTest, AnEventIsDoneWhenEveryWorkerAnswersWithIt) {
  latency.event(mono);
  latency.published(wall, false);
  EXPECT_FALSE(latency.waits_for_readers());
  for (int i = 0; i < 3; ++i) latency.event(mono);
  latency.event(mono + microseconds(100));
  latency.published(wall, true);
  EXPECT_TRUE(latency.waits_for_readers());
  EXPECT_TRUE(has("fairlead_dns_event_to_answer_seconds_count 0"));
  latency.served(mono + microseconds(140));
  EXPECT_FALSE(latency.waits_for_readers());
  EXPECT_TRUE(has("fairlead_dns_event_to_answer_seconds_count 4"));
  EXPECT_TRUE(has("fairlead_dns_event_to_answer_seconds_bucket{le=\"5e-05\"} 1"));
  EXPECT_TRUE(has("fairlead_dns_event_to_answer_seconds_bucket{le=\"0.0002\"} 4"));
}

TEST_F(ChangeLatencyTest, AReaderThatStaysHoldsAPublicationBack) {
  Published::Reader reader(zone.published());
  EXPECT_TRUE(zone.seen_by_all());
  {
    const Published::Reader::Guard guard(reader);
    zone.put(service("late", "n", {"10.96.0.2"}));
    EXPECT_TRUE(zone.seen_by_all()) << "nothing is published yet";
    zone.publish(2);
    EXPECT_FALSE(zone.seen_by_all());
  }
  EXPECT_TRUE(zone.seen_by_all());
  const Published::Reader::Guard guard(reader);
  EXPECT_TRUE(zone.seen_by_all()) << "it came in afterwards";
}

}  // namespace
}  // namespace fairlead::dns::test
