// SPDX-License-Identifier: Apache-2.0
#include "dns/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>

#include "dns/mnemonics.h"
#include "dns/record_print.h"
#include "dns/service_ports.h"

namespace fairlead::dns {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(to_lower(static_cast<uint8_t>(c)));
  return text;
}

const char* protocol_label(kube::Protocol protocol) {
  switch (protocol) {
    case kube::Protocol::kTcp:
      return "_tcp";
    case kube::Protocol::kUdp:
      return "_udp";
    case kube::Protocol::kSctp:
      return "_sctp";
  }
  return "";
}

std::string reverse_name(const IpAddress& address) {
  std::string text;
  const auto bytes = address.bytes();
  for (size_t i = bytes.size(); i-- > 0;)
    text += address.is_v4() ? fmt::format("{}.", bytes[i])
                            : fmt::format("{:x}.{:x}.", bytes[i] & 15, bytes[i] >> 4);
  return text + (address.is_v4() ? "in-addr.arpa" : "ip6.arpa");
}

// Collects questions, each once.
class Questions {
 public:
  Questions(const ZoneConfig& config, size_t sample, uint64_t seed)
      : config_(config), sample_(sample), random_(seed) {}

  void ask(const std::string& labels, const Name& zone, std::initializer_list<Type> types) {
    const Result<Name> below = Name::from_text(labels);
    if (!below.ok()) return;
    Name name = *below;
    if (!name.append(zone)) return;
    for (const Type type : types)
      if (seen_.emplace(lower(name.to_text()), type).second)
        all_.push_back({name, type, 53, false});
  }
  void ask(const std::string& labels, std::initializer_list<Type> types) {
    ask(labels, config_.zone, types);
  }
  // A name that has nothing but others below it.
  void ask_empty(const std::string& labels) {
    const size_t before = all_.size();
    ask(labels, {Type::kA});
    if (all_.size() > before) all_.back().empty = true;
  }
  // The name of an address, if it is ours to name, and some of those above it.
  void ask_reverse(const IpAddress& address) {
    const size_t labels = address.is_v4() ? 4 : 32;
    const size_t step = address.is_v4() ? 1 : 4;
    const std::string text = reverse_name(address);
    ask_reverse(text, false);
    size_t at = 0;
    for (size_t label = 1; label < labels; ++label) {
      at = text.find('.', at) + 1;
      if (label % step == 0) ask_reverse(text.substr(at), true);
    }
  }
  // Names that are not there, beside one that is; as many as are still to come from `services`.
  void ask_made_up(const std::string& service, size_t services) {
    if (services == 0 || made_up_ >= sample_) return;
    const size_t wanted = (sample_ - made_up_ + services - 1) / services;
    const std::string word = fmt::format("x{:08x}", static_cast<uint32_t>(random_()));
    const std::string below_ns = service.substr(service.find('.') + 1);
    const std::string kinds[] = {
        word + "." + below_ns,         word + "." + service, "_" + word + "._tcp." + service,
        "www.example.com." + below_ns, "a.b.c." + service,   word + "." + word + ".svc"};
    const size_t first = made_up_;
    for (size_t i = 0; i < std::size(kinds) && made_up_ < first + wanted; ++i) {
      const size_t before = all_.size();
      ask(kinds[(first + i) % std::size(kinds)], {Type::kA});
      made_up_ += all_.size() - before;
    }
  }
  std::vector<ComparedQuestion> take() { return std::move(all_); }

 private:
  void ask_reverse(const std::string& text, bool empty) {
    const Result<Name> name = Name::from_text(text);
    const bool ours = std::ranges::any_of(config_.reverse, [&](const Name& zone) {
      return name->ends_with(zone) && !(empty && *name == zone);
    });
    if (ours && seen_.emplace(text, Type::kPtr).second)
      all_.push_back({*name, Type::kPtr, 53, empty});
  }

  const ZoneConfig& config_;
  const size_t sample_;
  std::minstd_rand random_;
  size_t made_up_ = 0;
  std::set<std::pair<std::string, Type>> seen_;
  std::vector<ComparedQuestion> all_;
};

