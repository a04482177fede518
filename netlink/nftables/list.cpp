// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/list.h"

#include <linux/netfilter/nf_tables.h>

#include <chrono>
#include <memory>
#include <utility>

namespace fairlead::netlink::nft {

namespace {

MessageWriter start(uint16_t message, TableFamily family) {
  MessageWriter writer;
  writer.begin(message_type(message), 0, message_header(family));
  return writer;
}

// A listing of one table in stages. Each stage starts the next from its callback; the last compares
// the generation with the first's.
struct Listing : std::enable_shared_from_this<Listing> {
  Connection& connection;
  TableContent content;
  uint32_t generation = 0;
  std::function<void(Result<TableContent>)> done;

  explicit Listing(Connection& c) : connection(c) {}

  TableFamily family() const { return content.table.family; }

  template <typename T>
  ListDone<T> into(std::vector<T>& rows, void (Listing::*next)()) {
    return [self = shared_from_this(), &rows, next](Result<std::vector<T>> result) {
      if (!result.ok()) return self->done(result.error());
      rows = std::move(*result);
      (self.get()->*next)();
    };
  }

  void run() {
    get_generation(connection, [self = shared_from_this()](Result<Generation> result) {
      if (!result.ok()) return self->done(result.error());
      self->generation = result->id;
      self->find_table();
    });
  }
  void find_table() {
    list_tables(connection, family(),
                [self = shared_from_this()](Result<std::vector<Table>> tables) {
                  if (!tables.ok()) return self->done(tables.error());
                  for (const Table& table : *tables)
                    if (table.name == self->content.table.name) {
                      self->content.table = table;
                      return self->read_chains();
                    }
                  self->done(Error(ErrorCode::kNotFound, "nftables: there is no table " +
                                                             std::string(name_of(self->family())) +
                                                             " " + self->content.table.name));
                });
  }
  void read_chains() {
    list_chains(connection, family(),
                [self = shared_from_this()](Result<std::vector<Chain>> chains) {
                  if (!chains.ok()) return self->done(chains.error());
                  for (Chain& chain : *chains)
                    if (chain.table == self->content.table.name)
                      self->content.chains.push_back(std::move(chain));
                  self->read_rules();
                });
  }
  void read_rules() {
    list_rules(connection, family(), content.table.name, "",
               into(content.rules, &Listing::read_sets));
  }
  void read_sets() {
    list_sets(connection, family(), content.table.name,
              into(content.sets, &Listing::read_elements));
  }
  void read_elements() {
    const size_t index = content.elements.size();
    if (index == content.sets.size()) return check_generation();
    list_elements(connection, content.sets[index],
                  [self = shared_from_this()](Result<std::vector<Element>> elements) {
                    if (!elements.ok()) return self->done(elements.error());
                    self->content.elements.push_back(std::move(*elements));
                    self->read_elements();
                  });
  }
  void check_generation() {
    get_generation(connection, [self = shared_from_this()](Result<Generation> result) {
      if (!result.ok()) return self->done(result.error());
      if (result->id != self->generation)
        return self->done(
            Error(ErrorCode::kInterrupted, "nftables listing: the ruleset changed meanwhile"));
      self->done(std::move(self->content));
    });
  }
};

}  // namespace

void list_tables(Connection& connection, TableFamily family, ListDone<Table> done) {
  MessageWriter writer = start(NFT_MSG_GETTABLE, family);
  writer.end();
  connection.dump<Table>(std::move(writer), parse_table, std::move(done));
}

void list_chains(Connection& connection, TableFamily family, ListDone<Chain> done) {
  MessageWriter writer = start(NFT_MSG_GETCHAIN, family);
  writer.end();
  connection.dump<Chain>(std::move(writer), parse_chain, std::move(done));
}

void list_rules(Connection& connection, TableFamily family, std::string_view table,
                std::string_view chain, ListDone<Rule> done) {
  MessageWriter writer = start(NFT_MSG_GETRULE, family);
  if (!table.empty()) writer.put_string(NFTA_RULE_TABLE, table);
  if (!chain.empty()) writer.put_string(NFTA_RULE_CHAIN, chain);
  writer.end();
  connection.dump<Rule>(std::move(writer), parse_rule, std::move(done));
}

void list_sets(Connection& connection, TableFamily family, std::string_view table,
               ListDone<Set> done) {
  MessageWriter writer = start(NFT_MSG_GETSET, family);
  if (!table.empty()) writer.put_string(NFTA_SET_TABLE, table);
  writer.end();
  connection.dump<Set>(std::move(writer), parse_set, std::move(done));
}

MessageWriter elements_request(const Set& set) {
  MessageWriter writer = start(NFT_MSG_GETSETELEM, set.family);
  writer.put_string(NFTA_SET_ELEM_LIST_TABLE, set.table);
  writer.put_string(NFTA_SET_ELEM_LIST_SET, set.name);
  writer.end();
  return writer;
}

void list_elements(Connection& connection, const Set& set, ListDone<Element> done) {
  connection.dump<SetElements>(elements_request(set), parse_elements,
                               [done = std::move(done)](Result<std::vector<SetElements>> messages) {
                                 if (!messages.ok()) return done(messages.error());
                                 std::vector<Element> elements;
                                 for (SetElements& message : *messages)
                                   std::move(message.elements.begin(), message.elements.end(),
                                             std::back_inserter(elements));
                                 done(std::move(elements));
                               });
}

void get_generation(Connection& connection, std::function<void(Result<Generation>)> done) {
  MessageWriter writer = start(NFT_MSG_GETGEN, TableFamily::kUnspecified);
  writer.end();
  auto found = std::make_shared<Result<Generation>>(
      Error(ErrorCode::kInternal, "nftables: the kernel did not tell its generation"));
  connection.request(
      std::move(writer),
      [found, done = std::move(done)](Result<void> result) {
        done(result.ok() ? std::move(*found) : Result<Generation>(result.error()));
      },
      [found](const MessageView& message) { *found = parse_generation(message); });
}

void list_table(Connection& connection, TableFamily family, std::string table,
                std::function<void(Result<TableContent>)> done) {
  auto listing = std::make_shared<Listing>(connection);
  listing->content.table.family = family;
  listing->content.table.name = std::move(table);
  listing->done = std::move(done);
  listing->run();
}

Result<TableContent> list_table_sync(Connection& connection, TableFamily family, std::string table,
                                     Duration limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (true) {
    auto result = std::make_shared<std::optional<Result<TableContent>>>();
    list_table(connection, family, table,
               [result](Result<TableContent> content) { *result = std::move(content); });
    if (!connection.wait([&] { return result->has_value(); },
                         until - std::chrono::steady_clock::now()))
      return Error(ErrorCode::kTimeout, "nftables listing: no answer in time");
    if ((*result)->ok() || !(*result)->error().is_interrupted() ||
        std::chrono::steady_clock::now() >= until)
      return std::move(**result);
  }
}

}  // namespace fairlead::netlink::nft
