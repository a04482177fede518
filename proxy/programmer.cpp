// SPDX-License-Identifier: Apache-2.0
#include "proxy/programmer.h"

#include <malloc.h>

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
      take_over_(connection, config),
      programmed_(std::move(config), parameters_) {}

Programmer::~Programmer() {
  *alive_ = false;
}

void Programmer::start() {
  started_ = true;
  take_over_.begin();
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
  const bool first = read_again();
  if (std::exchange(verifying_, false) || first) warn_of_change(reason);
}

void Programmer::verify() {
  if (started_ && read_again()) verifying_ = true;
}

void Programmer::warn_of_change(const std::string& reason) const {
  log::warn("table {} fairlead was changed by someone else ({}); putting it right",
            family_name(config_), reason);
}

// False: that was to happen already, or the reading under way may have missed what this is about.
bool Programmer::read_again() {
  const bool first = known_ && !suspected_;
  suspected_ = true;
  if (first && !in_flight_ && !waiting_) retry_after(kSettle);
  return first;
}

void Programmer::exempt_local_dns(bool exempt) {
  exempt_dns_ = exempt;
  step();
}

void Programmer::set_parameters(Parameters parameters) {
  if (!parameters.node_known) parameters.node_addresses = parameters_.node_addresses;
  parameters_ = std::move(parameters);
  step();
}

bool Programmer::settled(const Frontend& frontend) const {
  const auto is_it = [&](const auto& entry) { return entry.first == frontend; };
  return known_ && !growth_ && !dirty_.contains(frontend) &&
         std::find(unseen_.begin(), unseen_.end(), frontend) == unseen_.end() &&
         std::none_of(planned_frontends_.begin(), planned_frontends_.end(), is_it) &&
         std::none_of(in_flight_frontends_.begin(), in_flight_frontends_.end(), is_it);
}

Programmer::Status Programmer::status() const {
  return status_;
}

std::optional<MonoTime> Programmer::oldest_change() const {
  std::optional<MonoTime> oldest;
  const auto look_at = [&](const auto& frontends) {
    for (const auto& [frontend, since] : frontends)
      if (since && (!oldest || *since < *oldest)) oldest = since;
  };
  look_at(dirty_);
  for (const Acknowledged* each : {&planned_frontends_, &in_flight_frontends_}) look_at(*each);
  return oldest;
}

bool Programmer::has_work() const {
  return !table_exists_ || rebuild_ || repairs_ || foreign_ || growth_ || frontends_left() > 0 ||
         queue_at_ < queue_.size() || !missing_hooks_.empty() || !take_over_.done() || suspected_ ||
         programmed_.parameters() != parameters_ ||
         (exempt_dns_ && !diff_local_dns(programmed_, *exempt_dns_).empty());
}

void Programmer::step() {
  parameters_.affinity = services_.has_affinity();
  parameters_.stray_vips = programmed_.has_stray_vips();
  if (!started_ || in_flight_ || waiting_) return;
  if (suspected_) known_ = false;
  if (!known_) return read();
  if (std::exchange(ahead_, false)) {
    repairing_ = false;  // the commit before may have been one
    return commit();
  }
  if (has_loaded()) finish_loading();
  if (waiting_) return;  // to verify what has been loaded
  transaction_ = nft::Transaction();
  sets_ = {};
  if (plan()) return commit();
  queue_.clear();
  queue_at_ = 0;
  if (queue_.capacity() > kAhead) std::vector<Operation>().swap(queue_);  // as after a cold load
  Dirty().swap(unseen_);
  sent_.reset();
  if (std::exchange(worked_hard_, false)) malloc_trim(0);  // plans of megabytes leave holes behind
  status_.busy_since.reset();
  status_.last_error.reset();
  finish_loading();
  if (!waiting_) clean_up_later();
}

void Programmer::set_loading(bool loading) {
  if (std::exchange(loading_, loading) != loading && on_loading_) on_loading_(loading);
}

