// SPDX-License-Identifier: Apache-2.0
// `var` and `expr` of template.
#include "dns/plugins/template/expression.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

const std::pair<const char*, const char*> kExpressions[] = {
    {"'a' + \"b\"", "ab"},
    {"1 + 2 * 3 - 4 % 3", "6"},
    {"-3", "-3"},
    {"1 < 2 and not (2 <= 1)", "true"},
    {"1 == 2 || 'a' != 'b' && true", "true"},
    {"1 == '1'", "false"},
    {"type() in ['A', 'AAAA']", "true"},
    {"type() not in ['A', 'AAAA']", "false"},
    {"name() matches '^x[.]a\\\\.test\\\\.$'", "true"},
    {"name() contains 'a.test' and name() startsWith 'x' and name() endsWith '.'", "true"},
    {"name() not contains 'b'", "true"},
    {"type() == 'A' ? 'yes' : 'no'", "yes"},
    {"client_ip() + '/' + port() + '/' + server_ip() + '/' + proto()",
     "192.0.2.9/999/127.0.0.1/udp"},
    {"[id(), size(), bufsize(), do(), opcode(), class()]", "[4660 26 512 false 0 IN]"},
    {"incidr(client_ip(), '192.0.2.0/24')", "true"},
    {"incidr(client_ip(), '10.0.0.0/8')", "false"},
    {"incidr('x', '10.0.0.0/8')", "error"},
    {"group('a') + group(2) + group('none')", "1-20f"},
    {"metadata('some/label')", "<some/label>"},
    {"replace(group('a'), '-', '.')", "1.2"},
    {"split('a,b,c', ',')[1]", "b"},
    {"split('a,b,c', ',')[-1]", "c"},
    {"join(['a', 'b'], '-')", "a-b"},
    {"name()[0:3] + name()[-2:]", "x.at."},
    {"any(['10.0.0.0/8', '192.0.2.0/24'], incidr(client_ip(), #))", "true"},
    {"all([1, 2, 3], # > 1)", "false"},
    {"none([1, 2], # > 2)", "true"},
    {"one([1, 2, 3], # > 2)", "true"},
    {"filter([1, 2, 3], # != 2)", "[1 3]"},
    {"map(['a', 'b'], upper(#))", "[A B]"},
    {"count([1, 2, 3], # > 1)", "2"},
    {"len('abc') + int('4') + indexOf('abc', 'c')", "9"},
    {"trim('  a ') + trimPrefix('xa', 'x') + trimSuffix('ax', 'x') + string(1)", "aaa1"},
    {"known + '!'", "value!"},
    {"'a' < 1", "error"},
    {"not 'a'", "error"},
    {"1 + 'a'", "error"},
    {"[1][4]", "error"},
    {"9223372036854775807 + 1", "error"},
    {"unknown", "error"},
    {"nothere()", "error"},
    {"group()", "error"},
    {"(1", "error"},
    {"1 2", "error"},
    {"'a", "error"},
    {"#", "error"},
    {"map([#], 1)", "error"},
    {"any(#, true)", "error"},
    {"map([1], map([#], # + 1))", "[[2]]"},
    {"map([[1, 2], [3]], map(#, # + 1))", "[[2 3] [4]]"},
    {"-(-3)", "3"},
    {"-int('-9223372036854775807')", "9223372036854775807"},
    {"-int('-9223372036854775808')", "error"},
    {"int('-9223372036854775808') - 1", "error"},
    {"int('-9223372036854775808') * -1", "error"},
    {"int('-9223372036854775808') % -1", "error"},
    {"1 % 0", "error"},
    {"1.5", "error"},
    {"1 / 2", "error"},
    {"{'a': 1}", "error"},
    {"name() matches '('", "error"},
    {"", "error"},
};

Result<Value> evaluated(const std::string& text, Transport transport = Transport::kUdp) {
  const std::vector<std::string> names = {"", "a", "b"};
  const Bytes packet = make_query("X.a.test", Type::kA);
  Query query;
  EXPECT_EQ(parse_query(packet, query).verdict, Verdict::kAnswer);
  const Client client{{ip("192.0.2.9"), 999}, transport, {}, {ip("127.0.0.1"), 53}};
  TemplateData data;
  data.name = "x.a.test.";
  data.query = &query;
  data.client = &client;
  data.match = {"1-20f", "1-2", "0f"};
  data.names = &names;
  data.variables["known"] = "value";
  data.label = [](std::string_view label) { return "<" + std::string(label) + ">"; };
  const auto read = Expression::parse(text, {"known"});
  return read.ok() ? read->evaluate(data) : Result<Value>(read.error());
}

TEST(TemplateExpression, Values) {
  for (const auto& [text, wanted] : kExpressions) {
    const auto value = evaluated(text);
    EXPECT_EQ(value.ok() ? value->text() : "error", wanted) << text;
  }
  EXPECT_EQ(evaluated("proto() + string(bufsize())", Transport::kTcp)->text(), "tcp65535");
}

