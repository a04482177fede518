// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/prometheus/web_config.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "base/tls/certificate.h"

namespace fairlead::dns {
namespace {

// What the file may have, and what of that is not here.
constexpr std::string_view kSections[] = {"tls_server_config", "http_server_config", "rate_limit",
                                          "basic_auth_users"};
constexpr std::string_view kMissingSections[] = {"rate_limit", "basic_auth_users"};
constexpr std::string_view kTls[] = {"cert",
                                     "key",
                                     "client_ca",
                                     "cert_file",
                                     "key_file",
                                     "client_ca_file",
                                     "client_auth_type",
                                     "client_allowed_sans",
                                     "min_version",
                                     "max_version",
                                     "cipher_suites",
                                     "prefer_server_cipher_suites",
                                     "curve_preferences"};
constexpr std::string_view kMissingTls[] = {"client_allowed_sans", "cipher_suites",
                                            "curve_preferences"};
constexpr std::string_view kHttp[] = {"http2", "headers"};
constexpr std::string_view kMissingHttp[] = {"headers"};

using Names = std::span<const std::string_view>;

class Reader {
 public:
  Reader(const std::string& path, const ReadFile& read) : path_(path), read_(read) {}
  Result<WebConfig> run();

 private:
  Error wrong(const YAML::Node& at, const std::string& what) const {
    return Error(ErrorCode::kInvalid, fmt::format("{}:{}: {}", path_, at.Mark().line + 1, what));
  }
  Result<void> check_names(const YAML::Node& section, Names known, Names missing) const;
  Result<void> check_choice(const YAML::Node& section, const char* name, Names choices,
                            Names missing) const;
  Result<std::string> material(const YAML::Node& section, const std::string& name);
  Result<HttpsOptions> https(const YAML::Node& section);
  Result<void> read_clients(const YAML::Node& section, HttpsOptions& options);

