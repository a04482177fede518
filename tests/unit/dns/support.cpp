// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/dns/support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <stdexcept>

namespace fairlead::dns::test {
namespace {

const std::map<std::string, uint16_t> kTypes = {
    {"A", 1},      {"NS", 2},     {"CNAME", 5},  {"SOA", 6},    {"PTR", 12}, {"MX", 15},
    {"TXT", 16},   {"AAAA", 28},  {"SRV", 33},   {"DNAME", 39}, {"OPT", 41}, {"DS", 43},
    {"HTTPS", 65}, {"IXFR", 251}, {"AXFR", 252}, {"ANY", 255}};

std::string type_text(uint16_t type) {
  for (const auto& [text, number] : kTypes)
    if (number == type) return text;
  return "TYPE" + std::to_string(type);
}

std::string rcode_text(unsigned rcode) {
  switch (rcode) {
    case 0:
      return "NOERROR";
    case 1:
      return "FORMERR";
    case 2:
      return "SERVFAIL";
    case 3:
      return "NXDOMAIN";
    case 4:
      return "NOTIMP";
    case 5:
      return "REFUSED";
    case 6:
      return "YXDOMAIN";
    case 16:
      return "BADVERS";
    default:
      return "RCODE" + std::to_string(rcode);
  }
}

// Reads a message with .at(), so that anything out of bounds throws.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes.begin(), bytes.end()) {}
  unsigned u8() { return bytes_.at(at_++); }
  unsigned u16() {
    const unsigned high = u8();
    return high << 8 | u8();
  }
  uint32_t u32() {
    const uint32_t high = u16();
    return high << 16 | u16();
  }
  size_t at() const { return at_; }
  bool end() const { return at_ == bytes_.size(); }
  std::string raw(size_t n) {
    std::string text;
    while (n-- > 0) text += static_cast<char>(u8());
    return text;
  }
  std::string name() {
    std::string text = name_at(at_, 0);
    while (bytes_.at(at_) != 0 && bytes_.at(at_) < 0xc0) at_ += 1u + bytes_.at(at_);
    at_ += bytes_.at(at_) == 0 ? 1 : 2;
    return text;
  }

