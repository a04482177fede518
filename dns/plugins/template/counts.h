// SPDX-License-Identifier: Apache-2.0
// What the templates of a server block count, under CoreDNS's names and labels.
//
// Threads: each worker has a TemplateCounts of its own, so nobody waits for its lock but who
// scrapes it. They outlive their worker, for as long as the block is served. Bounded by the
// Corefile: zones and texts are the directives', types those that have a mnemonic.
#pragma once

#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "dns/counters.h"
#include "dns/plugins/template/text.h"

namespace fairlead::dns {

enum class TemplateFailure : uint8_t {
  kText,    // it could not be filled
  kRecord,  // it was filled, with what is no record
};

class TemplateCounts {
 public:
  // What is asked, as the template sees it.
  struct Asked {
    const Name* zone = nullptr;  // of the directive; outlives the counts
    Class klass{};
    Type type{};
    auto operator<=>(const Asked&) const = default;
  };

  void matched(const Asked& asked);
  // `text` of that section; outlives the counts.
  void failed(const Asked& asked, TemplateFailure why, Section section, const TemplateText& text);

  // `server`: the label's value.
  void add_matches(const std::string& server, std::vector<Count>& out) const;
  void add_failures(const std::string& server, TemplateFailure why, std::vector<Count>& out) const;

 private:
  struct Failed {
    TemplateFailure why{};
    Asked asked;
    Section section{};
    const TemplateText* text = nullptr;
    auto operator<=>(const Failed&) const = default;
  };

  mutable std::mutex mutex_;
  std::map<Asked, uint64_t> matches_;    // under mutex_
  std::map<Failed, uint64_t> failures_;  // under mutex_
};

// Those of all workers.
class TemplateCountsOfAll {
 public:
  // For one worker. Any thread.
  std::shared_ptr<TemplateCounts> add();
  // Any thread.
  std::list<std::shared_ptr<const TemplateCounts>> all() const;

 private:
  mutable std::mutex mutex_;
  std::list<std::shared_ptr<const TemplateCounts>> all_;  // under mutex_
};

}  // namespace fairlead::dns
