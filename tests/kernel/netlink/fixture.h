// SPDX-License-Identifier: Apache-2.0
// What the kernel tests of this room share: a namespace, a loop and connections inside it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/loop.h"
#include "netlink/connection.h"
#include "netlink/nftables/list.h"
#include "netlink/nftables/transaction.h"
#include "tests/support/namespace.h"

namespace fairlead::netlink {

inline constexpr Duration kPatience = std::chrono::seconds(20);

class KernelTest : public testing::Test {
 protected:
  KernelTest() : inside_(space_) {}

  void SetUp() override { ASSERT_TRUE(test::is_root()) << "kernel tests need root"; }

  std::unique_ptr<Connection> open(Protocol protocol, Connection::Options options = {}) {
    auto connection = Connection::open(loop_, protocol, options);
    EXPECT_TRUE(connection.ok());
    return std::move(*connection);
  }

  // What Debian's nft prints.
  static std::string nft_list(const std::string& what = "ruleset") {
    const test::CommandResult result = test::run_command({"nft", "list", what});
    EXPECT_EQ(result.status, 0) << result.errors;
    return result.output;
  }

  test::NetNamespace space_;
  test::NetNamespace::Enter inside_;
  Loop loop_;
};

}  // namespace fairlead::netlink
