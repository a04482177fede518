// SPDX-License-Identifier: Apache-2.0
#include "dns/host.h"
#include "dns/plugins/template/text.h"
#include "dns/registry.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

class PluginTemplate : public PluginTest {};

TEST_F(PluginTemplate, CorefilesOfAks) {
  use("template ANY ANY internal.cloudapp.net {\n"
      "match \"^(?:[^.]+\\.){4,}internal\\.cloudapp\\.net\\.$\"\n"
      "rcode NXDOMAIN\nfallthrough\n}\n"
      "template ANY ANY reddog.microsoft.com {\nrcode NXDOMAIN\n}",
      replies_with("NOERROR"));
  EXPECT_EQ(ask("a.b.c.d.internal.cloudapp.net"), "NXDOMAIN aa rd qd=1\n");
  EXPECT_EQ(ask("A.b.c.D.e.Internal.cloudapp.net", "AAAA"), "NXDOMAIN aa rd qd=1\n");
  EXPECT_EQ(ask("a.b.c.internal.cloudapp.net"), "NOERROR qd=1\n");
  EXPECT_EQ(ask("x.reddog.microsoft.com", "SRV"), "NXDOMAIN aa rd qd=1\n");
  EXPECT_EQ(ask("microsoft.com"), "NOERROR qd=1\n");
}

TEST_F(PluginTemplate, Answers) {
  struct Case {
    const char* directive;
    const char* name;
    const char* type;
    const char* reply;
  };
  const Case kCases[] = {
      {"template IN A a.test {\nanswer \"{{ .Name }} 60 IN A 192.0.2.1\"\n}", "www.a.test", "A",
       "NOERROR aa rd qd=1\nanswer www.a.test. 60 A 192.0.2.1\n"},
      {"template IN A a.test {\nanswer \"{{ .Name }} 60 IN A 192.0.2.1\"\n}", "www.a.test", "AAAA",
       "next"},
      {"template IN ANY a.test {\nanswer \"{{.Name}} TXT {{.Type}}\"\n}", "a.test", "TXT",
       "NOERROR aa rd qd=1\nanswer a.test. 3600 TXT \"TXT\"\n"},
      {"template IN A {\nmatch "
       "^ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]a[.]test[.]$\n"
       "answer \"{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d "
       "}}\"\n}",
       "ip-10-0-0-7.a.test", "A", "NOERROR aa rd qd=1\nanswer ip-10-0-0-7.a.test. 60 A 10.0.0.7\n"},
      {"template IN A {\nmatch ^(.*)[.]a[.]test[.]$\nanswer \"{{ index .Match 1 }}.b.test. 5 A "
       "192.0.2.1\"\n}",
       "X.a.test", "A", "NOERROR aa rd qd=1\nanswer x.b.test. 5 A 192.0.2.1\n"},
      {"template IN MX a.test {\nanswer \"{{ .Question.Name }} 5 MX 10 {{- \" x\" }}\"\n}", "", "",
       "error"},
      {"template IN SOA a.test {\nauthority \"{{ .Zone }} 60 IN SOA ns.{{ .Zone }} root.{{ .Zone "
       "}} (1 60 60 60 60)\"\n"
       "rcode NXDOMAIN\n}",
       "www.a.test", "SOA",
       "NXDOMAIN aa rd qd=1\nauthority a.test. 60 SOA ns.a.test. root.a.test. 1 60 60 60 60\n"},
      {"template IN SRV a.test {\nanswer \"{{ .Name }} 5 SRV 0 0 80 b.test.\"\n"
       "additional \"b.test. 5 A 192.0.2.2\" \"b.test. 5 AAAA ::2\"\n}",
       "a.test", "SRV",
       "NOERROR aa rd qd=1\nanswer a.test. 5 SRV 0 0 80 b.test.\n"
       "additional b.test. 5 A 192.0.2.2\nadditional b.test. 5 AAAA ::2\n"},
      {"template IN A a.test {\nmatch ^x\n}", "y.a.test", "A", "SERVFAIL rd qd=1\n"},
      {"template IN A a.test {\nmatch ^x\nfallthrough y.a.test\n}", "z.a.test", "A",
       "SERVFAIL rd qd=1\n"},
      {"template IN A a.test {\nmatch ^x\nfallthrough y.a.test\n}", "z.y.a.test", "A", "next"},
      {"template IN A a.test {\nmatch ^x\nfallthrough\n}\ntemplate IN A a.test {\nanswer \"{{ "
       ".Name }} A ::1\"\n}",
       "y.a.test", "A", "SERVFAIL rd qd=1\n"},
      {"template IN A a.test b.a.test {\nanswer \"{{ .Zone }} 5 A 192.0.2.1\"\n}", "x.b.a.test",
       "A", "NOERROR aa rd qd=1\nanswer b.a.test. 5 A 192.0.2.1\n"}};
  for (const Case& c : kCases) {
    if (c.reply == std::string("error")) {
      EXPECT_NE(refusal(c.directive), "");
      continue;
    }
    use(c.directive, replies_with("NOERROR"));
    const std::string wanted = c.reply == std::string("next") ? "NOERROR qd=1\n" : c.reply;
    EXPECT_EQ(ask(c.name, c.type), wanted) << c.directive;
  }
}

