// SPDX-License-Identifier: Apache-2.0
// The files that a private containerd is given, and when they are others than before.
#include "orchestrator/node/containerd.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {
namespace {

namespace fs = std::filesystem;

class ContainerdFiles : public testing::Test {
 protected:
  ContainerdFiles() {
    std::string name = (fs::temp_directory_path() / "fairlead-containerd-XXXXXX").string();
    root_ = mkdtemp(name.data());
    paths_ = {root_ + "/data", root_ + "/run"};
  }
  ~ContainerdFiles() override { fs::remove_all(root_); }

  bool changed(const Result<bool>& result) {
    EXPECT_TRUE(result.ok()) << result.error().message();
    return result.ok() && *result;
  }

  std::string root_;
  ContainerdPaths paths_;
};

// A containerd that runs with another release's configuration has to be told apart from one that
// may be kept.
TEST_F(ContainerdFiles, AnotherConfigurationIsNoticed) {
  EXPECT_TRUE(changed(prepare_containerd(paths_))) << "the first";
  EXPECT_FALSE(changed(prepare_containerd(paths_))) << "the same again";
  const std::string ours = *files::read(paths_.config());
  const std::string others[] = {ours + "# an older release\n", "", "version = 1\n"};
  for (const std::string& other : others) {
    ASSERT_TRUE(files::write_atomic(paths_.config(), other).ok());
    EXPECT_TRUE(changed(prepare_containerd(paths_))) << other;
    EXPECT_EQ(*files::read(paths_.config()), ours);
    EXPECT_FALSE(changed(prepare_containerd(paths_)));
  }
  fs::remove(paths_.config());
  EXPECT_TRUE(changed(prepare_containerd(paths_)));
  for (const std::string& dir : {paths_.root(), paths_.state(), paths_.images()})
    EXPECT_TRUE(files::is_dir(dir)) << dir;
}

TEST_F(ContainerdFiles, AnotherPodRangeIsNoticed) {
  EXPECT_TRUE(changed(write_cni_config(paths_, *Cidr::parse("10.244.0.0/24"))));
  EXPECT_FALSE(changed(write_cni_config(paths_, *Cidr::parse("10.244.0.0/24"))));
  EXPECT_TRUE(changed(write_cni_config(paths_, *Cidr::parse("10.244.1.0/24"))));
}

TEST_F(ContainerdFiles, AFolderThatCannotBeMadeIsNamed) {
  ASSERT_TRUE(files::write_atomic(root_ + "/data", "a file").ok());
  const Result<bool> result = prepare_containerd(paths_);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message().find(root_ + "/data"), std::string::npos);
}

}  // namespace
}  // namespace fairlead::orchestrator
