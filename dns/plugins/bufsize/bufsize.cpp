// SPDX-License-Identifier: Apache-2.0
// The most bytes a reply over UDP may have, whatever the client says it takes. More is cut, and TC
// sends the client to TCP.
//
//   bufsize [SIZE]       1232; from 512 to 4096
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

struct BufsizeOptions : PluginOptions {
  size_t size = kEdnsUdpSize;
};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  if (const auto right = expect_arguments(directives[0], 0, 1); !right.ok()) return right.error();
  if (const auto right = expect_no_block(directives[0]); !right.ok()) return right.error();
  auto options = std::make_shared<BufsizeOptions>();
  if (!directives[0].arguments.empty()) {
    const auto size = read_number(directives[0].arguments[0], kPlainUdpSize, 4096);
    if (!size.ok()) return size.error();
    options->size = *size;
  }
  if (options->size > kEdnsUdpSize)
    block.notes.push_back("bufsize: replies over UDP have at most 1232 bytes here");
  return std::shared_ptr<PluginOptions>(std::move(options));
}

class Bufsize : public Plugin {
 public:
  explicit Bufsize(size_t size) : size_(size) {}
  Step serve(Request& request) override {
    if (request.client().transport == Transport::kUdp) request.reply().lower_limit(size_);
    return Step::kNext;
  }
  bool serves_chaos() const override { return true; }

 private:
  const size_t size_;
};

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions& options) {
  return std::make_unique<Bufsize>(dynamic_cast<const BufsizeOptions&>(options).size);
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(bufsize) = {&parse, &make, nullptr};

}  // namespace fairlead::dns
