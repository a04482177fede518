// SPDX-License-Identifier: Apache-2.0
// Says who asks: no answer, but additional records with the client's address (A or AAAA) and its
// port and transport (SRV of _udp or _tcp). For tests.
//
//   whoami
#include <cstring>

#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

struct WhoamiOptions : PluginOptions {};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup&) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  if (const auto right = expect_arguments(directives[0], 0, 0); !right.ok()) return right.error();
  if (const auto right = expect_no_block(directives[0]); !right.ok()) return right.error();
  return std::shared_ptr<PluginOptions>(std::make_shared<WhoamiOptions>());
}

class Whoami : public Plugin {
 public:
  Step serve(Request& request) override {
    Reply& reply = request.reply();
    const Client& client = request.client();
    reply.set_flag(kFlagAuthoritative);
    reply.add_address(Section::kAdditional, Reply::kQuestionName, 0, client.address.address);
    Name owner;
    owner.append(client.transport == Transport::kTcp ? "_tcp" : "_udp");
    if (!owner.append(request.query().name)) return Step::kAnswered;
    constexpr size_t kSize = 7;  // priority, weight, port, and the root as target
    if (uint8_t* rdata = reply.add(Section::kAdditional, owner, Type::kSrv, 0, kSize)) {
      std::memset(rdata, 0, kSize);
      write_u16(rdata + 4, client.address.port);
    }
    return Step::kAnswered;
  }
};

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions&) {
  return std::make_unique<Whoami>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(whoami) = {&parse, &make, nullptr};

}  // namespace fairlead::dns
