// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::orchestrator::apiserver {
namespace {

struct YamlCase {
  const char* yaml;
  const char* json;
};
const YamlCase kYamlCases[] = {
    {"", "null"},
    {"a: 1\nb: [x, \"2\", '3']\nc: {d: null, e: ~, f: }",
     R"({"a":1,"b":["x","2","3"],"c":{"d":null,"e":null,"f":null}})"},
    {R"({"a": {"b": [1, true, null, "x"]}})", R"({"a":{"b":[1,true,null,"x"]}})"},
    {"# comment\n---\na: b\n---\nsecond: 1\n", R"({"a":"b"})"},
    // Scalars of YAML 1.1.
    {"[yes, No, on, OFF, true, False, y, n]", "[true,false,true,false,true,false,true,false]"},
    {"['yes', \"no\", !!str on, trueish]", R"(["yes","no","on","trueish"])"},
    {"[0, -1, +7, 0x1F, -0x1f, 0b101, 0o17, 017, 1_000]", "[0,-1,7,31,-31,5,15,15,1000]"},
    {"[9223372036854775807, -9223372036854775808, 18446744073709551615]",
     "[9223372036854775807,-9223372036854775808,18446744073709551615]"},
    {"[_1, 1_, x1]", R"(["_1",1,"x1"])"},
    {"[1.5, -.5, 1e3, 08]", "[1.5,-0.5,1000.0,8.0]"},
    {"[100m, 1Gi, 10.0.0.1, '1.5', 2026-01-02, e3, ., +, -, 0x]",
     R"(["100m","1Gi","10.0.0.1","1.5","2026-01-02","e3",".","+","-","0x"])"},
    {"a: |\n  one\n  two\nb: >\n  one\n  two\n", R"({"a":"one\ntwo\n","b":"one two\n"})"},
    // Names become text.
    {"{1: a, true: b, 1.5: c, ~: d, 'yes': e}",
     R"({"1":"a","true":"b","1.5":"c","null":"d","yes":"e"})"},
    // Anchors and merges.
    {"a: &x {b: 1, c: 2}\nd: *x\n", R"({"a":{"b":1,"c":2},"d":{"b":1,"c":2}})"},
    {"a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n", R"({"a":{"b":1,"c":2},"d":{"b":1,"c":3}})"},
    {"- &x {b: 1}\n- &y {b: 2, c: 3}\n- {<<: [*x, *y]}\n",
     R"([{"b":1},{"b":2,"c":3},{"b":1,"c":3}])"},
};

TEST(Yaml, BecomesJson) {
  for (const YamlCase& c : kYamlCases) {
    const auto parsed = parse_yaml(c.yaml);
    ASSERT_TRUE(parsed) << c.yaml << ": " << parsed.error().message();
    EXPECT_EQ(dump(*parsed), dump(Json::parse(c.json))) << c.yaml;
  }
}

TEST(Yaml, RefusesWhatIsNone) {
  const std::pair<std::string, const char*> cases[] = {
      {"a: [b", "yaml: line "},
      {"a: b\n c: d\n", "yaml: line 2"},
      {"a: \"b", "yaml: line "},
      {"a: *nowhere", "yaml: line 1"},
      {"? [a, b]\n: c", "a name must be a scalar"},
      {"a: {<<: 7}", "map merge requires map"},
      {"a: \xff", "not UTF-8"},
      {std::string(kMaxJsonDepth + 1, '[') + std::string(kMaxJsonDepth + 1, ']'),
       "nested deeper than 64"},
      {std::string(100000, '['), "yaml: line "},
      {"a: &a [*a]", "yaml: line "},
  };
  for (const auto& [text, words] : cases) {
    const auto parsed = parse_yaml(text);
    ASSERT_FALSE(parsed) << text.substr(0, 80);
    EXPECT_THAT(parsed.error().message(), testing::HasSubstr(words)) << text.substr(0, 80);
  }
  EXPECT_TRUE(parse_yaml(std::string(kMaxJsonDepth, '[') + "1" + std::string(kMaxJsonDepth, ']')));
}

TEST(Yaml, AliasesCannotExplode) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += before + (j < 9 ? ", " : "]\n");
  }
  const auto parsed = parse_yaml(text);
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error().message(), testing::HasSubstr("its aliases make more than"));
}

TEST(Yaml, FindsDuplicatesWithTheirPath) {
  std::vector<std::string> duplicates;
  const auto parsed = parse_yaml("a: 1\nb: [{c: 1, d: 2, c: 3}]\na: 2\n", &duplicates);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(dump(*parsed), R"({"a":2,"b":[{"c":3,"d":2}]})");
  EXPECT_EQ(duplicates, (std::vector<std::string>{"b[0].c", "a"}));
}

}  // namespace
}  // namespace fairlead::orchestrator::apiserver
