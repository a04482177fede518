// SPDX-License-Identifier: Apache-2.0
#include "netlink/message.h"

#include <algorithm>

namespace fairlead::netlink {

void MessageWriter::put_string(uint16_t type, std::string_view text) {
  uint8_t* room = head(type, text.size() + 1, NLA_ALIGN(text.size() + 1));
  if (!text.empty()) std::memcpy(room, text.data(), text.size());
}

bool next_message(Bytes& rest, MessageView& message) {
  nlmsghdr header;
  if (rest.size() < sizeof header) return false;
  std::memcpy(&header, rest.data(), sizeof header);
  if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size()) return false;
  message.type = header.nlmsg_type;
  message.flags = header.nlmsg_flags;
  message.sequence = header.nlmsg_seq;
  message.port_id = header.nlmsg_pid;
  message.payload = rest.subspan(sizeof header, header.nlmsg_len - sizeof header);
  rest = rest.subspan(std::min<size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
  return true;
}

bool next_attribute(Bytes& rest, Attribute& attribute) {
  nlattr header;
  if (rest.size() < sizeof header) return false;
  std::memcpy(&header, rest.data(), sizeof header);
  if (header.nla_len < sizeof header || header.nla_len > rest.size()) return false;
  attribute.type = header.nla_type & NLA_TYPE_MASK;
  attribute.value = rest.subspan(sizeof header, header.nla_len - sizeof header);
  rest = rest.subspan(std::min<size_t>(NLA_ALIGN(header.nla_len), rest.size()));
  return true;
}

std::string_view Attribute::text() const {
  const auto end = std::find(value.begin(), value.end(), uint8_t{0});
  return {reinterpret_cast<const char*>(value.data()), static_cast<size_t>(end - value.begin())};
}

}  // namespace fairlead::netlink