 private:
  std::string name_at(size_t at, int jumps) {
    if (jumps > 20) throw std::out_of_range("pointer loop");
    std::string text;
    for (;;) {
      const unsigned length = bytes_.at(at);
      if (length >= 0xc0) {
        const std::string rest = name_at((length & 63u) << 8 | bytes_.at(at + 1), jumps + 1);
        return text.empty() ? rest : rest == "." ? text : text + rest;
      }
      if (length == 0) return text.empty() ? "." : text;
      for (unsigned i = 1; i <= length; ++i) text += static_cast<char>(bytes_.at(at + i));
      text += '.';
      at += 1 + length;
    }
  }
  std::vector<uint8_t> bytes_;
  size_t at_ = 0;
};

std::string rdata_text(Reader& reader, unsigned type, size_t size) {
  const size_t end = reader.at() + size;
  std::string text;
  if (type == 1 || type == 28) {
    const std::string raw = reader.raw(size);
    text = IpAddress::from_bytes({reinterpret_cast<const uint8_t*>(raw.data()), raw.size()})
               .to_string();
  } else if (type == 2 || type == 5 || type == 12 || type == 39) {
    text = reader.name();
  } else if (type == 15) {
    text = std::to_string(reader.u16()) + " ";
    text += reader.name();
  } else if (type == 33) {
    for (int i = 0; i < 3; ++i) text += std::to_string(reader.u16()) + " ";
    text += reader.name();
  } else if (type == 6) {
    text = reader.name();
    text += " " + reader.name();
    for (int i = 0; i < 5; ++i) text += " " + std::to_string(reader.u32());
  } else if (type == 16) {
    text = "\"" + reader.raw(reader.u8()) + "\"";
  } else {
    text = "\\# " + std::to_string(size);
    reader.raw(size);
  }
  if (reader.at() != end)
    throw std::out_of_range("length of " + type_text(static_cast<uint16_t>(type)));
  return text;
}

std::string opt_text(Reader& reader, unsigned size, uint32_t ttl, size_t length) {
  std::string text = "opt " + std::to_string(size);
  if ((ttl & 0x8000) != 0) text += " do";
  const size_t end = reader.at() + length;
  while (reader.at() < end) {
    const unsigned code = reader.u16();
    const unsigned n = reader.u16();
    if (code == 15) {
      text += " ede=" + std::to_string(reader.u16());
      reader.raw(n - 2);
    } else {
      text += " option" + std::to_string(code) + "=" + std::to_string(n);
      reader.raw(n);
    }
  }
  return text + "\n";
}

struct Parsed {
  unsigned flags = 0;
  unsigned rcode = 0;
  unsigned questions = 0;
  std::string records;
  std::vector<std::string> answers;
};

Parsed read(std::span<const uint8_t> message) {
  Reader reader(message);
  Parsed p;
  reader.u16();
  p.flags = reader.u16();
  p.rcode = p.flags & 15;
  p.questions = reader.u16();
  unsigned counts[3];
  for (unsigned& count : counts) count = reader.u16();
  for (unsigned i = 0; i < p.questions; ++i) {
    reader.name();
    reader.u32();
  }
  static const char* const kSections[] = {"answer", "authority", "additional"};
  for (int section = 0; section < 3; ++section)
    for (unsigned i = 0; i < counts[section]; ++i) {
      const std::string owner = reader.name();
      const unsigned type = reader.u16();
      const unsigned klass = reader.u16();
      const uint32_t ttl = reader.u32();
      const size_t size = reader.u16();
      if (type == 41) {
        p.rcode |= (ttl >> 24) << 4;
        p.records += opt_text(reader, klass, ttl, size);
        continue;
      }
      if (klass != 1) throw std::out_of_range("class");
      const std::string data = rdata_text(reader, type, size);
      if (section == 0) p.answers.push_back(data);
      p.records += std::string(kSections[section]) + " " + owner + " " + std::to_string(ttl) + " " +
                   type_text(static_cast<uint16_t>(type)) + " " + data + "\n";
    }
  if (!reader.end()) throw std::out_of_range("bytes after the last record");
  return p;
}

void put_u16(Bytes& out, unsigned value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}

}  // namespace

Type type_of(const std::string& text) {
  const auto at = kTypes.find(text);
  if (at != kTypes.end()) return static_cast<Type>(at->second);
  return static_cast<Type>(std::stoi(text.substr(4)));
}

