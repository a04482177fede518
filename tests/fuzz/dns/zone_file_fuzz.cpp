// SPDX-License-Identifier: Apache-2.0
// Any text as a zone file, and answers from the zone it makes: each a message that can be read
// again, about the name that was asked for. The last line, after "?", is the name and its type.
#include <cstdlib>
#include <string>
#include <vector>

#include "dns/edit.h"
#include "dns/mnemonics.h"
#include "dns/plugins/file/zone_answer.h"
#include "dns/plugins/file/zone_text.h"

namespace {

using namespace fairlead;
using namespace fairlead::dns;

std::vector<uint8_t> query_for(const Name& name, Type type) {
  std::vector<uint8_t> packet(kHeaderSize);
  packet[5] = 1;
  packet.insert(packet.end(), name.wire().begin(), name.wire().end());
  packet.resize(packet.size() + 4);
  write_u16(&packet[packet.size() - 4], static_cast<uint16_t>(type));
  write_u16(&packet[packet.size() - 2], static_cast<uint16_t>(Class::kIn));
  return packet;
}

void ask(const ZoneTree& zone, const Name& name, Type type, size_t limit) {
  if (!zone.covers(name)) return;
  const std::vector<uint8_t> packet = query_for(name, type);
  Query query;
  if (parse_query(packet, query).verdict != Verdict::kAnswer) std::abort();
  std::vector<uint8_t> buffer(kMaxMessage);
  Reply reply(buffer);
  reply.begin(query, limit);
  Name target;
  const ZoneOutcome outcome = answer_from_zone(zone, query, false, reply, target);
  if (outcome == ZoneOutcome::kFallsThrough) std::abort();
  if (outcome == ZoneOutcome::kChase && zone.covers(target) && zone.find(target).exact)
    std::abort();  // the file has it
  const auto message = reply.finish();
  if (message.size() > limit || !decode(message) || !parse_reply(message)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const size_t mark = input.rfind('?');
  const std::string text = input.substr(0, mark);
  const std::string question = mark == std::string::npos ? "" : input.substr(mark + 1);
  const Name origin = *Name::from_text("test");
  ZoneBuilder builder(origin);
  std::vector<Name> owners;
  const auto done = read_zone_text(
      "db", origin, [&](const std::string&) { return Result<std::string>(text); },
      [&](const EditRecord& record) {
        if (record.rdata.size() > kMaxMessage || !well_formed(record)) std::abort();
        if (owners.size() < 20) owners.push_back(record.owner);
        return builder.add(record);
      },
      {.depth = 3, .files = 10, .bytes = 1 << 20, .generated = 100, .records = 1000});
  if (!done.ok()) return 0;
  const auto zone = builder.finish();
  if (!zone.ok()) return 0;
  const size_t blank = question.find(' ');
  const auto name = Name::from_text(question.substr(0, blank));
  const auto type = type_from_text(blank == std::string::npos ? "A" : question.substr(blank + 1));
  if (name.ok()) owners.push_back(*name);
  for (const Name& owner : owners) {
    for (const Type each : {Type::kA, Type::kNs, Type::kMx, Type::kAny, type.value_or(Type::kDs)})
      for (const size_t limit : {kPlainUdpSize, kMaxMessage}) ask(*zone, owner, each, limit);
    Name below;
    if (below.append("x") && below.append(owner)) ask(*zone, below, Type::kA, kMaxMessage);
  }
  return 0;
}
