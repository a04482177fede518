// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/event_recorder.h"

#include <gtest/gtest.h>

#include "tests/unit/orchestrator_node/stub_api.h"

namespace fairlead::orchestrator {
namespace {

using Json = nlohmann::json;
using std::chrono::minutes;
using std::chrono::seconds;

// An API server that has what was written to it, until it is made to forget.
class Events : public testing::Test {
 protected:
  StubApi::Reply answer(const StubApi::Request& request) {
    const std::string name = request.path.substr(request.path.rfind('/') + 1);
    if (failing) return {503};
    if (request.method == "POST") {
      written[request.body["metadata"]["name"]] = request.body;
      return {201, request.body};
    }
    if (!written.contains(name)) return {404};
    written[name].merge_patch(request.body);
    return {200, written[name]};
  }
  void record(const std::string& message = "text") {
    recorder_.record({"Pod", {"default", "p"}, "u", ""}, "Warning", "BackOff", message);
    clock_.advance(seconds(1));
  }
  int count() const { return written.begin()->second["count"]; }

  std::map<std::string, Json> written;
  bool failing = false;
  ManualClock clock_;
  StubApi api_{clock_, [this](const StubApi::Request& request) { return answer(request); }};
  EventRecorder recorder_{clock_, api_.client(), "n"};
};

TEST_F(Events, TheSameAgainCountsUp) {
  record();
  record();
  record("another");
  EXPECT_EQ(written.size(), 2u);
  EXPECT_EQ(count(), 2);
  clock_.advance(minutes(11));
  record();
  EXPECT_EQ(written.size(), 3u) << "too long ago";
}

TEST_F(Events, OneThatIsGoneIsWrittenAnew) {
  record();
  record();
  written.clear();
  record();
  ASSERT_EQ(written.size(), 1u);
  EXPECT_EQ(count(), 3);
  const Json& event = written.begin()->second;
  EXPECT_EQ(event["reason"], "BackOff");
  EXPECT_NE(event["firstTimestamp"], event["lastTimestamp"]);
}

TEST_F(Events, OneThatCouldNotBeWrittenIsWrittenTheNextTime) {
  failing = true;
  record();
  EXPECT_TRUE(written.empty());
  failing = false;
  record();
  ASSERT_EQ(written.size(), 1u);
  EXPECT_EQ(count(), 1);
  EXPECT_EQ(api_.lines().back(), "POST /api/v1/namespaces/default/events");
}

}  // namespace
}  // namespace fairlead::orchestrator
