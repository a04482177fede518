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

}  // namespace

TakeOver::TakeOver(netlink::Connection& connection, const Config& config)
    : connection_(connection),
      family_(nft::table_family(config.family)),
      names_(config.take_over_from) {}

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
  if (tables_.empty()) {
    due_ = false;
    return done(ok());
  }
  nft::list_chains(
      connection_, family_,
      [this, alive = alive_, done = std::move(done)](Result<std::vector<nft::Chain>> chains) {
        if (!*alive) return;
        if (!chains.ok()) return fail(chains.error(), done);
        for (nft::Chain& chain : *chains)
          if (std::find(names_.begin(), names_.end(), chain.table) != names_.end())
            (chain.base ? hooks_ : chains_).push_back(std::move(chain));
        full_ = chains_;
        list_sets(0, done);
      });
}

void TakeOver::list_sets(size_t table, Then done) {
  if (table == tables_.size()) {
    log::info("taking over from table {} with {} chains", tables_.front().name,
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
}

void TakeOver::put_piece(nft::Transaction& transaction) {
  if (!full_.empty())
    return take_piece(full_, [&](const nft::Chain& chain) { transaction.flush(chain); });
  if (!sets_.empty())
    return take_piece(sets_, [&](const nft::Set& set) { transaction.remove(set); });
  if (!chains_.empty())
    return take_piece(chains_, [&](const nft::Chain& chain) { transaction.remove(chain); });
  for (const nft::Table& table : std::exchange(tables_, {})) transaction.remove(table);
}

}  // namespace fairlead::proxy
