// SPDX-License-Identifier: Apache-2.0
// Keeps the table of one IP family equal to what a ServiceMap wants: one transaction at a time,
// built from the frontends marked dirty. Thin: what to do is decided by diff(), what is there is
// known from our own commits; the kernel is listed only at start and after a surprise (a refused
// commit, someone else's change, a restart of this process), and then only differences are written.
// With much to write, the next transaction is planned while the kernel works on one.
//
// Failure: dirty frontends stay dirty. A refused or unanswered commit makes us read the table again
// at once, then with a backoff of 10 ms doubling to 5 s. Bounds: one commit in flight, at most
// kChunk operations each, so that others get the kernel's commit lock in between; a set that gets
// full is replaced by one of twice the size in the same manner.
//
// Threads: the loop's. Inert until start(). The connection and the map must outlive it.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "netlink/connection.h"
#include "netlink/nftables/transaction.h"
#include "proxy/diff.h"
#include "proxy/table_reader.h"
#include "proxy/take_over.h"

namespace fairlead::proxy {

class Programmer {
 public:
  static constexpr size_t kChunk = 8192;  // operations in a transaction
  // From this size on a new set has a transaction to itself: the kernel gets the memory of its hash
  // within it, 10 bytes an element.
  static constexpr uint32_t kLargeSet = 65536;
  static constexpr size_t kAhead = 128;  // frontends left from which there is planning ahead
  static constexpr Duration kRetryMin = std::chrono::milliseconds(10);
  static constexpr Duration kRetryMax = std::chrono::seconds(5);
  // While there is something to clean up that is done so often, one transaction each time:
  // frontends are moved to the chain of their own count (diff.h); if there are none, choice chains
  // are removed that have had no user since the last time.
  static constexpr Duration kCleanup = std::chrono::seconds(1);

  struct Status {
    bool ready =
        false;  // everything known at some moment was in the kernel, and the hooks were in place
    uint64_t commits = 0;
    uint64_t failures = 0;
    uint64_t readings = 0;  // of the whole table
    uint64_t foreign_changes = 0;
    bool taken_over = false;          // the table was there before this process
    std::optional<Error> last_error;  // cleared by the next success, or rest
    MonoTime last_commit;
    // There has been something to write ever since, and nothing has been written.
    std::optional<MonoTime> busy_since;
  };
  // Frontends that are as wanted now, with the moment each was marked; nullopt: looked at again for
  // another reason than a change.
  using Acknowledged = std::vector<std::pair<Frontend, std::optional<MonoTime>>>;

  Programmer(Clock& clock, netlink::Connection& connection, const ServiceMap& services,
             Config config, Parameters parameters = {});
  ~Programmer();

  void start();
  void mark(const Dirty& dirty);  // ignores frontends of the other family
  // Someone else touched our table.
  void suspect(const std::string& reason);
  // Someone else may have: it is read. Said only if something in it is not ours or its structure is
  // not as it should be; elements that are missing are written as any others.
  void verify();
  void exempt_local_dns(bool exempt);
  // What the rules are to say from now on; `affinity` and `stray_vips` are this class's own to
  // decide.
  void set_parameters(Parameters parameters);
  void set_on_acknowledged(std::function<void(const Acknowledged&)> callback) {
    on_acknowledged_ = std::move(callback);
  }
  // Runs with each transaction the kernel has taken: how long that took, and whether it was part of
  // a load.
  void set_on_committed(std::function<void(Duration took, bool load)> callback) {
    on_committed_ = std::move(callback);
  }
  // A table is being loaded: from the start, and when it has gone, until everything that was known
  // is in it and packets enter it, or until a commit fails; what is tried again after a failure is
  // no load. The callback says when one begins (but for the start) and when it has ended.
  bool loading() const { return loading_; }
  // A transaction is on its way to the kernel, or its answer to us.
  bool committing() const { return known_ && in_flight_; }
  void set_on_loading(std::function<void(bool)> callback) { on_loading_ = std::move(callback); }

  // The kernel does with it what is wanted. Costs as much as there is to write.
  bool settled(const Frontend& frontend) const;
  // Nothing left to do (but cleaning up).
  bool idle() const { return known_ && !in_flight_ && !waiting_ && !has_work(); }
  // Nor that.
  bool tidy() const {
    return idle() && loose_.empty() && outgrown_.empty() && unused_chains(programmed_).empty();
  }
  // What is in the kernel once the commit in flight, if any, has been acknowledged.
  const Ruleset& programmed() const { return programmed_; }
  Status status() const;
  // When the first was marked of those that are not in the kernel as they are wanted; nullopt: all
  // are. Looks at each.
  std::optional<MonoTime> oldest_change() const;