void ask_about(const ServiceRecord& service, const ZoneConfig& config, Questions& questions) {
  const std::string base = fmt::format("{}.{}.svc", service.name().name(), service.name().ns());
  questions.ask(base, {Type::kA, Type::kAaaa, Type::kSrv, Type::kTxt});
  if (service.kind() == ServiceKind::kExternalName) questions.ask(base, {Type::kCname});
  const auto ask_ports = [&](std::span<const PortRecord> ports) {
    for (const PortRecord& port : ports) {
      if (service.name_of(port).empty()) continue;
      const std::string protocol = fmt::format("{}.{}", protocol_label(port.protocol), base);
      questions.ask(fmt::format("_{}.{}", service.name_of(port), protocol), {Type::kSrv, Type::kA});
      questions.ask_empty(protocol);
    }
  };
  ask_ports(service.ports());
  // Addresses of what is imported have no names.
  const auto ask_reverse = [&](const IpAddress& address) {
    if (!config.multicluster) questions.ask_reverse(address);
  };
  for (const IpAddress& address : service.cluster_ips()) ask_reverse(address);
  for (const EndpointRecord& endpoint : service.endpoints()) {
    const EndpointLabel label(service.label_of(endpoint), endpoint.address);
    const auto cluster =
        config.multicluster ? service.topology_of(endpoint) : std::span<const uint8_t>();
    const std::string behind =
        cluster.empty()
            ? base
            : fmt::format("{}.{}",
                          std::string_view(reinterpret_cast<const char*>(cluster.data()) + 1,
                                           cluster.size() - 1),
                          base);
    if (!cluster.empty()) questions.ask_empty(behind);
    questions.ask(fmt::format("{}.{}", label.text(), behind),
                  {endpoint.address.is_v4() ? Type::kA : Type::kAaaa});
    if (service.kind() == ServiceKind::kHeadless) ask_ports(service.ports_of(endpoint.ports));
    ask_reverse(endpoint.address);
    if (config.pods == PodNames::kDisabled) continue;
    char dashed[64];
    questions.ask(
        fmt::format("{}.{}.pod", std::string_view(dashed, write_dashed(endpoint.address, dashed)),
                    service.name().ns()),
        {endpoint.address.is_v4() ? Type::kA : Type::kAaaa});
  }
}

// The serial is the time of a server's last change; nobody's is another's.
std::string data_of(const EditRecord& record) {
  std::string text = lower(rdata_to_text(record));
  if (record.type != Type::kSoa) return text;
  std::vector<std::string> words;
  size_t at = 0;
  for (size_t end; (end = text.find(' ', at)) != std::string::npos; at = end + 1)
    words.push_back(text.substr(at, end - at));
  words.push_back(text.substr(at));
  if (words.size() == 7) words[2] = "SERIAL";
  return fmt::format("{}", fmt::join(words, " "));
}

using Record = ComparedReply::Record;

std::vector<Record> without_ttl(std::vector<Record> records) {
  for (Record& record : records) record.ttl = 0;
  std::ranges::sort(records);
  return records;
}

// Of the same record in a reply that has it.
uint32_t ttl_of(const Record& record, const ComparedReply& reply) {
  const auto at = std::ranges::find_if(reply.records, [&](const Record& other) {
    return other.section == record.section && other.owner == record.owner &&
           other.type == record.type && other.data == record.data;
  });
  return at != reply.records.end() ? at->ttl : 0;
}

// SRV data without its weight: "priority port target".
std::vector<Record> without_weights(std::vector<Record> records) {
  for (Record& record : records) {
    if (record.type != "SRV") continue;
    const size_t first = record.data.find(' ');
    const size_t second = record.data.find(' ', first + 1);
    if (second != std::string::npos) record.data.erase(first, second - first);
  }
  std::ranges::sort(records);
  return records;
}

bool same_but_ttls(const ComparedReply& one, const ComparedReply& other) {
  return one.rcode == other.rcode && one.authoritative == other.authoritative &&
         without_ttl(one.records) == without_ttl(other.records);
}

bool answers(const ComparedReply& reply) {
  return std::ranges::any_of(reply.records,
                             [](const Record& record) { return record.section == "answer"; });
}