// What has a meaning in a text of records is only text in a name.
TEST_F(PluginTemplate, NamesAreNoRecords) {
  use("template IN A zone {\nanswer \"{{ .Name }} 60 IN A 10.0.0.1\"\n}");
  Name name;
  for (const char* label : {"victim", "org", "(300)a(6", "6", "6", "6);x", "zone"})
    ASSERT_TRUE(name.append(std::string_view(label)));
  for (const std::string& text : {name.to_text(), std::string("a\\;b.zone."),
                                  std::string("a\\\"b.zone."), std::string("\\@.zone.")}) {
    std::string plain = text;  // as the tests write names
    std::erase(plain, '\\');
    EXPECT_EQ(ask(text), "NOERROR aa rd qd=1\nanswer " + plain + " 60 A 10.0.0.1\n");
  }
}

// What a text with actions comes to, in the language of Go; "error: ..." when it is refused or
// fails.
const std::pair<const char*, const char*> kTexts[] = {
    {"{{ .Name }}/{{.Zone}}/{{ .Class }}/{{ .Type }}/{{ .Remote }}",
     "x.a.test./a.test./IN/A/192.0.2.9"},
    {"a {{- .Class -}} b", "aINb"},
    {"{{/* nothing }} */}}{{ \"}}\" }}", "}}"},
    {"{{ index .Match 1 }} {{ .Group.a }} {{ index .Group \"b\" }} {{ index .Group \"1\" }}",
     "10 10 0f 10"},
    {"{{ len .Match }} {{ len .Name }}", "3 9"},
    {"{{ .Match }}", "[10-0f 10 0f]"},
    {"{{ parseInt .Group.b 16 8 }} {{ parseInt \"0x1f\" 0 64 }}", "15 31"},
    {"{{ if eq .Type \"A\" }}a{{ else }}b{{ end }}", "a"},
    {"{{ if eq .Type \"X\" \"A\" }}a{{ end }}", "a"},
    {"{{ if ne .Type \"A\" }}a{{ else if gt 2 1 }}b{{ else }}c{{ end }}", "b"},
    {"{{ if and (eq .Type \"A\") (not false) }}a{{ end }}", "a"},
    {"{{ or \"\" .Class }}{{ and .Class 0 }}", "IN0"},
    {"{{ lt 1 2 }} {{ le 2 2 }} {{ ge 1 2 }} {{ lt \"a\" \"b\" }}", "true true false true"},
    {"{{ range .Match }}<{{ . }}>{{ end }}", "<10-0f><10><0f>"},
    {"{{ range $i, $m := .Match }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ $i }}{{ $m }}{{ end "
     "}}",
     "010-0f20f"},
    {"{{ range $i := 5 }}{{ if gt $i 2 }}{{ break }}{{ end }}{{ $i }}{{ $.Class }}{{ end }}",
     "0IN1IN2IN"},
    {"{{ range slice .Match 0 0 }}a{{ else }}none{{ end }}", "none"},
    {"{{ with .Group.a }}{{ . }}{{ $.Type }}{{ end }}{{ with \"\" }}x{{ else }}y{{ end }}", "10Ay"},
    {"{{ $x := .Group.a }}{{ if true }}{{ $x = \"new\" }}{{ end }}{{ $x }}", "new"},
    {"{{ slice .Name 2 }} {{ slice .Name 0 1 }} {{ index .Name 0 }}", "a.test. x 120"},
    {"{{ print 1 2 \"a\" 3 }} {{ println \"a\" }}", "1 2a3 a\n"},
    {"{{ printf \"%03d-%s-%q-%5s|%-4d|%x|%v|%t|%%\" 7 \"a\" \"b\" \"c\" 12 255 .Match true }}",
     "007-a-\"b\"-    c|12  |ff|[10-0f 10 0f]|true|%"},
    {"{{ printf \"%d\" \"a\" }}", "%!d(string=a)"},
    {"{{ .Group.a | printf \"%s.%s\" .Group.b }}", "0f.10"},
    {"{{ (index .Match 1) | len }}", "2"},
    {"{{ .Message.Id }} {{ .Question.Name }} {{ .Question.Qtype }}", "4660 X.a.test. 1"},
    {"{{ .Meta \"some/label\" }}", "<some/label>"},
    {"{{ nil }}", "<no value>"},
    {"{{ index .Match 9 }}", "error: 9 is out of range"},
    {"{{ lt 1 \"a\" }}", "error: a int cannot be compared with a string"},
    {"{{ parseInt \"zz\" 16 8 }}", "error: parseInt: 'zz' is no number of 8 bits"},
    {"{{ parseInt \"100\" 16 8 }}", "error: parseInt: '100' is no number of 8 bits"},
    {"{{ .Name", "error: a '{{' without a '}}'"},
    {"{{ if .Name }}x", "error: '{{ if .Name }}': it has no '{{ end }}'"},
    {"{{ end }}", "error: '{{ end }}' without an 'if', 'with' or 'range'"},
    {"{{ html .Name }}", "error: '{{ html .Name }}': there is no function 'html' in fairlead-dns"},
    {"{{ .Nam }}", "error: '{{ .Nam }}': a query has no field .Nam in fairlead-dns"},
    {"{{ .Message.Answer }}",
     "error: '{{ .Message.Answer }}': a query has no field .Message.Answer in fairlead-dns"},
    {"{{ $y }}", "error: '{{ $y }}': there is no variable '$y'"},
    {"{{ .Name 1 }}", "error: '{{ .Name 1 }}': only functions and '.Meta' take arguments"},
    {"{{ printf \"%f\" 1 }}",
     "error: '{{ printf \"%f\" 1 }}': printf knows %v, %s, %q, %d, %x, %X, %o, %b, %c, %t and "
     "%%"},
    {"{{ define \"x\" }}", "error: '{{ define \"x\" }}': there is only one template in a record"},
    {"{{ 1.5 }}", "error: '{{ 1.5 }}': numbers are whole and decimal"},
    {"{{ \"a }}", "error: a '{{' without a '}}'"},
    {"{{ .Name ! }}", "error: '{{ .Name ! }}': '!' is not understood"},
    {"{{ break }}", "error: '{{ break }}': it is in no 'range'"},
};

