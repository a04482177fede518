// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/transaction.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <cassert>
#include <memory>
#include <utility>

#include "netlink/nftables/text.h"
#include "netlink/nftables/text_value.h"
#include "netlink/nftables/wire.h"

namespace fairlead::netlink::nft {

namespace {

constexpr size_t kMaxExpressions = 128;  // NFT_RULE_MAXEXPRS
constexpr size_t kMaxComment = 127;      // NFTNL_UDATA_COMMENT_MAXLEN, with its zero
constexpr size_t kMaxFields = 5;         // that nft can name in a 32-bit type

nfgenmsg batch_header() {
  return {AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)};
}

bool mixes_sources(const std::vector<Field>& fields, bool with_source) {
  for (const Field& field : fields)
    if (field.source.has_value() != with_source) return true;
  return false;
}

// Which of Element::data's alternatives the set's elements have.
size_t kind_of_data(const Set& set) {
  if (set.is_vmap()) return decltype(Element::data)(Verdict()).index();
  return set.is_map() ? decltype(Element::data)(Value()).index() : 0;
}

}  // namespace

Transaction::Transaction() {
  begin_batch();
}

Transaction Transaction::in_place_of(Transaction& spent) {
  Transaction fresh;
  fresh.writer_ = std::exchange(spent.writer_, {});
  fresh.writer_.clear();
  fresh.begin_batch();
  return fresh;
}

void Transaction::begin_batch() {
  writer_.begin(NFNL_MSG_BATCH_BEGIN, 0, batch_header());
  writer_.end();
}

void Transaction::begin(Verb verb, Noun noun, uint16_t message, uint16_t flags, TableFamily family,
                        std::string path) {
  assert(!finished_ && "a finished transaction must not be changed");
  close_elements();
  entries_.push_back({verb, noun, family, writer_.size(), std::move(path), {}});
  writer_.begin(message_type(message), flags, message_header(family));
}

namespace {

uint16_t creation_flags(bool exclusive) {
  return static_cast<uint16_t>(NLM_F_CREATE | (exclusive ? NLM_F_EXCL : 0));
}

}  // namespace

void Transaction::put(Verb verb, const Table& table) {
  if (!accept_name("table", table.name)) return;
  switch (verb) {
    case Verb::kAdd:
    case Verb::kCreate:
      begin(verb, Noun::kTable, NFT_MSG_NEWTABLE, creation_flags(verb == Verb::kCreate),
            table.family, table.name);
      put_table(writer_, table);
      break;
    case Verb::kRemove:
      begin(verb, Noun::kTable, NFT_MSG_DELTABLE, 0, table.family, table.name);
      writer_.put_string(NFTA_TABLE_NAME, table.name);
      break;
    case Verb::kFlush:
      begin(verb, Noun::kTable, NFT_MSG_DELRULE, 0, table.family, table.name);
      writer_.put_string(NFTA_RULE_TABLE, table.name);
      break;
    case Verb::kInsert:
    case Verb::kReplace:
      return;
  }
  writer_.end();
}

void Transaction::put(Verb verb, const Chain& chain) {
  if (!accept_name("table", chain.table) || !accept_name("chain", chain.name)) return;
  const std::string path = chain.table + " " + chain.name;
  switch (verb) {
    case Verb::kAdd:
    case Verb::kCreate:
      begin(verb, Noun::kChain, NFT_MSG_NEWCHAIN, creation_flags(verb == Verb::kCreate),
            chain.family, path);
      put_chain(writer_, chain);
      break;
    case Verb::kRemove:
      begin(verb, Noun::kChain, NFT_MSG_DELCHAIN, 0, chain.family, path);
      writer_.put_string(NFTA_CHAIN_TABLE, chain.table);
      writer_.put_string(NFTA_CHAIN_NAME, chain.name);
      break;
    case Verb::kFlush:
      begin(verb, Noun::kChain, NFT_MSG_DELRULE, 0, chain.family, path);
      writer_.put_string(NFTA_RULE_TABLE, chain.table);
      writer_.put_string(NFTA_RULE_CHAIN, chain.name);
      break;
    case Verb::kInsert:
    case Verb::kReplace:
      return;
  }
  writer_.end();
}

