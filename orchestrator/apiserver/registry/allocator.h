// SPDX-License-Identifier: Apache-2.0
// Service addresses and node ports: who has which. In memory, rebuilt from the stored Services at
// start; one server owns them.
//
// Threads: any; one lock. A Reservation holds what one write needs: keep() it once the write is
// durable, or let it go and nothing has happened.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/address.h"
#include "orchestrator/apiserver/error.h"
#include "orchestrator/apiserver/json.h"

namespace fairlead::orchestrator::apiserver {

struct PortRange {
  uint16_t first = 30000;
  uint16_t last = 32767;
};

class ServiceAllocator {
 public:
  ServiceAllocator(Cidr cidr, PortRange ports);

  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation();
    void keep();  // what is new stays, what the write gave up is free

   private:
    friend class ServiceAllocator;
    void release();
    ServiceAllocator* owner_ = nullptr;
    std::vector<IpAddress> new_ips_, old_ips_;
    std::vector<uint16_t> new_ports_, old_ports_;
  };

  // Fills in spec.clusterIP(s), ipFamilies and node ports of a valid Service about to be written;
  // `before` is null for a new one. What is asked for and cannot be had comes back as causes: taken
  // addresses and ports, families that this cluster of one family has not. What it has already it
  // keeps, in the ranges or not.
  Outcome<Reservation> admit(const Subject& subject, Json& service, const Json& before);
  void forget(const Json& service);  // it was deleted
  // At start. What is outside of the ranges is left alone.
  void load(const Json& service);

  const Cidr& cidr() const { return cidr_; }
  IpAddress nth(uint32_t n) const;  // the n-th address of the range

 private:
  void settle_families(Json& spec, std::vector<Cause>& causes) const;
  void admit_ip(Json& spec, const Json& before, Reservation& reservation,
                std::vector<Cause>& causes);
  void admit_ports(Json& service, const Json& before, Reservation& reservation,
                   std::vector<Cause>& causes);
  bool free_ip(const IpAddress& ip) const;  // under mutex_
  bool pick_ip(IpAddress& ip);              // under mutex_
  uint16_t pick_port();                     // under mutex_; 0: none is free

  const Cidr cidr_;
  const PortRange ports_;
  std::mutex mutex_;
  std::map<IpAddress, int> used_ips_;
  std::map<uint16_t, int> used_ports_;
};

}  // namespace fairlead::orchestrator::apiserver
