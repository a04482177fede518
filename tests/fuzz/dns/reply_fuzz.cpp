// SPDX-License-Identifier: Apache-2.0
// Any bytes as an upstream's reply: what goes to the client is well formed and within its limit,
// and what is taken from it for an ExternalName is too.
#include <cstdlib>
#include <vector>

#include "dns/chain.h"
#include "dns/plugins/forward/relay.h"
#include "dns/plugins/forward/scrub.h"
#include "dns/plugins/kubernetes/kubernetes.h"

namespace {

using namespace fairlead;

// www.example.com A IN, id 0x1234.
const std::vector<uint8_t> kQuery = {0x12, 0x34, 1,   0,   0,   1,   0,   0,   0,   0,   0,
                                     0,    3,    'w', 'w', 'w', 7,   'e', 'x', 'a', 'm', 'p',
                                     'l',  'e',  3,   'c', 'o', 'm', 0,   0,   1,   0,   1};

constexpr size_t kLong = 60'000;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dns::Query query;
  dns::parse_query(kQuery, query);
  static std::vector<uint8_t> buffer(dns::kMaxMessage);
  dns::Reply chased(buffer);
  chased.begin(query, dns::kEdnsUdpSize);
  dns::append_chased({data, size}, query.name, dns::Type::kA, chased);
  const auto message = chased.finish();
  require(message.size() <= dns::kEdnsUdpSize && dns::parse_reply(message));

  const auto view = dns::parse_reply({data, size});
  if (!view || !dns::is_reply_to(*view, kQuery)) return 0;
  const auto relayed = dns::client_reply(*view, query);
  if (!relayed) return 0;
  // What was scrubbed is clean; one that grew too long is cut, and may lose what others hung on.
  const auto twice = dns::scrub(*relayed, query.question_end);
  require(relayed->size() > kLong || (twice && *twice == *relayed));
  for (const size_t limit : {dns::kPlainUdpSize, size_t{64}, dns::kMaxMessage}) {
    dns::Reply cut(buffer);
    cut.begin(query, limit);
    cut.adopt(*relayed, dns::whole_rcode(*view), {});
    const auto out = cut.finish();
    require(out.size() <= limit);
    const auto again = dns::parse_reply(out);
    require(again && again->id == query.id && again->has_question && again->name == query.name);
    require(!again->opt);
  }
  dns::Query with_edns = query;
  with_edns.edns.emplace();
  dns::Reply reply(buffer);
  reply.begin(with_edns, dns::kEdnsUdpSize);
  const std::vector<uint8_t> options = dns::client_options(*view);
  reply.adopt(*dns::client_reply(*view, with_edns), dns::whole_rcode(*view), options);
  const auto adopted = dns::parse_reply(reply.finish());
  require(adopted && adopted->opt && adopted->message.size() <= dns::kEdnsUdpSize);
  return 0;
}
