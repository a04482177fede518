// SPDX-License-Identifier: Apache-2.0
#include "kube/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <map>

namespace fairlead::kube {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

// A kubeconfig around one cluster and one user.
std::string kubeconfig(const std::string& cluster, const std::string& user) {
  return "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
         "contexts:\n- name: other\n  context: {cluster: none, user: none}\n"
         "- name: here\n  context: {cluster: c, user: u, namespace: shop}\n"
         "clusters:\n- name: c\n  cluster: " +
         cluster + "\nusers:\n- name: u\n  user: " + user + "\n";
}
const char* const kServer = "{server: 'https://10.0.0.1:6443/'}";

TEST(Kubeconfig, FilesAreRelativeToTheKubeconfig) {
  const Result<ClientConfig> config =
      parse_kubeconfig(kubeconfig("{server: 'https://10.0.0.1:6443/', certificate-authority: "
                                  "pki/ca.crt, tls-server-name: kubernetes}",
                                  "{client-certificate: /abs/me.crt, client-key: me.key}"),
                       "/etc/kubernetes");
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_EQ(config->server, "https://10.0.0.1:6443");
  EXPECT_EQ(config->ca, (Material{"", "/etc/kubernetes/pki/ca.crt"}));
  EXPECT_EQ(config->certificate, (Material{"", "/abs/me.crt"}));
  EXPECT_EQ(config->key, (Material{"", "/etc/kubernetes/me.key"}));
  EXPECT_EQ(config->tls_server_name, "kubernetes");
  EXPECT_EQ(config->default_namespace, "shop");
  EXPECT_FALSE(config->insecure_skip_verify);
}

TEST(Kubeconfig, DataWinsOverFiles) {
  const Result<ClientConfig> config = parse_kubeconfig(
      kubeconfig("{server: 'https://a', certificate-authority: ca.crt, certificate-authority-data: "
                 "'Q0E='}",
                 "{client-certificate-data: Q0VSVA==, client-key-data: \"S0\\nVZ\"}"),
      "/x");
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_EQ(config->ca, (Material{"CA", ""}));
  EXPECT_EQ(config->certificate, (Material{"CERT", ""}));
  EXPECT_EQ(config->key, (Material{"KEY", ""}));
}

TEST(Kubeconfig, Tokens) {
  EXPECT_EQ(parse_kubeconfig(kubeconfig(kServer, "{token: abc}"), "/x")->token,
            (Material{"abc", ""}));
  EXPECT_EQ(parse_kubeconfig(kubeconfig(kServer, "{token: abc, tokenFile: t}"), "/x")->token,
            (Material{"", "/x/t"}));
  const Result<ClientConfig> basic =
      parse_kubeconfig(kubeconfig(kServer, "{username: a, password: b}"), "/x");
  EXPECT_EQ(basic->username, "a");
  EXPECT_EQ(basic->password, "b");
  EXPECT_TRUE(parse_kubeconfig(kubeconfig(kServer, "{}"), "/x").ok());
  EXPECT_TRUE(parse_kubeconfig(kubeconfig(kServer, ""), "/x").ok());
  // A server from elsewhere: the file need not have one.
  const std::string none = kubeconfig("{certificate-authority: ca.crt}", "{}");
  EXPECT_FALSE(parse_kubeconfig(none, "/x").ok());
  EXPECT_EQ(parse_kubeconfig(none, "/x", "", "https://h:6443/")->server, "https://h:6443");
  EXPECT_EQ(parse_kubeconfig(kubeconfig(kServer, "{}"), "/x", "", "https://h")->server,
            "https://h");
  EXPECT_EQ(server_url("10.0.0.1:8080", "http://"), "http://10.0.0.1:8080");
  EXPECT_EQ(server_url("https://h//", "http://"), "https://h");
  EXPECT_EQ(server_url("", "http://"), "");
}

TEST(Kubeconfig, SaysYesAndNoInAllWordsOfYaml) {
  const auto skips = [](const std::string& word) {
    const Result<ClientConfig> config = parse_kubeconfig(
        kubeconfig("{server: 'https://a', insecure-skip-tls-verify: " + word + "}", "{}"), "/x");
    EXPECT_TRUE(config.ok()) << word;
    return config.ok() && config->insecure_skip_verify;
  };
  for (const char* word : {"true", "True", "TRUE", "yes", "Yes", "on", "y"})
    EXPECT_TRUE(skips(word)) << word;
  for (const char* word : {"false", "False", "no", "NO", "off", "n", "~", "null"})
    EXPECT_FALSE(skips(word)) << word;
}

TEST(Kubeconfig, AnotherContextMayBeAskedFor) {
  const Result<ClientConfig> config = parse_kubeconfig(kubeconfig(kServer, "{}"), "/x", "other");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().message(), "context other: no cluster named 'none'");
  EXPECT_TRUE(parse_kubeconfig(kubeconfig(kServer, "{}"), "/x", "here").ok());
}

