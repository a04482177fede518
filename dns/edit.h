// SPDX-License-Identifier: Apache-2.0
// Messages as records that can be changed: decoded with every name written out, encoded again with
// name compression (RFC 1035 section 4.1.4). For plugins that rewrite; what only passes through
// stays bytes. Pure; every read is checked against the message's end, and a
// message of 64 KiB takes a few megabytes at most.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dns/message.h"

namespace fairlead::dns {

class Reply;

struct EditRecord {
  Name owner;
  Type type{};
  Class klass = Class::kIn;
  uint32_t ttl = 0;
  std::vector<uint8_t> rdata;  // names in it are not compressed
};

struct EditMessage {
  uint16_t id = 0;
  uint16_t flags = 0;  // the second header word, the low bits of the rcode included
  bool has_question = false;
  Name name;
  Type type{};
  Class klass = Class::kIn;
  std::array<std::vector<EditRecord>, 3> sections;  // an OPT record is one of the additional

  std::vector<EditRecord>& operator[](Section section) {
    return sections[static_cast<size_t>(section)];
  }
  const std::vector<EditRecord>& operator[](Section section) const {
    return sections[static_cast<size_t>(section)];
  }
};

// Nothing when the message is malformed or has several questions. With TC set the records may be
// cut short; what is whole is there.
std::optional<EditMessage> decode(std::span<const uint8_t> message);

// Upper and lower case stay as they are. Records beyond 65535 bytes are left out, with TC unless
// they are only additional.
std::vector<uint8_t> encode(const EditMessage& message);

// The names in the data of NS, CNAME, SOA, PTR, MX, SRV, DNAME and the like, in order; none for
// other types and for malformed data.
std::vector<Name> rdata_names(const EditRecord& record);
// Replaces one of them. False when there is none of that number.
bool set_rdata_name(EditRecord& record, size_t index, const Name& name);

// Whether the data can be data of the type: the names in it, and the size of an address.
bool well_formed(const EditRecord& record);

// The data of an EDNS option of the query, if it has one.
std::optional<std::span<const uint8_t>> find_option(const Query& query, EdnsOption code);

// A reply to the query without records: its ID, question and RD.
EditMessage reply_to_edit(const Query& query, Rcode rcode);
// Makes the question the client's.
void set_question(EditMessage& message, const Query& query);
// Puts it in place of what is in the reply (Reply::adopt). The question stays the client's bytes.
void adopt_edited(Reply& reply, const Query& query, EditMessage message);

}  // namespace fairlead::dns