void Programmer::finish_loading() {
  status_.ready = true;
  set_loading(false);
}

bool Programmer::has_loaded() const {
  return table_exists_ && !rebuild_ && !repairs_ && !foreign_ && !growth_ && unseen_.empty() &&
         queue_at_ == queue_.size() && missing_hooks_.empty();
}

void Programmer::read() {
  if (!status_.busy_since) status_.busy_since = clock_.now();
  suspected_ = false;
  in_flight_ = true;
  ahead_ = false;
  acknowledge(done_frontends_);
  give_back(planned_frontends_);
  ++status_.readings;
  take_over_.look([this](Result<void> looked) {
    if (!looked.ok()) return not_read(looked.error());
    reader_.read(parameters_, [this](Result<TableReader::Content> content) {
      if (!content.ok()) return not_read(content.error());
      interruptions_ = 0;
      adopt(*std::move(content));
    });
  });
}

void Programmer::not_read(const Error& error) {
  in_flight_ = false;
  if (!error.is_interrupted()) return failed(error);
  if (++interruptions_ <= kMaxInterruptions) return retry_after(kSettle);
  interruptions_ = 0;
  rebuild_ = true;
  suspected_ = verifying_ = false;  // whatever it was, it goes with the table
  adopt(std::nullopt);
}

void Programmer::adopt(TableReader::Content content) {
  in_flight_ = false;
  known_ = true;
  queue_.clear();
  queue_at_ = 0;
  growth_.reset();
  repairs_.reset();
  foreign_.reset();
  structure_left_.reset();
  loose_.clear();
  left_.clear();
  const std::vector<Outgrown> outgrown = std::exchange(outgrown_, {});
  unhooked_ = false;
  missing_hooks_.clear();
  moved_hooks_.clear();
  table_exists_ = content.has_value();
  if (table_exists_ && !rebuild_) {
    programmed_ = std::move(content->first);
    if (!parameters_.node_known)
      parameters_.node_addresses = programmed_.parameters().node_addresses;
    repairs_ = std::move(content->second);
    missing_hooks_ = repairs_->missing_hooks;
    moved_hooks_ = repairs_->moved_hooks;
    rebuild_ = repairs_->rebuild;
    status_.taken_over = !rebuild_ && (status_.taken_over || status_.commits == 0);
    if (!rebuild_) adopt_outgrown(outgrown);
    if (repairs_->empty()) repairs_.reset();
  }
  if (std::exchange(verifying_, false) && (!table_exists_ || repairs_ || rebuild_)) {
    ++status_.foreign_changes;
    warn_of_change("while it was not listened to");
  }
  mark_everything();
  step();
}

void Programmer::adopt_outgrown(const std::vector<Outgrown>& before) {
  for (const nft::Set& set : repairs_->outgrown_sets) {
    const bool ours = std::any_of(before.begin(), before.end(), [&](const Outgrown& one) {
      return one.ours && one.set.name == set.name;
    });
    outgrown_.push_back({set, ours, std::nullopt});
  }
}

// What should be there and what is there.
void Programmer::mark_everything() {
  unseen_ = services_.frontends(config_.family);
  if (!table_exists_ || rebuild_) return;
  for (const auto& [frontend, service] : programmed_.services())
    if (!services_.has(frontend)) unseen_.push_back(frontend);
}

bool Programmer::plan() {
  repairing_ = false;
  if (rebuild_) {
    plan_rebuild();
  } else if (!table_exists_) {
    plan_table();
  } else if (structure_left_) {
    plan_structure();
  } else if (repairs_) {
    plan_repairs();
  } else if (foreign_) {
    plan_foreign_objects();
  } else {
    if (!moved_hooks_.empty()) plan_hooks();  // packets enter by them already
    if (transaction_.empty() && growth_) plan_growth();
    if (transaction_.empty() && !growth_) plan_parameters();
    if (transaction_.empty() && !growth_ && cleanup_due_) plan_cleanup();
    if (transaction_.empty() && !growth_) plan_frontends();
    if (transaction_.empty() && !missing_hooks_.empty()) plan_hooks();
    if (transaction_.empty()) take_over_.put_unhook(transaction_);
    if (transaction_.empty()) plan_local_dns();
    if (transaction_.empty()) take_over_.put_piece(transaction_);
  }
  return !transaction_.empty();
}

