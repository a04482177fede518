// SPDX-License-Identifier: Apache-2.0
// A server block's plugins as one worker has them, from the block's text, with a fake plugin behind
// them. Nothing is started and no socket is opened.
//
//   class PluginHosts : public PluginTest {};
//   TEST_F(PluginHosts, Inline) {
//     use("hosts {\n10.0.0.1 a.test\n}", replies_with("NXDOMAIN"));
//     EXPECT_EQ(ask("a.test"), "NOERROR aa rd qd=1\nanswer a.test. 3600 A 10.0.0.1\n");
//     EXPECT_EQ(refusal("hosts {\nno_such\n}"), "Corefile:3: ...");
//   }
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/loop.h"
#include "dns/chain.h"
#include "dns/config.h"
#include "dns/plugins/kubernetes/kubernetes.h"
#include "dns/router.h"
#include "tests/unit/dns/memory_files.h"
#include "tests/unit/dns/support.h"

namespace fairlead::dns::test {

namespace internal {

inline void put_u16(Bytes& out, size_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}
inline void put_u32(Bytes& out, uint32_t value) {
  put_u16(out, value >> 16);
  put_u16(out, value & 0xffff);
}
inline void put_name(Bytes& out, const std::string& text) {
  const Name name = dns_name(text);
  out.insert(out.end(), name.wire().begin(), name.wire().end());
}

// The data of a record: A, AAAA, CNAME, NS, PTR, MX, SOA, SRV and TXT as text, all others in hex.
inline Bytes rdata_of(const std::string& type, std::istringstream& in) {
  Bytes out;
  std::string word;
  std::vector<std::string> words;
  while (in >> word) words.push_back(word);
  const auto number = [&](size_t i) { return static_cast<uint32_t>(std::stoul(words.at(i))); };
  if (type == "A" || type == "AAAA") {
    const IpAddress address = ip(words.at(0));
    out.assign(address.bytes().begin(), address.bytes().end());
  } else if (type == "CNAME" || type == "NS" || type == "PTR") {
    put_name(out, words.at(0));
  } else if (type == "MX") {
    put_u16(out, number(0));
    put_name(out, words.at(1));
  } else if (type == "SRV") {
    for (size_t i = 0; i < 3; ++i) put_u16(out, number(i));
    put_name(out, words.at(3));
  } else if (type == "SOA") {
    put_name(out, words.at(0));
    put_name(out, words.at(1));
    for (size_t i = 2; i < 7; ++i) put_u32(out, number(i));
  } else if (type == "TXT") {
    for (std::string text : words) {
      if (text.starts_with('"')) text = text.substr(1, text.size() - 2);
      out.push_back(static_cast<uint8_t>(text.size()));
      out.insert(out.end(), text.begin(), text.end());
    }
  } else {
    for (const std::string& each : words) {
      const Bytes more = hex(each);
      out.insert(out.end(), more.begin(), more.end());
    }
  }
  return out;
}

inline uint16_t flag_of(const std::string& word) {
  static const std::map<std::string, uint16_t> kFlags = {
      {"aa", kFlagAuthoritative},      {"tc", kFlagTruncated}, {"rd", kFlagRecursionDesired},
      {"ra", kFlagRecursionAvailable}, {"ad", 0x0020},         {"cd", kFlagCheckingDisabled}};
  return kFlags.at(word);
}

}  // namespace internal

inline Rcode rcode_of(const std::string& word) {
  static const std::map<std::string, Rcode> kRcodes = {
      {"NOERROR", Rcode::kNoError},   {"FORMERR", Rcode::kFormErr}, {"SERVFAIL", Rcode::kServFail},
      {"NXDOMAIN", Rcode::kNxDomain}, {"NOTIMP", Rcode::kNotImp},   {"REFUSED", Rcode::kRefused}};
  return kRcodes.at(word);
}

// A whole reply to `query`, written as to_text() writes it: a line with the rcode and flags, then
// records ("answer a.test. 60 A 192.0.2.1"). An owner that is "@" is a pointer to the question.
inline Bytes reply_of(const Query& query, const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  std::istringstream head(line);
  std::string word;
  head >> word;
  const Rcode rcode = rcode_of(word);
  uint16_t flags = kFlagResponse;
  while (head >> word)
    if (!word.starts_with("qd=")) flags |= internal::flag_of(word);
  Bytes out(query.packet.begin(),
            query.packet.begin() + static_cast<ptrdiff_t>(query.question_end));
  write_u16(&out[2], static_cast<uint16_t>(flags | static_cast<uint16_t>(rcode)));
  write_u16(&out[4], 1);
  std::map<std::string, uint16_t> counts;
  while (std::getline(lines, line)) {
    std::istringstream in(line);
    std::string section;
    std::string owner;
    std::string ttl;
    std::string type;
    in >> section >> owner >> ttl >> type;
    ++counts[section];
    if (owner == "@")
      internal::put_u16(out, 0xc00c);
    else
      internal::put_name(out, owner);
    internal::put_u16(out, static_cast<uint16_t>(type_of(type)));
    internal::put_u16(out, static_cast<uint16_t>(query.klass));
    internal::put_u32(out, static_cast<uint32_t>(std::stoul(ttl)));
    const Bytes rdata = internal::rdata_of(type, in);
    internal::put_u16(out, rdata.size());
    out.insert(out.end(), rdata.begin(), rdata.end());
  }
  write_u16(&out[6], counts["answer"]);
  write_u16(&out[8], counts["authority"]);
  write_u16(&out[10], counts["additional"]);
  return out;
}

// What stands behind the plugins under test.
using LastPlugin = std::function<Step(Request&)>;

// Answers at once with reply_of(text).
inline LastPlugin replies_with(const std::string& text) {
  return [text](Request& request) {
    const Bytes message = reply_of(request.query(), text);
    request.reply().adopt(message, static_cast<Rcode>(message[3] & 15));
    return Step::kAnswered;
  };
}

class FakePlugin : public Plugin {
 public:
  explicit FakePlugin(LastPlugin serve) : serve_(std::move(serve)) {}
  Step serve(Request& request) override { return serve_(request); }
  bool serves_chaos() const override { return true; }

