// SPDX-License-Identifier: Apache-2.0
// GET /metrics tells what the server counts (dns/metrics.h).
//
//   prometheus [ADDRESS] {     localhost:9153
//       tls PATH               over HTTPS, as that file says (web_config.h)
//       runtime_metrics        no effect: of the Go runtime
//   }
#include "base/file.h"
#include "base/log.h"
#include "dns/host.h"
#include "dns/plugins/prometheus/web_config.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";
constexpr size_t kMaxFile = 1024 * 1024;

struct PrometheusOptions : PluginOptions {
  SocketAddress address{*IpAddress::parse("127.0.0.1"), 9153};
  std::string web_path;  // empty: without TLS
  WebConfig web;
};

Result<void> read_tls(const corefile::Directive& property, BlockSetup& block,
                      PrometheusOptions& options) {
  const corefile::Word& word = property.arguments[0];
  if (!options.web_path.empty()) return word.place.error("'tls' can be given once");
  options.web_path = block.path_of(word.text);
  auto web = read_web_config(
      options.web_path, [&](const std::string& path) { return block.files->read_followed(path); });
  if (!web.ok()) return word.place.error(web.error().message());
  options.web = *std::move(web);
  if (!options.web.https)
    block.notes.push_back("prometheus: " + options.web_path +
                          " has no tls_server_config: metrics are served without TLS");
  return ok();
}

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const corefile::Directive& directive = directives.front();
  if (const auto right = expect_arguments(directive, 0, 1); !right.ok()) return right.error();
  auto options = std::make_shared<PrometheusOptions>();
  const auto read = read_properties(
      directive,
      {{"tls", 1, 1, [&](const corefile::Directive& p) { return read_tls(p, block, *options); }},
       {"runtime_metrics", 0, 0, [&](const corefile::Directive&) {
          block.notes.push_back(
              "prometheus: runtime_metrics has no effect: there is no Go runtime");
          return ok();
        }}});
  if (!read.ok()) return read.error();
  if (!directive.arguments.empty()) {
    const auto address = read_listen_address(directive.arguments[0]);
    if (!address.ok()) return address.error();
    options->address = *address;
  }
  return std::shared_ptr<PluginOptions>(std::move(options));
}

// Over TLS it follows its files: CoreDNS reads them for every connection, here they are read when
// they change. What is wrong changes nothing, and so does a file that has lost its TLS: CoreDNS
// refuses connections then, and never serves without.
class Running : public Service {
 public:
  Running(Host& host, const PrometheusOptions& options)
      : host_(host), address_(options.address), path_(options.web_path) {}

  Result<void> serve(const WebConfig& web) {
    auto token = host_.serve_http(
        address_, "/metrics",
        [this] {
          return HealthAnswer{true, host_.metrics(), kMetricsType};
        },
        web.https);
    if (!token.ok()) return token.error();
    token_ = *std::move(token);
    over_tls_ = web.https.has_value();
    if (!path_.empty() && host_.serves()) follow(web.files);
    return ok();
  }

 private:
  void follow(const std::vector<std::string>& files) {
    if (files == files_) return;
    files_ = files;
    watches_.clear();
    for (const std::string& file : files_)
      watches_.push_back(std::make_unique<FileWatch>(host_.loop(), file, [this] { changed(); }));
  }
  // Later, since all watches may go then: from inside its call only the one that calls may.
  void changed() {
    again_ = host_.loop().clock().after(Duration::zero(), [this] { read_again(); });
  }
  void read_again() {
    std::vector<std::string> asked;  // also of one that is not there yet
    auto web = read_web_config(path_, [&](const std::string& path) {
      asked.push_back(path);
      return read_file(path, kMaxFile);
    });
    if (web.ok() && over_tls_ && !web->https)
      web = Error(ErrorCode::kInvalid, path_ + " has no tls_server_config any more");
    const Result<void> served = web.ok() ? serve(*web) : Result<void>(web.error());
    if (served.ok()) return log::info("prometheus: {} and its files are read again", path_);
    log::warn("prometheus: what was served is served on: {}", served.error().message());
    follow(asked);
  }

  Host& host_;
  const SocketAddress address_;
  const std::string path_;
  Host::Token token_;
  bool over_tls_ = false;
  std::vector<std::string> files_;
  std::vector<std::unique_ptr<FileWatch>> watches_;
  Alarm again_;
};

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& given) {
  const auto& options = dynamic_cast<const PrometheusOptions&>(given);
  auto running = std::make_unique<Running>(host, options);
  if (const auto served = running->serve(options.web); !served.ok())
    return served.error().with_context("prometheus");
  return std::unique_ptr<Service>(std::move(running));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(prometheus) = {&parse, nullptr, &start};

}  // namespace fairlead::dns