std::string filled(const std::string& text) {
  const std::vector<std::string> names = {"", "a", "b"};
  const Bytes packet = make_query("X.a.test", Type::kA);
  Query query;
  EXPECT_EQ(parse_query(packet, query).verdict, Verdict::kAnswer);
  TemplateData data;
  data.name = "x.a.test.";
  data.zone = "a.test.";
  data.klass = "IN";
  data.type = "A";
  data.remote = "192.0.2.9";
  data.query = &query;
  data.match = {"10-0f", "10", "0f"};
  data.names = &names;
  data.variables["list"] = ValueList{Value("a"), Value("b")};
  data.variables["text"] = "c";
  data.label = [](std::string_view label) { return "<" + std::string(label) + ">"; };
  const auto read = TemplateText::parse(text);
  const auto out = read.ok() ? read->fill(data) : Result<std::string>(read.error());
  return out.ok() ? *out : "error: " + out.error().message();
}

TEST(TemplateText, IsGos) {
  for (const auto& [text, wanted] : kTexts) EXPECT_EQ(filled(text), wanted) << text;
}

// Without turns the variables of a range are what it is over.
TEST(TemplateText, RangesWithoutTurns) {
  const std::pair<const char*, const char*> kCases[] = {
      {"{{ range $i, $x := slice .Match 0 0 }}a{{ else }}{{ $i }}{{ $x }}{{ end }}", "[][]"},
      {"{{ range $x := 0 }}a{{ else }}<{{ $x }}>{{ end }}", "<0>"},
      {"{{ range $x := parseInt \"0\" 10 8 }}a{{ else }}{{ print $x 1 }}{{ end }}", "0 1"},
      {"{{ range -1 }}a{{ else }}b{{ end }}", "b"},
      {"{{ $x := 1 }}{{ range $x = slice .Match 0 0 }}a{{ else }}{{ $x }}{{ end }}{{ $x }}",
       "[][]"},
      {"{{ $x := 1 }}{{ range $x := 0 }}a{{ else }}{{ $x }}{{ end }}{{ $x }}", "01"},
      {"{{ $x := 1 }}{{ range $x = 3 }}{{ end }}{{ $x }}", "2"},
      {"{{ range $k, $v := .Group }}{{ $k }}={{ $v }} {{ end }}", "0=10-0f 1=10 2=0f a=10 b=0f "}};
  for (const auto& [text, wanted] : kCases) EXPECT_EQ(filled(text), wanted) << text;
}

