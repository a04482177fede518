// SPDX-License-Identifier: Apache-2.0
#include "proxy/programmer.h"

#include <algorithm>

#include "base/log.h"

namespace fairlead::proxy {

namespace {

// A table that changes faster than it can be read is replaced unread.
constexpr int kMaxInterruptions = 50;
constexpr Duration kSettle = std::chrono::milliseconds(5);

const char* family_name(const Config& config) {
  return config.family == Family::kIpv4 ? "ip" : "ip6";
}

}  // namespace

Programmer::Programmer(Clock& clock, netlink::Connection& connection, const ServiceMap& services,
                       Config config, Parameters parameters)
    : clock_(clock),
      connection_(connection),
      services_(services),
      config_(config),
      parameters_(std::move(parameters)),
      reader_(connection, config, services),
      programmed_(std::move(config), parameters_) {}

Programmer::~Programmer() {
  *alive_ = false;
}

void Programmer::start() {
  started_ = true;
  take_over_due_ = !config_.take_over_from.empty();
  step();
}

void Programmer::mark(const Dirty& dirty) {
  for (const Frontend& frontend : dirty)
    if (frontend.family() == config_.family) {
      auto& since = dirty_.try_emplace(frontend).first->second;
      if (!since) since = clock_.now();
    }
  step();
}

void Programmer::suspect(const std::string& reason) {
  if (!started_) return;
  ++status_.foreign_changes;
  if (!known_ || suspected_) {
    suspected_ = true;  // the reading under way may have missed it
    return;
  }
  log::warn("table {} fairlead was changed by someone else ({}); putting it right",
            family_name(config_), reason);
  suspected_ = true;
  if (in_flight_ || waiting_) return;
  retry_after(kSettle);
}

void Programmer::exempt_local_dns(bool exempt) {
  exempt_dns_ = exempt;
  step();
}

void Programmer::set_parameters(Parameters parameters) {
  parameters_ = std::move(parameters);
  step();
}

Programmer::Status Programmer::status() const {
  return status_;
}

bool Programmer::has_work() const {
  return !table_exists_ || rebuild_ || repairs_ || foreign_ || growth_ || !dirty_.empty() ||
         queue_at_ < queue_.size() || hooks_missing_ || take_over_due_ || suspected_ ||
         programmed_.parameters() != parameters_ ||
         (exempt_dns_ && !diff_local_dns(programmed_, *exempt_dns_).empty());
}

void Programmer::step() {
  parameters_.affinity = services_.has_affinity();
  if (!started_ || in_flight_ || waiting_) return;
  if (suspected_) known_ = false;
  if (!known_) return read();
  transaction_ = nft::Transaction();
  sets_.clear();
  if (plan()) return commit();
  status_.busy_since.reset();
  if (!std::exchange(status_.ready, true) && on_ready_) on_ready_();
  clean_up_later();
}

void Programmer::read() {
  if (!status_.busy_since) status_.busy_since = clock_.now();
  suspected_ = false;
  in_flight_ = true;
  ++status_.readings;
  reader_.read(parameters_, [this](Result<TableReader::Content> content) {
    in_flight_ = false;
    adopt(std::move(content));
  });
}

void Programmer::adopt(Result<TableReader::Content> content) {
  if (!content.ok() && content.error().is_interrupted() && ++interruptions_ <= kMaxInterruptions)
    return retry_after(kSettle);
  if (!content.ok() && !content.error().is_interrupted()) return failed(content.error());
  if (!content.ok()) rebuild_ = true;
  interruptions_ = 0;
  known_ = true;
  queue_.clear();
  queue_at_ = 0;
  growth_.reset();
  repairs_.reset();
  foreign_.reset();
  unhooked_ = false;
  table_exists_ = content.ok() && content->has_value();
  if (table_exists_ && !rebuild_) {
    programmed_ = std::move((*content)->first);
    repairs_ = std::move((*content)->second);
    hooks_missing_ = !repairs_->missing_hooks.empty();
    rebuild_ = repairs_->rebuild;
    status_.taken_over = !rebuild_ && (status_.taken_over || status_.commits == 0);
    if (repairs_->empty()) repairs_.reset();
  }
  mark_everything();
  step();
}

// What should be there and what is there.
void Programmer::mark_everything() {
  for (const Frontend& frontend : services_.frontends(config_.family)) dirty_.try_emplace(frontend);
  for (const auto& [frontend, service] : programmed_.services()) dirty_.try_emplace(frontend);
}

bool Programmer::plan() {
  repairing_ = false;
  if (rebuild_) {
    plan_rebuild();
  } else if (!table_exists_) {
    plan_table();
  } else if (repairs_) {
    plan_repairs();
  } else if (foreign_) {
    plan_foreign_objects();
  } else {
    if (growth_) plan_growth();
    if (transaction_.empty() && !growth_) plan_parameters();
    if (transaction_.empty() && !growth_) plan_frontends();
    if (transaction_.empty() && hooks_missing_) plan_hooks();
    if (transaction_.empty() && take_over_due_) take_over();
    if (transaction_.empty()) plan_local_dns();
    if (transaction_.empty() && cleanup_due_) plan_cleanup();
  }
  return !transaction_.empty();
}

void Programmer::commit() {
  if (!status_.busy_since) status_.busy_since = clock_.now();
  in_flight_ = true;
  nft::commit(connection_, std::move(transaction_), [this, alive = alive_](Result<void> result) {
    if (*alive) on_commit(std::move(result));
  });
}

void Programmer::on_commit(Result<void> result) {
  in_flight_ = false;
  if (!result.ok()) return failed(result.error());
  ++status_.commits;
  status_.last_commit = clock_.now();
  status_.last_error.reset();
  backoff_ = {};
  // The last piece of the queue: what it was for is done.
  if (queue_at_ == queue_.size() && !in_flight_frontends_.empty()) {
    const Acknowledged done = std::exchange(in_flight_frontends_, {});
    if (on_acknowledged_) on_acknowledged_(done);
  }
  step();
}

// Nothing of a refused transaction is in the kernel, and of an unanswered one we do not know: read.
void Programmer::failed(Error error) {
  log::error("programming table {} fairlead failed: {}; trying again", family_name(config_),
             error.message());
  ++status_.failures;
  status_.last_error = std::move(error);
  known_ = false;
  take_over_due_ = !config_.take_over_from.empty();
  if (repairing_) rebuild_ = true;
  for (const auto& [frontend, since] : std::exchange(in_flight_frontends_, {}))
    dirty_.try_emplace(frontend, since);
  const Duration delay = backoff_;
  backoff_ = std::clamp(backoff_ * 2, kRetryMin, kRetryMax);
  retry_after(delay);
}

void Programmer::retry_after(Duration delay) {
  if (!status_.busy_since) status_.busy_since = clock_.now();
  waiting_ = true;
  retry_ = clock_.after(delay, [this] {
    waiting_ = false;
    step();
  });
}

void Programmer::clean_up_later() {
  if (unused_chains(programmed_).empty()) return;
  cleanup_ = clock_.after(kChainCleanup, [this] {
    cleanup_due_ = true;
    step();
  });
}

}  // namespace fairlead::proxy