 private:
  LastPlugin serve_;
};

// What a test asks with.
struct AskOptions {
  QueryOptions query{};
  Transport transport = Transport::kUdp;
  std::string client = "192.0.2.9";
  uint16_t port = 999;
  std::string local = "127.0.0.1";
  std::optional<MonoTime> until{};
};

class PluginTest : public ::testing::Test {
 protected:
  // The block `zones { directives }` in a file "Corefile", followed by `last`.
  void use(const std::string& directives, LastPlugin last = nullptr,
           const std::string& zones = ".") {
    const Result<Config> read = config_of(directives, zones);
    ASSERT_TRUE(read.ok()) << read.error().message();
    config = *read;
    const ChainConfig& plugins = config.plan->blocks.at(0).plugins;
    if (cluster != nullptr && plugins.contains("kubernetes"))
      options<KubernetesOptions>("kubernetes").published = &cluster->published();
    if (imports_of_cluster != nullptr && plugins.contains("kubernetes"))
      options<KubernetesOptions>("kubernetes").imports = &imports_of_cluster->published();
    chain = std::make_unique<Chain>();
    router = std::make_unique<Router>();
    const Result<void> assembled =
        chain->assemble({loop, readers, *router}, config.plan->blocks.at(0).plugins);
    ASSERT_TRUE(assembled.ok()) << assembled.error().message();
    if (last)
      chain->append(std::make_unique<FakePlugin>([this, last](Request& request) {
        ++asked;
        return last(request);
      }));
    router->add({Name(), chain.get(), nullptr});
  }
  // The sentence with which the block is refused, or "".
  std::string refusal(const std::string& directives, const std::string& zones = ".") {
    const Result<Config> read = config_of(directives, zones);
    return read.ok() ? "" : read.error().message();
  }
  // The plugin's options as they were read.
  template <typename T>
  T& options(const std::string& plugin) {
    return dynamic_cast<T&>(*config.plan->blocks.at(0).plugins.at(plugin));
  }

