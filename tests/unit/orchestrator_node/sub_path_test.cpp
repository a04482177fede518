// SPDX-License-Identifier: Apache-2.0
// Sub-paths of volumes that are full of links, in a temporary folder.
#include "orchestrator/node/sub_path.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

namespace fairlead::orchestrator {
namespace {

namespace fs = std::filesystem;

class SubPath : public testing::Test {
 protected:
  SubPath() {
    std::string name = (fs::temp_directory_path() / "fairlead-subpath-XXXXXX").string();
    root_ = mkdtemp(name.data());
    fs::create_directories(volume());
    fs::create_directories(outside());
  }
  ~SubPath() override { fs::remove_all(root_); }

  std::string volume() const { return root_ + "/volume"; }
  std::string outside() const { return root_ + "/outside"; }
  // The real path of what was opened, below the folder of the test; else the error.
  std::string open(const std::string& path) {
    const Result<Place> place = open_in_volume(volume(), path);
    if (!place.ok()) return place.error().message();
    const std::string real = fs::read_symlink("/proc/self/fd/" + std::to_string(place->fd()));
    return real.starts_with(root_) ? real.substr(root_.size()) : real;
  }

  std::string root_;
};

TEST_F(SubPath, MakesFoldersWithTheVolumesMode) {
  ASSERT_EQ(chmod(volume().c_str(), 02777), 0);
  EXPECT_EQ(open("a/b//./c"), "/volume/a/b/c");
  for (const char* made : {"/a", "/a/b", "/a/b/c"}) {
    struct stat info {};
    ASSERT_EQ(stat((volume() + made).c_str(), &info), 0) << made;
    EXPECT_EQ(info.st_mode & 07777, 02777u) << made;
  }
  ASSERT_EQ(chmod((volume() + "/a").c_str(), 0700), 0);
  EXPECT_EQ(open("a"), "/volume/a");
  struct stat info {};
  ASSERT_EQ(stat((volume() + "/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u) << "what is there keeps its mode";
}

TEST_F(SubPath, FindsFilesAndFollowsLinksInside) {
  fs::create_directories(volume() + "/..v-1/sub");
  std::ofstream(volume() + "/..v-1/sub/key") << "value";
  fs::create_symlink("..v-1", volume() + "/..data");
  fs::create_symlink("..data/sub", volume() + "/sub");
  fs::create_symlink("../../..v-1/sub/key", volume() + "/..v-1/sub/up");
  EXPECT_EQ(open("sub/key"), "/volume/..v-1/sub/key");
  EXPECT_EQ(open("sub/up"), "/volume/..v-1/sub/key");
  EXPECT_EQ(open("sub/new"), "/volume/..v-1/sub/new");
}

TEST_F(SubPath, NothingIsMadeOutside) {
  fs::create_symlink(outside(), volume() + "/absolute");
  fs::create_symlink("../outside", volume() + "/relative");
  fs::create_symlink("/", volume() + "/slash");
  fs::create_symlink("../outside/later", volume() + "/dangling");
  for (const std::string path :
       {"absolute/x", "absolute", "relative/x/y", "relative", "slash/x", "dangling", "dangling/x",
        "../outside/x", "a/../../outside/x", "..", ""})
    EXPECT_NE(open(path).find("leaves the volume"), std::string::npos)
        << path << ": " << open(path);
  EXPECT_NE(open(outside() + "/x").find("leaves the volume"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(outside()));
  fs::create_symlink("missing", volume() + "/inside");
  EXPECT_NE(open("inside/x").find("open subPath \"inside\""), std::string::npos)
      << open("inside/x");
  std::ofstream(volume() + "/file") << "";
  EXPECT_NE(open("file/x").find("open subPath \"file/x\""), std::string::npos) << open("file/x");
}

// A container swaps a folder for a link while the node walks.
TEST_F(SubPath, ARaceDoesNotLeadOut) {
  std::atomic<bool> over = false;
  fs::create_directories(volume() + "/spare");
  std::thread swapper([&] {
    const std::string spot = volume() + "/spot", spare = volume() + "/spare";
    while (!over) {
      (void)rename(spare.c_str(), spot.c_str());
      (void)rename(spot.c_str(), spare.c_str());
      (void)symlink(outside().c_str(), spot.c_str());
      (void)unlink(spot.c_str());
    }
  });
  for (int i = 0; i < 2000; ++i) {
    const std::string got = open("spot/x" + std::to_string(i));
    EXPECT_FALSE(got.starts_with("/outside")) << got;
  }
  over = true;
  swapper.join();
  EXPECT_TRUE(fs::is_empty(outside()));
}

}  // namespace
}  // namespace fairlead::orchestrator
