// SPDX-License-Identifier: Apache-2.0
// The ruleset of one IP family as a value: table "fairlead", what is in it, and how each change
// looks. Pure: no socket, clock or log. One thread. docs/nftables.md draws it as nft text and walks
// a packet through it.
//
// The shape: a service's address and port is one element of map `svc` (frontend -> goto a choice
// chain, see choice.h) and one element of map `ep` for each endpoint (frontend . index -> address .
// port). Chain sel_12 serves every service with 10 or 11 endpoints. It draws an index below 12 and
// looks it up in `ep`; an index without endpoint falls through to the next of kDraws equal rules,
// so every endpoint is equally likely up to 5^-kDraws, or 2^-kDraws for a while. There is room for
// one more, so a service that gains or loses an endpoint need not change its `svc` element at once,
// whose goto makes the kernel walk the whole map again (nft_chain_validate), milliseconds with many
// services. It is moved to the chain of its new count later, together with others. Up to kExact
// endpoints (choice.h) each count has a chain, no draw is missed, and the element changes with the
// count.
//
// Every decision is made in nat hooks, which the kernel asks for the first packet of a flow only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/address.h"
#include "netlink/nftables/text.h"
#include "proxy/choice.h"
#include "proxy/frontend.h"

namespace fairlead::proxy {

namespace nft = netlink::nft;

inline constexpr const char* kTableName = "fairlead";

// What an operator chooses; the same for the life of a process.
struct Config {
  Family family = Family::kIpv4;
  // How sources that are pods of this node or cluster are known; what comes from elsewhere to a
  // cluster IP is masqueraded. At most one of the three; none: nobody is masqueraded for it.
  std::vector<Cidr> cluster_cidrs;
  std::string bridge_interface;      // pods' packets come in by this one
  std::string interface_prefix;      // pods' packets come in by one whose name begins so
  std::vector<IpAddress> local_dns;  // addresses the DNS server of this node answers on
  std::vector<Cidr> service_cidrs;   // besides what the API says of ServiceCIDRs
  // Which addresses of this node have node ports; nullopt: those the API names first for it.
  std::optional<std::vector<Cidr>> node_port_cidrs;
  bool accept_external_ips = true;  // feature gate AllowServiceExternalIPs
  bool masquerade_all = false;
  uint32_t masquerade_mark = 1u << 14;  // the one bit of the packet mark that is ours
  // Kernels before 6.17: a lookup at the moment of a commit may miss an element that is being
  // replaced (net/netfilter/nft_set_hash.c), so it is made twice.
  bool repeat_lookups = false;
  // Tables of another proxy, of this family, unhooked in the transaction that hooks ours in, and
  // then removed: no packet finds both or neither. Flows keep what connection tracking has
  // translated.
  std::vector<std::string> take_over_from;

  bool knows_pods() const {
    return !cluster_cidrs.empty() || !bridge_interface.empty() || !interface_prefix.empty();
  }
};

// What may change while a process lives.
struct Parameters {
  std::vector<Cidr> service_cidrs;        // addresses in here without a service are dropped
  std::vector<IpAddress> node_addresses;  // that have node ports
  // False: those are not known yet, and what a table that is adopted says of them holds.
  bool node_known = true;
  bool affinity = false;    // some service has it: where flows have gone is learnt
  bool stray_vips = false;  // some cluster IP lies in none of service_cidrs: all are looked for
  bool operator==(const Parameters&) const = default;
};

enum class SetId : uint8_t {
  kServices,             // svc       frontend -> goto, counting the first packets of flows
  kEndpoints,            // ep        frontend . index -> address . port
  kInsideEndpoints,      // inside_ep the same, of the endpoints for pods and this node (kLocal)
  kNodeServices,         // node_svc  as svc, for node ports: without address
  kNodeEndpoints,        // node_ep
  kNodeInsideEndpoints,  // node_inside_ep
  kClusterIps,           // vips      addresses whose undefined ports are refused
  kHairpin,              // hairpin   local endpoints reached from themselves
  kLocalDns,             // local_dns frontends kept out of connection tracking
  kLearn,                // learn     frontends with affinity -> goto a learn chain
  kNodeLearn,            // node_learn
};
inline constexpr SetId kAllSets[] = {
    SetId::kServices,     SetId::kEndpoints,     SetId::kInsideEndpoints,
    SetId::kNodeServices, SetId::kNodeEndpoints, SetId::kNodeInsideEndpoints,
    SetId::kClusterIps,   SetId::kHairpin,       SetId::kLocalDns,
    SetId::kLearn,        SetId::kNodeLearn};
const char* base_name(SetId id);
bool holds_services(SetId id);   // frontend -> goto
bool holds_endpoints(SetId id);  // frontend . index -> address . port
bool is_inside(SetId id);        // endpoints of the inside set
bool of_node_ports(SetId id);
bool holds_learning(SetId id);
SetId services_set(bool node_port);
SetId learn_set(bool node_port);
SetId endpoints_set(bool node_port, bool inside);

inline constexpr int kDraws = 7;
// Sources an affinity map remembers; a flow from one more is balanced and forgotten.
inline constexpr uint32_t kAffinitySize = 1u << 18;

// One change of one element or choice chain.
struct Operation {
  enum class Kind : uint8_t {
    kAddChain,  // of `choice`
    kRemoveChain,
    kAddAffinity,  // the map of `choice`.affinity
    kRemoveAffinity,
    kAdd,
    kRemove,
    kReplace,  // remove and add in one transaction
  };
  Kind kind = Kind::kAdd;
  SetId set = SetId::kServices;
  Frontend frontend;        // kClusterIps: its address; kHairpin: its protocol
  uint32_t index = 0;       // endpoints
  bool cluster_ip = false;  // services: its address belongs into kClusterIps
  Backend backend;          // endpoints and kHairpin
  Choice choice;            // services, chains, learning
  std::shared_ptr<const std::vector<Cidr>> ranges;  // kAddChain of a choice with a guard
};

class Ruleset {
 public:
  // What is programmed for one frontend.
  struct Service {
    Backends backends;
    Backends inside;
    std::optional<Choice> choice;  // of its svc element; nullopt: it has none (yet, or any more)
    std::optional<Choice> learn;   // of its learn element
    bool cluster_ip = false;
    bool unused() const { return backends.empty() && inside.empty() && !choice && !learn; }
  };
  struct ChainState {
    uint32_t users = 0;                               // elements and chains that go there
    uint64_t used = 0;                                // how often it has got one
    std::shared_ptr<const std::vector<Cidr>> ranges;  // of its guard; null: not known
    bool operator==(const ChainState& other) const {
      return users == other.users && ranges == other.ranges;
    }
  };
  struct SetState {
    uint32_t generation = 0;  // a grown set is a new one: svc, svc_1, svc_2...
    uint32_t size = 0;
    uint32_t used = 0;
  };