// What cannot be told before there is a query.
TEST(TemplateText, FieldsThatThereAreNot) {
  const std::string no_label =
      "error: '{{ print .Meta }}': '.Meta' needs a label, such as .Meta \"kubernetes/service\"";
  const std::pair<const char*, std::string> kCases[] = {
      {"{{ with .Message }}{{ .AuthenticatedData }} {{ .CheckingDisabled }}{{ end }}",
       "false false"},
      {"{{ with .Message }}{{ .Rcode }}{{ end }}", "error: a message has no field .Rcode"},
      {"{{ with .Question }}{{ .Qclass }}{{ end }}", "1"},
      {"{{ with .Question }}{{ .Type }}{{ end }}", "error: a question has no field .Type"},
      {"{{ with $ }}{{ .Group.a }}{{ end }}", "10"},
      {"{{ with $ }}{{ .Nothing }}{{ end }}", "error: a query has no field .Nothing"},
      {"{{ with $ }}{{ print .Meta }}{{ end }}", "error: a query has no field .Meta"},
      {"{{ with .Var }}{{ .text }}{{ .none }}{{ end }}", "c<no value>"},
      {"{{ .Var.text }}{{ index .Var.list 1 }}{{ len .Var }}", "cb2"},
      {"{{ print .Meta }}", no_label},
      {"{{ print (.Meta \"a\") }}", "<a>"}};
  for (const auto& [text, wanted] : kCases) EXPECT_EQ(filled(text), wanted) << text;
}

TEST(TemplateText, WorkIsBounded) {
  const auto chain = [](size_t count) {
    std::string out = "{{ if false }}";
    while (count-- > 0) out += "{{ else if false }}";
    return out + "{{ else }}a{{ end }}";
  };
  const std::string steps = "error: it takes too many steps";
  const std::string size = "error: a text is over 65535 bytes";
  std::string verbs;
  for (size_t i = 0; i < 70; ++i) verbs += "%1000d";
  const std::pair<std::string, std::string> kCases[] = {
      {"{{ range 1000000 }}{{ end }}", steps},
      {"{{ range 9223372036854775807 }}{{ break }}{{ end }}a", "a"},
      {"{{ range 300 }}{{ range 300 }}{{ end }}{{ end }}", steps},
      {"{{ range 1000 }}{{ range 10 }}{{ end }}{{ end }}a", "a"},
      {"{{ $x := print (printf \"%1000d\" 1) (printf \"%1000d\" 1) }}"
       "{{ range 10000 }}{{ $y := $x }}{{ end }}",
       steps},
      {"{{ $x := .Name }}{{ range 20 }}{{ $x = print $x $x }}{{ end }}", size},
      {"{{ $x := .Name }}{{ range 20 }}{{ $x = printf \"%s%s\" $x $x }}{{ end }}", size},
      {"{{ $x := printf \"" + verbs + "\" }}", "error: a text is over 65535 bytes"},
      {"{{ range 66 }}{{ printf \"%1000d\" 1 }}{{ end }}", "error: the text is too long"},
      {chain(300), "a"},
      {chain(600), "error: '{{ if false }}': over 500 'else if'"}};
  for (const auto& [text, wanted] : kCases) EXPECT_EQ(filled(text), wanted) << text.substr(0, 100);
}

