// SPDX-License-Identifier: Apache-2.0
#include "dns/compare.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "dns/asker.h"
#include "dns/comparison.h"
#include "dns/mnemonics.h"
#include "dns/plugins/kubernetes/kubernetes.h"
#include "dns/rehearsal.h"

namespace fairlead::dns {
namespace {

constexpr Duration kReadyLimit = std::chrono::seconds(60);
constexpr Duration kAnswerLimit = std::chrono::seconds(10);
constexpr Duration kBatchLimit = std::chrono::seconds(60);
constexpr Duration kAgain = std::chrono::seconds(2);
constexpr size_t kBatch = 256;
constexpr size_t kMostPrinted = 100;  // of the differences that are not documented
constexpr size_t kMostExamples = 1;   // of each that is

struct Differing {
  ComparedQuestion question;
  Difference difference;
};

class Comparer {
 public:
  Comparer(const Options& options, Rehearsal& rehearsal)
      : options_(options),
        rehearsal_(rehearsal),
        asker_(rehearsal.loop(), options.compare->against) {}

  Result<CompareResult> run();

 private:
  using Questions = std::vector<ComparedQuestion>;
  Questions questions() const;
  // `before`: what differed a while ago, the same questions; or none.
  Result<std::vector<Differing>> ask_all(const Questions& questions,
                                         std::span<const Differing> before);
  Result<void> ask_batch(std::span<const ComparedQuestion> batch, std::span<const Differing> before,
                         std::vector<Differing>& found);
  std::optional<EditMessage> ask_here(const ComparedQuestion& question);

