// SPDX-License-Identifier: Apache-2.0
// The kernel's netfilter headers, after the C library's in.h: the other way round both declare the
// same types.
#pragma once

// clang-format off
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
// clang-format on
