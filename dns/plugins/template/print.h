// SPDX-License-Identifier: Apache-2.0
// A template's tree as text again, in the one form that Go's text/template writes it in: that is
// the `template` label of CoreDNS's metrics, in which dashboards find a record of the Corefile.
// Pure.
#pragma once

#include <string>

#include "dns/plugins/template/syntax.h"

namespace fairlead::dns {

// "{{ .Name }} 5 A {{- index .Match 1 }}" is "{{.Name}} 5 A{{index .Match 1}}": without comments
// and the blanks that are trimmed, `else if` as an `if` within the `else`. Strings are in double
// quotes, also those that were between backquotes, which Go keeps.
std::string to_text(const Tree& tree);

}  // namespace fairlead::dns
