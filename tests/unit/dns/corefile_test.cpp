// SPDX-License-Identifier: Apache-2.0
// The Corefile language: what is read, as tables of text and tree, and what is refused, with the
// sentence it is refused with.
#include "dns/corefile/corefile.h"

#include <fnmatch.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/default_corefiles.h"

namespace fairlead::dns::corefile {
namespace {

class MapFiles : public Files {
 public:
  explicit MapFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}
  Result<std::string> read(const std::string& path) override {
    const auto at = files_.find(path);
    if (at == files_.end()) return Error(ErrorCode::kNotFound, path + ": no such file");
    return at->second;
  }
  std::vector<std::string> glob(const std::string& pattern) override {
    std::vector<std::string> out;
    for (const auto& [path, text] : files_)
      if (fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0) out.push_back(path);
    return out;
  }

 private:
  std::map<std::string, std::string> files_;
};

const char* environment(const std::string& name) {
  static const std::map<std::string, std::string> kValues = {
      {"UP", "1.1.1.1"}, {"PORT", "1053"}, {"TWO", "a b"}, {"NESTED", "{$UP}"}};
  const auto at = kValues.find(name);
  return at != kValues.end() ? at->second.c_str() : nullptr;
}

// "name argument {inner; inner}", an argument with blanks in quotes.
std::string text_of(const std::vector<Directive>& directives) {
  std::string out;
  for (const Directive& d : directives) {
    out += (out.empty() ? "" : "; ") + d.name.text;
    for (const Word& word : d.arguments)
      out += word.text.find_first_of(" \n{") == std::string::npos && !word.text.empty()
                 ? " " + word.text
                 : " \"" + word.text + "\"";
    if (d.block) out += " {" + text_of(*d.block) + "}";
  }
  return out;
}

std::string text_of(const Result<Corefile>& corefile) {
  if (!corefile.ok()) return corefile.error().message();
  std::string out;
  for (const ServerBlock& block : corefile->blocks) {
    for (const ZoneKey& key : block.keys)
      out += std::string(scheme_text(key.scheme)) + "://" + key.zone.to_text() + ":" +
             std::to_string(key.port) + " ";
    out += "{" + text_of(block.directives) + "}\n";
  }
  return out;
}

std::string parse(std::map<std::string, std::string> files) {
  MapFiles map(std::move(files));
  return text_of(parse_corefile("/etc/Corefile", map, {environment}));
}
std::string parse(const std::string& text) {
  return parse(std::map<std::string, std::string>{{"/etc/Corefile", text}});
}

struct TextCase {
  const char* text;
  const char* tree;
};

TEST(Corefile, Blocks) {
  const TextCase kCases[] = {
      {"", ""},
      {"# nothing\n", ""},
      {". {\n}\n", "dns://.:53 {}\n"},
      {".:53 {\nerrors\n}\n", "dns://.:53 {errors}\n"},
      {".:53\n{\nerrors\n}\n", "dns://.:53 {errors}\n"},
      {"\xef\xbb\xbf.:53 {\nerrors\n}\n", "dns://.:53 {errors}\n"},  // a byte order mark
      {".\r\n{\r\nerrors\r\n}\r\n", "dns://.:53 {errors}\n"},
      {"a b {\n}\nc {\n}", "dns://a.:53 dns://b.:53 {}\ndns://c.:53 {}\n"},
      {"a,b, c,\nd {\n}", "dns://a.:53 dns://b.:53 dns://c.:53 dns://d.:53 {}\n"},
      {"a , b {\n}", "dns://a.:53 dns://b.:53 {}\n"},
      {". {\nforward . 1.1.1.1 8.8.8.8 {\nmax_fails 3\n}\nlog\n}",
       "dns://.:53 {forward . 1.1.1.1 8.8.8.8 {max_fails 3}; log}\n"},
      {". {\na {\nb {\nc\n}\n}\n}", "dns://.:53 {a {b {c}}}\n"},
      {". {\nerrors {\n}\n}", "dns://.:53 {errors {}}\n"},
      // The last brace may be a directive's and the server block's.
      {"a {\nb\n}\n. {\nc\nd {\ne\n}\n# end\n", "dns://a.:53 {b}\ndns://.:53 {c; d {e}}\n"},
      // Blocks of directives may be on one line, and begin on that of their brace.
      {". { errors\n}", "dns://.:53 {errors}\n"},
      {". { }\na { }", "dns://.:53 {}\ndns://a.:53 {}\n"},
      {". {\nerrors { }\nforward . x { max_fails 3 }\nlog\n}",
       "dns://.:53 {errors {}; forward . x {max_fails 3}; log}\n"},
      {". {\ncache { success 5\ndenial 5\n}\n}", "dns://.:53 {cache {success 5; denial 5}}\n"},
      {". {\na { b { c } }\n}", "dns://.:53 {a {b {c}}}\n"},
      // Without braces: to the end.
      {".:5353\nerrors\nforward . 1.1.1.1 {\nprefer_udp\n}\n",
       "dns://.:5353 {errors; forward . 1.1.1.1 {prefer_udp}}\n"},
      {".", "dns://.:53 {}\n"},
      // Comments, also without a blank in front.
      {". { # one\nerrors#two\n# three {\n}", "dns://.:53 {errors}\n"},
      // Quotes.
      {". {\ntemplate \"a b\" \"\" \"{\" \"say \\\"x\\\"\" \"c\\d\" \"#\"\n}",
       "dns://.:53 {template \"a b\" \"\" \"{\" \"say \"x\"\" c\\d #}\n"},
      {". {\ntemplate \"a\nb\" c\nlog\n}", "dns://.:53 {template \"a\nb\" c; log}\n"},
      {". {\nlog a\"b c\"\n}", "dns://.:53 {log a\"b c\"}\n"},
      // The environment: one word whatever the value, and looked at once.
      {".:{$PORT} {\nforward . {%UP%}\nx {$NOTHING} pre{$UP}post {$TWO} {$NESTED} {$UP\n}",
       "dns://.:1053 {forward . 1.1.1.1; x \"\" pre1.1.1.1post \"a b\" \"{$UP}\" \"{$UP\"}\n"},
      {". {\nlog \"{>id} {type}\"\n}", "dns://.:53 {log \"{>id} {type}\"}\n"},
  };
  for (const TextCase& c : kCases) EXPECT_EQ(parse(c.text), c.tree) << c.text;
}

// What NodeLocal DNSCache's program fills in.
TEST(Corefile, PlacesOfNodeLocalDnsCache) {
  const char* address = nullptr;
  const auto parsed = [&](const std::string& text) {
    MapFiles map({{"/etc/Corefile", text}});
    return text_of(parse_corefile("/etc/Corefile", map, {[&](const std::string& name) {
                                    return name == "KUBE_DNS_UPSTREAM_SERVICE_HOST" ? address
                                                                                    : nullptr;
                                  }}));
  };
  EXPECT_EQ(parsed(".:53 {\nforward . __PILLAR__UPSTREAM__SERVERS__\n}"),
            "dns://.:53 {forward . /etc/resolv.conf}\n");
  const std::string cluster = ".:53 {\nforward . __PILLAR__CLUSTER__DNS__\n}";
  for (const char* none : {static_cast<const char*>(nullptr), ""}) {
    address = none;
    EXPECT_EQ(parsed(cluster),
              "/etc/Corefile:2: __PILLAR__CLUSTER__DNS__ is the address of Service "
              "kube-dns-upstream, but KUBE_DNS_UPSTREAM_SERVICE_HOST is not set: there is no such "
              "Service in the pod's namespace, it is newer than the pod, or the pod has "
              "enableServiceLinks: false");
  }
  address = "10.96.0.11";
  EXPECT_EQ(parsed(cluster), "dns://.:53 {forward . 10.96.0.11}\n");
  EXPECT_EQ(parsed("__PILLAR__DNS__DOMAIN__:53 {\n}"),
            "/etc/Corefile:1: '__PILLAR__DNS__DOMAIN__:53' of NodeLocal DNSCache's manifest has to "
            "be filled in");
}

TEST(Corefile, Mistakes) {
  const TextCase kCases[] = {
      {". {\nerrors\n", "/etc/Corefile:1: this '{' has no '}'"},
      {". {\na {\nb\n}\nc\n", "/etc/Corefile:1: this '{' has no '}'"},
      {". {\na {\nb {\n}\n", "/etc/Corefile:2: this '{' has no '}'"},
      {". {\na {\nb\n}\nc {\n}\nd. {\n", "/etc/Corefile:7: this '{' has no '}'"},
      {". {\n}\n}\n", "/etc/Corefile:3: a '}' without a '{'"},
      {".\nerrors\n}\n", "/etc/Corefile:3: a '}' without a '{'"},
      {"{\n}\n", "/etc/Corefile:1: a server block without a zone"},
      {", {\n}\n", "/etc/Corefile:1: a server block without a zone"},
      {"a, {\n}\n", "/etc/Corefile:1: a zone must follow the comma"},
      {". { errors }\n", "/etc/Corefile:1: '}' must stand on a line of its own"},
      {". {\na { b } c\n}\n", "/etc/Corefile:2: nothing may follow '}' on its line"},
      {". {\nerrors }\n", "/etc/Corefile:2: '}' must stand on a line of its own"},
      {". {\n} log\n", "/etc/Corefile:2: nothing may follow '}' on its line"},
      {". {\n{\n}\n}\n", "/etc/Corefile:2: a '{' without a directive in front of it"},
      {". {\n\n\nlog \"a\nb\n}\n", "/etc/Corefile:4: the quote that begins here does not end"},
      {".:0 {\n}", "/etc/Corefile:1: zone '.:0': '0' is not a port from 1 to 65535"},
      {".:x {\n}", "/etc/Corefile:1: zone '.:x': 'x' is not a port from 1 to 65535"},
      {"\ntsl://. {\n}",
       "/etc/Corefile:2: zone 'tsl://.': there is no scheme 'tsl', did you mean 'tls'?"},
      {"a..b {\n}",
       "/etc/Corefile:1: zone 'a..b': 'a..b' is not a domain name: an empty label, or over 255 "
       "bytes"},
      {"10.0.0.1 {\n}",
       "/etc/Corefile:1: zone '10.0.0.1': an address; its reverse zone is written as a prefix, "
       "such as 10.0.0.0/24"},
  };
  for (const TextCase& c : kCases) EXPECT_EQ(parse(c.text), c.tree) << c.text;
  EXPECT_EQ(parse(std::string(". {\nlog a\0b\n}", 13)), "/etc/Corefile:2: a byte 0");
  std::string deep = ". {\n";
  for (size_t i = 0; i <= kMaxNesting; ++i) deep += "a {\n";
  for (size_t i = 0; i <= kMaxNesting + 1; ++i) deep += "}\n";
  EXPECT_EQ(parse(deep), "/etc/Corefile:21: blocks within blocks, 20 deep");
}

TEST(Corefile, Zones) {
  const TextCase kCases[] = {
      {"Example.ORG", "dns://Example.ORG.:53"},
      {"example.org:1053", "dns://example.org.:1053"},
      {":1053", "dns://.:1053"},
      {"dns://", "dns://.:53"},
      {"tls://example.org", "tls://example.org.:853"},
      {"quic://.", "quic://.:853"},
      {"grpc://.:4430", "grpc://.:4430"},
      {"https://.", "https://.:443"},
      {"https3://.", "https3://.:443"},
      {"10.0.0.0/8", "dns://10.in-addr.arpa.:53"},
      {"10.1.2.0/24:1053", "dns://2.1.10.in-addr.arpa.:1053"},
      {"10.1.2.3/32", "dns://3.2.1.10.in-addr.arpa.:53"},
      {"10.1.2.3/16", "dns://1.10.in-addr.arpa.:53"},
      {"10.0.0.0/15", "dns://0.10.in-addr.arpa.:53 dns://1.10.in-addr.arpa.:53"},
      {"0.0.0.0/0", "dns://in-addr.arpa.:53"},
      {"::/0", "dns://ip6.arpa.:53"},
      {"2001:db8::/32", "dns://8.b.d.0.1.0.0.2.ip6.arpa.:53"},
      {"2001:db8::/31:1053",
       "dns://8.b.d.0.1.0.0.2.ip6.arpa.:1053 dns://9.b.d.0.1.0.0.2.ip6.arpa.:1053"},
      {"fd00::/7", "dns://c.f.ip6.arpa.:53 dns://d.f.ip6.arpa.:53"},
  };
  for (const TextCase& c : kCases)
    EXPECT_EQ(parse(std::string(c.text) + " {\n}\n"), std::string(c.tree) + " {}\n") << c.text;
  for (int length = 0; length <= 32; ++length) {
    const auto keys = parse_zone_key("10.0.0.0/" + std::to_string(length));
    ASSERT_TRUE(keys.ok());
    EXPECT_EQ(keys->size(), 1u << (32 - length) % 8) << length;
  }
  for (int length = 0; length <= 128; ++length) {
    const auto keys = parse_zone_key("fd00::/" + std::to_string(length));
    ASSERT_TRUE(keys.ok());
    EXPECT_EQ(keys->size(), 1u << (128 - length) % 4) << length;
  }
  EXPECT_FALSE(parse_zone_key("10.0.0.0/33").ok());
  // RFC 2317, section 4.
  EXPECT_EQ((*parse_zone_key("0/26.2.0.192.in-addr.arpa"))[0].zone,
            *Name::from_text("0/26.2.0.192.in-addr.arpa."));
  EXPECT_FALSE(parse_zone_key("").ok());
  EXPECT_EQ((*parse_zone_key("example.org", 1053))[0].port, 1053);
  EXPECT_EQ((*parse_zone_key("tls://example.org", 1053))[0].port, 853);
}

struct ImportCase {
  const char* what;
  std::map<std::string, std::string> files;
  const char* tree;
};

TEST(Corefile, Imports) {
  const ImportCase kCases[] = {
      {"a snippet",
       {{"/etc/Corefile", "(common) {\nerrors\nlog {\nclass error\n}\n}\n. {\nimport common\n}"}},
       "dns://.:53 {errors; log {class error}}\n"},
      {"a snippet within a block of a directive",
       {{"/etc/Corefile",
         "(up) {\nmax_fails 3\n}\n. {\nforward . x {\nimport up\nprefer_udp\n}\n}"}},
       "dns://.:53 {forward . x {max_fails 3; prefer_udp}}\n"},
      {"a snippet of a snippet",
       {{"/etc/Corefile", "(a) {\nerrors\n}\n(b) { import a\nlog\n}\n. { import b\n}"}},
       "dns://.:53 {errors; log}\n"},
      {"a snippet that begins on its brace's line, behind a directive",
       {{"/etc/Corefile", "(a) { log\n}\n(b) { import a\nloop\n}\n. {\ncache 30\nimport b\n}"}},
       "dns://.:53 {cache 30; log; loop}\n"},
      {"not behind the brace of a directive's block",
       {{"/etc/Corefile", "(a) {\nlog\n}\n. {\nhosts { import a\n}\n}"}},
       "dns://.:53 {hosts {import a}}\n"},
      {"a snippet nobody uses may say what it likes",
       {{"/etc/Corefile", "(a) {\nimport nowhere\n}\n. {\n}"}},
       "dns://.:53 {}\n"},
      {"k3s: patterns within the block and beside it, in order of names",
       {{"/etc/Corefile", ".:53 {\nerrors\nimport custom/*.override\n}\nimport custom/*.server\n"},
        {"/etc/custom/b.override", "log\n"},
        {"/etc/custom/a.override", "health\n"},
        {"/etc/custom/x.server", "example.org {\nwhoami\n}\n"}},
       "dns://.:53 {errors; health; log}\ndns://example.org.:53 {whoami}\n"},
      {"a pattern that matches nothing",
       {{"/etc/Corefile", ". {\nimport custom/*.override\n}\n"}},
       "dns://.:53 {}\n"},
      {"relative to the importing file; absolute",
       {{"/etc/Corefile", "import sub/a\n"},
        {"/etc/sub/a", ". {\nimport b\nimport /c\n}\n"},
        {"/etc/sub/b", "errors"},
        {"/c", "log"}},
       "dns://.:53 {errors; log}\n"},
      {"snippets of an imported file",
       {{"/etc/Corefile", "import snippets\n. {\nimport common\n}\n"},
        {"/etc/snippets", "(common) {\nerrors\n}\n"}},
       "dns://.:53 {errors}\n"},
      {"a name from the environment",
       {{"/etc/Corefile", ". {\nimport {$UP}\n}\n"}, {"/etc/1.1.1.1", "errors"}},
       "dns://.:53 {errors}\n"},
      {"not at the beginning of a line",
       {{"/etc/Corefile", ". {\nrewrite import x\n}\n"}},
       "dns://.:53 {rewrite import x}\n"},
  };
  for (const ImportCase& c : kCases) EXPECT_EQ(parse(c.files), c.tree) << c.what;
}

TEST(Corefile, ImportsThatFail) {
  const ImportCase kCases[] = {
      {"the place of a mistake in another file",
       {{"/etc/Corefile", ". {\nimport a\n}\n"}, {"/etc/a", "\nlog {\n"}},
       "/etc/a:2: this '{' has no '}'"},
      {"what is imported closes nothing else",
       {{"/etc/Corefile", ". {\nimport a\n"}, {"/etc/a", "log\n}\n"}},
       "/etc/a:2: a '}' without a '{'"},
      {"a misspelt snippet",
       {{"/etc/Corefile", "(common) {\n}\n. {\nimport comon\n}\n"}},
       "/etc/Corefile:4: there is no snippet 'comon', did you mean 'common'? As a file: "
       "/etc/comon: no such file"},
      {"no argument",
       {{"/etc/Corefile", ". {\nimport\n}\n"}},
       "/etc/Corefile:2: import takes one argument: a snippet, a file or a pattern"},
      {"two arguments",
       {{"/etc/Corefile", ". {\nimport a b\n}\n"}},
       "/etc/Corefile:2: import takes one argument: a snippet, a file or a pattern"},
      {"a snippet twice",
       {{"/etc/Corefile", "(a) {\n}\n(a) {\n}\n"}},
       "/etc/Corefile:3: there is a snippet 'a' already"},
      {"a snippet that does not end",
       {{"/etc/Corefile", "(a) {\nb {\n}\n"}},
       "/etc/Corefile:1: the '{' of snippet 'a' has no '}'"},
      {"a snippet without a name",
       {{"/etc/Corefile", "() {\n}\n"}},
       "/etc/Corefile:1: a snippet without a name"},
      {"a file that imports itself",
       {{"/etc/Corefile", "import Corefile\n"}},
       "/etc/Corefile:1: imports within imports, 50 deep: does something import itself?"},
      {"a snippet that imports itself",
       {{"/etc/Corefile", "(a) {\nimport a\n}\n. {\nimport a\n}\n"}},
       "/etc/Corefile:2: imports within imports, 50 deep: does something import itself?"},
  };
  for (const ImportCase& c : kCases) EXPECT_EQ(parse(c.files), c.tree) << c.what;
}

// Each doubles the one before: neither words nor imports grow without bound.
TEST(Corefile, ImportsThatDouble) {
  for (const char* inner : {"", "errors\n"}) {
    std::string text = "(s0) {\n" + std::string(inner) + "}\n";
    for (int i = 1; i < 40; ++i) {
      const std::string before = "import s" + std::to_string(i - 1) + "\n";
      text += "(s" + std::to_string(i) + ") {\n" + before + before + "}\n";
    }
    EXPECT_NE(parse(text + ". {\nimport s39\n}\n").find("over 10000 imports"), std::string::npos);
  }
  std::string many = "(s) {\n";
  for (int i = 0; i < 1000; ++i) many += "errors\n";
  many += "}\n. {\n";
  for (int i = 0; i < 101; ++i) many += "import s\n";
  EXPECT_NE(parse(many + "}\n").find("over 100000 words"), std::string::npos);
}

TEST(Corefile, TellsWhatItWasReadFrom) {
  MapFiles files({{"/etc/Corefile", ". {\nimport a\nimport *.b\n}\n"},
                  {"/etc/a", "errors"},
                  {"/etc/x.b", "log"}});
  const auto corefile = parse_corefile("/etc/Corefile", files, {environment});
  ASSERT_TRUE(corefile.ok());
  EXPECT_EQ(corefile->files,
            (std::set<std::string>{"/etc/Corefile", "/etc/a", "/etc/*.b", "/etc/x.b"}));
}

// kubeadm's, whole.
TEST(Corefile, OfKubeadm) {
  ASSERT_STREQ(fairlead::test::kDefaultCorefiles[0].name, "kubeadm");
  EXPECT_EQ(parse(fairlead::test::kDefaultCorefiles[0].text),
            "dns://.:53 {errors; health {lameduck 5s}; ready; kubernetes cluster.local "
            "in-addr.arpa ip6.arpa {pods insecure; fallthrough in-addr.arpa ip6.arpa; ttl 30}; "
            "prometheus :9153; forward . /etc/resolv.conf {max_concurrent 1000}; cache 30 {disable "
            "success cluster.local; disable denial cluster.local}; loop; reload; loadbalance}\n");
}

TEST(DidYouMean, NearWordsOnly) {
  const std::vector<std::string> kNames = {"forward", "cache", "log"};
  EXPECT_EQ(did_you_mean("foward", kNames), ", did you mean 'forward'?");
  EXPECT_EQ(did_you_mean("cahce", kNames), ", did you mean 'cache'?");
  EXPECT_EQ(did_you_mean("lag", kNames), ", did you mean 'log'?");
  EXPECT_EQ(did_you_mean("x", kNames), "");
  EXPECT_EQ(did_you_mean("kubernetes", kNames), "");
  EXPECT_EQ(did_you_mean(std::string(100'000, 'a'), kNames), "");
}

}  // namespace
}  // namespace fairlead::dns::corefile
