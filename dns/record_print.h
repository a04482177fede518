// SPDX-License-Identifier: Apache-2.0
// Records in presentation form (RFC 1035 section 5.1), for people and for comparing: the other way
// round than dns/record_text.h. Pure.
#pragma once

#include <string>
#include <vector>

#include "dns/edit.h"

namespace fairlead::dns {

// The data alone, names with their final dot: "10 mail.example.org.". Types without a form of their
// own here, and malformed data, as RFC 3597 section 5 has them: "\# 4 0a000001".
std::string rdata_to_text(const EditRecord& record);
// "www.example.org. 300 IN A 192.0.2.1"
std::string record_to_text(const EditRecord& record);
// The header's flags that are set, in the order and with the names that dig has: "qr aa rd".
std::string flags_to_text(uint16_t flags);

}  // namespace fairlead::dns
