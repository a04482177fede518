// SPDX-License-Identifier: Apache-2.0
// A configuration that is asked what it would answer, without being served: the same plugins in the
// same chains, but no port is opened. Threads: one, which runs its loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dns/loading.h"
#include "dns/server/generation.h"

namespace fairlead::dns {

class Rehearsal {
 public:
  // Reads the Corefile and starts its services. `options` outlive it.
  static Result<std::unique_ptr<Rehearsal>> open(const Options& options);
  ~Rehearsal();
  Rehearsal(const Rehearsal&) = delete;
  Rehearsal& operator=(const Rehearsal&) = delete;

  // Waits until everything has been read, at most `limit`. An Error says which plugins are not
  // ready.
  Result<void> wait_ready(Duration limit);

  // The server block that answers `name`, of those at `port`; nullptr: none does.
  struct Place {
    const Router* router = nullptr;
    const Router::Route* route = nullptr;
    std::string block;      // its label, "dns://:53"
    SocketAddress address;  // where it is asked
  };
  Place place_of(const Name& name, Type type, uint16_t port) const;
  // Each server block that answers `name` at some address, once, as the addresses come.
  std::vector<Place> places_of(const Name& name, Type type) const;
  // Asks as a client would: a whole message. The reply comes to `on_reply` once, maybe before this
  // returns, or never.
  void ask(const Place& place, std::span<const uint8_t> packet, const Client& client,
           SendLater on_reply);

  const Config& config() const { return config_; }
  Loop& loop() { return loop_; }

 private:
  explicit Rehearsal(const Options& options);
  Place place_at(size_t listener, const Name& name, Type type) const;

  const Options& options_;
  Loop loop_;
  ConfigFiles files_;
  Host host_;
  Config config_;
  Services services_;
  Readers readers_;
  WorkerMetrics metrics_;
  std::unique_ptr<Generation> generation_;
};

}  // namespace fairlead::dns