 private:
  // A set on its way to twice its size.
  struct Growth {
    SetId id = SetId::kServices;
    Ruleset::SetState state;  // of the larger set
    nft::Set larger;
    std::vector<Operation> pending;   // elements still to copy
    std::vector<Frontend> frontends;  // whose elements come after those
    bool created = false;
  };
  // A set that has grown: no rule names it since the larger one is there.
  struct Outgrown {
    nft::Set set;
    bool ours = false;             // it grew while this lived: what it counted is to be told
    std::optional<MonoTime> seen;  // by a cleanup, the first time
  };
  void step();
  void read();
  void not_read(const Error& error);
  void adopt(TableReader::Content content);
  void adopt_outgrown(const std::vector<Outgrown>& before);
  void commit();
  void plan_ahead();
  void on_commit(Result<void> result);
  void acknowledge(Acknowledged& frontends);
  void give_back(Acknowledged& frontends);
  void failed(Error error);
  void retry_after(Duration delay);
  void clean_up_later();
  void clean_up();
  void set_loading(bool loading);
  bool has_loaded() const;
  void finish_loading();
  bool read_again();
  void warn_of_change(const std::string& reason) const;

  bool has_work() const;
  size_t frontends_left() const { return dirty_.size() + unseen_.size(); }
  void mark_everything();
  void size_sets();
  // Each fills transaction_ with the next piece of its kind of work, if it has any.
  bool plan();
  void plan_table();
  void plan_structure();
  void plan_rebuild();
  void plan_repairs();
  void plan_foreign_objects();
  void plan_growth();
  void plan_frontends();
  void fill_queue();
  void plan_queue();
  void plan_parameters();
  void plan_hooks();
  void plan_local_dns();
  void plan_cleanup();
  void plan_loose();
  void plan_outgrown();
  std::vector<Operation> long_unused_chains();

  void begin_growth(SetId id, uint32_t elements);
  void finish_growth();
  // Changes programmed_ by `change` and writes the chains whose rules are others after it.
  void rewrite_chains(const std::function<void()>& change);
  bool is_in_kernel(const nft::Chain& hook) const;
  void put_structure();
  void put_chains();
  void put_rules(const nft::Chain& chain);
  void put_hooks();
  void apply_and_put(const std::vector<Operation>& operations);
  void put_by_set(std::span<const Operation> operations);
  void put(const Operation& operation);
  const nft::Set& set(SetId id);
  std::optional<std::pair<SetId, uint32_t>> lacks_room(std::span<const Operation> operations) const;

  Clock& clock_;
  netlink::Connection& connection_;
  const ServiceMap& services_;
  const Config config_;
  Parameters parameters_;  // as wanted; `affinity` as the services have it
  TableReader reader_;
  TakeOver take_over_;
  std::function<void(const Acknowledged&)> on_acknowledged_;
  std::function<void(Duration, bool)> on_committed_;
  MonoTime sent_at_;
  std::function<void(bool)> on_loading_;

  bool started_ = false;
  bool loading_ = true;
  bool known_ = false;  // programmed_ is what the kernel has
  bool table_exists_ = false;
  bool unhooked_ = false;                  // a table of our making that no packet enters yet
  std::vector<nft::Chain> missing_hooks_;  // that the kernel does not have, or has elsewhere:
  std::vector<nft::Chain> moved_hooks_;    // these, to go when those come
  bool in_flight_ = false;
  bool waiting_ = false;             // for a retry
  bool suspected_ = false;           // read again when the commit in flight is done
  bool verifying_ = false;           // for no other reason than verify()
  std::optional<bool> exempt_dns_;   // nullopt: not known yet, leave what is there
  std::map<Choice, uint64_t> left_;  // chains without users at the last cleanup: ChainState::used
  bool cleanup_due_ = false;
  bool cleanup_waits_ = false;  // for its time
  bool rebuild_ = false;        // replace the table as a whole
  bool repairing_ = false;      // the commit in flight is one of repairs
  int interruptions_ = 0;       // of readings, in a row
  Ruleset programmed_;
  // Of a new table: sets not yet planned, the chains after them.
  std::optional<std::vector<SetId>> structure_left_;
  std::optional<Repairs> repairs_;
  std::optional<Repairs> foreign_;  // what is left of the repairs: objects to remove
  std::optional<Growth> growth_;
  std::vector<Outgrown> outgrown_;
  std::unordered_map<Frontend, std::optional<MonoTime>> dirty_;
  Dirty unseen_;  // to be looked at once, after those: all there are, before that
  std::unordered_set<Frontend> loose_;  // in a chain that will do
  std::vector<Operation> queue_;        // in programmed_ already, not yet in the kernel
  size_t queue_at_ = 0;
  Acknowledged planned_frontends_;    // in programmed_, with the last of queue_ still to be written
  Acknowledged in_flight_frontends_;  // done with the commit in flight
  Acknowledged done_frontends_;       // with the one before, and nobody has been told
  nft::Transaction transaction_;      // being planned
  bool ahead_ = false;                // transaction_ comes after the commit in flight
  // In flight, or the last one that was: its memory is used again.
  std::shared_ptr<nft::Transaction> sent_;
  bool worked_hard_ = false;  // planned ahead since it last came to rest
  // programmed_'s, as far as they were needed while transaction_ is being planned.
  std::array<std::optional<nft::Set>, std::size(kAllSets)> sets_;
  Duration backoff_{};
  Status status_;
  Alarm retry_;
  Alarm cleanup_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Removes our tables of both families; fine when there are none. The hooks go first, and the rest
// when no packet is on its way through them, so that none is refused by half a table. Blocks until
// then, and for each answer of the kernel at most `limit`, after which it is a kTimeout.
Result<void> remove_tables(netlink::Connection& connection, Duration limit);

}  // namespace fairlead::proxy
