// SPDX-License-Identifier: Apache-2.0
// Who is there: TXT records in class CHAOS (RFC 4892). Other names in that class go on to the next
// plugin.
//
//   chaos [VERSION] [AUTHORS...]     fairlead-dns, and no authors
//
//   version.bind, version.server     VERSION
//   hostname.bind, id.server         the host's name
//   authors.bind                     a record for each of the AUTHORS
#include <algorithm>

#include "dns/edit.h"
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

constexpr size_t kMaxString = 255;

struct ChaosOptions : PluginOptions {
  struct Entry {
    Name name;
    std::vector<std::string> texts;
  };
  std::vector<Entry> entries;
};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup&) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  if (const auto right = expect_no_block(directives[0]); !right.ok()) return right.error();
  std::string version = "fairlead-dns";
  std::vector<std::string> authors;
  for (const corefile::Word& word : directives[0].arguments) {
    if (word.text.size() > kMaxString) return word.place.error("over 255 bytes in one TXT string");
    if (&word == &directives[0].arguments.front())
      version = word.text;
    else
      authors.push_back(word.text);
  }
  auto options = std::make_shared<ChaosOptions>();
  const auto add = [&](std::string_view name, std::vector<std::string> texts) {
    options->entries.push_back({*Name::from_text(name), std::move(texts)});
  };
  add("version.bind", {version});
  add("version.server", {version});
  add("hostname.bind", {host_name()});
  add("id.server", {host_name()});
  add("authors.bind", std::move(authors));
  return std::shared_ptr<PluginOptions>(std::move(options));
}

class Chaos : public Plugin {
 public:
  explicit Chaos(const ChaosOptions& options) : options_(options) {}
  bool serves_chaos() const override { return true; }

  Step serve(Request& request) override {
    const Query& query = request.query();
    if (query.klass != Class::kChaos || query.type != Type::kTxt) return Step::kNext;
    const auto at = std::ranges::find(options_.entries, query.name, &ChaosOptions::Entry::name);
    if (at == options_.entries.end()) return Step::kNext;
    EditMessage message = reply_to_edit(query, Rcode::kNoError);
    for (const std::string& text : at->texts) {
      EditRecord record{query.name, Type::kTxt, Class::kChaos, 0, {}};
      record.rdata.push_back(static_cast<uint8_t>(text.size()));
      record.rdata.insert(record.rdata.end(), text.begin(), text.end());
      message[Section::kAnswer].push_back(std::move(record));
    }
    adopt_edited(request.reply(), query, std::move(message));
    return Step::kAnswered;
  }

 private:
  const ChaosOptions& options_;
};

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions& options) {
  return std::make_unique<Chaos>(dynamic_cast<const ChaosOptions&>(options));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(chaos) = {&parse, &make, nullptr};

}  // namespace fairlead::dns
