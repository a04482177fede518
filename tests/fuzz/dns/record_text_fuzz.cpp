// SPDX-License-Identifier: Apache-2.0
// Any text as the entries of a zone file: records that can be told and put into a message, or
// errors.
#include <cstdlib>
#include <string_view>

#include "dns/record_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fairlead::dns;
  EntryReader reader({reinterpret_cast<const char*>(data), size});
  for (Entry entry;;) {
    const auto more = reader.next(entry);
    if (!more.ok() || !*more) return 0;
    if (entry.line == 0 || entry.line > reader.line()) std::abort();
    const auto record = parse_record(entry, {});
    if (record.ok() && (record->rdata.size() > kMaxMessage || !well_formed(*record))) std::abort();
  }
}