void Transaction::put(Verb verb, const Set& set) {
  if (!accept(set)) return;
  const std::string path = set.table + " " + set.name;
  switch (verb) {
    case Verb::kAdd:
    case Verb::kCreate:
      begin(verb, Noun::kSet, NFT_MSG_NEWSET, creation_flags(verb == Verb::kCreate), set.family,
            path);
      put_set(writer_, set, next_set_id_++);
      break;
    case Verb::kRemove:
      begin(verb, Noun::kSet, NFT_MSG_DELSET, 0, set.family, path);
      writer_.put_string(NFTA_SET_TABLE, set.table);
      writer_.put_string(NFTA_SET_NAME, set.name);
      break;
    case Verb::kFlush:
      begin(verb, Noun::kSet, NFT_MSG_DELSETELEM, 0, set.family, path);
      writer_.put_string(NFTA_SET_ELEM_LIST_TABLE, set.table);
      writer_.put_string(NFTA_SET_ELEM_LIST_SET, set.name);
      break;
    case Verb::kInsert:
    case Verb::kReplace:
      return;
  }
  writer_.end();
}

void Transaction::put(Verb verb, const Rule& rule, uint16_t flags, uint16_t reference,
                      uint64_t handle) {
  if (!accept_name("table", rule.table) || !accept_name("chain", rule.chain)) return;
  const bool removed = verb == Verb::kRemove;
  if (reference != NFTA_RULE_UNSPEC && handle == 0)
    return fail("a rule of chain " + rule.chain + " is named by its handle, which is missing");
  if (rule.expressions.size() > kMaxExpressions)
    return fail("a rule of chain " + rule.chain + " has more than 128 expressions");
  if (rule.comment.size() > kMaxComment)
    return fail("a rule of chain " + rule.chain + " has a comment over 127 bytes");
  for (const Expression& expression : rule.expressions)
    if (std::holds_alternative<Unknown>(expression) && !removed)
      return fail("a rule of chain " + rule.chain + " has an expression this program cannot write");
  begin(verb, Noun::kRule, removed ? NFT_MSG_DELRULE : NFT_MSG_NEWRULE, flags, rule.family,
        rule.table + " " + rule.chain);
  if (removed) {
    writer_.put_string(NFTA_RULE_TABLE, rule.table);
    writer_.put_string(NFTA_RULE_CHAIN, rule.chain);
  } else {
    put_rule(writer_, rule);
  }
  if (reference != NFTA_RULE_UNSPEC) writer_.put_be64(reference, handle);
  writer_.end();
}

void Transaction::add(const Table& table) {
  put(Verb::kAdd, table);
}
void Transaction::create(const Table& table) {
  put(Verb::kCreate, table);
}
void Transaction::remove(const Table& table) {
  put(Verb::kRemove, table);
}
void Transaction::flush(const Table& table) {
  put(Verb::kFlush, table);
}
void Transaction::destroy(const Table& table) {
  put(Verb::kAdd, table);
  put(Verb::kRemove, table);
}

void Transaction::add(const Chain& chain) {
  put(Verb::kAdd, chain);
}
void Transaction::create(const Chain& chain) {
  put(Verb::kCreate, chain);
}
void Transaction::remove(const Chain& chain) {
  put(Verb::kRemove, chain);
}
void Transaction::flush(const Chain& chain) {
  put(Verb::kFlush, chain);
}
void Transaction::destroy(const Chain& chain) {
  Chain plain = chain;  // adding it without a hook suits a base chain that is there as well
  plain.base.reset();
  put(Verb::kAdd, plain);
  put(Verb::kFlush, plain);
  put(Verb::kRemove, plain);
}

void Transaction::add(const Rule& rule) {
  put(Verb::kAdd, rule, NLM_F_CREATE | NLM_F_APPEND, NFTA_RULE_UNSPEC, 0);
}
void Transaction::insert(const Rule& rule) {
  put(Verb::kInsert, rule, NLM_F_CREATE, NFTA_RULE_UNSPEC, 0);
}
void Transaction::add_after(const Rule& rule, uint64_t handle) {
  put(Verb::kAdd, rule, NLM_F_CREATE | NLM_F_APPEND, NFTA_RULE_POSITION, handle);
}
void Transaction::insert_before(const Rule& rule, uint64_t handle) {
  put(Verb::kInsert, rule, NLM_F_CREATE, NFTA_RULE_POSITION, handle);
}
void Transaction::replace(const Rule& rule) {
  put(Verb::kReplace, rule, NLM_F_REPLACE, NFTA_RULE_HANDLE, rule.handle);
}
void Transaction::remove(const Rule& rule) {
  put(Verb::kRemove, rule, 0, NFTA_RULE_HANDLE, rule.handle);
}

