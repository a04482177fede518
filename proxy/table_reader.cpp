// SPDX-License-Identifier: Apache-2.0
#include "proxy/table_reader.h"

#include <algorithm>

#include "netlink/nftables/list.h"
#include "netlink/nftables/wire.h"

namespace fairlead::proxy {

using netlink::Connection;
using netlink::MessageView;

// Step by step: generation, tables, sets, chains, rules, the elements of each set, generation
// again.
struct TableReader::Reading : std::enable_shared_from_this<Reading> {
  Reading(Connection& c, const Config& config_, const Parameters& parameters_,
          const ServiceMap& services_, Done done_)
      : connection(c),
        config(config_),
        parameters(parameters_),
        services(services_),
        done(std::move(done_)) {}

  Connection& connection;
  const Config& config;
  const Parameters parameters;
  const ServiceMap& services;
  Done done;
  uint32_t generation = 0;
  nft::TableContent skeleton;
  std::unique_ptr<Adopter> adopter;
  std::optional<Error> element_error;

  nft::TableFamily family() const { return nft::table_family(config.family); }

  void finish(Result<Content> content) {
    if (Done callback = std::exchange(done, nullptr)) callback(std::move(content));
  }

  // A callback for one step; does nothing once the reading was dropped.
  template <typename T, typename Next>
  std::function<void(Result<T>)> then(Next next) {
    return [weak = weak_from_this(), next](Result<T> result) {
      const std::shared_ptr<Reading> self = weak.lock();
      if (!self || !self->done) return;
      if (!result.ok()) return self->finish(result.error().with_context("reading table fairlead"));
      next(*self, std::move(*result));
    };
  }

  void start() {
    nft::get_generation(connection, then<nft::Generation>([](Reading& self, nft::Generation now) {
                          self.generation = now.id;
                          self.read_tables();
                        }));
  }

  void read_tables() {
    nft::list_tables(
        connection, family(),
        then<std::vector<nft::Table>>([](Reading& self, std::vector<nft::Table> tables) {
          for (nft::Table& table : tables)
            if (table.name == kTableName) {
              self.skeleton.table = std::move(table);
              return self.read_sets();
            }
          self.finish(Content());
        }));
  }

  void read_sets() {
    nft::list_sets(connection, family(), kTableName,
                   then<std::vector<nft::Set>>([](Reading& self, std::vector<nft::Set> sets) {
                     self.skeleton.sets = std::move(sets);
                     self.read_chains();
                   }));
  }

  void read_chains() {
    nft::list_chains(
        connection, family(),
        then<std::vector<nft::Chain>>([](Reading& self, std::vector<nft::Chain> chains) {
          for (nft::Chain& chain : chains)
            if (chain.table == kTableName) self.skeleton.chains.push_back(std::move(chain));
          self.read_rules();
        }));
  }

  void read_rules() {
    nft::list_rules(connection, family(), kTableName, "",
                    then<std::vector<nft::Rule>>([](Reading& self, std::vector<nft::Rule> rules) {
                      self.skeleton.rules = std::move(rules);
                      self.adopter = std::make_unique<Adopter>(
                          self.config, self.parameters, self.services, std::move(self.skeleton));
                      self.read_elements(0);
                    }));
  }

  void read_elements(size_t set) {
    // What affinity maps hold is the kernel's own.
    while (set < adopter->sets().size() && parse_affinity_map(adopter->sets()[set].name)) ++set;
    if (set == adopter->sets().size()) return confirm();
    connection.dump(
        nft::elements_request(adopter->sets()[set]),
        [weak = weak_from_this(), set](const MessageView& message) {
          if (const std::shared_ptr<Reading> self = weak.lock()) self->take_elements(set, message);
        },
        [weak = weak_from_this(), set](Result<void> result) {
          const std::shared_ptr<Reading> self = weak.lock();
          if (!self || !self->done) return;
          if (result.ok() && self->element_error) result = *self->element_error;
          if (!result.ok()) return self->finish(result.error());
          self->read_elements(set + 1);
        });
  }

  void take_elements(size_t set, const MessageView& message) {
    Result<nft::SetElements> list = nft::parse_elements(message);
    if (!list.ok()) {
      if (!element_error) element_error = list.error();
      return;
    }
    for (const nft::Element& element : list->elements) adopter->element(set, element);
  }

  void confirm() {
    nft::get_generation(
        connection, then<nft::Generation>([](Reading& self, nft::Generation now) {
          if (now.id != self.generation)
            return self.finish(Error(ErrorCode::kInterrupted,
                                     "reading table fairlead: the ruleset changed meanwhile"));
          self.finish(Content(self.adopter->finish()));
        }));
  }
};

TableReader::TableReader(Connection& connection, Config config, const ServiceMap& services)
    : connection_(connection), config_(std::move(config)), services_(services) {}

TableReader::~TableReader() = default;

void TableReader::read(const Parameters& parameters, Done done) {
  reading_ =
      std::make_shared<Reading>(connection_, config_, parameters, services_, std::move(done));
  reading_->start();
}

}  // namespace fairlead::proxy
