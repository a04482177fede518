// SPDX-License-Identifier: Apache-2.0
// Every read and write of every kind, over the store. What HTTP and the in-process Api both speak.
//
// Threads: any; the work of a call is done on the calling thread, its callback runs on the Loop
// given, once, never from inside the call. The Registry outlives what was asked of it. Objects go
// in and out in the stored form (kind.h to_served makes the client's). Writes race freely: each is
// compare-and-put, and is worked out again when the object changed in between, at most kMaxAttempts
// times. An object above kMaxObjectBytes is refused, however it came to be so large.
#pragma once

#include <functional>
#include <optional>

#include "base/loop.h"
#include "orchestrator/apiserver/registry/allocator.h"
#include "orchestrator/apiserver/registry/filter.h"
#include "orchestrator/apiserver/registry/prepare.h"
#include "orchestrator/store/store.h"

namespace fairlead::orchestrator::apiserver {

struct ListPage {
  std::vector<Bytes> items;
  int64_t revision = 0;
  std::string continue_token;
  std::optional<size_t> remaining;
};

struct PageOptions {
  std::string ns;
  size_t limit = 0;
  std::string continue_token;
  int64_t revision = 0;  // 0: newest
  bool exact = false;    // resourceVersionMatch=Exact
};

struct Written {
  Bytes object;  // as it is now, or its last state
  bool created = false;
  bool removed = false;      // it is gone
  bool respecified = false;  // its generation is another than before
};
using WrittenDone = std::function<void(Outcome<Written>)>;

struct WriteOptions {
  bool dry_run = false;
  bool creates_missing = false;  // an update of what is not there makes it, if its kind allows that
};

// From the newest state of an object to what the client wants it to be; null: there is none.
using Change = std::function<Outcome<Json>(const Json& current)>;

struct RegistryOptions {
  Cidr service_cidr;
  PortRange node_ports;
};

class Registry {
 public:
  static constexpr int kMaxAttempts = 32;
  static constexpr size_t kMaxObjectBytes = 3 << 19;  // encoded: etcd's limit on a request

  Registry(store::Store& store, RegistryOptions options);
  // Reads what is allocated. Before the first write.
  void rebuild();

  Outcome<Bytes> get(const Kind& kind, const kube::ObjectKey& key) const;
  Outcome<ListPage> list(const Kind& kind, const Filter& filter, const PageOptions& options) const;

  void create(const Kind& kind, const std::string& ns, Json object, WriteOptions options,
              Loop& loop, WrittenDone done);
  void update(const Kind& kind, std::string subresource, const kube::ObjectKey& key, Change change,
              WriteOptions options, Loop& loop, WrittenDone done);
  void remove(const Kind& kind, const kube::ObjectKey& key, DeleteOptions options,
              WriteOptions write_options, Loop& loop, WrittenDone done);
  // `binding`: a Binding of that pod, of which metadata.uid and resourceVersion are preconditions.
  void bind(const kube::ObjectKey& pod, Json binding, WriteOptions options, Loop& loop,
            WrittenDone done);

  store::Store& store() { return store_; }
  ServiceAllocator& allocator() { return allocator_; }

 private:
  struct Write;
  using WriteRef = std::shared_ptr<Write>;
  void attempt_create(WriteRef write);
  void attempt_update(WriteRef write);
  void attempt_remove(WriteRef write);
  // Fills in and reserves what a service needs; false: the write has been answered.
  bool admit(Write& write, Json& object, const Json& before);
  void commit(WriteRef write, store::Txn txn, bool removes);
  void committed(WriteRef write, bool removes, Result<store::TxnResult> result);
  void answer(Write& write, Outcome<Written> outcome);
  void create_missing(WriteRef write);
  std::optional<ApiError> check_namespace(const Write& write, store::Txn& txn) const;
  void put_or_remove(const WriteRef& write, const Json& object, const Json& before, bool removes);

  store::Store& store_;
  ServiceAllocator allocator_;
};

}  // namespace fairlead::orchestrator::apiserver