std::string repeated(const std::string& text, size_t count) {
  std::string out;
  while (count-- > 0) out += text;
  return out;
}

TEST(TemplateExpression, WorkIsBounded) {
  const auto list = [](size_t count) { return "split('" + repeated("a,", count) + "', ',')"; };
  const std::string many = repeated("a", 1000);
  const std::string steps = "it takes too many steps";
  const std::string size = "a text is over 65535 bytes";
  const std::pair<std::string, std::string> kCases[] = {
      {"count(" + list(100) + ", count(" + list(10) + ", true) > 0)", "101"},
      {"count(" + list(300) + ", count(" + list(300) + ", true) > 0)", steps},
      {"len(map(" + list(2000) + ", '" + many + "'))", steps},
      {"len(map(" + list(1000) + ", [#, #, #, #, #, #, #, #, #, #]))", "1001"},
      {"len('" + repeated("a", 40'000) + "' + '" + repeated("a", 20'000) + "')", "60000"},
      {"len('" + repeated("a", 40'000) + "' + '" + repeated("a", 40'000) + "')", size},
      {"len(replace('" + many + "', 'a', '" + repeated("b", 60) + "'))", "60000"},
      {"len(replace('" + many + "', 'a', '" + many + "'))", size},
      {"len(join(" + list(100) + ", '" + many + "'))", size},
      {"'" + repeated("a", 60'000) + "b' contains '" + repeated("a", 2'000) + "b'", "true"},
      {"'" + repeated("a", 30'000) + "' contains '" + repeated("a", 10'000) + "b'", steps},
      {"indexOf('" + repeated("a", 30'000) + "', '" + repeated("a", 10'000) + "b')", steps},
      {"count(" + list(100) + ", 'x' matches #)", "1"},
      {"count(" + list(300) + ", 'x' matches #)", steps},
      {"1" + repeated(" + 1", 300), "301"},
      {"1" + repeated(" + 1", 100'000), "it is too long"},
      {"name()" + repeated("[0:]", 300), "x.a.test."},
      {"name()" + repeated("[0:]", 100'000), "it is too long"},
      {repeated("(", 100'000), "it is nested 50 deep"},
      {repeated("-", 100'000), "it is nested 50 deep"}};
  for (const auto& [text, wanted] : kCases) {
    const auto value = evaluated(text);
    EXPECT_EQ(value.ok() ? value->text() : value.error().message(), wanted) << text.substr(0, 100);
  }
}

class PluginTemplateExpression : public PluginTest {};

// An example of CoreDNS's documentation.
TEST_F(PluginTemplateExpression, AddressesOnALan) {
  use("template IN A example.com {\n"
      "match ^(?P<ip>[0-9]{1,3}(-[0-9]{1,3}){3})[.](?P<id>[a-z2-7]{4})[.]example[.]com[.]$\n"
      "var ip replace(group('ip'), '-', '.')\n"
      "expr \"any(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'], incidr(ip, #))\"\n"
      "answer \"{{ .Name }} 60 IN A {{ .Var.ip }}\"\nfallthrough\n}",
      replies_with("NXDOMAIN"));
  EXPECT_EQ(ask("10-1-2-3.abcd.example.com"),
            "NOERROR aa rd qd=1\nanswer 10-1-2-3.abcd.example.com. 60 A 10.1.2.3\n");
  EXPECT_EQ(ask("9-1-2-3.abcd.example.com"), "NXDOMAIN qd=1\n");
  EXPECT_EQ(ask("999-1-2-3.abcd.example.com"), "SERVFAIL rd qd=1\n") << "no address";
}

TEST_F(PluginTemplateExpression, Refusals) {
  const std::pair<const char*, const char*> kCases[] = {
      {"var len 1", "Corefile:3: 'len' cannot be the name of a variable"},
      {"var 1a 1", "Corefile:3: '1a' cannot be the name of a variable"},
      {"var a", "Corefile:3: 'var' takes at least 2 arguments, not 1"},
      {"var a b", "Corefile:3: 'b': there is no variable 'b'"},
      {"var a 1\nvar b a + 1\nexpr b == 2", ""},
      {"var a 1\nvar b a + 1\nvar c 'x' + b", "Corefile:5: ''x' + b': '+' of a string and a int"},
      {"var a 1\nexpr a + 'x'", "Corefile:4: 'a + 'x'': '+' of a int and a string"},
      {"var a name()\nexpr a + 1 == 'x'", ""},
      {"var a 1\nvar a 2", "Corefile:4: there are two 'var a'"},
      {"expr sum([1])", "Corefile:3: 'sum([1])': there is no function 'sum' in fairlead-dns"},
      {"answer \"{{ .Var.a }} A 192.0.2.1\"", "Corefile:2: template: there is no 'var a'"}};
  for (const auto& [lines, error] : kCases)
    EXPECT_EQ(refusal("template IN A {\n" + std::string(lines) + "\n}"), error) << lines;
}

}  // namespace
}  // namespace fairlead::dns::test