void Programmer::commit() {
  if (!status_.busy_since) status_.busy_since = clock_.now();
  in_flight_ = true;
  sent_at_ = clock_.now();
  // With the last piece of the queue, what it was for is done.
  if (queue_at_ == queue_.size()) in_flight_frontends_ = std::exchange(planned_frontends_, {});
  const auto spent =
      std::exchange(sent_, std::make_shared<nft::Transaction>(std::exchange(transaction_, {})));
  nft::commit(connection_, sent_, [this, alive = alive_](Result<void> result) {
    if (*alive) on_commit(std::move(result));
  });
  acknowledge(done_frontends_);
  if (growth_ || structure_left_ || frontends_left() < kAhead) return;
  if (spent) transaction_ = nft::Transaction::in_place_of(*spent);
  plan_ahead();
}

// Against programmed_ as it will be. A commit that fails makes us read the table, and this plan is
// forgotten.
void Programmer::plan_ahead() {
  sets_ = {};
  worked_hard_ = true;
  plan_frontends();
  ahead_ = !transaction_.empty();
}

void Programmer::on_commit(Result<void> result) {
  in_flight_ = false;
  if (!result.ok()) return failed(result.error());
  ++status_.commits;
  take_over_.committed();
  status_.last_commit = clock_.now();
  status_.busy_since = status_.last_commit;
  if (on_committed_) on_committed_(status_.last_commit - sent_at_, loading_);
  status_.last_error.reset();
  backoff_ = {};
  clean_up_later();
  done_frontends_ = std::exchange(in_flight_frontends_, {});
  if (!ahead_) acknowledge(done_frontends_);  // else once the kernel has its next work
  step();
}

void Programmer::acknowledge(Acknowledged& frontends) {
  if (frontends.empty()) return;
  const Acknowledged done = std::exchange(frontends, {});
  if (on_acknowledged_) on_acknowledged_(done);
}

// Nothing of a refused transaction is in the kernel, and of an unanswered one we do not know: read.
void Programmer::failed(Error error) {
  log::error("programming table {} fairlead failed: {}; trying again", family_name(config_),
             error.message());
  // Any other refusal of a repair means that we do not understand what is there.
  const bool passing = error.is(ErrorCode::kResourceExhausted) || error.is(ErrorCode::kTimeout) ||
                       error.is_interrupted();
  ++status_.failures;
  status_.last_error = std::move(error);
  known_ = false;
  sent_.reset();  // of an unanswered one the thread may still be sending
  set_loading(false);
  if (!passing) take_over_.refused();
  take_over_.begin();
  if (repairing_ && !passing) rebuild_ = true;
  give_back(in_flight_frontends_);
  const Duration delay = backoff_;
  backoff_ = std::clamp(backoff_ * 2, kRetryMin, kRetryMax);
  retry_after(delay);
}

void Programmer::give_back(Acknowledged& frontends) {
  for (const auto& [frontend, since] : std::exchange(frontends, {})) {
    auto& marked = dirty_.try_emplace(frontend, since).first->second;
    if (since && (!marked || *since < *marked)) marked = since;  // it changed once more meanwhile
  }
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
  if (cleanup_waits_) return;
  if (loose_.empty() && outgrown_.empty() && unused_chains(programmed_).empty()) return;
  cleanup_waits_ = true;
  cleanup_ = clock_.after(kCleanup, [this] { clean_up(); });
}

void Programmer::clean_up() {
  cleanup_waits_ = false;
  cleanup_due_ = true;
  step();
}

}  // namespace fairlead::proxy