void Transaction::add(const Set& set) {
  put(Verb::kAdd, set);
}
void Transaction::create(const Set& set) {
  put(Verb::kCreate, set);
}
void Transaction::remove(const Set& set) {
  put(Verb::kRemove, set);
}
void Transaction::flush(const Set& set) {
  put(Verb::kFlush, set);
}
void Transaction::destroy(const Set& set) {
  put(Verb::kAdd, set);
  put(Verb::kRemove, set);
}

void Transaction::add_element(const Set& set, const Element& element) {
  put(Verb::kAdd, set, element);
}
void Transaction::create_element(const Set& set, const Element& element) {
  put(Verb::kCreate, set, element);
}
void Transaction::remove_element(const Set& set, const Element& element) {
  put(Verb::kRemove, set, element);
}

void Transaction::put(Verb verb, const Set& set, const Element& element) {
  if (error_) return;  // the set itself may have been refused
  resume_elements(verb, set);
  put_open(element);
}

void Transaction::resume_elements(Verb verb, const Set& set) {
  if (!open_ || !open_->holds(verb, set) || !has_room()) open_elements(verb, set);
}

void Transaction::put_open(const Element& element) {
  if (!accept(*open_, element)) return;
  ++element_count_;
  if (open_->verb != Verb::kRemove) return nft::put_element(writer_, element);
  Element key_only;
  key_only.key = element.key;
  key_only.key_end = element.key_end;
  key_only.interval_end = element.interval_end;
  nft::put_element(writer_, key_only);
}

void Transaction::open_elements(Verb verb, const Set& set) {
  const bool removed = verb == Verb::kRemove;
  begin(verb, Noun::kElement, removed ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM,
        removed ? uint16_t{0} : creation_flags(verb == Verb::kCreate), set.family,
        set.table + " " + set.name);
  entries_.back().key = set.key;
  ++element_messages_;
  writer_.put_string(NFTA_SET_ELEM_LIST_TABLE, set.table);
  writer_.put_string(NFTA_SET_ELEM_LIST_SET, set.name);
  open_ = OpenElements{verb,
                       set.family,
                       set.table,
                       set.name,
                       set.key_size(),
                       kind_of_data(set),
                       set.data_size(),
                       writer_.open(NFTA_SET_ELEM_LIST_ELEMENTS)};
}

void Transaction::close_elements() {
  if (!open_) return;
  writer_.close(open_->mark);
  writer_.end();
  open_.reset();
}

const MessageWriter& Transaction::finish() {
  if (!std::exchange(finished_, true)) {
    close_elements();
    writer_.begin(NFNL_MSG_BATCH_END, 0, batch_header());
    writer_.end();
  }
  return writer_;
}

void Transaction::fail(std::string message) {
  if (!error_) error_ = Error(ErrorCode::kInvalid, "nftables transaction: " + std::move(message));
}

bool Transaction::accept_name(std::string_view noun, std::string_view name) {
  if (!name.empty() && name.size() < NFT_NAME_MAXLEN) return true;
  fail(std::string(noun) + " name \"" + std::string(name.substr(0, 32)) +
       "\" must have 1 to 255 bytes");
  return false;
}

// What the kernel would take but nft could not list is refused here (see user_data.h).
bool Transaction::accept(const Set& set) {
  if (!accept_name("table", set.table) || !accept_name("set", set.name)) return false;
  const std::string name = "set " + set.name;
  if (set.key.empty() || set.key.size() > kMaxFields || set.data.size() > kMaxFields ||
      set.key_size() == 0 || set.key_size() > Value::kMax || set.data_size() > Value::kMax)
    return fail(name + " needs a key of 1 to 5 components and 64 bytes, and data likewise"), false;
  const bool with_source = set.key[0].source.has_value();
  if (mixes_sources(set.key, with_source) ||
      (set.is_map() && !set.is_vmap() && mixes_sources(set.data, with_source)))
    return fail(name + " must have typeof for all of its key and data or for none"), false;
  if (set.timeout_ms != 0 && !set.has_timeout)
    return fail(name + " has a default timeout but no timeouts"), false;
  if (set.comment.size() > kMaxComment) return fail(name + " has a comment over 127 bytes"), false;
  return true;
}