  // The last plugin's other way: keeps the request until answer_waiting().
  LastPlugin waits() {
    return [this](Request& request) {
      waiting.push_back(request.defer());
      return Step::kPending;
    };
  }
  // All that wait get reply_of(text), or just go when it is "".
  void answer_waiting(const std::string& text) {
    std::vector<std::unique_ptr<Deferred>> all = std::move(waiting);
    waiting.clear();
    for (const auto& each : all) {
      if (text.empty()) continue;
      const Bytes message = reply_of(each->query(), text);
      each->adopt(message, static_cast<Rcode>(message[3] & 15));
      each->finish();
    }
  }

  // Sends a packet through the chain; the replies, at once or later, come to `replies`.
  Step send(const Bytes& packet, const AskOptions& options = {}) {
    Query query;
    EXPECT_EQ(parse_query(packet, query).verdict, Verdict::kAnswer);
    Bytes buffer(kMaxMessage);
    Reply reply(buffer);
    reply.begin(query, options.transport == Transport::kUdp ? udp_limit(query) : kMaxMessage);
    Path path(replies);
    Client client{{ip(options.client), options.port},
                  options.transport,
                  loop.clock().now(),
                  {ip(options.local), 53}};
    client.until = options.until;
    Request request(query, client, reply, path);
    const Step step = chain->serve(request);
    if (step == Step::kPending) return step;
    const auto message = reply.finish();
    replies.emplace_back(message.begin(), message.end());
    return step;
  }
  Bytes ask_bytes(const Bytes& packet, const AskOptions& options = {}) {
    const size_t before = replies.size();
    send(packet, options);
    return replies.size() > before ? replies.back() : Bytes();
  }
  // The reply as text; "pending" when it comes later or never.
  std::string ask(const std::string& name, const std::string& type = "A",
                  const AskOptions& options = {}) {
    const Bytes reply = ask_bytes(make_query(name, type_of(type), options.query), options);
    return reply.empty() ? "pending" : to_text(reply);
  }

  Loop loop;
  Zone* cluster = nullptr;             // what `kubernetes` answers from; outlives the test
  Zone* imports_of_cluster = nullptr;  // and its multicluster zones
  Readers readers;
  MemoryFiles files;  // what the block may read, by path; the Corefile is in "/etc"
  Config config;
  std::unique_ptr<Router> router;  // goes to the chain for all names
  std::vector<Bytes> replies;
  std::vector<std::unique_ptr<Deferred>> waiting;
  int asked = 0;  // how often the last plugin was
  std::unique_ptr<Chain> chain;

  ~PluginTest() override { waiting.clear(); }

 private:
  class Path : public ReplyPath {
   public:
    explicit Path(std::vector<Bytes>& replies) : replies_(replies) {}
    SendLater later(PluginId) override {
      return [&replies = replies_](std::span<const uint8_t> m) {
        replies.emplace_back(m.begin(), m.end());
      };
    }

   private:
    std::vector<Bytes>& replies_;
  };

  Result<Config> config_of(const std::string& directives, const std::string& zones) {
    files.texts["Corefile"] = zones + " {\n" + directives + "\n}\n";
    const auto corefile = corefile::parse_corefile(
        "Corefile", files, {[](const std::string&) { return static_cast<const char*>(nullptr); }});
    if (!corefile.ok()) return corefile.error();
    return read_config(*corefile, files, "/etc",
                       [](const std::string&) { return std::vector<IpAddress>(); });
  }
};

}  // namespace fairlead::dns::test
