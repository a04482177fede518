// SPDX-License-Identifier: Apache-2.0
// What a reflector tells of itself.
#include "kube/reflector_metrics.h"

#include "tests/unit/kube/reflector_fixture.h"

namespace fairlead::kube {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class ReflectorMetricsTest : public ReflectorTest {
 protected:
  ReflectorMetricsTest() {
    api_->set_metrics(metrics_);
    make_without_watch_list();
  }
  // The value of one line of the exposition; -1 without it.
  double value(const std::string& name) {
    const std::string start = "\n" + name + "{name=\"Namespace\"} ";
    const std::string text = metrics_.text();
    const size_t at = text.find(start);
    return at == std::string::npos ? -1 : std::stod(text.substr(at + start.size()));
  }

  Metrics metrics_;
};

TEST_F(ReflectorMetricsTest, FollowsALifeWithTroubles) {
  struct Step {
    const char* what;
    std::function<void()> happen;
    std::vector<std::pair<const char*, double>> values;
  };
  const Step kSteps[] = {
      {"started",
       [&] { reflector_->start(); },
       {{"reflector_synced", 0}, {"reflector_watching", 0}, {"reflector_lists_total", 0}}},
      {"refused",
       [&] { last()->respond(500, ""); },
       {{"reflector_failures_total", 1}, {"reflector_synced", 0}}},
      {"listed",
       [&] {
         clock_.advance(seconds(2));
         last()->respond(200, list("10", {object("a", 1)}));
       },
       {{"reflector_synced", 1}, {"reflector_lists_total", 1}, {"reflector_watches_total", 1}}},
      {"watching",
       [&] {
         last()->head(200);
         last()->body(event("ADDED", object("b", 11)) + event("DELETED", object("a", 12)));
       },
       {{"reflector_watching", 1}, {"reflector_events_total", 2}}},
      {"an object nobody can read",
       [&] {
         last()->body(
             event("ADDED", R"({"metadata":{"name":"c","resourceVersion":"13","labels":3}})"));
       },
       {{"reflector_decode_failures_total", 1}}},
      {"ended at once",
       [&] { last()->done(); },
       {{"reflector_watching", 0}, {"reflector_short_watches_total", 1}}},
      {"watched again",
       [&] {
         clock_.advance(seconds(2));
         last()->head(200);
       },
       {{"reflector_watching", 1}, {"reflector_watches_total", 2}, {"reflector_lists_total", 1}}},
      {"the version was forgotten",
       [&] {
         last()->body(event("ERROR", status(410, "Expired")));
         clock_.advance(Duration{});
         last()->respond(200, list("30", {object("a", 30)}));
       },
       {{"reflector_lists_total", 2}, {"reflector_synced", 1}}},
  };
  for (const Step& step : kSteps) {
    step.happen();
    for (const auto& [name, expected] : step.values)
      EXPECT_EQ(value(name), expected) << step.what << ": " << name;
  }
}

TEST_F(ReflectorMetricsTest, TheLastContactIsATimeOfTheWall) {
  const auto contact = [&] { return value("reflector_last_contact_timestamp_seconds"); };
  const auto now = [&] {
    return std::chrono::duration<double>(clock_.wall_now().time_since_epoch()).count();
  };
  const auto watch = listed_and_watching();
  EXPECT_DOUBLE_EQ(contact(), now());
  const double before = now();
  clock_.advance(minutes(1));
  EXPECT_DOUBLE_EQ(contact(), before);
  watch->body(bookmark("15"));
  EXPECT_DOUBLE_EQ(contact(), now());
  clock_.advance(seconds(30));
  watch->fail(Error(ErrorCode::kUnavailable, "reset"));
  EXPECT_DOUBLE_EQ(contact(), now() - 30) << "a failure is no contact";
}

}  // namespace
}  // namespace fairlead::kube