struct BadConfig {
  std::string yaml;
  const char* message;
};
const BadConfig kBadConfigs[] = {
    {"", "expected a mapping"},
    {"[]", "expected a mapping"},
    {"a: [", "kubeconfig is not YAML"},
    {"{current-context: x}", "no context named 'x'"},
    {"{clusters: []}", "current-context is not set"},
    {"{current-context: [x]}", "kubeconfig.current-context: expected a string"},
    {"{current-context: x, contexts: {}}", "no context named 'x'"},
    {"{current-context: x, contexts: [3, {}, {name: [x]}, {name: x}]}", "no context named 'x'"},
    {"{current-context: x, contexts: [{name: x, context: 7}]}", "context x: expected a mapping"},
    {"{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], clusters: "
     "[{name: c, cluster: {server: 'https://a'}}]}",
     "context x: no user named 'u'"},
    {kubeconfig("{}", "{}"), "cluster c.server: expected a URL"},
    {kubeconfig("{server: 10.0.0.1}", "{}"), "cluster c.server: expected a URL"},
    {kubeconfig("{server: {}}", "{}"), "cluster c.server: expected a string"},
    {kubeconfig("{server: 'https://a', insecure-skip-tls-verify: perhaps}", "{}"),
     "cluster c.insecure-skip-tls-verify: expected true or false"},
    {kubeconfig("{server: 'https://a', insecure-skip-tls-verify: 'yes'}", "{}"),
     "cluster c.insecure-skip-tls-verify: expected true or false"},
    {kubeconfig("{server: 'https://a', insecure-skip-tls-verify: true, certificate-authority: x}",
                "{}"),
     "excludes a certificate authority"},
    {kubeconfig("{server: 'https://a', certificate-authority-data: '***'}", "{}"),
     "cluster c.certificate-authority-data: expected base64"},
    {kubeconfig("{server: 'https://a', certificate-authority-data: 'Q0E'}", "{}"),
     "expected base64"},
    {kubeconfig("{server: 'https://a', certificate-authority-data: 'Q=E='}", "{}"),
     "expected base64"},
    {kubeconfig("{server: 'https://a', certificate-authority-data: '===='}", "{}"),
     "expected base64"},
    {kubeconfig("{server: 'https://a', proxy-url: 'http://p'}", "{}"),
     "cluster c.proxy-url: is not supported"},
    {kubeconfig(kServer, "{exec: {command: aws}}"), "user u.exec: is not supported; give a token"},
    {kubeconfig(kServer, "{auth-provider: {name: gcp}}"), "user u.auth-provider: is not supported"},
    {kubeconfig(kServer, "{as: admin}"), "user u.as: impersonation is not supported"},
    {kubeconfig(kServer, "{client-certificate: a}"), "client-key must come together"},
    {kubeconfig(kServer, "{token: [a]}"), "user u.token: expected a string"},
    {kubeconfig(kServer, "[a]"), "user u: expected a mapping"},
};

