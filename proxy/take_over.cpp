// SPDX-License-Identifier: Apache-2.0
#include "proxy/take_over.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "netlink/nftables/list.h"

namespace fairlead::proxy {

namespace {

// Calls `each` for the last TakeOver::kPiece objects, which go from the list.
template <typename T, typename Each>
void take_piece(std::vector<T>& objects, Each each) {
  const size_t left = objects.size() - std::min(objects.size(), TakeOver::kPiece);
  for (size_t i = left; i < objects.size(); ++i) each(objects[i]);
  objects.resize(left);
}

constexpr std::string_view kIptablesTables[] = {"filter", "mangle", "nat"};
constexpr std::string_view kOneOfAKind[] = {
    "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD",        "KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER",
    "KUBE-LOAD-BALANCER",     "KUBE-NODE-PORT",      "KUBE-NODEPORTS",   "KUBE-POSTROUTING",
    "KUBE-PROXY-CANARY",      "KUBE-PROXY-FIREWALL", "KUBE-SERVICES",    "KUBE-SOURCE-RANGES"};
constexpr std::string_view kOneEach[] = {"KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-",
                                         "KUBE-FW-",  "KUBE-EXT-", "KUBE-XLB-"};

bool is_of_iptables(const nft::Chain& chain) {
  return std::find(std::begin(kIptablesTables), std::end(kIptablesTables), chain.table) !=
         std::end(kIptablesTables);
}

bool leads_to_kube_proxys(const nft::Rule& rule) {
  return std::any_of(rule.expressions.begin(), rule.expressions.end(),
                     [&](const nft::Expression& expression) {
                       const auto* verdict = std::get_if<nft::ImmediateVerdict>(&expression);
                       nft::Chain to;
                       to.table = rule.table;
                       if (verdict != nullptr) to.name = verdict->verdict.chain;
                       return is_kube_proxys_chain(to);
                     });
}

}  // namespace

bool is_kube_proxys_chain(const nft::Chain& chain) {
  const std::string_view name = chain.name;
  return !chain.base && is_of_iptables(chain) &&
         (std::find(std::begin(kOneOfAKind), std::end(kOneOfAKind), name) !=
              std::end(kOneOfAKind) ||
          std::any_of(std::begin(kOneEach), std::end(kOneEach),
                      [&](std::string_view prefix) { return name.starts_with(prefix); }));
}

TakeOver::TakeOver(netlink::Connection& connection, const Config& config)
    : connection_(connection),
      family_(nft::table_family(config.family)),
      names_(config.take_over_from),
      iptables_(std::find(names_.begin(), names_.end(), kKubeProxyTable) != names_.end()) {}

void TakeOver::begin() {
  due_ = !names_.empty();
}

void TakeOver::refused() {
  if (!std::exchange(removing_, false)) return;
  keep_chains_ = true;
  log::warn(
      "chains of kube-proxy's iptables mode stay, empty: a rule of somebody else's leads there");
}

void TakeOver::look(Then done) {
  if (!due_) return done(ok());
  forget();
  nft::list_tables(
      connection_, family_,
      [this, alive = alive_, done = std::move(done)](Result<std::vector<nft::Table>> tables) {
        if (!*alive) return;
        if (!tables.ok()) return fail(tables.error(), done);
        for (const nft::Table& table : *tables)
          if (std::find(names_.begin(), names_.end(), table.name) != names_.end())
            tables_.push_back(table);
        list_chains(done);
      });
}

void TakeOver::forget() {
  doors_.clear();
  jumps_.clear();
  hooks_.clear();
  full_.clear();
  sets_.clear();
  chains_.clear();
  tables_.clear();
}

void TakeOver::fail(const Error& error, const Then& done) {
  forget();
  done(error.with_context("listing the tables to take over from"));
}

void TakeOver::list_chains(Then done) {
  if (tables_.empty() && !iptables_) {
    due_ = false;
    return done(ok());
  }
  nft::list_chains(
      connection_, family_,
      [this, alive = alive_, done = std::move(done)](Result<std::vector<nft::Chain>> chains) {
        if (!*alive) return;
        if (!chains.ok()) return fail(chains.error(), done);
        sort_in(*std::move(chains));
        list_jumps(0, done);
      });
}

void TakeOver::sort_in(std::vector<nft::Chain> chains) {
  for (nft::Chain& chain : chains) {
    if (std::find(names_.begin(), names_.end(), chain.table) != names_.end())
      (chain.base ? hooks_ : chains_).push_back(std::move(chain));
    else if (iptables_ && chain.base && is_of_iptables(chain))
      doors_.push_back(std::move(chain));
    else if (iptables_ && !keep_chains_ && is_kube_proxys_chain(chain))
      chains_.push_back(std::move(chain));
  }
  full_ = chains_;
}

void TakeOver::list_jumps(size_t chain, Then done) {
  if (chain == doors_.size()) return list_sets(0, std::move(done));
  nft::list_rules(
      connection_, family_, doors_[chain].table, doors_[chain].name,
      [this, alive = alive_, chain, done = std::move(done)](Result<std::vector<nft::Rule>> rules) {
        if (!*alive) return;
        if (!rules.ok()) return fail(rules.error(), done);
        std::copy_if(std::make_move_iterator(rules->begin()), std::make_move_iterator(rules->end()),
                     std::back_inserter(jumps_), leads_to_kube_proxys);
        list_jumps(chain + 1, done);
      });
}

void TakeOver::list_sets(size_t table, Then done) {
  if (table == tables_.size()) {
    if (!this->done())
      log::info("taking over from {} with {} chains",
                tables_.empty() ? "kube-proxy's iptables rules" : "table " + tables_.front().name,
                hooks_.size() + chains_.size());
    due_ = false;
    return done(ok());
  }
  nft::list_sets(
      connection_, family_, tables_[table].name,
      [this, alive = alive_, table, done = std::move(done)](Result<std::vector<nft::Set>> sets) {
        if (!*alive) return;
        if (!sets.ok()) return fail(sets.error(), done);
        // Those of a single rule go with it.
        std::copy_if(std::make_move_iterator(sets->begin()), std::make_move_iterator(sets->end()),
                     std::back_inserter(sets_), [](const nft::Set& set) { return !set.anonymous; });
        list_sets(table + 1, done);
      });
}

void TakeOver::put_unhook(nft::Transaction& transaction) {
  for (const nft::Chain& hook : std::exchange(hooks_, {})) {
    transaction.flush(hook);
    transaction.remove(hook);
  }
  for (const nft::Rule& jump : std::exchange(jumps_, {})) transaction.remove(jump);
}

void TakeOver::put_piece(nft::Transaction& transaction) {
  if (!full_.empty())
    return take_piece(full_, [&](const nft::Chain& chain) { transaction.flush(chain); });
  if (!sets_.empty())
    return take_piece(sets_, [&](const nft::Set& set) { transaction.remove(set); });
  if (!chains_.empty())
    return take_piece(chains_, [&](const nft::Chain& chain) {
      transaction.remove(chain);
      removing_ = removing_ || is_kube_proxys_chain(chain);
    });
  for (const nft::Table& table : std::exchange(tables_, {})) transaction.remove(table);
}

}  // namespace fairlead::proxy
