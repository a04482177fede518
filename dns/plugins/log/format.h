// SPDX-License-Identifier: Apache-2.0
// The lines of the query log: a format with places for what is known of a query and its reply.
//
//   {type} {class} {name} {proto} {size} {remote} {port} {local} {duration} {rcode} {rsize}
//   {>id} {>opcode} {>do} {>bufsize} {>rflags}
//   {common} {combined}   CoreDNS's formats; the second has the opcode at its end
//   {/plugin/label}       a label (dns/labels.h), "-" when it has no value
//
// What else stands in braces is text. No I/O and no clock.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "dns/plugin.h"

namespace fairlead::dns {

class LogFormat {
 public:
  static LogFormat parse(std::string text);
  // The labels it asks for.
  std::vector<std::string> labels() const;

  // `now`: when the reply was complete.
  void write(fmt::memory_buffer& out, const Query& query, const Client& client, const Reply& reply,
             MonoTime now) const;

 private:
  enum class Field : uint8_t {
    kText,
    kType,
    kClass,
    kName,
    kProto,
    kSize,
    kRemote,
    kPort,
    kLocal,
    kDuration,
    kRcode,
    kResponseSize,
    kId,
    kOpcode,
    kDnssecOk,
    kBufferSize,
    kResponseFlags,
    kLabel,
  };
  struct Piece {
    Field field = Field::kText;
    std::string text{};
  };
  static const std::pair<std::string_view, Field> kFields[];

  void add_text(std::string_view text);

  std::vector<Piece> pieces_;
};

}  // namespace fairlead::dns
