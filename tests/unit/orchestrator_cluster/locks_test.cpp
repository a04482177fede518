// SPDX-License-Identifier: Apache-2.0
// Who may run beside whom, as far as folders go; what a node locks beyond them takes the network
// namespace of the machine and is tested in tests/e2e/test_down.py.
#include "orchestrator/cluster/locks.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {
namespace {

class LocksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/fairlead-locks-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
    options_.data_dir = root_ + "/data";
    options_.run_dir = root_ + "/run";
  }
  void TearDown() override { EXPECT_TRUE(files::remove_tree(root_).ok()); }
  std::string root_;
  ClusterOptions options_;
};

TEST_F(LocksTest, OneServerPerDataFolder) {
  EXPECT_TRUE(holders(options_).empty());
  {
    Locks first, second;
    ASSERT_TRUE(first.take(options_, true, false).ok());
    const Result<void> taken = second.take(options_, true, false);
    ASSERT_FALSE(taken.ok());
    EXPECT_TRUE(taken.error().is_already_exists());
    EXPECT_EQ(taken.error().message(), "another fairlead (process " + std::to_string(getpid()) +
                                           ") uses " + options_.data_dir +
                                           ": stop it (fairlead down --data-dir " +
                                           options_.data_dir + "), or give another folder");
    EXPECT_EQ(holders(options_), std::vector<pid_t>{getpid()});
    ClusterOptions other = options_;
    other.data_dir = root_ + "/other";
    EXPECT_TRUE(second.take(other, true, false).ok());
  }
  EXPECT_TRUE(holders(options_).empty()) << "a lock goes with who has it";
  Locks again;
  EXPECT_TRUE(again.take(options_, true, false).ok());
}

TEST_F(LocksTest, TheDataFolderAlone) {
  {
    Locks server, both;
    ASSERT_TRUE(server.take(options_, true, false).ok());
    const Result<void> taken = both.take_data_dir(options_);
    ASSERT_FALSE(taken.ok());
    EXPECT_TRUE(taken.error().is_already_exists());
  }
  Locks both, server;
  ASSERT_TRUE(both.take_data_dir(options_).ok());
  EXPECT_FALSE(server.take(options_, true, false).ok());
  EXPECT_EQ(owner_of_run_dir(options_), "") << "the run folder is left alone";
}

TEST_F(LocksTest, ARunFolderRemembersWhoseItIs) {
  EXPECT_EQ(owner_of_run_dir(options_), "");
  ASSERT_TRUE(files::make_dirs(options_.run_dir).ok());
  for (const auto& [text, owner] :
       std::vector<std::pair<std::string, std::string>>{{"12\n/var/lib/a\n", "/var/lib/a"},
                                                        {"12\n/var/lib/a", "/var/lib/a"},
                                                        {"12\n", ""},
                                                        {"12", ""},
                                                        {"", ""}}) {
    ASSERT_TRUE(files::write_atomic(options_.run_dir + "/node.lock", text).ok());
    EXPECT_EQ(owner_of_run_dir(options_), owner) << text;
  }
}

TEST_F(LocksTest, AFolderThatCannotBeMadeIsNamed) {
  options_.data_dir = "/proc/fairlead";
  Locks locks;
  const Result<void> taken = locks.take(options_, true, false);
  ASSERT_FALSE(taken.ok());
  EXPECT_NE(taken.error().message().find("/proc/fairlead"), std::string::npos);
}

}  // namespace
}  // namespace fairlead::orchestrator