Bytes hex(const std::string& text) {
  Bytes out;
  std::string digits;
  for (const char c : text)
    if (c != ' ') digits += c;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    out.push_back(static_cast<uint8_t>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return out;
}

Bytes make_query(const std::string& name, Type type, const QueryOptions& options) {
  Bytes out;
  for (const unsigned word :
       {unsigned{options.id}, unsigned{options.flags}, 1u, 0u, 0u, options.edns_size ? 1u : 0u})
    put_u16(out, word);
  const Name wire = dns_name(name);
  out.insert(out.end(), wire.wire().begin(), wire.wire().end());
  put_u16(out, static_cast<unsigned>(type));
  put_u16(out, static_cast<unsigned>(options.klass));
  if (options.edns_size) {
    out.push_back(0);
    put_u16(out, 41);
    put_u16(out, *options.edns_size);
    put_u16(out, options.edns_version);
    put_u16(out, options.dnssec_ok ? 0x8000 : 0);
    put_u16(out, static_cast<unsigned>(options.edns_options.size()));
    out.insert(out.end(), options.edns_options.begin(), options.edns_options.end());
  }
  return out;
}

std::string to_text(std::span<const uint8_t> message) {
  if (message.empty()) return "nothing";
  try {
    const Parsed p = read(message);
    std::string head = rcode_text(p.rcode);
    static const std::pair<unsigned, const char*> kFlags[] = {
        {0x0400, " aa"}, {0x0200, " tc"}, {0x0100, " rd"}, {0x0080, " ra"},
        {0x0040, " z"},  {0x0020, " ad"}, {0x0010, " cd"}};
    for (const auto& [bit, text] : kFlags)
      if ((p.flags & bit) != 0) head += text;
    return head + " qd=" + std::to_string(p.questions) + "\n" + p.records;
  } catch (const std::out_of_range& error) {
    return std::string("malformed: ") + error.what();
  }
}

std::string brief(std::span<const uint8_t> message) {
  if (message.empty()) return "nothing";
  try {
    Parsed p = read(message);
    if (p.rcode != 0) return rcode_text(p.rcode);
    if (p.answers.empty()) return "NODATA";
    std::sort(p.answers.begin(), p.answers.end());
    std::string text;
    for (const std::string& answer : p.answers) text += (text.empty() ? "" : ", ") + answer;
    return text;
  } catch (const std::out_of_range& error) {
    return std::string("malformed: ") + error.what();
  }
}

IpAddress ip(const std::string& text) {
  return *IpAddress::parse(text);
}
Name dns_name(const std::string& text) {
  return *Name::from_text(text);
}

kube::Service service(const std::string& name, const std::string& ns,
                      const std::vector<std::string>& cluster_ips,
                      const std::vector<kube::ServicePort>& ports) {
  kube::Service s;
  s.meta.name = name;
  s.meta.ns = ns;
  for (const std::string& text : cluster_ips) s.cluster_ips.push_back(ip(text));
  s.ports = ports;
  return s;
}

kube::Service headless(const std::string& name, const std::string& ns,
                       const std::vector<kube::ServicePort>& ports) {
  kube::Service s = service(name, ns, {}, ports);
  s.headless = true;
  return s;
}

kube::Service external(const std::string& name, const std::string& ns, const std::string& target) {
  kube::Service s = service(name, ns, {});
  s.type = kube::ServiceType::kExternalName;
  s.external_name = target;
  return s;
}

kube::Namespace ns(const std::string& name) {
  kube::Namespace n;
  n.meta.name = name;
  return n;
}

kube::ServicePort port(const std::string& name, uint16_t number, kube::Protocol protocol) {
  kube::ServicePort p;
  p.name = name;
  p.port = number;
  p.protocol = protocol;
  return p;
}

kube::Pod pod(const std::string& name, const std::string& ns,
              const std::vector<std::string>& addresses, const std::string& phase) {
  kube::Pod p;
  p.meta.name = name;
  p.meta.ns = ns;
  p.phase = phase;
  for (const std::string& address : addresses) p.pod_ips.push_back(ip(address));
  return p;
}

kube::EndpointSlice slice(const std::string& name, const std::string& service,
                          const std::string& ns, const std::vector<TestEndpoint>& endpoints,
                          const std::vector<kube::EndpointPort>& ports) {
  kube::EndpointSlice s;
  s.meta.name = name;
  s.meta.ns = ns;
  s.service_name = service;
  s.ports = ports;
  for (const TestEndpoint& e : endpoints) {
    kube::Endpoint endpoint;
    endpoint.addresses = {ip(e.address)};
    endpoint.hostname = e.hostname;
    endpoint.ready = e.ready;
    endpoint.target_name = e.pod;
    endpoint.zone = e.zone;
    s.family = endpoint.addresses[0].family();
    s.endpoints.push_back(endpoint);
  }
  return s;
}

Bytes ask(const ZoneConfig& config, const Snapshot& snapshot, std::span<const uint8_t> packet,
          uint32_t rotation, Outcome* outcome, Name* target, bool tcp) {
  Query query;
  EXPECT_EQ(parse_query(packet, query).verdict, Verdict::kAnswer);
  Bytes buffer(kMaxMessage);
  Reply reply(buffer);
  reply.begin(query, tcp ? kMaxMessage : udp_limit(query));
  Name chase;
  const Outcome got = answer(config, snapshot, query, rotation, reply, chase);
  if (outcome != nullptr) *outcome = got;
  if (target != nullptr) *target = chase;
  const auto message = reply.finish();
  return {message.begin(), message.end()};
}

uint64_t test_seed() {
  const char* given = std::getenv("FAIRLEAD_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

}  // namespace fairlead::dns::test
