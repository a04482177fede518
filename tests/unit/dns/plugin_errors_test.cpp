// SPDX-License-Identifier: Apache-2.0
#include "dns/host.h"
#include "dns/registry.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

class PluginErrors : public PluginTest {
 protected:
  static LastPlugin fails(Rcode rcode, std::string_view text, Ede code = Ede::kOther) {
    return [=](Request& request) {
      request.reply().set_rcode(rcode);
      if (!text.empty()) request.reply().set_error(code, text);
      return Step::kAnswered;
    };
  }
  // What is logged while it runs.
  static std::string logged(const std::function<void()>& run) {
    testing::internal::CaptureStdout();
    run();
    return testing::internal::GetCapturedStdout();
  }
  static size_t count(const std::string& text, const std::string& part) {
    size_t n = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
    return n;
  }
  // The plugin's service, on the test's loop.
  std::unique_ptr<Service> start() {
    auto started =
        registered("errors")->start(host, *config.plan->blocks.at(0).plugins.at("errors"));
    EXPECT_TRUE(started.ok());
    return *std::move(started);
  }

  Host host{loop, ""};
};

TEST_F(PluginErrors, WhatIsLogged) {
  const struct {
    Rcode rcode;
    const char* text;
    const char* line;
    Ede code = Ede::kOther;
  } kCases[] = {
      {Rcode::kServFail, "no upstream server replied in time",
       "[ERROR] plugin/errors: 2 www.a.test. AAAA: no upstream server replied in time\n"},
      {Rcode::kRefused, "too many queries",
       "[ERROR] plugin/errors: 5 www.a.test. AAAA: too many queries\n"},
      {Rcode::kRefused, "not for you", "", Ede::kProhibited},
      {Rcode::kRefused, "blocked by a template", "", static_cast<Ede>(15)},
      {Rcode::kServFail, "", ""},
      {Rcode::kNoError, "stale answer", ""},
      {Rcode::kNxDomain, "blocked", ""},
  };
  for (const auto& c : kCases) {
    use("errors {\nstacktrace\n}", fails(c.rcode, c.text, c.code));
    const std::string log = logged([&] { ask("www.A.test", "AAAA"); });
    EXPECT_EQ(log, c.line) << c.text;
  }
}

// Where a plugin in between asked for something else: what the client asked is what failed.
TEST_F(PluginErrors, BehindPluginsThatAskAnew) {
  for (const char* between : {"rewrite name a.test b.test", "rewrite cname exact x.test y.test",
                              "header {\nquery clear rd\n}"}) {
    use("errors\n" + std::string(between), fails(Rcode::kServFail, "no upstream server"));
    for (const bool edns : {false, true}) {
      AskOptions options;
      if (edns) options.query.edns_size = 1232;
      const std::string log = logged([&] { ask("a.test", "A", options); });
      EXPECT_EQ(count(log, "[ERROR] plugin/errors: 2 a.test. A: no upstream server\n"), 1U)
          << between << log;
      EXPECT_EQ(count(log, "\n"), 1U) << between << log;
    }
    use("errors\n" + std::string(between), replies_with("NOERROR"));
    EXPECT_EQ(logged([&] { ask("a.test"); }), "") << between;
  }
}

TEST_F(PluginErrors, Consolidates) {
  use("errors {\nconsolidate 20ms \"in time$\" warning\nconsolidate 10s ^too show_first\n}",
      [this](Request& request) {
        return fails(Rcode::kServFail, asked % 2 == 1 ? "not in time" : "too many")(request);
      });
  const std::string log = logged([&] {
    const auto service = start();
    for (int i = 0; i < 6; ++i) ask("a.test");
    loop.run_until([] { return false; }, std::chrono::milliseconds(60));
  });
  EXPECT_EQ(
      count(log, "[WARNING] plugin/errors: 3 errors like 'in time$' occurred in last 0.02s\n"), 1U)
      << log;
  EXPECT_EQ(count(log, "[ERROR] plugin/errors: 2 a.test. A: too many\n"), 1U) << log;
  EXPECT_EQ(count(log, "[ERROR] plugin/errors: 3 errors like '^too' occurred in last 10s\n"), 1U)
      << log;
  EXPECT_EQ(count(log, "\n"), 3U) << log;
}

TEST_F(PluginErrors, Refusals) {
  EXPECT_EQ(refusal("errors"), "");
  EXPECT_EQ(refusal("errors stdout"), "");
  EXPECT_EQ(refusal("errors stderr"), "Corefile:2: 'errors' can go to stdout alone");
  EXPECT_EQ(refusal("errors {\nconsolidate 5m\n}"),
            "Corefile:3: 'consolidate' takes 2 to 4 arguments, not 1");
  EXPECT_EQ(refusal("errors {\nconsolidate 0 x\n}"),
            "Corefile:3: 'consolidate' needs a duration of at least 1ms");
  EXPECT_EQ(refusal("errors {\nconsolidate 5m x loud\n}"),
            "Corefile:3: 'loud' is not one of debug, info, warning, error, show_first: CoreDNS "
            "does not know it either");
  const std::string order = "Corefile:3: 'consolidate' takes one level, and then show_first";
  EXPECT_EQ(refusal("errors {\nconsolidate 5m x info show_first\n}"), "");
  EXPECT_EQ(refusal("errors {\nconsolidate 5m x show_first\n}"), "");
  EXPECT_EQ(refusal("errors {\nconsolidate 5m x show_first info\n}"), order);
  EXPECT_EQ(refusal("errors {\nconsolidate 5m x info debug\n}"), order);
  EXPECT_TRUE(refusal("errors {\nconsolidate 5m (\n}").starts_with("Corefile:3: "));
}

}  // namespace
}  // namespace fairlead::dns::test
