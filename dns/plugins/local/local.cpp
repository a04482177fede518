// SPDX-License-Identifier: Apache-2.0
// Answers here what must not go out to the internet (RFC 6303, RFC 6761): localhost and the names
// below it, localhost.<domain> that search paths make, and the reverse names of the loopback
// addresses. The rest of these zones does not exist.
//
//   local {
//       localhost_prefix on|off      on: localhost.<domain> is answered
//   }
//
//   localhost., *.localhost., localhost.<domain>      A 127.0.0.1, AAAA ::1
//   1.0.0.127.in-addr.arpa., the ip6.arpa name of ::1 PTR localhost.
//   0.in-addr.arpa., 127.in-addr.arpa., 255.in-addr.arpa.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "dns/counters.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

constexpr uint32_t kTtl = 604800;

struct LocalOptions : PluginOptions {
  bool prefix = true;
  mutable std::atomic<uint64_t> below{0};  // queries for localhost.<domain>
};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  if (!directives[0].arguments.empty())
    block.notes.push_back("local: its arguments have no effect");  // nor have they in CoreDNS
  auto options = std::make_shared<LocalOptions>();
  const auto read = read_properties(
      directives[0], {{"localhost_prefix", 1, 1, [&](const corefile::Directive& p) -> Result<void> {
                         const auto choice = read_choice(p.arguments[0], {"off", "on"});
                         if (!choice.ok()) return choice.error();
                         options->prefix = *choice == 1;
                         return ok();
                       }}});
  if (!read.ok()) return read.error();
  return std::shared_ptr<PluginOptions>(std::move(options));
}

class Local : public Plugin {
 public:
  explicit Local(const LocalOptions& options) : options_(options) {}

  Step serve(Request& request) override {
    const Name& name = request.query().name;
    const size_t labels = name.labels();
    if (labels == 0) return Step::kNext;
    if (name.label(labels - 1) == "localhost") {
      if (labels > 1) options_.below.fetch_add(1, std::memory_order_relaxed);
      host(request, labels - 1);
      return Step::kAnswered;
    }
    if (labels > 1 && options_.prefix && name.label(0) == "localhost") {
      options_.below.fetch_add(1, std::memory_order_relaxed);
      host(request, 0);
      return Step::kAnswered;
    }
    if (name.label(labels - 1) != "arpa") return Step::kNext;
    for (const Name& zone : zones_)
      if (name.ends_with(zone)) return reverse(request, zone), Step::kAnswered;
    return Step::kNext;
  }

 private:
  static void host(Request& request, size_t zone_label) {
    Reply& reply = request.reply();
    const Name& name = request.query().name;
    reply.set_flag(kFlagAuthoritative);
    const auto zone_at = static_cast<uint16_t>(Reply::kQuestionName + name.offset(zone_label));
    const Type type = request.query().type;
    if (type == Type::kA)
      reply.add_address(Section::kAnswer, Reply::kQuestionName, kTtl, IpAddress::v4(127, 0, 0, 1));
    else if (type == Type::kAaaa)
      reply.add_address(Section::kAnswer, Reply::kQuestionName, kTtl, loopback_v6());
    else
      apex(reply, type, zone_at, name.labels() == 1);
  }

  // Zones without records but for the apex's and the loopback addresses' names.
  void reverse(Request& request, const Name& zone) const {
    Reply& reply = request.reply();
    const Name& name = request.query().name;
    reply.set_flag(kFlagAuthoritative);
    const size_t zone_label = name.labels() - zone.labels();
    const auto zone_at = static_cast<uint16_t>(Reply::kQuestionName + name.offset(zone_label));
    const Type type = request.query().type;
    const bool loopback = name == zones_[0] || name == v4_;
    if (loopback && type == Type::kPtr)
      add_name(reply, Reply::kQuestionName, Type::kPtr);
    else
      apex(reply, type, zone_at, zone_label == 0);
    if (!loopback && zone_label != 0 && !v4_.ends_with(name)) reply.set_rcode(Rcode::kNxDomain);
  }

  static void apex(Reply& reply, Type type, uint16_t zone_at, bool is_apex) {
    if (is_apex && type == Type::kNs) return add_name(reply, zone_at, Type::kNs);
    add_soa(reply, is_apex && type == Type::kSoa ? Section::kAnswer : Section::kAuthority, zone_at);
  }

  static void add_name(Reply& reply, uint16_t owner_at, Type type) {
    static constexpr char kTarget[] = "\x09localhost";  // and the root's byte 0
    if (uint8_t* rdata = reply.add(Section::kAnswer, owner_at, type, kTtl, sizeof kTarget))
      std::memcpy(rdata, kTarget, sizeof kTarget);
  }

  static void add_soa(Reply& reply, Section section, uint16_t owner_at) {
    static constexpr char kNames[] = "\x09localhost\0\x04root\x09localhost";
    constexpr size_t kSize = sizeof kNames + 5 * 4;
    uint8_t* rdata = reply.add(section, owner_at, Type::kSoa, kTtl, kSize);
    if (rdata == nullptr) return;
    std::memset(rdata, 0, kSize);
    std::memcpy(rdata, kNames, sizeof kNames);
    write_u32(rdata + sizeof kNames, 1);          // serial
    write_u32(rdata + sizeof kNames + 16, kTtl);  // minimum
  }

  static IpAddress loopback_v6() {
    uint8_t bytes[16] = {};
    bytes[15] = 1;
    return IpAddress::from_bytes(bytes);
  }
  static Name name(std::string_view text) { return *Name::from_text(text); }

  const LocalOptions& options_;
  const Name zones_[4] = {
      name("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"),
      name("0.in-addr.arpa"), name("127.in-addr.arpa"), name("255.in-addr.arpa")};
  const Name v4_ = name("1.0.0.127.in-addr.arpa");
};

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions& options) {
  return std::make_unique<Local>(dynamic_cast<const LocalOptions&>(options));
}

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& given) {
  const auto& options = dynamic_cast<const LocalOptions&>(given);
  return add_counters(host, "coredns_local_localhost_requests_total",
                      "Counter of special localhost subdomain requests.",
                      [&options](std::vector<Count>& out) {
                        out.push_back({"", options.below.load(std::memory_order_relaxed)});
                      });
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(local) = {&parse, &make, &start};

}  // namespace fairlead::dns