  bool there_is_a_cache_ = false;
  const Options& options_;
  Rehearsal& rehearsal_;
  Asker asker_;
};

Comparer::Questions Comparer::questions() const {
  Questions all;
  const Plan& plan = *rehearsal_.config().plan;
  for (size_t i = 0; i < plan.blocks.size(); ++i) {
    const Plan::Block& block = plan.blocks[i];
    const auto at = block.plugins.find("kubernetes");
    if (at == block.plugins.end()) continue;
    const auto listener = std::ranges::find_if(plan.listeners, [&](const Plan::Listener& each) {
      return std::ranges::any_of(each.routes, [&](auto& route) { return route.block == i; });
    });
    if (listener == plan.listeners.end()) continue;
    const auto& options = dynamic_cast<const KubernetesOptions&>(*at->second);
    for (const ZoneConfig& zone : options.zones) {
      Published::Reader reader(options.published_for(zone));
      const Published::Reader::Guard guard(reader);
      for (ComparedQuestion& question :
           questions_about(zone, reader.snapshot(), options_.compare->sample, 1)) {
        question.port = listener->address.port;
        all.push_back(std::move(question));
      }
    }
  }
  return all;
}

std::optional<EditMessage> Comparer::ask_here(const ComparedQuestion& question) {
  const Client client{{IpAddress::v4(127, 0, 0, 1), 53000},
                      Transport::kTcp,
                      rehearsal_.loop().clock().now(),
                      {IpAddress::v4(127, 0, 0, 1), question.port}};
  struct Answer {
    std::optional<EditMessage> message;
    bool there = false;
  };
  const auto answer = std::make_shared<Answer>();  // a late one finds it still
  rehearsal_.ask(rehearsal_.place_of(question.name, question.type, question.port),
                 question_packet(question.name, question.type), client,
                 [answer](std::span<const uint8_t> message) {
                   answer->message = decode(message);
                   answer->there = true;
                 });
  if (!answer->there) rehearsal_.loop().run_until([&] { return answer->there; }, kAnswerLimit);
  return answer->message;
}

Result<void> Comparer::ask_batch(std::span<const ComparedQuestion> batch,
                                 std::span<const Differing> before, std::vector<Differing>& found) {
  std::vector<std::optional<EditMessage>> there(batch.size());
  std::optional<Error> failure;
  for (size_t i = 0; i < batch.size(); ++i)
    asker_.ask(question_packet(batch[i].name, batch[i].type),
               [&, i](const Result<std::vector<uint8_t>>& reply) {
                 if (reply.ok()) there[i] = decode(*reply);
                 if (!reply.ok()) failure = reply.error();
               });
  if (!rehearsal_.loop().run_until([&] { return asker_.waiting() == 0; }, kBatchLimit))
    return Error(ErrorCode::kTimeout,
                 options_.compare->against.to_string() + " takes over a minute for 256 questions");
  if (failure) return *failure;
  for (size_t i = 0; i < batch.size(); ++i) {
    const std::optional<EditMessage> here = ask_here(batch[i]);
    if (!here || !there[i])
      return Error(ErrorCode::kInvalid,
                   fmt::format("{} {}: {}", batch[i].name.to_text(), type_to_text(batch[i].type),
                               here ? "the other server's reply is malformed" : "no answer here"));
    auto difference = dns::difference(batch[i], *here, *there[i]);
    if (!difference) continue;
    if (i < before.size() && difference->lower_ttls)
      there_is_a_cache_ |= ttls_changed(before[i].difference.there, difference->there);
    found.push_back({batch[i], *std::move(difference)});
  }
  return ok();
}

Result<std::vector<Differing>> Comparer::ask_all(const Questions& questions,
                                                 std::span<const Differing> before) {
  std::vector<Differing> found;
  const bool terminal = isatty(STDERR_FILENO) != 0;
  for (size_t at = 0; at < questions.size(); at += kBatch) {
    const size_t size = std::min(kBatch, questions.size() - at);
    const Result<void> asked = ask_batch(std::span(questions).subspan(at, size),
                                         before.empty() ? before : before.subspan(at, size), found);
    if (!asked.ok()) return asked.error();
    if (terminal) std::fprintf(stderr, "\r[%zu/%zu] questions", at + size, questions.size());
  }
  if (terminal) std::fprintf(stderr, "\r\033[K");
  return found;
}

std::string indented(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\n' ? std::string("\n         ") : std::string(1, c);
  return out;
}

void print(const Differing& each) {
  std::printf("%s %s\n  here   %s\n  there  %s\n", each.question.name.to_text().c_str(),
              type_to_text(each.question.type).c_str(),
              indented(each.difference.here.to_text()).c_str(),
              indented(each.difference.there.to_text()).c_str());
  if (!each.difference.reason.empty())
    std::printf("  documented: %s\n", each.difference.reason.c_str());
}

// All that are not explained, as far as somebody reads them, and an example of the others.
CompareResult report(size_t questions, const std::vector<Differing>& found) {
  CompareResult result{questions, found.size(), 0};
  std::map<std::string, size_t> reasons;
  size_t printed = 0;
  for (const Differing& each : found) {
    const std::string& reason = each.difference.reason;
    if (!reason.empty()) ++result.documented;
    if (reason.empty() ? printed++ < kMostPrinted : reasons[reason]++ < kMostExamples) print(each);
  }
  if (printed > kMostPrinted)
    std::printf("%zu more differ and are not printed\n", printed - kMostPrinted);
  for (const auto& [reason, count] : reasons)
    std::printf("%zu documented: %s\n", count, reason.c_str());
  std::printf("%zu questions, %zu differences, %zu of them documented\n", result.questions,
              result.differences, result.documented);
  return result;
}

// What differs is asked once more: the cluster may have changed between the two answers.
Result<CompareResult> Comparer::run() {
  const Questions all = questions();
  if (all.empty())
    return Error(ErrorCode::kInvalid,
                 "the configuration has no kubernetes, so there is no name to "
                 "compare");
  Result<std::vector<Differing>> found = ask_all(all, {});
  if (!found.ok()) return found.error();
  if (!found->empty()) {
    rehearsal_.loop().run_until([] { return false; }, kAgain);
    Questions again;
    for (const Differing& each : *found) again.push_back(each.question);
    const std::vector<Differing> before = *std::move(found);
    found = ask_all(again, before);
    if (!found.ok()) return found.error();
  }
  if (there_is_a_cache_)
    for (Differing& each : *found)
      if (each.difference.lower_ttls) each.difference.reason = kCacheReason;
  return report(all.size(), *found);
}

}  // namespace

Result<CompareResult> compare(const Options& options) {
  auto rehearsal = Rehearsal::open(options);
  if (!rehearsal.ok()) return rehearsal.error();
  if (const auto ready = (*rehearsal)->wait_ready(kReadyLimit); !ready.ok()) return ready.error();
  return Comparer(options, **rehearsal).run();
}

}  // namespace fairlead::dns
