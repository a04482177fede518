// SPDX-License-Identifier: Apache-2.0
// The lines that operators parse, as CoreDNS writes them (coredns plugin/pkg/log): to standard
// output, "[INFO] text", without a time. What the program says of itself goes the way of
// base/log.h. Any thread; a line is one write(2).
#pragma once

#include <string_view>

#include "base/log.h"

namespace fairlead::dns {

// Where nothing is served standard output is for what was asked: they go to standard error.
void write_lines_aside();

// Nothing below --log-level.
void write_line(log::Level level, std::string_view text);

}  // namespace fairlead::dns
