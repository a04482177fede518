// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/template/counts.h"

#include <fmt/format.h>

#include "dns/mnemonics.h"

namespace fairlead::dns {
namespace {

constexpr const char* kSections[] = {"answer", "authority", "additional"};
static_assert(static_cast<size_t>(Section::kAnswer) == 0 &&
              static_cast<size_t>(Section::kAuthority) == 1 &&
              static_cast<size_t>(Section::kAdditional) == 2);

// Types without a mnemonic are one, else a client could make 65,000 series.
TemplateCounts::Asked bounded(TemplateCounts::Asked asked) {
  if (type_to_text(asked.type).starts_with("TYPE")) asked.type = Type{};
  return asked;
}

std::string type_label(Type type) {
  return type == Type{} ? "" : type_to_text(type);
}

// A label's value in the text format of Prometheus.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n')
      out += "\\n";
    else
      out += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
  }
  return out;
}

std::string labels_of(const std::string& server, const TemplateCounts::Asked& asked) {
  return fmt::format("server=\"{}\",zone=\"{}\",view=\"\",class=\"{}\",type=\"{}\"", server,
                     escaped(asked.zone->to_text()), class_to_text(asked.klass),
                     type_label(asked.type));
}

}  // namespace

void TemplateCounts::matched(const Asked& asked) {
  const std::lock_guard lock(mutex_);
  ++matches_[bounded(asked)];
}

void TemplateCounts::failed(const Asked& asked, TemplateFailure why, Section section,
                            const TemplateText& text) {
  const std::lock_guard lock(mutex_);
  ++failures_[{why, bounded(asked), section, &text}];
}

void TemplateCounts::add_matches(const std::string& server, std::vector<Count>& out) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [asked, count] : matches_) out.push_back({labels_of(server, asked), count});
}

void TemplateCounts::add_failures(const std::string& server, TemplateFailure why,
                                  std::vector<Count>& out) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [failed, count] : failures_)
    if (failed.why == why)
      out.push_back(
          {fmt::format("{},section=\"{}\",template=\"{}\"", labels_of(server, failed.asked),
                       kSections[static_cast<size_t>(failed.section)],
                       escaped(failed.text->printed())),
           count});
}

std::shared_ptr<TemplateCounts> TemplateCountsOfAll::add() {
  auto made = std::make_shared<TemplateCounts>();
  const std::lock_guard lock(mutex_);
  all_.push_back(made);
  return made;
}

std::list<std::shared_ptr<const TemplateCounts>> TemplateCountsOfAll::all() const {
  const std::lock_guard lock(mutex_);
  return all_;
}

}  // namespace fairlead::dns
