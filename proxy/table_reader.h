// SPDX-License-Identifier: Apache-2.0
// Reads our table from the kernel as of one generation: the only place that lists anything, at
// start and after someone else has changed the table. Elements are taken as they arrive, not
// collected.
//
// Threads: the loop's. One reading at a time; `done` runs once unless the reader is destroyed
// first.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "netlink/connection.h"
#include "proxy/adopt.h"

namespace fairlead::proxy {

class TableReader {
 public:
  // What is there; nullopt: no table of ours. kInterrupted: someone committed meanwhile, read
  // again.
  using Content = std::optional<std::pair<Ruleset, Repairs>>;
  using Done = std::function<void(Result<Content>)>;

  // Connection and map must outlive the reader.
  TableReader(netlink::Connection& connection, Config config, const ServiceMap& services);
  ~TableReader();

  // `parameters`: what the rules are to be compared with.
  void read(const Parameters& parameters, Done done);

 private:
  struct Reading;
  netlink::Connection& connection_;
  const Config config_;
  const ServiceMap& services_;
  std::shared_ptr<Reading> reading_;
};

}  // namespace fairlead::proxy
