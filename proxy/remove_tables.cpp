// SPDX-License-Identifier: Apache-2.0
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "netlink/nftables/list.h"
#include "proxy/programmer.h"

namespace fairlead::proxy {

namespace {

constexpr Family kFamilies[] = {Family::kIpv4, Family::kIpv6};
constexpr int kTries = 10;
constexpr Duration kPacketsGone = std::chrono::milliseconds(100);

// Until every packet that was in a hook has left it: packets are looked at in read-side critical
// sections of RCU (nf_hook), and MEMBARRIER_CMD_GLOBAL waits for these (synchronize_rcu in
// kernel/sched/membarrier.c) where there is more than one processor. Else, and where that call is
// filtered out, a time that is long for a packet.
void wait_for_packets_on_their_way() {
  const bool waited = sysconf(_SC_NPROCESSORS_ONLN) > 1 &&
                      syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
  if (!waited) std::this_thread::sleep_for(kPacketsGone);
}

// None, too, where the kernel has no nf_tables: it does not know the request.
Result<std::vector<nft::Chain>> base_chains(netlink::Connection& connection, Family family,
                                            Duration limit) {
  using Chains = Result<std::vector<nft::Chain>>;
  const auto found = std::make_shared<std::optional<Chains>>();
  nft::list_chains(connection, nft::table_family(family),
                   [found](Chains chains) { *found = std::move(chains); });
  if (!connection.wait([&] { return found->has_value(); }, limit))
    return Error(ErrorCode::kTimeout, "listing chains: no answer in time");
  std::vector<nft::Chain> ours;
  if (!(*found)->ok() && (*found)->error().is(ErrorCode::kInvalid)) return ours;
  if (!(*found)->ok()) return (*found)->error();
  for (nft::Chain& chain : ***found)
    if (chain.table == kTableName && chain.base) ours.push_back(std::move(chain));
  return ours;
}

// Whether there were any. Somebody may commit meanwhile: then what was listed is not what is there.
Result<bool> remove_base_chains(netlink::Connection& connection, Duration limit) {
  nft::Transaction transaction;
  for (const Family family : kFamilies) {
    const auto chains = base_chains(connection, family, limit);
    if (!chains.ok()) return chains.error();
    for (const nft::Chain& chain : *chains) {
      transaction.flush(chain);
      transaction.remove(chain);
    }
  }
  if (transaction.empty()) return false;
  const Result<void> removed = nft::commit_sync(connection, std::move(transaction), limit);
  if (!removed.ok()) return removed.error();
  return true;
}

}  // namespace

Result<void> remove_tables(netlink::Connection& connection, Duration limit) {
  Result<bool> hooked = remove_base_chains(connection, limit);
  for (int i = 0; i < kTries && !hooked.ok(); ++i) {
    if (!hooked.error().is_interrupted() && !hooked.error().is_not_found()) break;
    hooked = remove_base_chains(connection, limit);
  }
  if (!hooked.ok()) return hooked.error();
  if (*hooked) wait_for_packets_on_their_way();
  nft::Transaction tables;
  for (const Family family : kFamilies) {
    Config config;
    config.family = family;
    tables.destroy(Ruleset(config).table());
  }
  return nft::commit_sync(connection, std::move(tables), limit);
}

}  // namespace fairlead::proxy
