// SPDX-License-Identifier: Apache-2.0
// Which of several servers has replied, for clients that ask for it (RFC 5001): this one, whatever
// an upstream server has said of itself.
//
//   nsid [DATA...]       the host's name
#include "dns/edit.h"
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

constexpr size_t kMaxData = 255;

struct NsidOptions : PluginOptions {
  std::vector<uint8_t> data;
};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup&) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  if (const auto right = expect_no_block(directives[0]); !right.ok()) return right.error();
  std::string data;
  for (const corefile::Word& word : directives[0].arguments)
    data += (data.empty() ? "" : " ") + word.text;
  if (directives[0].arguments.empty()) data = host_name();
  if (data.size() > kMaxData)
    return directives[0].name.place.error("nsid's data is over 255 bytes");
  auto options = std::make_shared<NsidOptions>();
  options->data.assign(data.begin(), data.end());
  return std::shared_ptr<PluginOptions>(std::move(options));
}

class Nsid : public Plugin {
 public:
  explicit Nsid(const NsidOptions& options) : options_(options) {}
  bool serves_chaos() const override { return true; }
  void on_reply(const Query& query, const Client&, Reply& reply) override {
    if (find_option(query, EdnsOption::kNsid)) reply.set_option(EdnsOption::kNsid, options_.data);
  }

 private:
  const NsidOptions& options_;
};

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions& options) {
  return std::make_unique<Nsid>(dynamic_cast<const NsidOptions&>(options));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(nsid) = {&parse, &make, nullptr};

}  // namespace fairlead::dns
