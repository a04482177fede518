// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fairlead::orchestrator {
namespace {

// As many open files as a process needs anyway, and a few.
class FewFiles {
 public:
  FewFiles() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = 64;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  ~FewFiles() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

class FilesTest : public testing::Test {
 protected:
  FilesTest() {
    char path[] = "/tmp/fairlead-files-XXXXXX";
    EXPECT_NE(mkdtemp(path), nullptr);
    root_ = path;
  }
  // `depth` folders, one in the other, each with a file and a link out of the tree.
  void nest(int depth) {
    int at = open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < depth; ++i) {
      EXPECT_EQ(mkdirat(at, "fairlead-0", 0700), 0);  // a name that is used for what is moved, too
      EXPECT_EQ(symlinkat("/etc", at, "link"), 0);
      close(openat(at, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      const int below = openat(at, "fairlead-0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      close(std::exchange(at, below));
    }
    close(at);
  }

  std::string root_;
};

// How deep a tree is was its owner's choice.
TEST_F(FilesTest, ATreeIsRemovedHoweverDeepItIs) {
  nest(20'000);
  const FewFiles limit;
  const Result<void> removed = files::remove_tree(root_);
  EXPECT_TRUE(removed.ok()) << removed.error().message();
  EXPECT_FALSE(files::exists(root_));
  EXPECT_TRUE(files::exists("/etc"));
}

TEST_F(FilesTest, RemovingIsGivenUpWhenAsked) {
  nest(10);
  const std::atomic<bool> stop = true;
  EXPECT_TRUE(files::remove_tree(root_, &stop).error().is_cancelled());
  EXPECT_TRUE(files::exists(root_));
  EXPECT_TRUE(files::remove_tree(root_).ok());
}

}  // namespace
}  // namespace fairlead::orchestrator
