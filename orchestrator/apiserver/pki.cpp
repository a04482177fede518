// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/pki.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "orchestrator/apiserver/schema/formats.h"

namespace fairlead::orchestrator {
namespace {

using apiserver::schema::base64_encode;
using tls::CertificateAndKey;
namespace fs = std::filesystem;

constexpr Duration kAuthorityValidity = std::chrono::hours(24 * 3650);
constexpr Duration kLeafValidity = std::chrono::hours(24 * 365);
constexpr Duration kRenewBefore = std::chrono::hours(24 * 30);
constexpr Duration kClockSlack = std::chrono::hours(1);

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Through a rename, so that a reader or a crash sees the old file or the new one.
Result<void> write_file(const fs::path& path, const std::string& text) {
  const std::string temporary = path.string() + ".new";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return Error::from_errno(errno, "write " + temporary);
  const bool written =
      write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  const int failure = errno;
  close(fd);
  if (!written) return Error::from_errno(failure, "write " + temporary);
  if (rename(temporary.c_str(), path.c_str()) != 0)
    return Error::from_errno(errno, "rename to " + path.string());
  return ok();
}

Result<void> write_if_changed(const fs::path& path, const std::string& text) {
  return read_file(path) == text ? ok() : write_file(path, text);
}

std::string random_token() {
  std::array<unsigned char, 24> bytes{};
  RAND_bytes(bytes.data(), static_cast<int>(bytes.size()));
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

Result<CertificateAndKey> load_pair(const fs::path& certificate, const fs::path& key) {
  CertificateAndKey pair{read_file(certificate), read_file(key)};
  if (pair.certificate_pem.empty() || pair.key_pem.empty())
    return Error(ErrorCode::kNotFound, certificate.string() + " is not there");
  return pair;
}

Result<CertificateAndKey> ensure_authority(const fs::path& directory, WallTime now) {
  const fs::path certificate = directory / "ca.crt", key = directory / "ca.key";
  if (auto pair = load_pair(certificate, key)) {
    auto info = tls::parse_certificate(pair->certificate_pem);
    if (!info)
      return info.error().with_context(certificate.string() +
                                       " (restore it, or remove both to start a new authority)");
    return pair;
  }
  auto made = tls::make_authority("fairlead-ca", now - kClockSlack, kAuthorityValidity);
  if (!made) return made;
  // The key first: a certificate without its key would look like a whole authority.
  if (auto done = write_file(key, made->key_pem); !done) return done.error();
  if (auto done = write_file(certificate, made->certificate_pem); !done) return done.error();
  return made;
}

template <typename T>
bool includes(std::vector<T> have, std::vector<T> want) {
  std::sort(have.begin(), have.end());
  std::sort(want.begin(), want.end());
  return std::includes(have.begin(), have.end(), want.begin(), want.end());
}

tls::CertificateSpec server_spec(const PkiOptions& options, WallTime now) {
  tls::CertificateSpec spec;
  spec.common_name = "kube-apiserver";
  spec.server_auth = true;
  spec.not_before = now - kClockSlack;
  spec.validity = kLeafValidity;
  spec.dns_names = {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                    "kubernetes.default.svc." + options.cluster_domain};
  spec.dns_names.insert(spec.dns_names.end(), options.dns_names.begin(), options.dns_names.end());
  spec.ip_addresses = {IpAddress::v4(127, 0, 0, 1)};
  spec.ip_addresses.insert(spec.ip_addresses.end(), options.ip_addresses.begin(),
                           options.ip_addresses.end());
  return spec;
}

bool still_good(const CertificateAndKey& pair, const CertificateAndKey& authority,
                const tls::CertificateSpec& spec, WallTime now) {
  const auto info = tls::parse_certificate(pair.certificate_pem);
  const auto issuer = tls::parse_certificate(authority.certificate_pem);
  return info && issuer && info->not_before >= issuer->not_before &&
         info->not_after > now + kRenewBefore && includes(info->dns_names, spec.dns_names) &&
         includes(info->ip_addresses, spec.ip_addresses);
}

Result<CertificateAndKey> ensure_leaf(const fs::path& directory, const std::string& name,
                                      const CertificateAndKey& authority,
                                      const tls::CertificateSpec& spec, WallTime now) {
  const fs::path certificate = directory / (name + ".crt"), key = directory / (name + ".key");
  auto pair = load_pair(certificate, key);
  if (pair && still_good(*pair, authority, spec, now)) return pair;
  auto made = tls::issue_certificate(authority, spec);
  if (!made) return made;
  // Killed between the two writes, an old certificate must not stand beside the new key.
  std::error_code absent;
  fs::remove(certificate, absent);
  if (auto done = write_file(key, made->key_pem); !done) return done.error();
  if (auto done = write_file(certificate, made->certificate_pem); !done) return done.error();
  return made;
}

std::string kubeconfig(const PkiOptions& options, const std::string& ca_pem,
                       const std::string& user, const std::string& credentials) {
  return "apiVersion: v1\nkind: Config\nclusters:\n- name: fairlead\n  cluster:\n    server: " +
         options.server_url + "\n    certificate-authority-data: " + base64_encode(ca_pem) +
         "\nusers:\n- name: " + user + "\n  user:\n" + credentials +
         "contexts:\n- name: fairlead\n  context:\n    cluster: fairlead\n    user: " + user +
         "\ncurrent-context: fairlead\n";
}

// user -> token, from what is there; new ones for who has none.
Result<std::vector<std::pair<std::string, std::string>>> ensure_tokens(
    const fs::path& path, const std::vector<std::string>& users, std::string& text) {
  text = read_file(path);
  std::vector<std::pair<std::string, std::string>> tokens;
  for (const std::string& user : users) {
    std::istringstream lines(text);
    std::string token, line;
    while (std::getline(lines, line)) {
      const size_t comma = line.find(',');
      if (comma != line.npos &&
          line.substr(comma + 1, line.find(',', comma + 1) - comma - 1) == user)
        token = line.substr(0, comma);
    }
    if (token.empty()) {
      token = random_token();
      text += token + "," + user + "," + user + "\n";
    }
    tokens.emplace_back(user, token);
  }
  if (auto done = write_if_changed(path, text); !done) return done.error();
  return tokens;
}

std::string certificate_user(const CertificateAndKey& pair) {
  return "    client-certificate-data: " + base64_encode(pair.certificate_pem) +
         "\n    client-key-data: " + base64_encode(pair.key_pem) + "\n";
}

tls::CertificateSpec client_spec(const std::string& user, const std::string& group, WallTime now) {
  tls::CertificateSpec spec;
  spec.common_name = user;
  if (!group.empty()) spec.organizations = {group};
  spec.client_auth = true;
  spec.not_before = now - kClockSlack;
  spec.validity = kLeafValidity;
  return spec;
}

Result<void> write_admin(const fs::path& directory, const PkiOptions& options, const Pki& pki,
                         WallTime now) {
  auto admin = ensure_leaf(directory, "admin", pki.authority,
                           client_spec("kubernetes-admin", "system:masters", now), now);
  if (!admin) return admin.error();
  return write_if_changed(pki.admin_kubeconfig,
                          kubeconfig(options, pki.authority.certificate_pem, "kubernetes-admin",
                                     certificate_user(*admin)));
}

// The name of a certificate has 64 bytes (RFC 5280 appendix A.1).
constexpr size_t kMaxNodeName = 64 - (sizeof("system:node:") - 1);

Result<tls::CertificateSpec> node_spec(const NodeIdentity& node, WallTime now) {
  if (node.name.size() > kMaxNodeName)
    return Error(ErrorCode::kInvalid, "the node name " + node.name + " is longer than " +
                                          std::to_string(kMaxNodeName) +
                                          " bytes and fits no certificate: give a shorter one");
  tls::CertificateSpec spec = client_spec("system:node:" + node.name, "system:nodes", now);
  spec.server_auth = true;
  spec.dns_names = {node.name};
  spec.ip_addresses = node.addresses;
  return spec;
}

Result<void> write_nodes(const fs::path& directory, const PkiOptions& options, Pki& pki,
                         WallTime now) {
  for (const NodeIdentity& node : options.nodes) {
    const auto spec = node_spec(node, now);
    if (!spec) return spec.error();
    const std::string name = "node-" + node.name;
    const auto pair = ensure_leaf(directory, name, pki.authority, *spec, now);
    if (!pair) return pair.error();
    pki.node_kubeconfigs.push_back(directory / (name + ".kubeconfig"));
    const std::string text = kubeconfig(options, pki.authority.certificate_pem, spec->common_name,
                                        certificate_user(*pair));
    if (auto done = write_if_changed(pki.node_kubeconfigs.back(), text); !done) return done;
  }
  return ok();
}

}  // namespace

Result<Pki> ensure_pki(const PkiOptions& options, WallTime now) {
  const fs::path directory = options.directory;
  std::error_code failure;
  fs::create_directories(directory, failure);
  if (failure) return Error::from_errno(failure.value(), "make directory " + options.directory);
  chmod(options.directory.c_str(), 0700);
  Pki pki;
  auto authority = ensure_authority(directory, now);
  if (!authority) return authority.error();
  pki.authority = *authority;
  auto server = ensure_leaf(directory, "server", pki.authority, server_spec(options, now), now);
  if (!server) return server.error();
  pki.server = *server;
  pki.admin_kubeconfig = directory / "admin.kubeconfig";
  if (auto done = write_admin(directory, options, pki, now); !done) return done.error();
  if (auto done = write_nodes(directory, options, pki, now); !done) return done.error();
  auto client = ensure_leaf(directory, "apiserver-kubelet-client", pki.authority,
                            client_spec("kube-apiserver-kubelet-client", "", now), now);
  if (!client) return client.error();
  pki.node_client = *client;
  auto tokens =
      ensure_tokens(directory / "tokens.csv", {"fairlead-proxy", "fairlead-dns"}, pki.token_file);
  if (!tokens) return tokens.error();
  pki.proxy_kubeconfig = directory / "proxy.kubeconfig";
  pki.dns_kubeconfig = directory / "dns.kubeconfig";
  for (const auto& [user, token] : *tokens) {
    const std::string text =
        kubeconfig(options, pki.authority.certificate_pem, user, "    token: " + token + "\n");
    const std::string& path = user == "fairlead-proxy" ? pki.proxy_kubeconfig : pki.dns_kubeconfig;
    if (auto done = write_if_changed(path, text); !done) return done.error();
  }
  return pki;
}

Result<std::string> node_kubeconfig(const PkiOptions& options, const NodeIdentity& node,
                                    WallTime now) {
  const fs::path directory = options.directory;
  const auto authority = load_pair(directory / "ca.crt", directory / "ca.key");
  if (!authority)
    return authority.error().with_context("no authority (`fairlead server` makes it)");
  const auto spec = node_spec(node, now);
  if (!spec) return spec.error();
  const auto pair = tls::issue_certificate(*authority, *spec);
  if (!pair) return pair.error();
  return kubeconfig(options, authority->certificate_pem, spec->common_name,
                    certificate_user(*pair));
}

}  // namespace fairlead::orchestrator