  const std::string& path_;
  const ReadFile& read_;
  WebConfig config_;
};

bool among(Names names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string text_of(const YAML::Node& section, const char* name) {
  const YAML::Node value = section[name];
  return value && value.IsScalar() ? value.Scalar() : "";
}

Result<void> Reader::check_names(const YAML::Node& section, Names known, Names missing) const {
  if (!section.IsMap()) return wrong(section, "expected a mapping");
  for (const auto& each : section) {
    const std::string name = each.first.IsScalar() ? each.first.Scalar() : "";
    if (!among(known, name))
      return wrong(each.first, "there is no '" + name + "', CoreDNS does not know it either");
    if (among(missing, name))
      return wrong(each.first, "'" + name + "': CoreDNS knows it, fairlead-dns does not yet");
    if (known.data() == kTls && !each.second.IsScalar() && !each.second.IsNull())
      return wrong(each.second, "'" + name + "' takes one value");
  }
  return ok();
}

Result<void> Reader::check_choice(const YAML::Node& section, const char* name, Names choices,
                                  Names missing) const {
  const std::string value = text_of(section, name);
  if (value.empty() || among(choices, value)) return ok();
  return wrong(section[name],
               fmt::format("{} '{}': {}", name, value,
                           among(missing, value) ? "CoreDNS knows it, fairlead-dns does not yet"
                                                 : "CoreDNS does not know it either"));
}

// NAME_file is a file and wins over NAME, the text itself, as in exporter-toolkit.
Result<std::string> Reader::material(const YAML::Node& section, const std::string& name) {
  const std::string file = text_of(section, (name + "_file").c_str());
  if (file.empty()) return text_of(section, name.c_str());
  const std::string folder = path_.substr(0, path_.rfind('/') + 1);
  const std::string whole = file.starts_with('/') ? file : folder + file;
  auto text = read_(whole);
  if (!text.ok()) return wrong(section[name + "_file"], text.error().message());
  config_.files.push_back(whole);
  return text;
}

Result<void> Reader::read_clients(const YAML::Node& section, HttpsOptions& options) {
  constexpr std::string_view kPolicies[] = {"NoClientCert", "VerifyClientCertIfGiven",
                                            "RequireAndVerifyClientCert"};
  // These take a certificate that nobody has signed: no protection at all.
  constexpr std::string_view kUnverified[] = {"RequestClientCert", "RequireAnyClientCert",
                                              "RequireClientCert"};
  if (const auto right = check_choice(section, "client_auth_type", kPolicies, kUnverified);
      !right.ok())
    return right;
  auto authority = material(section, "client_ca");
  if (!authority.ok()) return authority.error();
  const std::string policy = text_of(section, "client_auth_type");
  const bool verifies = !policy.empty() && policy != "NoClientCert";
  if (!authority->empty() && !verifies)
    return wrong(section, "a client CA without a client_auth_type that verifies");
  if (authority->empty() && verifies)
    return wrong(section["client_auth_type"], "'" + policy + "' needs a client_ca_file");
  if (!authority->empty())
    if (const auto read = tls::parse_certificate(*authority); !read.ok())
      return wrong(section, "client CA: " + read.error().message());
  options.tls.client_ca_pem = *std::move(authority);
  options.needs_client = policy == "RequireAndVerifyClientCert";
  return ok();
}

Result<HttpsOptions> Reader::https(const YAML::Node& section) {
  constexpr std::string_view kLeast[] = {"TLS10", "TLS11", "TLS12"};
  constexpr std::string_view kMost[] = {"TLS13"};
  constexpr std::string_view kMissingLeast[] = {"TLS13"};
  constexpr std::string_view kMissingMost[] = {"TLS10", "TLS11", "TLS12"};
  if (const auto right = check_names(section, kTls, kMissingTls); !right.ok()) return right.error();
  for (const auto& right : {check_choice(section, "min_version", kLeast, kMissingLeast),
                            check_choice(section, "max_version", kMost, kMissingMost)})
    if (!right.ok()) return right.error();
  HttpsOptions options;
  auto certificate = material(section, "cert");
  if (!certificate.ok()) return certificate.error();
  auto key = material(section, "key");
  if (!key.ok()) return key.error();
  if (certificate->empty()) return wrong(section, "cert_file, or cert, is missing");
  if (key->empty()) return wrong(section, "key_file, or key, is missing");
  if (const auto read = tls::parse_certificate(*certificate); !read.ok())
    return wrong(section, "certificate: " + read.error().message());
  if (const auto read = tls::public_key(*key); !read.ok())
    return wrong(section, "key: " + read.error().message());
  options.tls.certificate_pem = *std::move(certificate);
  options.tls.key_pem = *std::move(key);
  if (const auto read = read_clients(section, options); !read.ok()) return read.error();
  return options;
}

Result<WebConfig> Reader::run() {
  const auto text = read_(path_);
  if (!text.ok()) return text.error();
  config_.files.push_back(path_);
  try {
    const YAML::Node root = YAML::Load(*text);
    if (root.IsNull()) return std::move(config_);
    if (const auto right = check_names(root, kSections, kMissingSections); !right.ok())
      return right.error();
    if (const YAML::Node http = root["http_server_config"]; http && !http.IsNull())
      if (const auto right = check_names(http, kHttp, kMissingHttp); !right.ok())
        return right.error();
    const YAML::Node section = root["tls_server_config"];
    if (!section || section.IsNull()) return std::move(config_);
    auto options = https(section);
    if (!options.ok()) return options.error();
    config_.https = *std::move(options);
    return std::move(config_);
  } catch (const YAML::Exception& error) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("{}:{}: no YAML: {}", path_, error.mark.line + 1, error.msg));
  }
}

}  // namespace

Result<WebConfig> read_web_config(const std::string& path, const ReadFile& read) {
  return Reader(path, read).run();
}

}  // namespace fairlead::dns
