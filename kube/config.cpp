// SPDX-License-Identifier: Apache-2.0
#include "kube/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/address.h"
#include "kube/yaml.h"

namespace fairlead::kube {
namespace {

constexpr size_t kMaxFileBytes = 1024 * 1024;
constexpr const char* kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";

Error invalid(std::string message) {
  return Error(ErrorCode::kInvalid, std::move(message));
}

// RFC 4648 section 4; line breaks are allowed, padding is required.
std::optional<std::string> decode_base64(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t group = 0;
  int digits = 0, padding = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r') continue;
    const size_t value = c == '=' ? 0 : kAlphabet.find(c);
    if (value == std::string_view::npos || (padding > 0 && c != '=')) return std::nullopt;
    if (c == '=' && (digits < 2 || ++padding > 2)) return std::nullopt;
    group = group << 6 | static_cast<uint32_t>(value);
    if (++digits < 4) continue;
    for (int i = 0; i < 3 - padding; ++i) bytes += static_cast<char>(group >> (16 - 8 * i) & 0xff);
    group = 0;
    digits = 0;
  }
  if (digits != 0) return std::nullopt;
  return bytes;
}

// The fields of one cluster, user or context, with the first complaint kept.
class Section {
 public:
  Section(const YAML::Node& node, std::string where, const std::string& directory,
          std::string* problem)
      : node_(node), where_(std::move(where)), directory_(directory), problem_(problem) {
    if (!node_.IsMap()) complain("", "expected a mapping");
  }

  std::string text(const char* name) const {
    const YAML::Node value = get(name);
    if (!value || value.IsNull()) return "";
    if (!value.IsScalar()) return complain(name, "expected a string"), "";
    return value.Scalar();
  }
  bool flag(const char* name) const {
    const std::string value = text(name);
    const bool quoted = has(name) && get(name).Tag() == "!";
    const std::optional<bool> flag = yaml_bool(value);
    if (quoted || (!flag && !is_yaml_null(value))) complain(name, "expected true or false");
    return !quoted && flag.value_or(false);
  }
  bool has(const char* name) const {
    const YAML::Node value = get(name);
    return value && !value.IsNull();
  }
  // NAME is a file, NAME-data is base64 and wins (kubeconfig v1).
  Material material(const char* name) const {
    const std::string data_name = std::string(name) + "-data";
    const std::string data = text(data_name.c_str());
    if (data.empty()) return {"", file(name)};
    const std::optional<std::string> decoded = decode_base64(data);
    if (!decoded || decoded->empty()) complain(data_name.c_str(), "expected base64");
    return {decoded.value_or(""), ""};
  }
  std::string file(const char* name) const {
    const std::string path = text(name);
    return path.empty() || path.front() == '/' ? path : directory_ + "/" + path;
  }
  void complain(const std::string& name, const char* complaint) const {
    if (!problem_->empty()) return;
    *problem_ = where_ + (name.empty() ? "" : "." + name) + ": " + complaint;
  }

 private:
  YAML::Node get(const char* name) const {
    return node_.IsMap() ? node_[name] : YAML::Node(YAML::NodeType::Undefined);
  }

