// SPDX-License-Identifier: Apache-2.0
// Where the API server is and how to prove who we are: a kubeconfig file, or what Kubernetes mounts
// into a pod. Reads files only through the FileReader it is given.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/http/client.h"
#include "base/result.h"

namespace fairlead::kube {

using FileReader = std::function<Result<std::string>(const std::string& path)>;
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// The real ones. A file longer than 1 MiB is refused.
Result<std::string> read_file(const std::string& path);
std::optional<std::string> process_environment(const std::string& name);

// Text that is given, or stands in a file that may be replaced while we run. Both empty: none.
struct Material {
  std::string text;
  std::string file;
  bool empty() const { return text.empty() && file.empty(); }
  bool operator==(const Material&) const = default;
};

struct ClientConfig {
  std::string server;  // "https://10.96.0.1:443", without a slash at the end
  Material ca;
  Material certificate;
  Material key;
  std::string tls_server_name;
  bool insecure_skip_verify = false;
  Material token;        // bearer token; wins over username and password
  std::string username;  // HTTP basic
  std::string password;
  std::string default_namespace;
  bool operator==(const ClientConfig&) const = default;
};

// Without slashes at its end, and with `scheme` ("http://") where it has none.
std::string server_url(std::string text, const std::string& scheme);

// `context` empty: the file's current-context. Relative file names are relative to `directory`.
// `server`: in place of the file's, which need not have one then.
// exec and auth-provider users are refused by name: we start no foreign program for a token.
Result<ClientConfig> parse_kubeconfig(std::string_view yaml, const std::string& directory,
                                      const std::string& context = "",
                                      const std::string& server = "");
Result<ClientConfig> load_kubeconfig(const std::string& path, const FileReader& reader,
                                     const std::string& context = "",
                                     const std::string& server = "");

// KUBERNETES_SERVICE_HOST and _PORT with the pod's service account; `root` stands before
// /var/run/secrets/kubernetes.io/serviceaccount.
Result<ClientConfig> in_cluster_config(const Environment& environment, const FileReader& reader,
                                       const std::string& root = "");

// The credentials of a ClientConfig, kept fresh. Files are read again, all together, by refresh():
// at most once a minute (projected tokens live an hour and are replaced at 80 % of it), or at once
// after reject(). A file that cannot be read or is empty leaves what was known, with a warning.
// Threads: one.
class Credentials {
 public:
  static constexpr Duration kRefreshPeriod = std::chrono::minutes(1);

  // Fails when a file cannot be read now: a wrong path should be known at start.
  static Result<Credentials> load(Clock& clock, ClientConfig config, FileReader reader);

  const ClientConfig& config() const { return config_; }
  const TlsClientConfig& tls() const { return tls_; }
  // The value of the Authorization header; empty: none.
  const std::string& authorization() const { return authorization_; }

  // Reads the files again when it is time. Returns true when tls() changed.
  bool refresh();
  // The server answered 401: the next refresh() reads at once, though not more often than every
  // second.
  void reject();

 private:
  Credentials(Clock& clock, ClientConfig config, FileReader reader);
  Result<void> read(TlsClientConfig& tls, std::string& authorization) const;
  Result<std::string> text_of(const Material& material, std::string_view what) const;

  Clock* clock_;
  ClientConfig config_;
  FileReader reader_;
  TlsClientConfig tls_;
  std::string authorization_;
  MonoTime read_at_;
  bool rejected_ = false;
};

}  // namespace fairlead::kube
