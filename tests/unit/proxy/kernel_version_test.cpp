// SPDX-License-Identifier: Apache-2.0
#include "proxy/kernel_version.h"

#include <gtest/gtest.h>

namespace fairlead::proxy {
namespace {

struct Case {
  const char* release;
  bool will_do;
  bool may_miss;
};
const Case kCases[] = {
    {"5.12.19", false, true},
    {"4.19.0-26-amd64", false, true},
    {"5.13.0", true, true},
    {"5.13-rc1", true, true},
    {"6.1.0-18-amd64", true, true},
    {"6.16.12", true, true},
    {"6.17.0", true, false},
    {"6.18.5+deb14-amd64", true, false},
    {"10.0", true, false},
    {"", false, true},
    {"6", false, true},
    {"six.one", false, true},
    {"6.x", false, true},
};

TEST(KernelVersion, Table) {
  for (const Case& c : kCases) {
    EXPECT_EQ(check_kernel(c.release, nullptr).ok(), c.will_do) << c.release;
    EXPECT_EQ(check_kernel(c.release, "").ok(), c.will_do) << c.release;
    EXPECT_TRUE(check_kernel(c.release, "1").ok()) << c.release;
    EXPECT_EQ(lookups_may_miss(c.release), c.may_miss) << c.release;
  }
}

TEST(KernelVersion, TheErrorSaysWhatToDo) {
  EXPECT_EQ(check_kernel("5.10.0-30-amd64", nullptr).error().message(),
            "Linux 5.10.0-30-amd64 is too old: nf_tables of 5.13 or newer is needed; set "
            "KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK=1 to try all the same");
}

}  // namespace
}  // namespace fairlead::proxy