bool Transaction::accept(const OpenElements& open, const Element& element) {
  if (element.key.size() != open.key_size ||
      (!element.key_end.empty() && element.key_end.size() != open.key_size))
    return refuse(open, "has a key of the wrong size");
  if (open.verb == Verb::kRemove || element.interval_end) return true;
  const auto* value = std::get_if<Value>(&element.data);
  if (element.data.index() != open.data || (value != nullptr && value->size() != open.data_size))
    return refuse(open, "has data that does not fit");
  if (element.comment.size() > kMaxComment) return refuse(open, "has a comment over 127 bytes");
  return true;
}

bool Transaction::refuse(const OpenElements& open, const char* what) {
  fail("an element of set " + open.set + " " + what);
  return false;
}

// The element of the message that `offset` points into: " { 10.0.0.1 . tcp . 80 }".
std::string Transaction::element_at(const Entry& entry, uint32_t offset) const {
  Bytes rest = Bytes(writer_.bytes()).subspan(entry.start);
  const uint8_t* target = rest.data() + offset;
  MessageView message;
  if (!next_message(rest, message)) return {};
  const AttributeTable<NFTA_SET_ELEM_LIST_MAX> table(message.attributes(sizeof(nfgenmsg)));
  Bytes list = table[NFTA_SET_ELEM_LIST_ELEMENTS].value;
  Attribute item;
  while (next_attribute(list, item)) {
    if (target < item.value.data() - NLA_HDRLEN || target >= item.value.data() + item.value.size())
      continue;
    const Result<Element> element = parse_element(item.value);
    if (!element.ok()) return {};
    const std::string text = to_nft(entry.key, element->key);
    return " { " + (text.empty() ? hex(element->key.bytes()) : text) + " }";
  }
  return {};
}

Error Transaction::explain(const BatchError& error) const {
  constexpr const char* kVerbs[] = {"add", "create", "delete", "flush", "insert", "replace"};
  constexpr const char* kNouns[] = {"table", "chain", "rule", "set", "element"};
  if (!error.message || *error.message == 0 || *error.message > entries_.size())
    return error.error.with_context("nftables transaction");
  const Entry& entry = entries_[*error.message - 1];
  std::string what = kVerbs[static_cast<size_t>(entry.verb)];
  what += std::string(" ") + kNouns[static_cast<size_t>(entry.noun)] + " ";
  what += std::string(name_of(entry.family)) + " " + entry.path;
  if (entry.noun == Noun::kElement && error.offset) what += element_at(entry, *error.offset);
  return error.error.with_context(what);
}

RequestId commit(Connection& connection, Transaction transaction, Done done) {
  return commit(connection, std::make_shared<Transaction>(std::move(transaction)), std::move(done));
}

RequestId commit(Connection& connection, std::shared_ptr<Transaction> shared, Done done) {
  if (shared->error_) return connection.complete_later(*shared->error_, std::move(done));
  if (shared->empty()) return connection.complete_later(ok(), std::move(done));
  shared->finish();
  return connection.batch(std::shared_ptr<MessageWriter>(shared, &shared->writer_),
                          [shared, done = std::move(done)](std::optional<BatchError> error) {
                            done(error ? Result<void>(shared->explain(*error)) : ok());
                          });
}

Result<void> commit_sync(Connection& connection, Transaction transaction, Duration limit) {
  auto result = std::make_shared<std::optional<Result<void>>>();
  const RequestId id = commit(connection, std::move(transaction),
                              [result](Result<void> answer) { *result = std::move(answer); });
  if (!connection.wait([&] { return result->has_value(); }, limit)) {
    connection.cancel(id);
    return Error(ErrorCode::kTimeout, "nftables transaction: no answer in time");
  }
  return **result;
}

}  // namespace fairlead::netlink::nft