  explicit Ruleset(Config config, Parameters parameters = {});

  const Config& config() const { return config_; }
  const Parameters& parameters() const { return parameters_; }
  // Makes room for that many services by address and by node port.
  void reserve(size_t addresses, size_t node_ports) {
    services_.reserve(addresses + node_ports);
    cluster_ips_.reserve(addresses);
  }
  void set_parameters(Parameters parameters);
  // Whether there is a cluster IP that lies in none of the parameters' service_cidrs.
  bool has_stray_vips() const { return stray_vips_ > 0; }
  const std::unordered_map<Frontend, Service>& services() const { return services_; }
  const Service* find(const Frontend& frontend) const;
  const std::map<Choice, ChainState>& choice_chains() const { return choice_chains_; }
  // Affinity maps, and how many chains name each. Their elements are the kernel's own.
  const std::map<uint64_t, uint32_t>& affinities() const { return affinities_; }
  // Those of either without users.
  const std::set<Choice>& unused_choices() const { return unused_choices_; }
  const std::set<uint64_t>& unused_affinities() const { return unused_affinities_; }
  const SetState& state(SetId id) const { return sets_[static_cast<size_t>(id)]; }
  // To be changed by adoption and growth alone: which generation of a set there is, and its size.
  SetState& state(SetId id) { return sets_[static_cast<size_t>(id)]; }
  // has_*: the element itself is there. *_users: how many programmed services need it; between the
  // operations of a change the two differ.
  bool has_cluster_ip(const IpAddress& address) const;
  uint32_t cluster_ip_users(const IpAddress& address) const;
  bool has_hairpin(const Frontend& protocol_of, const Backend& backend) const;
  uint32_t hairpin_users(const Frontend& protocol_of, const Backend& backend) const;
  bool has_local_dns(const Frontend& frontend) const;

  // The same change made to this value. Asserts what diff() promises (indexes without gaps).
  void apply(const Operation& operation) { apply(std::span(&operation, 1)); }
  // The same for operations of one frontend, in order.
  void apply(std::span<const Operation> operations);

  // The objects, in the order in which they can be added: sets, chains, rules, then base chains.
  nft::Table table() const;
  nft::Set set(SetId id) const;
  nft::Set affinity_map(uint64_t number) const;
  std::vector<SetId> sets() const;
  std::vector<nft::Chain> chains() const;  // all but base chains, choice chains last
  std::vector<nft::Chain> base_chains() const;
  nft::Chain chain(const std::string& name) const;
  std::vector<nft::Rule> rules(const nft::Chain& chain) const;
  // The element an operation adds or removes. The kernel gives it a counter where its set has them.
  nft::Element element(const Operation& operation) const;
  // The same, in place of another that this has made: key and data are written.
  static void element(const Operation& operation, nft::Element& element);
  // kAdd of every element of one set, from this value.
  std::vector<Operation> elements(SetId id) const;
  std::vector<Operation> elements(SetId id, const Frontend& frontend) const;

  // Everything as a value and as nft text; elements sorted by key, counters at zero.
  nft::TableContent content() const;
  std::string text() const { return nft::to_nft(content()); }

 private:
  bool is_stray(const IpAddress& address) const;
  struct Counted {
    uint32_t users = 0;
    bool programmed = false;
  };
  void apply(const Operation& operation, Service& service);
  void apply_chain(const Operation& operation);
  void apply_service(const Operation& operation, Service& service);
  void apply_learning(const Operation& operation, Service& service);
  void apply_endpoint(const Operation& operation, Service& service);
  size_t append_endpoints(std::span<const Operation> operations, Service& service);
  void count_hairpin(const Frontend& frontend, const Backend& backend, int delta);
  void count_choice(const Choice& choice, int delta);
  void count_affinity(uint64_t number, int delta);
  static Frontend hairpin_key(const Frontend& frontend, const Backend& backend) {
    return Frontend::vip(backend.address, frontend.protocol, backend.port);
  }

  Config config_;
  Parameters parameters_;
  size_t stray_vips_ = 0;  // of cluster_ips_, those in the kernel
  std::vector<SetState> sets_;
  std::unordered_map<Frontend, Service> services_;
  std::map<Choice, ChainState> choice_chains_;
  std::map<uint64_t, uint32_t> affinities_;
  std::set<Choice> unused_choices_;
  std::set<uint64_t> unused_affinities_;
  std::unordered_map<IpAddress, Counted, AddressHash> cluster_ips_;
  std::unordered_map<Frontend, Counted> hairpins_;
  std::set<Frontend> local_dns_;
};

}  // namespace fairlead::proxy
