// SPDX-License-Identifier: Apache-2.0
// Writing: create and update.
#include "orchestrator/apiserver/registry/registry.h"

#include <charconv>

#include "orchestrator/apiserver/registry/write.h"

namespace fairlead::orchestrator::apiserver {
namespace {

const Kind& kind_of(const char* plural) {
  return *Kinds::builtin().find(Resource{"", plural});
}

// What was never stored has no revision.
Bytes without_version(const Bytes& object) {
  Json document = decode_stored(object);
  document["metadata"].erase("resourceVersion");
  return std::make_shared<const std::string>(dump(document));
}

}  // namespace

Registry::Registry(store::Store& store, RegistryOptions options)
    : store_(store), allocator_(options.service_cidr, options.node_ports) {}

void Registry::rebuild() {
  auto services = store_.range({kind_of("services").prefix(), "", 0, 0});
  if (!services) return;  // the newest revision is always there
  for (const store::Entry& entry : services->entries) allocator_.load(decode_stored(entry.value));
}

void Registry::answer(Write& write, Outcome<Written> outcome) {
  write.loop.post([done = std::move(write.done), outcome = std::move(outcome)]() mutable {
    done(std::move(outcome));
  });
}

// A namespaced object needs its namespace; the comparison keeps it so until the commit.
std::optional<ApiError> Registry::check_namespace(const Write& write, store::Txn& txn) const {
  if (!write.kind.namespaced) return std::nullopt;
  const std::string& ns = write.key.ns;
  const Kind& namespaces = kind_of("namespaces");
  const std::string key = namespaces.key("", ns);
  auto entry = store_.get(key);
  if (!entry) return not_found(namespaces.subject(ns));
  const Json object = decode_stored(entry->value);
  if (!at_path(object, "metadata.deletionTimestamp").is_null()) {
    std::string name = string_at(write.document, "metadata.name");
    if (name.empty()) name = string_at(write.document, "metadata.generateName");
    ApiError error = forbidden(
        write.kind.subject(name.empty() ? "Unknown" : name),
        "unable to create new content in namespace " + ns + " because it is being terminated");
    error.causes = {
        {"NamespaceTerminating", "namespace " + ns + " is being terminated", "metadata.namespace"}};
    return error;
  }
  txn.compares.push_back({key, entry->mod_revision});
  return std::nullopt;
}

bool Registry::admit(Write& write, Json& object, const Json& before) {
  write.reservation = {};
  if (write.kind.behaviour != Behaviour::kService || !write.subresource.empty()) return true;
  auto reserved =
      allocator_.admit(write.kind.subject(string_at(object, "metadata.name")), object, before);
  if (!reserved) {
    answer(write, reserved.error());
    return false;
  }
  write.reservation = std::move(*reserved);
  return true;
}

void Registry::create(const Kind& kind, const std::string& ns, Json object, WriteOptions options,
                      Loop& loop, WrittenDone done) {
  auto write = std::make_shared<Write>(kind, loop, options, std::move(done));
  write->action = Write::Action::kCreate;
  write->key.ns = ns;
  write->document = std::move(object);
  attempt_create(std::move(write));
}

void Registry::attempt_create(WriteRef write) {
  store::Txn txn;
  write->makes = true;
  if (auto refused = check_namespace(*write, txn)) return answer(*write, *refused);
  const Origin origin{std::chrono::system_clock::now(), new_uid(), new_name_suffix()};
  auto prepared = prepare_create(write->kind, write->key.ns, write->document, origin);
  if (!prepared) return answer(*write, prepared.error());
  write->key.name = string_at(*prepared, "metadata.name");
  const std::string key = write->kind.key(write->key.ns, write->key.name);
  if (store_.get(key).ok()) {
    if (write->action == Write::Action::kUpdate) return attempt_update(std::move(write));
    // A generated name that is taken is generated again.
    if (string_at(write->document, "metadata.name").empty() && ++write->attempts < kMaxAttempts)
      return attempt_create(std::move(write));
    return answer(*write, already_exists(write->kind.subject(write->key.name)));
  }
  if (!admit(*write, *prepared, nullptr)) return;
  txn.compares.push_back({key, 0});
  txn.ops.push_back({store::Op::Kind::kPut, key, encode(std::move(*prepared))});
  commit(std::move(write), std::move(txn), false);
}

void Registry::update(const Kind& kind, std::string subresource, const kube::ObjectKey& key,
                      Change change, WriteOptions options, Loop& loop, WrittenDone done) {
  auto write = std::make_shared<Write>(kind, loop, options, std::move(done));
  write->action = Write::Action::kUpdate;
  write->key = key;
  write->subresource = std::move(subresource);
  write->change = std::move(change);
  attempt_update(std::move(write));
}

// The document of a PUT as one of a create: under the name of the URL, whatever version it
// replaces.
void Registry::create_missing(WriteRef write) {
  auto wanted = write->change(nullptr);
  if (!wanted) return answer(*write, wanted.error());
  write->document = std::move(*wanted);
  Json& metadata = write->document["metadata"];
  if (!metadata.is_object()) metadata = Json::object();
  if (const std::string uid = string_at(metadata, "uid"); !uid.empty())
    return answer(*write, conflict(write->kind.subject(write->key.name),
                                   "Precondition failed: UID in precondition: " + uid +
                                       ", UID in object meta: "));
  metadata["name"] = write->key.name;
  metadata.erase("resourceVersion");
  attempt_create(std::move(write));
}

void Registry::attempt_update(WriteRef write) {
  const Kind& kind = write->kind;
  write->makes = false;
  auto entry = store_.get(kind.key(write->key.ns, write->key.name));
  if (!entry && kind.created_by_update && write->options.creates_missing)
    return create_missing(std::move(write));
  if (!entry) return answer(*write, not_found(kind.subject(write->key.name)));
  write->revision = entry->mod_revision;
  // As it would be written today: an earlier version kept zeros that say nothing, and what is the
  // same must not look like a change.
  Json current = decode_stored(entry->value);
  schema::drop_zeros(*kind.type, current);
  auto wanted = write->change(current);
  if (!wanted) return answer(*write, wanted.error());
  auto prepared = prepare_update(kind, write->subresource, std::move(*wanted), current);
  if (!prepared) return answer(*write, prepared.error());
  if (!admit(*write, *prepared, current)) return;
  if (*prepared == current && !ready_to_go(kind, *prepared))
    return answer(*write, Written{entry->value, false, false});
  write->respecifies =
      at_path(*prepared, "metadata.generation") != at_path(current, "metadata.generation");
  put_or_remove(write, *prepared, current, ready_to_go(kind, *prepared));
}

// An object marked as deleted goes when the last thing it waited for is gone.
void Registry::put_or_remove(const WriteRef& write, const Json& object, const Json& before,
                             bool removes) {
  const std::string key = write->kind.key(write->key.ns, write->key.name);
  if (removes) write->last_state = before;
  store::Txn txn;
  txn.compares.push_back({key, write->revision});
  txn.ops.push_back(
      {removes ? store::Op::Kind::kDelete : store::Op::Kind::kPut, key, encode(object)});
  commit(write, std::move(txn), removes);
}

void Registry::commit(WriteRef write, store::Txn txn, bool removes) {
  // What is marked as deleted grows too, and goes all the same.
  if (write->action != Write::Action::kRemove && !removes &&
      txn.ops[0].value.bytes.size() > kMaxObjectBytes) {
    write->reservation = {};
    return answer(
        *write, too_large("Request entity too large: limit is " + std::to_string(kMaxObjectBytes)));
  }
  if (write->options.dry_run) {
    Bytes object = txn.ops[0].value.at(write->revision);
    write->reservation = {};  // gives back what it held
    return answer(*write, Written{write->makes ? without_version(object) : object, write->makes,
                                  removes, write->respecifies});
  }
  Loop& loop = write->loop;
  store_.commit(std::move(txn), loop,
                [this, write = std::move(write), removes](Result<store::TxnResult> result) mutable {
                  committed(std::move(write), removes, std::move(result));
                });
}

void Registry::committed(WriteRef write, bool removes, Result<store::TxnResult> result) {
  if (!result) return write->done(ApiError::from_error(result.error()));
  if (result->succeeded) {
    if (!removes) write->reservation.keep();
    write->reservation = {};  // of what is gone nothing new is kept
    if (removes && write->kind.behaviour == Behaviour::kService)
      allocator_.forget(write->last_state);
    return write->done(
        Written{std::move(result->values[0]), write->makes, removes, write->respecifies});
  }
  write->reservation = {};
  if (++write->attempts >= kMaxAttempts)
    return write->done(
        conflict(write->kind.subject(write->key.name),
                 "the object has been modified; please apply your changes to the latest "
                 "version and try again"));
  switch (write->action) {
    case Write::Action::kCreate:
      return attempt_create(std::move(write));
    case Write::Action::kUpdate:
      return attempt_update(std::move(write));
    case Write::Action::kRemove:
      return attempt_remove(std::move(write));
  }
}

void Registry::bind(const kube::ObjectKey& pod, Json binding, WriteOptions options, Loop& loop,
                    WrittenDone done) {
  Change change = [pod, binding = std::move(binding)](const Json& current) {
    return bound_pod(pod.name, binding, current);
  };
  update(kind_of("pods"), "binding", pod, std::move(change), options, loop, std::move(done));
}

}  // namespace fairlead::orchestrator::apiserver
