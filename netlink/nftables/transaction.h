// SPDX-License-Identifier: Apache-2.0
// An atomic change of the ruleset: verbs as nft has them, in order, all or nothing. Only commit()
// does I/O.
//
// Sticky error: the first thing that cannot be expressed (a name too long, an element of the wrong
// size) makes the whole transaction fail at commit with that error; nothing is sent.
// A refused commit names the object: "add element ip fairlead svc { 10.0.0.1 . tcp . 80 }: No such
// file".
//
// The batch travels as one datagram and the kernel holds its commit lock while it works: keep cold
// loads to chunks (kChunkBytes is a good one), and never rely on a batch failing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "netlink/connection.h"
#include "netlink/nftables/objects.h"

namespace fairlead::netlink::nft {

class Transaction {
 public:
  static constexpr size_t kChunkBytes = 1 << 20;

  Transaction();
  // A new one in the memory of another, which nobody needs any more and which is empty afterwards.
  // Fresh memory for a large one is hundreds of page faults.
  static Transaction in_place_of(Transaction& spent);

  // add: fine when it is already there. create: kAlreadyExists then. remove: kNotFound when it is
  // not there. destroy: fine either way, as long as the table holding it is there (an add and a
  // remove, which kernels before 6.3 understand too; a set must be described as it was made).
  void add(const Table& table);
  void create(const Table& table);
  void remove(const Table& table);
  void destroy(const Table& table);
  void flush(const Table& table);  // all rules of all its chains

  void add(const Chain& chain);
  void create(const Chain& chain);
  void remove(const Chain& chain);   // must be empty and unused
  void destroy(const Chain& chain);  // flushes first
  void flush(const Chain& chain);    // its rules

  void add(const Rule& rule);     // behind the last rule of its chain
  void insert(const Rule& rule);  // before the first
  void add_after(const Rule& rule, uint64_t handle);
  void insert_before(const Rule& rule, uint64_t handle);
  void replace(const Rule& rule);  // the rule with rule.handle
  void remove(const Rule& rule);   // by handle

  void add(const Set& set);
  void create(const Set& set);
  void remove(const Set& set);  // must be unused
  void destroy(const Set& set);
  void flush(const Set& set);  // its elements

  // Consecutive elements of one set share a message: this is the hot path, it allocates nothing per
  // element beyond the growing buffer. Of `set` only family, table, name, key and data are used.
  void add_element(const Set& set, const Element& element);
  // One after another, each made of the one before by `next`, bool(Element&), until that is false;
  // it must not touch the transaction. For thousands: an element costs the writing of its bytes and
  // little else.
  template <typename Next>
  void add_elements(const Set& set, Next next) {
    Element element;
    bool more = !error_ && next(element);
    while (more) {
      resume_elements(Verb::kAdd, set);
      do {
        put_open(element);
        more = !error_ && next(element);
      } while (more && has_room());
    }
  }
  void create_element(const Set& set, const Element& element);  // kAlreadyExists when it is there
  void remove_element(const Set& set, const Element& element);  // data and timeout are ignored

  bool empty() const { return entries_.empty(); }
  size_t size_bytes() const { return writer_.size(); }
  size_t element_count() const { return element_count_; }
  size_t operation_count() const { return entries_.size() + element_count_ - element_messages_; }
  const std::optional<Error>& error() const { return error_; }
  void reserve(size_t bytes) { writer_.reserve(bytes); }

  // The finished batch; for commit() and tests. The transaction must not be changed afterwards.
  const MessageWriter& finish();
  // The error of a refused batch, naming the object the kernel pointed at.
  Error explain(const BatchError& error) const;

 private:
  friend RequestId commit(Connection& connection, std::shared_ptr<Transaction> transaction,
                          Done done);
  // An attribute is at most 64 KiB long; the longest element (three values, two names) is well
  // below 2 KiB.
  static constexpr size_t kMaxElementsNest = 0xffff - 2048;
  enum class Verb { kAdd, kCreate, kRemove, kFlush, kInsert, kReplace };
  enum class Noun { kTable, kChain, kRule, kSet, kElement };

  // What a message of the batch does, for explain(): text is built only when something failed.
  struct Entry {
    Verb verb;
    Noun noun;
    TableFamily family;
    size_t start;            // of the message in the buffer
    std::string path;        // "fairlead svc"
    std::vector<Field> key;  // of the set, where the message holds elements
  };
  // The list of elements being written, if any.
  struct OpenElements {
    Verb verb;
    TableFamily family;
    std::string table;
    std::string set;
    size_t key_size;
    size_t data;  // which of Element::data's alternatives they have
    size_t data_size;
    size_t mark;
    bool holds(Verb other, const Set& into) const {
      return verb == other && set == into.name && table == into.table && family == into.family;
    }
  };

  void begin_batch();
  void begin(Verb verb, Noun noun, uint16_t message, uint16_t flags, TableFamily family,
             std::string path);
  void put(Verb verb, const Table& table);
  void put(Verb verb, const Chain& chain);
  void put(Verb verb, const Set& set);
  void put(Verb verb, const Rule& rule, uint16_t flags, uint16_t reference, uint64_t handle);
  void put(Verb verb, const Set& set, const Element& element);
  void resume_elements(Verb verb, const Set& set);
  void open_elements(Verb verb, const Set& set);
  bool has_room() const { return writer_.nest_size(open_->mark) <= kMaxElementsNest; }
  void put_open(const Element& element);
  void close_elements();
  bool accept_name(std::string_view noun, std::string_view name);
  bool accept(const Set& set);
  bool accept(const OpenElements& open, const Element& element);
  bool refuse(const OpenElements& open, const char* what);
  void fail(std::string message);
  std::string element_at(const Entry& entry, uint32_t offset) const;

  MessageWriter writer_;
  std::vector<Entry> entries_;
  std::optional<Error> error_;
  std::optional<OpenElements> open_;
  uint32_t next_set_id_ = 1;
  size_t element_count_ = 0;
  size_t element_messages_ = 0;
  bool finished_ = false;
};

// Sends the transaction as one batch; `done` runs once, with the kernel's verdict. An empty one
// succeeds. One that is shared must not be touched before `done` says success.
RequestId commit(Connection& connection, Transaction transaction, Done done);
RequestId commit(Connection& connection, std::shared_ptr<Transaction> transaction, Done done);
Result<void> commit_sync(Connection& connection, Transaction transaction, Duration limit);

}  // namespace fairlead::netlink::nft