  YAML::Node node_;
  std::string where_;
  const std::string& directory_;
  std::string* problem_;
};

// clusters, users and contexts are lists of {name: NAME, <kind>: {...}}.
Result<YAML::Node> find_entry(const YAML::Node& root, const char* list, const char* kind,
                              const std::string& name) {
  const YAML::Node entries = root[list];
  if (entries && entries.IsSequence()) {
    for (const YAML::Node& entry : entries) {
      if (!entry.IsMap() || !entry["name"] || !entry["name"].IsScalar()) continue;
      if (entry["name"].Scalar() == name && entry[kind]) return YAML::Node(entry[kind]);
    }
  }
  return Error(ErrorCode::kNotFound, std::string("no ") + kind + " named '" + name + "'");
}

void read_cluster(const Section& cluster, const std::string& server, ClientConfig& config) {
  config.server = server_url(server.empty() ? cluster.text("server") : server, "");
  if (config.server.rfind("https://", 0) != 0 && config.server.rfind("http://", 0) != 0)
    cluster.complain("server", "expected a URL such as https://10.0.0.1:6443");
  config.ca = cluster.material("certificate-authority");
  if (server.empty()) config.tls_server_name = cluster.text("tls-server-name");
  config.insecure_skip_verify = cluster.flag("insecure-skip-tls-verify");
  if (config.insecure_skip_verify && !config.ca.empty())
    cluster.complain("insecure-skip-tls-verify", "excludes a certificate authority; give only one");
  if (cluster.has("proxy-url"))
    cluster.complain("proxy-url", "is not supported; reach the API server directly");
}

void read_user(const Section& user, ClientConfig& config) {
  if (user.has("exec"))
    user.complain("exec", "is not supported; give a token, a tokenFile or a client certificate");
  if (user.has("auth-provider"))
    user.complain("auth-provider",
                  "is not supported; give a token, a tokenFile or a client certificate");
  if (user.has("as") || user.has("as-groups") || user.has("as-user-extra"))
    user.complain("as", "impersonation is not supported");
  config.certificate = user.material("client-certificate");
  config.key = user.material("client-key");
  if (config.certificate.empty() != config.key.empty())
    user.complain("client-certificate", "and client-key must come together");
  // client-go: the file wins over the token beside it.
  config.token.file = user.file("tokenFile");
  if (config.token.file.empty()) config.token.text = user.text("token");
  config.username = user.text("username");
  config.password = user.text("password");
}

Result<ClientConfig> read_kubeconfig(const YAML::Node& root, const std::string& directory,
                                     std::string context_name, const std::string& server) {
  if (!root.IsMap()) return invalid("expected a mapping with clusters, users and contexts");
  std::string problem;
  const Section top(root, "kubeconfig", directory, &problem);
  if (context_name.empty()) context_name = top.text("current-context");
  if (!problem.empty()) return invalid(problem);
  if (context_name.empty()) return invalid("current-context is not set");

  const Result<YAML::Node> context_node = find_entry(root, "contexts", "context", context_name);
  if (!context_node.ok()) return context_node.error();
  const Section context(*context_node, "context " + context_name, directory, &problem);
  const std::string cluster_name = context.text("cluster");
  const std::string user_name = context.text("user");
  ClientConfig config;
  config.default_namespace = context.text("namespace");
  if (!problem.empty()) return invalid(problem);

  const Result<YAML::Node> cluster = find_entry(root, "clusters", "cluster", cluster_name);
  if (!cluster.ok()) return cluster.error().with_context("context " + context_name);
  read_cluster(Section(*cluster, "cluster " + cluster_name, directory, &problem), server, config);
  if (!user_name.empty()) {
    const Result<YAML::Node> user = find_entry(root, "users", "user", user_name);
    if (!user.ok()) return user.error().with_context("context " + context_name);
    // "user: {}" and "user:" are both a user without credentials.
    if (!user->IsNull())
      read_user(Section(*user, "user " + user_name, directory, &problem), config);
  }
  if (!problem.empty()) return invalid(problem);
  return config;
}

}  // namespace

std::string server_url(std::string text, const std::string& scheme) {
  while (!text.empty() && text.back() == '/') text.pop_back();
  return text.empty() || text.find("://") != std::string::npos ? text : scheme + text;
}

Result<std::string> read_file(const std::string& path) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) return Error::from_errno(errno, "open " + path);
  std::string text;
  std::array<char, 16384> buffer;
  size_t count = 0;
  while ((count = std::fread(buffer.data(), 1, buffer.size(), file.get())) > 0) {
    text.append(buffer.data(), count);
    if (text.size() > kMaxFileBytes) return invalid(path + " is longer than 1 MiB");
  }
  if (std::ferror(file.get()) != 0) return Error::from_errno(errno, "read " + path);
  return text;
}

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

Result<ClientConfig> parse_kubeconfig(std::string_view yaml, const std::string& directory,
                                      const std::string& context, const std::string& server) {
  if (yaml.size() > kMaxFileBytes) return invalid("kubeconfig is longer than 1 MiB");
  try {
    return read_kubeconfig(YAML::Load(std::string(yaml)), directory, context, server);
  } catch (const std::exception& exception) {
    return invalid(std::string("kubeconfig is not YAML: ") + exception.what());
  }
}

Result<ClientConfig> load_kubeconfig(const std::string& path, const FileReader& reader,
                                     const std::string& context, const std::string& server) {
  const Result<std::string> text = reader(path);
  if (!text.ok()) return text.error().with_context("kubeconfig");
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash);
  Result<ClientConfig> config = parse_kubeconfig(*text, directory, context, server);
  if (!config.ok()) return config.error().with_context(path);
  return config;
}

Result<ClientConfig> in_cluster_config(const Environment& environment, const FileReader& reader,
                                       const std::string& root) {
  const std::optional<std::string> host = environment("KUBERNETES_SERVICE_HOST");
  const std::optional<std::string> port = environment("KUBERNETES_SERVICE_PORT");
  if (!host || host->empty() || !port || port->empty())
    return Error(ErrorCode::kNotFound,
                 "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; "
                 "give a kubeconfig");
  const bool number =
      std::all_of(port->begin(), port->end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!number || port->size() > 5)
    return invalid("KUBERNETES_SERVICE_PORT is '" + *port + "', expected a port number");
  const Result<IpAddress> address = IpAddress::parse(*host);
  const bool brackets = address.ok() && address->is_v6();
  const std::string folder = root + kServiceAccount;
  ClientConfig config;
  config.server = "https://" + (brackets ? "[" + *host + "]" : *host) + ":" + *port;
  config.ca.file = folder + "/ca.crt";
  config.token.file = folder + "/token";
  const Result<std::string> ns = reader(folder + "/namespace");
  if (ns.ok()) config.default_namespace = *ns;
  return config;
}

}  // namespace fairlead::kube