TEST(Kubeconfig, SaysWhatIsWrongWhere) {
  for (const BadConfig& c : kBadConfigs) {
    const Result<ClientConfig> config = parse_kubeconfig(c.yaml, "/x");
    ASSERT_FALSE(config.ok()) << c.yaml;
    EXPECT_THAT(config.error().message(), HasSubstr(c.message)) << c.yaml;
  }
  EXPECT_FALSE(parse_kubeconfig(std::string(2 << 20, ' '), "/x").ok());
}

TEST(Kubeconfig, LoadNamesTheFile) {
  const auto reader = [](const std::string& path) -> Result<std::string> {
    if (path == "/e/k") return kubeconfig("{server: 'https://a', certificate-authority: ca}", "{}");
    if (path == "k") return kubeconfig("{server: 'https://a', certificate-authority: ca}", "{}");
    if (path == "/bad") return std::string("[");
    return Error(ErrorCode::kNotFound, "open " + path + ": no");
  };
  EXPECT_EQ(load_kubeconfig("/e/k", reader)->ca.file, "/e/ca");
  EXPECT_EQ(load_kubeconfig("k", reader)->ca.file, "./ca");
  EXPECT_THAT(load_kubeconfig("/bad", reader).error().message(),
              HasSubstr("/bad: kubeconfig is not YAML"));
  EXPECT_THAT(load_kubeconfig("/none", reader).error().message(), "kubeconfig: open /none: no");
}

Environment environment(std::map<std::string, std::string> values) {
  return [values](const std::string& name) -> std::optional<std::string> {
    const auto it = values.find(name);
    if (it == values.end()) return std::nullopt;
    return it->second;
  };
}

TEST(InCluster, FromTheEnvironmentAndTheServiceAccount) {
  const std::string folder = "/fake/var/run/secrets/kubernetes.io/serviceaccount";
  const auto reader = [&](const std::string& path) -> Result<std::string> {
    if (path == folder + "/namespace") return std::string("kube-system");
    return Error(ErrorCode::kNotFound, path);
  };
  const Result<ClientConfig> config = in_cluster_config(
      environment({{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}}),
      reader, "/fake");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->server, "https://10.96.0.1:443");
  EXPECT_EQ(config->ca.file, folder + "/ca.crt");
  EXPECT_EQ(config->token.file, folder + "/token");
  EXPECT_EQ(config->default_namespace, "kube-system");
  EXPECT_EQ(in_cluster_config(environment({{"KUBERNETES_SERVICE_HOST", "fd00::1"},
                                           {"KUBERNETES_SERVICE_PORT", "6443"}}),
                              reader)
                ->server,
            "https://[fd00::1]:6443");
  EXPECT_EQ(in_cluster_config(environment({}), reader).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(
      in_cluster_config(environment({{"KUBERNETES_SERVICE_HOST", "a"}}), reader).error().code(),
      ErrorCode::kNotFound);
  EXPECT_EQ(in_cluster_config(environment({{"KUBERNETES_SERVICE_HOST", "a"},
                                           {"KUBERNETES_SERVICE_PORT", "tcp://x"}}),
                              reader)
                .error()
                .code(),
            ErrorCode::kInvalid);
}

class CredentialsTest : public testing::Test {
 protected:
  Result<Credentials> load(ClientConfig config) {
    return Credentials::load(
        clock_, std::move(config), [this](const std::string& path) -> Result<std::string> {
          ++reads_;
          const auto it = files_.find(path);
          if (it == files_.end())
            return Error(ErrorCode::kNotFound, "open " + path + ": no such file");
          return it->second;
        });
  }
  static ClientConfig files() {
    ClientConfig config;
    config.ca.file = "ca";
    config.certificate.file = "crt";
    config.key.file = "key";
    config.token.file = "token";
    config.tls_server_name = "kubernetes";
    return config;
  }
  ManualClock clock_;
  std::map<std::string, std::string> files_{
      {"ca", "CA"}, {"crt", "CRT"}, {"key", "KEY"}, {"token", "one \n"}};
  int reads_ = 0;
};

