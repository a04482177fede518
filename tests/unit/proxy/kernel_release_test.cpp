// SPDX-License-Identifier: Apache-2.0
#include "proxy/kernel_release.h"

#include <gtest/gtest.h>

namespace fairlead::proxy {
namespace {

TEST(KernelRelease, TellsWhatItCanDo) {
  struct Case {
    const char* release;
    bool supported, may_miss;
  };
  const Case cases[] = {
      {"4.18.0-553.el8.x86_64", false, true},
      {"5.10.0-32-amd64", false, true},
      {"5.12.19", false, true},
      {"5.13.0", true, true},
      {"5.14.0-427.el9.x86_64", true, true},
      {"6.1.0-56-amd64", true, true},
      {"6.16.12+deb14", true, true},
      {"6.17-rc1", true, false},
      {"6.18.44", true, false},
      {"10.2.0", true, false},
      // Unreadable: tried, and as careful as with an old one.
      {"", true, true},
      {"6", true, true},
      {"6.", true, true},
      {"six.one", true, true},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(check_release(c.release).ok(), c.supported) << c.release;
    EXPECT_EQ(lookups_may_miss(c.release), c.may_miss) << c.release;
  }
}

TEST(KernelRelease, SaysWhatIsWrongAndWhatToDo) {
  const Result<void> result = check_release("5.10.0-32-amd64");
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(result.error().is(ErrorCode::kUnsupported));
  EXPECT_EQ(result.error().message(),
            "this is Linux 5.10.0-32-amd64; what is needed of nftables came with 5.13: update the "
            "kernel, or set KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK=1 if this one has it "
            "too");
}

TEST(KernelRelease, OfThisKernelIsRead) {
  EXPECT_NE(kernel_release().find('.'), std::string::npos) << kernel_release();
}

}  // namespace
}  // namespace fairlead::proxy
