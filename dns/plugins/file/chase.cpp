// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/file/chase.h"

#include <cstring>

#include "dns/edit.h"
#include "dns/plugins/file/zone_answer.h"
#include "dns/router.h"

namespace fairlead::dns {
namespace {

struct Chased {
  Rcode rcode = Rcode::kServFail;
  bool has_records = false;  // of the type that was asked for
  bool recursive = false;    // who answered has followed all aliases there are
  bool truncated = false;
  Name last;  // where the aliases lead
};

bool add(Reply& reply, Section section, const EditRecord& record) {
  uint8_t* rdata = reply.add(section, record.owner, record.type, record.ttl, record.rdata.size());
  if (rdata != nullptr && !record.rdata.empty())
    std::memcpy(rdata, record.rdata.data(), record.rdata.size());
  return rdata != nullptr;
}

// It is there already: whoever has answered has asked us in turn.
bool is_there(Reply& reply, const EditRecord& record) {
  return has_record(reply.message(), reply.records_at(), reply.count(Section::kAnswer),
                    record.owner, record.type);
}

// Takes over the answers as far as they hang together: what else an upstream adds was not asked
// for and may be forged.
Chased take_answers(const EditMessage& message, const Name& target, Type type, Reply& reply) {
  Chased chased;
  chased.rcode = static_cast<Rcode>(message.flags & 15);
  chased.recursive = (message.flags & kFlagRecursionAvailable) != 0;
  chased.truncated = (message.flags & kFlagTruncated) != 0;
  chased.last = target;
  for (const EditRecord& record : message[Section::kAnswer]) {
    const bool is_alias = record.type == Type::kCname;
    // A DNAME stands before the alias that is made by it.
    const bool is_dname = record.type == Type::kDname && chased.last.ends_with(record.owner);
    if (record.klass != Class::kIn || (!is_dname && !(record.owner == chased.last))) continue;
    if (!is_alias && !is_dname && record.type != type) continue;
    if ((is_alias || is_dname) && is_there(reply, record)) {
      if (is_alias) break;  // it leads round
      continue;
    }
    if (!add(reply, Section::kAnswer, record)) break;
    if (is_alias)
      chased.last = rdata_names(record).front();
    else if (record.type == type)
      chased.has_records = true;
  }
  if (chased.truncated) reply.set_flag(kFlagTruncated);
  return chased;
}

// What the last name's own zone says of a name or type that is not there (RFC 2308 section 2).
void take_denial(const EditMessage& message, Reply& reply) {
  for (const EditRecord& record : message[Section::kAuthority])
    if (record.type == Type::kSoa && record.klass == Class::kIn &&
        !add(reply, Section::kAuthority, record))
      return;
}

// `before`: how many were asked for already.
void ask(Router& router, const std::shared_ptr<Deferred>& deferred,
         const std::shared_ptr<const ZoneTree>& zone, const Name& target, size_t before) {
  router.ask(target, deferred->query().type, deferred->client(),
             [&router, deferred, zone, target, before](std::span<const uint8_t> bytes) {
               Reply& reply = deferred->reply();
               const Query& query = deferred->query();
               const std::optional<EditMessage> message = decode(bytes);
               if (!message) {
                 reply.set_rcode(Rcode::kServFail);
                 return deferred->finish();
               }
               const Chased chased = take_answers(*message, target, query.type, reply);
               if (chased.rcode == Rcode::kNoError && !chased.has_records && !chased.recursive &&
                   !chased.truncated && !(chased.last == target) && before + 1 < kMaxAliases)
                 return ask(router, deferred, zone, chased.last, before + 1);
               if (chased.rcode == Rcode::kNxDomain || chased.rcode == Rcode::kServFail)
                 reply.set_rcode(chased.rcode);
               if (chased.has_records)
                 add_name_servers(*zone, query, reply);
               else
                 take_denial(*message, reply);
               deferred->finish();
             });
}

}  // namespace

void chase(Router& router, std::shared_ptr<Deferred> deferred, std::shared_ptr<const ZoneTree> zone,
           const Name& target) {
  ask(router, deferred, zone, target, 0);
}

}  // namespace fairlead::dns
