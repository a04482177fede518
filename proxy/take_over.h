// SPDX-License-Identifier: Apache-2.0
// Another proxy's tables on their way out. Their base chains go in the transaction that hooks ours
// in: no packet finds both or neither. What they led to, a chain and a set for each service, stays
// behind without a hook and goes in pieces afterwards: the removal of the table of a kube-proxy
// with 10,000 services in one transaction held the kernel's commit lock for 375 ms (kernel 6.18).
//
// Whoever takes over from kube-proxy's table takes over from its iptables mode too, as kube-proxy
// itself does when it starts in nftables mode (cmd/kube-proxy/app/server_linux.go, platformCleanup;
// pkg/proxy/iptables CleanupLeftovers): in the tables of iptables-nft its chains are emptied and
// removed, and what leads to them goes instead of the base chains. The tables, and chains of
// others in them, stay; so does what others use: KUBE-MARK-MASQ, KUBE-FIREWALL and the like. Where
// the kernel refuses to remove some of these chains, for somebody else's rule leads to one, all
// that are left stay, empty, while this lives. Rules of iptables-legacy are not in nf_tables:
// nothing is known of them here.
//
// Nothing is remembered: what is there is listed. A process that is killed in between leaves tables
// without hooks, and the next one removes them. What a refused transaction leaves is listed anew
// after begin(); what others add to a table meanwhile goes with the table.
//
// Threads: the loop's. The connection must outlive it; one look at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "netlink/connection.h"
#include "netlink/nftables/transaction.h"
#include "proxy/ruleset.h"

namespace fairlead::proxy {

inline constexpr const char* kKubeProxyTable = "kube-proxy";

class TakeOver {
 public:
  static constexpr size_t kPiece = 128;  // chains or sets in a transaction

  // Config::take_over_from names the tables.
  TakeOver(netlink::Connection& connection, const Config& config);
  ~TakeOver() { *alive_ = false; }

  // The tables may be there (again): the next look() finds out.
  void begin();
  // The last transaction put here has been taken, or refused as such, not for a passing reason.
  void committed() { removing_ = false; }
  void refused();
  // Lists them, if it is due; kInterrupted: someone committed meanwhile, look again. `done` may run
  // at once.
  void look(std::function<void(Result<void>)> done);

  // Nothing is left to put.
  bool done() const {
    return hooks_.empty() && jumps_.empty() && full_.empty() && chains_.empty() && tables_.empty();
  }
  // Removes their base chains, and what leads to their other chains; to be put with our own.
  void put_unhook(nft::Transaction& transaction);
  // The next piece of the rest, if there is any.
  void put_piece(nft::Transaction& transaction);

 private:
  using Then = std::function<void(Result<void>)>;
  void forget();
  void fail(const Error& error, const Then& done);
  void list_chains(Then done);
  void sort_in(std::vector<nft::Chain> chains);
  void list_jumps(size_t chain, Then done);
  void list_sets(size_t table, Then done);

  netlink::Connection& connection_;
  const nft::TableFamily family_;
  const std::vector<std::string> names_;
  const bool iptables_;  // take over from that mode too
  bool due_ = false;
  bool removing_ = false;          // chains of iptables, which others may use
  bool keep_chains_ = false;       // of iptables: others do, they stay, empty
  std::vector<nft::Chain> doors_;  // base chains of iptables
  std::vector<nft::Rule> jumps_;   // from there
  std::vector<nft::Chain> hooks_;
  // The rest, in the order in which it goes: rules hold sets and chains, and maps hold chains.
  std::vector<nft::Chain> full_;
  std::vector<nft::Set> sets_;
  std::vector<nft::Chain> chains_;
  std::vector<nft::Table> tables_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// A chain that kube-proxy alone makes in its iptables or ipvs mode.
bool is_kube_proxys_chain(const nft::Chain& chain);

}  // namespace fairlead::proxy