// The rows of docs/dns.md, "Where it differs from CoreDNS".
std::string reason_of(const ComparedQuestion& question, const ComparedReply& here,
                      const ComparedReply& there) {
  if (here.rcode == there.rcode && here.authoritative == there.authoritative &&
      without_weights(here.records) == without_weights(there.records))
    return "an endpoint in two slices counts once in the weights";
  // There a reverse name may have fallen through: its denial is then another server's.
  if (question.empty && here.rcode == Rcode::kNoError && here.authoritative && !answers(here) &&
      there.rcode == Rcode::kNxDomain && !answers(there))
    return "there are names below it, so it exists (RFC 8020)";
  if (here.rcode == Rcode::kRefused && there.rcode == Rcode::kServFail && here.records.empty() &&
      there.records.empty())
    return "a name that every plugin of its block passes on is not served: nothing failed";
  return "";
}

}  // namespace

std::vector<ComparedQuestion> questions_about(const ZoneConfig& config, const Snapshot& snapshot,
                                              size_t sample, uint64_t seed) {
  Questions questions(config, sample, seed);
  questions.ask(".", {Type::kSoa, Type::kA});  // not NS: each server says where it is itself
  questions.ask("svc", {Type::kA});
  questions.ask("pod", {Type::kA});
  questions.ask("dns-version", {Type::kTxt});
  questions.ask_empty("dns");
  std::set<std::string> namespaces;
  std::vector<const ServiceRecord*> services;
  snapshot.services.for_each([&](const ServiceRecord& service) {
    namespaces.emplace(service.name().ns());
    services.push_back(&service);
  });
  std::ranges::sort(services, {}, [](const ServiceRecord* service) {
    return std::pair(service->name().ns(), service->name().name());
  });
  for (const std::string& ns : namespaces) {
    questions.ask(ns + ".svc", {Type::kA});
    if (config.pods != PodNames::kDisabled) questions.ask(ns + ".pod", {Type::kA});
  }
  for (size_t i = 0; i < services.size(); ++i) {
    const ServiceName& name = services[i]->name();
    ask_about(*services[i], config, questions);
    questions.ask_made_up(fmt::format("{}.{}.svc", name.name(), name.ns()), services.size() - i);
  }
  return questions.take();
}

ComparedReply ComparedReply::of(const EditMessage& message) {
  static constexpr const char* kSections[] = {"answer", "authority", "additional"};
  ComparedReply reply;
  reply.rcode = static_cast<Rcode>(message.flags & 15);
  reply.authoritative = (message.flags & kFlagAuthoritative) != 0;
  for (size_t section = 0; section < 3; ++section)
    for (const EditRecord& record : message.sections[section])
      if (record.type != Type::kOpt)
        reply.records.push_back({kSections[section], lower(record.owner.to_text()),
                                 type_to_text(record.type), data_of(record), record.ttl});
  std::ranges::sort(reply.records);
  reply.records.erase(std::unique(reply.records.begin(), reply.records.end()), reply.records.end());
  return reply;
}

std::string ComparedReply::to_text() const {
  std::string text = rcode_to_text(rcode) + (authoritative ? " aa" : "");
  for (const Record& record : records)
    text += fmt::format("\n{:<10} {} {} {} {}", record.section, record.owner, record.ttl,
                        record.type, record.data);
  return text;
}

std::optional<Difference> difference(const ComparedQuestion& question, const EditMessage& here,
                                     const EditMessage& there) {
  Difference found{ComparedReply::of(here), ComparedReply::of(there), {}, false};
  if (found.here.rcode == found.there.rcode &&
      found.here.authoritative == found.there.authoritative &&
      found.here.records == found.there.records)
    return std::nullopt;
  found.reason = reason_of(question, found.here, found.there);
  found.lower_ttls =
      same_but_ttls(found.here, found.there) &&
      std::ranges::all_of(found.here.records, [&](const ComparedReply::Record& record) {
        return ttl_of(record, found.there) <= record.ttl;
      });
  return found;
}

bool ttls_changed(const ComparedReply& before, const ComparedReply& now) {
  return same_but_ttls(before, now) && before.records != now.records;
}

}  // namespace fairlead::dns