TEST_F(PluginTemplate, Labels) {
  use("metadata\ntemplate IN TXT . {\nanswer \"{{ .Name }} 5 TXT "
      "\\\"<{{ .Meta `no/label` }}>\\\"\"\n}");
  EXPECT_EQ(ask("a", "TXT"), "NOERROR aa rd qd=1\nanswer a. 5 TXT \"<>\"\n");
}

// A text that cannot be filled is no answer.
TEST_F(PluginTemplate, FailuresWhileFilling) {
  use("template IN A . {\nmatch ^(.)\nanswer \"{{ .Name }} 5 A {{ parseInt (index .Match 1) 10 8 "
      "}}.0.0.1\"\n}");
  EXPECT_EQ(ask("7x"), "NOERROR aa rd qd=1\nanswer 7x. 5 A 7.0.0.1\n");
  EXPECT_EQ(ask("x"), "SERVFAIL rd qd=1\n");
}

TEST_F(PluginTemplate, RemoteAndId) {
  use("template IN TXT . {\nanswer \"a. 5 TXT {{ .Remote }}-{{ .Message.Id }}-{{ .Class }}\"\n}");
  EXPECT_EQ(ask("a", "TXT"), "NOERROR aa rd qd=1\nanswer a. 5 TXT \"192.0.2.9-4660-IN\"\n");
}

TEST_F(PluginTemplate, CnamesAreFollowed) {
  use("template IN A a.test {\nanswer \"{{ .Name }} 60 IN CNAME www.b.test\"\n}",
      replies_with("NOERROR\nanswer @ 5 A 192.0.2.1"));
  EXPECT_EQ(ask("x.a.test"),
            "NOERROR aa rd qd=1\nanswer x.a.test. 60 CNAME www.b.test.\n"
            "answer www.b.test. 5 A 192.0.2.1\n");
  use("template IN A . {\nanswer \"{{ .Name }} 60 IN CNAME x.{{ .Name }}\"\n}");
  EXPECT_EQ(ask("a"), "NOERROR aa rd qd=1\nanswer a. 60 CNAME x.a.\nanswer x.a. 60 CNAME x.x.a.\n");
  EXPECT_EQ(chain->waiting(), 0u);
}

TEST_F(PluginTemplate, ExtendedErrors) {
  use("template IN A a.test {\nrcode REFUSED\nederror 21 \"not today\"\n}");
  AskOptions edns;
  edns.query.edns_size = 1232;
  EXPECT_EQ(ask("a.test", "A", edns), "REFUSED aa rd qd=1\nopt 1232 ede=21\n");
}

// The `template` label is what Go's text/template writes of a tree.
TEST(TemplateText, IsPrintedAsGoDoes) {
  const std::pair<const char*, const char*> kCases[] = {
      {"a 5 A 192.0.2.1", "a 5 A 192.0.2.1"},
      {"{{ .Name }} 5 A  {{- index .Match 1 }}", "{{.Name}} 5 A{{index .Match 1}}"},
      {"{{ .Group.a }}{{/* gone */}}{{ . }}", "{{.Group.a}}{{.}}"},
      {"{{ $x := parseInt .Group.a 16 8 }}{{ $x = 1 }}{{ $x }}",
       "{{$x := parseInt .Group.a 16 8}}{{$x = 1}}{{$x}}"},
      {"{{ (index .Match 1) | printf \"%q\" }}", "{{(index .Match 1) | printf \"%q\"}}"},
      {"{{ if eq .Type \"A\" }}a{{ else if true }}b{{ else }}c{{ end }}",
       "{{if eq .Type \"A\"}}a{{else}}{{if true}}b{{else}}c{{end}}{{end}}"},
      {"{{ range $i, $x := .Match }}{{ break }}{{ continue }}{{ else }}0{{ end }}",
       "{{range $i, $x := .Match}}{{break}}{{continue}}{{else}}0{{end}}"},
      {"{{ with $ }}{{ .Name }}{{ end }}{{ print nil `a\"b` -1 }}",
       "{{with $}}{{.Name}}{{end}}{{print nil \"a\\\"b\" -1}}"},
      {"{{ ($).Name }}", "{{($).Name}}"}};
  for (const auto& [text, wanted] : kCases) {
    const auto read = TemplateText::parse(text);
    ASSERT_TRUE(read.ok()) << text << ": " << read.error().message();
    EXPECT_EQ(read->printed(), wanted) << text;
  }
}

