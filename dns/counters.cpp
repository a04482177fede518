// SPDX-License-Identifier: Apache-2.0
#include "dns/counters.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <map>

namespace fairlead::dns {
namespace {

struct CounterFamily {
  std::list<std::function<void(std::vector<Count>&)>> readers;
  Host::Token metrics;

  void render(std::string& out, const std::string& name, const std::string& help) const {
    std::vector<Count> counts;
    for (const auto& read : readers) read(counts);
    std::map<std::string, uint64_t> sums;
    const bool sums_up = name.ends_with("_total");
    for (const auto& [labels, value] : counts)
      sums[labels] = sums_up ? sums[labels] + value : std::max(sums[labels], value);
    const char* type = sums_up ? "counter" : "gauge";
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
    for (const auto& [labels, value] : sums)
      out += labels.empty() ? fmt::format("{} {}\n", name, value)
                            : fmt::format("{}{{{}}} {}\n", name, labels, value);
  }
};

class Member : public Service {
 public:
  Member(std::shared_ptr<CounterFamily> family, std::function<void(std::vector<Count>&)> read)
      : family_(std::move(family)),
        at_(family_->readers.insert(family_->readers.end(), std::move(read))) {}
  ~Member() override { family_->readers.erase(at_); }

 private:
  std::shared_ptr<CounterFamily> family_;
  std::list<std::function<void(std::vector<Count>&)>>::iterator at_;
};

}  // namespace

Host::Token add_counters(Host& host, const std::string& name, const std::string& help,
                         std::function<void(std::vector<Count>&)> read) {
  const auto family = *host.shared<CounterFamily>("counters:" + name, [&] {
    auto made = std::make_shared<CounterFamily>();
    made->metrics = host.add_metrics(
        [raw = made.get(), name, help](std::string& out) { raw->render(out, name, help); });
    return Result<std::shared_ptr<CounterFamily>>(std::move(made));
  });
  return std::make_unique<Member>(family, std::move(read));
}

}  // namespace fairlead::dns
