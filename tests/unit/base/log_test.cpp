// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fairlead::log {
namespace {

TEST(Log, ALineOfJsonHasWhatKubernetesComponentsWrite) {
  const std::chrono::system_clock::time_point now(std::chrono::microseconds(1'767'323'045'678'125));
  EXPECT_EQ(json_line("proxy", Level::kWarn, "a \"b\"\n", now),
            R"({"ts":1767323045678.125,"level":"warn","logger":"proxy","msg":"a \"b\"\n"})");
  for (const Level level : {Level::kDebug, Level::kInfo, Level::kWarn, Level::kError}) {
    const auto read = nlohmann::json::parse(json_line("dns", level, "\xff\x01 text", now));
    EXPECT_EQ(read["msg"], "\xef\xbf\xbd\x01 text") << "one line, whatever is in it";
    EXPECT_TRUE(parse_level(read["level"].get<std::string>()).ok());
  }
}

}  // namespace
}  // namespace fairlead::log