// The labels tell the question's zone, class and type, not the directive's: CoreDNS's do.
TEST_F(PluginTemplate, Metrics) {
  use("template ANY ANY a.test b.a.test {\n"
      "match ^(x|y|7|8)\n"
      "answer \"{{ .Name }} 5 A {{ parseInt (index .Match 1) 10 8 }}.0.0.1\"\n"
      "additional \"{{ if eq .Name `8.a.test.` }}\\\"{{ end }}{{ .Name }} 5 A 192.0.2.1\"\n}");
  Host host(loop, "");
  const auto running =
      registered("template")->start(host, *config.plan->blocks.at(0).plugins.at("template"));
  ASSERT_TRUE(running.ok());
  ask("7.a.test");
  ask("7.a.test");
  ask("7.b.a.test", "AAAA");
  ask("7.a.test", "TYPE65280");
  ask("x.a.test", "TXT");
  ask("8.a.test");
  ask("none.a.test");
  const std::string metrics = host.metrics();
  const auto at = [](const char* zone, const char* type) {
    return "{server=\"dns://:53\",zone=\"" + std::string(zone) +
           "\",view=\"\",class=\"IN\",type=\"" + type + "\"";
  };
  const std::string text =
      ",section=\"answer\",template=\"{{.Name}} 5 A {{parseInt (index .Match 1) 10 8}}.0.0.1\"} 1";
  const std::string record =
      ",section=\"additional\",template=\"{{if eq .Name \\\"8.a.test.\\\"}}\\\"{{end}}{{.Name}} "
      "5 A 192.0.2.1\"} 1";
  const std::string kWanted[] = {
      "coredns_template_matches_total" + at("a.test.", "A") + "} 3",
      "coredns_template_matches_total" + at("b.a.test.", "AAAA") + "} 1",
      "coredns_template_matches_total" + at("a.test.", "") + "} 1",
      "coredns_template_matches_total" + at("a.test.", "TXT") + "} 1",
      "coredns_template_template_failures_total" + at("a.test.", "TXT") + text,
      "coredns_template_rr_failures_total" + at("a.test.", "A") + record};
  for (const std::string& line : kWanted)
    EXPECT_NE(metrics.find("\n" + line + "\n"), std::string::npos) << line << "\n" << metrics;
}

TEST_F(PluginTemplate, Refusals) {
  const std::pair<const char*, const char*> kCases[] = {
      {"template IN", "Corefile:2: 'template' takes at least 2 arguments, not 1"},
      {"template WAT A", "Corefile:2: 'WAT' is no class such as IN or ANY"},
      {"template IN WAT", "Corefile:2: 'WAT' is no record type such as A or ANY"},
      {"template IN A {\nmatch (\n}", "Corefile:3: '(' is no regular expression"},
      {"template IN A {\nanswer \"{{ .Name\"\n}", "Corefile:3: a '{{' without a '}}'"},
      {"template IN A {\nanswer \"a.test. 5 A ::1\"\n}",
       "Corefile:3: 'a.test. 5 A ::1' is no record"},
      {"template IN A {\nrcode MAYBE\n}", "Corefile:3: 'MAYBE' is no rcode such as NXDOMAIN"},
      {"template IN A {\nederror x\n}", "Corefile:3: 'x' is not a whole number from 0 to 65534"}};
  for (const auto& [text, error] : kCases)
    EXPECT_TRUE(refusal(text).starts_with(error)) << refusal(text);
}

TEST_F(PluginTemplate, AGroupThatIsNotThereIsANote) {
  use(R"(template IN TXT {
answer "{{ .Name }} 5 TXT \"{{ .Group.x }}{{ index .Group \"y\" }}\""
})");
  ASSERT_EQ(config.notes.size(), 2U);
  EXPECT_EQ(config.notes[0], "Corefile:2: template: no 'match' has a group 'x'");
  EXPECT_EQ(ask("a.test", "TXT"), "NOERROR aa rd qd=1\nanswer a.test. 5 TXT \"<no value>\"\n");
}

}  // namespace
}  // namespace fairlead::dns::test
