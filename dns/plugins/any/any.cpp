// SPDX-License-Identifier: Apache-2.0
// Queries of type ANY get one small HINFO record (RFC 8482), so that nobody can use them to make
// replies large.
//
//   any
#include <cstring>
#include <string_view>

#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

constexpr uint32_t kTtl = 8482;
constexpr std::string_view kData =
    "\x0d"
    "ANY obsoleted"
    "\x0c"
    "See RFC 8482";

struct AnyOptions : PluginOptions {};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  if (!directives[0].arguments.empty())
    block.notes.push_back("any: its arguments have no effect");  // nor have they in CoreDNS
  if (const auto right = expect_no_block(directives[0]); !right.ok()) return right.error();
  return std::shared_ptr<PluginOptions>(std::make_shared<AnyOptions>());
}

class Any : public Plugin {
 public:
  Step serve(Request& request) override {
    if (request.query().type != Type::kAny) return Step::kNext;
    uint8_t* rdata = request.reply().add(Section::kAnswer, Reply::kQuestionName, Type::kHinfo, kTtl,
                                         kData.size());
    if (rdata != nullptr) std::memcpy(rdata, kData.data(), kData.size());
    return Step::kAnswered;
  }
};

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions&) {
  return std::make_unique<Any>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(any) = {&parse, &make, nullptr};

}  // namespace fairlead::dns
