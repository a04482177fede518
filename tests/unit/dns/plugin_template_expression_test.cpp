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
    {"1.5", "error"},
    {"1 / 2", "error"},
    {"{'a': 1}", "error"},
    {"name() matches '('", "error"},
    {"", "error"},
};

TEST(TemplateExpression, Values) {
  const std::vector<std::string> names = {"", "a", "b"};
  const Bytes packet = make_query("X.a.test", Type::kA);
  Query query;
  ASSERT_EQ(parse_query(packet, query).verdict, Verdict::kAnswer);
  const Client client{{ip("192.0.2.9"), 999}, Transport::kUdp, {}, {ip("127.0.0.1"), 53}};
  TemplateData data;
  data.name = "x.a.test.";
  data.query = &query;
  data.client = &client;
  data.match = {"1-20f", "1-2", "0f"};
  data.names = &names;
  data.variables["known"] = "value";
  data.label = [](std::string_view label) { return "<" + std::string(label) + ">"; };
  for (const auto& [text, wanted] : kExpressions) {
    const auto read = Expression::parse(text, {"known"});
    const auto value = read.ok() ? read->evaluate(data) : Result<Value>(read.error());
    EXPECT_EQ(value.ok() ? value->text() : "error", wanted) << text;
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
      {"expr sum([1])", "Corefile:3: 'sum([1])': there is no function 'sum' in fairlead-dns"},
      {"answer \"{{ .Var.a }} A 192.0.2.1\"", "Corefile:2: template: there is no 'var a'"}};
  for (const auto& [lines, error] : kCases)
    EXPECT_EQ(refusal("template IN A {\n" + std::string(lines) + "\n}"), error) << lines;
}

}  // namespace
}  // namespace fairlead::dns::test
