// SPDX-License-Identifier: Apache-2.0
// Logs the queries that failed, with the reason that a plugin gave: "2 www.example.org. A: no
// upstream server replied in time: i/o timeout"; the number is the rcode.
//
//   errors {
//       stacktrace                           accepted; there is nothing to trace
//       consolidate DURATION REGEX [LEVEL] [show_first]
//                                            reasons that match are counted, and the count is
//                                            logged every DURATION; LEVEL: debug, info, warning or
//                                            error (the default)
//   }
//
// A reason is counted where it matches first. With show_first the first of each period is logged at
// once, too.
#include <atomic>

#include "base/log.h"
#include "dns/host.h"
#include "dns/pattern.h"
#include "dns/plugin_line.h"
#include "dns/record_text.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

constexpr size_t kMaxConsolidated = 64;

struct Consolidated {
  Duration period{};
  std::string text;  // of the expression
  Pattern pattern;
  log::Level level = log::Level::kError;
  bool show_first = false;
  std::atomic<uint64_t> count{0};
};

struct ErrorsOptions : PluginOptions {
  std::vector<std::unique_ptr<Consolidated>> consolidated;
};

// What a rule refuses, blocks or filters has not failed.
bool failed(const Reply& reply) {
  if (reply.error_text().empty()) return false;
  return reply.rcode() == Rcode::kServFail ||
         (reply.rcode() == Rcode::kRefused && reply.error_code() == Ede::kOther);
}

class Errors : public Plugin {
 public:
  explicit Errors(const ErrorsOptions& options) : options_(options) {}

  void on_reply(const Query& query, const Client&, Reply& reply) override {
    if (!failed(reply)) return;
    log::Level level = log::Level::kError;
    for (const auto& each : options_.consolidated) {
      if (!each->pattern.search(reply.error_text())) continue;
      if (each->count.fetch_add(1, std::memory_order_relaxed) != 0 || !each->show_first) return;
      level = each->level;
      break;
    }
    write_line(level, fmt::format("plugin/errors: {} {} {}: {}",
                                  static_cast<unsigned>(reply.rcode()), NameText(query.name).view(),
                                  type_to_text(query.type), reply.error_text()));
  }

 private:
  const ErrorsOptions& options_;
};

constexpr size_t kShowFirst = 4;  // among the words behind the expression

Result<void> read_consolidate(const Directive& property, ErrorsOptions& options) {
  const auto& arguments = property.arguments;
  auto made = std::make_unique<Consolidated>();
  const auto period = read_duration(arguments[0]);
  if (!period.ok()) return period.error();
  if (*period < std::chrono::milliseconds(1))
    return arguments[0].place.error("'consolidate' needs a duration of at least 1ms");
  auto pattern = Pattern::compile(arguments[1].text);
  if (!pattern.ok()) return arguments[1].place.error(pattern.error().message());
  made->period = *period;
  made->text = arguments[1].text;
  made->pattern = *std::move(pattern);
  for (const corefile::Word& word : std::span(arguments).subspan(2)) {
    const auto choice = read_choice(word, {"debug", "info", "warning", "error", "show_first"});
    if (!choice.ok()) return choice.error();
    const bool last = &word == &arguments.back();
    if (*choice == kShowFirst)
      made->show_first = true;
    else
      made->level = static_cast<log::Level>(*choice);
    if (!last && (*choice == kShowFirst || arguments.back().text != "show_first"))
      return word.place.error("'consolidate' takes one level, and then show_first");
  }
  if (options.consolidated.size() == kMaxConsolidated)
    return property.name.place.error("more than 64 'consolidate' in one server block");
  options.consolidated.push_back(std::move(made));
  return ok();
}

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup&) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const Directive& directive = directives.front();
  if (const auto right = expect_arguments(directive, 0, 1); !right.ok()) return right.error();
  for (const corefile::Word& word : directive.arguments)
    if (word.text != "stdout") return word.place.error("'errors' can go to stdout alone");
  auto options = std::make_shared<ErrorsOptions>();
  const auto read = read_properties(
      directive,
      {{"stacktrace", 0, 0, [](const Directive&) { return ok(); }},
       {"consolidate", 2, 4, [&](const Directive& p) { return read_consolidate(p, *options); }}});
  if (!read.ok()) return read.error();
  return std::shared_ptr<PluginOptions>(std::move(options));
}

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions& options) {
  return std::make_unique<Errors>(dynamic_cast<const ErrorsOptions&>(options));
}

// Tells the counts of all workers.
class Reporter : public Service {
 public:
  Reporter(Loop& loop, ErrorsOptions& options) : options_(options) {
    for (const auto& each : options.consolidated) {
      timers_.push_back(std::make_unique<Timer>(loop));
      timers_.back()->start_every(each->period, [&each = *each] { report(each); });
    }
  }
  ~Reporter() override {
    for (const auto& each : options_.consolidated) report(*each);
  }
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

 private:
  static void report(Consolidated& of) {
    const uint64_t count = of.count.exchange(0, std::memory_order_relaxed);
    if (count == 0) return;
    write_line(of.level,
               fmt::format("plugin/errors: {} errors like '{}' occurred in last {:g}s", count,
                           of.text, std::chrono::duration<double>(of.period).count()));
  }

  ErrorsOptions& options_;
  std::vector<std::unique_ptr<Timer>> timers_;
};

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& options) {
  return std::unique_ptr<Service>(
      std::make_unique<Reporter>(host.loop(), dynamic_cast<ErrorsOptions&>(options)));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(errors) = {&parse, &make, &start};

}  // namespace fairlead::dns