TEST_F(CredentialsTest, ReadsFilesAtMostOnceAMinute) {
  Result<Credentials> credentials = load(files());
  ASSERT_TRUE(credentials.ok());
  EXPECT_EQ(credentials->authorization(), "Bearer one");
  EXPECT_EQ(credentials->tls().ca_pem, "CA");
  EXPECT_EQ(credentials->tls().certificate_pem, "CRT");
  EXPECT_EQ(credentials->tls().key_pem, "KEY");
  EXPECT_EQ(credentials->tls().server_name, "kubernetes");
  EXPECT_EQ(reads_, 4);
  files_["token"] = "two";
  clock_.advance(seconds(59));
  EXPECT_FALSE(credentials->refresh());
  EXPECT_EQ(reads_, 4);
  clock_.advance(seconds(1));
  EXPECT_FALSE(credentials->refresh()) << "the token alone is no change of TLS";
  EXPECT_EQ(credentials->authorization(), "Bearer two");
  files_["crt"] = "CRT2";
  clock_.advance(seconds(60));
  EXPECT_TRUE(credentials->refresh());
  EXPECT_EQ(credentials->tls().certificate_pem, "CRT2");
}

TEST_F(CredentialsTest, ARejectionReadsSoonerButNotInALoop) {
  Result<Credentials> credentials = load(files());
  clock_.advance(seconds(1));
  credentials->reject();
  credentials->refresh();
  EXPECT_EQ(reads_, 8);
  credentials->reject();
  credentials->refresh();
  EXPECT_EQ(reads_, 8);
  clock_.advance(seconds(1));
  credentials->refresh();
  EXPECT_EQ(reads_, 12);
  clock_.advance(seconds(1));
  credentials->refresh();
  EXPECT_EQ(reads_, 12);
}

TEST_F(CredentialsTest, AFileThatGoesAwayChangesNothing) {
  Result<Credentials> credentials = load(files());
  files_["crt"] = "CRT2";
  for (const char* text : {"", " \n"}) {
    files_["key"] = text;
    clock_.advance(seconds(60));
    EXPECT_FALSE(credentials->refresh());
    EXPECT_EQ(credentials->tls().certificate_pem, "CRT") << "never a certificate without its key";
  }
  files_.erase("key");
  clock_.advance(seconds(60));
  EXPECT_FALSE(credentials->refresh());
  files_["key"] = "KEY2";
  clock_.advance(seconds(60));
  EXPECT_TRUE(credentials->refresh());
  EXPECT_EQ(credentials->tls().key_pem, "KEY2");
}

TEST_F(CredentialsTest, AMissingFileAtStartIsAnError) {
  for (const char* name : {"ca", "crt", "key", "token"}) {
    const std::string text = files_[name];
    files_.erase(name);
    const Result<Credentials> credentials = load(files());
    ASSERT_FALSE(credentials.ok());
    EXPECT_THAT(credentials.error().message(), HasSubstr(std::string("open ") + name));
    files_[name] = text;
  }
}

TEST_F(CredentialsTest, BasicAndNothing) {
  const std::pair<const char*, const char*> kPasswords[] = {{"", "Basic dTo="},
                                                            {"p", "Basic dTpw"},
                                                            {"pa", "Basic dTpwYQ=="},
                                                            {"pas\xff", "Basic dTpwYXP/"}};
  for (const auto& [password, header] : kPasswords) {
    ClientConfig config;
    config.username = "u";
    config.password = password;
    EXPECT_EQ(load(config)->authorization(), header);
  }
  EXPECT_EQ(load({})->authorization(), "");
}

TEST(ReadFile, RealFiles) {
  char path[] = "/tmp/fairlead-config-XXXXXX";
  const int fd = mkstemp(path);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(write(fd, "text", 4), 4);
  EXPECT_EQ(*read_file(path), "text");
  ASSERT_EQ(ftruncate(fd, (1 << 20) + 1), 0);
  EXPECT_THAT(read_file(path).error().message(), HasSubstr("longer than 1 MiB"));
  close(fd);
  std::remove(path);
  EXPECT_TRUE(read_file(path).error().is_not_found());
  EXPECT_FALSE(read_file("/tmp").ok());
}

}  // namespace
}  // namespace fairlead::kube
