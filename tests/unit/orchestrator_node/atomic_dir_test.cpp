// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/atomic_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {
namespace {

namespace fs = std::filesystem;

class AtomicDir : public testing::Test {
 protected:
  AtomicDir() {
    std::string name = (fs::temp_directory_path() / "fairlead-volume-XXXXXX").string();
    dir_ = mkdtemp(name.data());
  }
  ~AtomicDir() override { fs::remove_all(dir_); }

  // Whether it was a change.
  bool write(const std::vector<VolumeFile>& list) {
    const Result<bool> done = write_atomic_dir(dir_, list, std::nullopt);
    EXPECT_TRUE(done.ok()) << done.error().message();
    return done.ok() && *done;
  }
  std::string text(const std::string& name) const {
    const Result<std::string> content = files::read(dir_ + "/" + name);
    return content.ok() ? *content : "-none-";
  }
  std::string version() const { return fs::read_symlink(dir_ + "/..data").string(); }
  std::vector<std::string> shown() const {
    std::vector<std::string> names;
    for (const std::string& name : files::list(dir_))
      if (!name.starts_with("..")) names.push_back(name);
    return names;
  }
  size_t versions() const {
    size_t count = 0;
    for (const std::string& name : files::list(dir_)) count += name.starts_with("..v-") ? 1 : 0;
    return count;
  }

  std::string dir_;
};

using Names = std::vector<std::string>;

TEST_F(AtomicDir, ShowsFilesThroughLinks) {
  EXPECT_TRUE(write({{"a", "1", 0644}, {"sub/b", "2", 0400}, {"sub/deep/c", "", 0600}}));
  EXPECT_EQ(shown(), (Names{"a", "sub"}));
  EXPECT_EQ(text("a"), "1");
  EXPECT_EQ(text("sub/b"), "2");
  EXPECT_EQ(text("sub/deep/c"), "");
  EXPECT_EQ(fs::read_symlink(dir_ + "/a"), "..data/a");
  EXPECT_EQ(fs::read_symlink(dir_ + "/sub"), "..data/sub");
  struct stat info {};
  ASSERT_EQ(stat((dir_ + "/sub/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0400u);
}

TEST_F(AtomicDir, ChangesAllAtOnceOrNotAtAll) {
  EXPECT_TRUE(write({{"a", "1"}, {"b", "1"}}));
  const std::string first = version();
  EXPECT_FALSE(write({{"a", "1"}, {"b", "1"}}));
  EXPECT_EQ(version(), first) << "nobody is told of what did not change";
  const std::pair<const char*, std::vector<VolumeFile>> changes[] = {
      {"content", {{"a", "2"}, {"b", "1"}}},
      {"mode", {{"a", "2", 0600}, {"b", "1"}}},
      {"one more", {{"a", "2", 0600}, {"b", "1"}, {"c", "1"}}},
      {"one less", {{"b", "1"}, {"c", "1"}}},
      {"a folder for a file", {{"b/x", "1"}, {"c", "1"}}},
      {"nothing", {}},
      {"something again", {{"a", "3"}}},
  };
  for (const auto& [what, list] : changes) {
    const std::string before = version();
    EXPECT_TRUE(write(list)) << what;
    EXPECT_NE(version(), before) << what;
    EXPECT_EQ(versions(), 1u) << what << ": old versions go";
    EXPECT_FALSE(write(list)) << what;
  }
  EXPECT_EQ(shown(), Names{"a"});
}

// Both files always belong to one version for a reader that goes through ..data once.
TEST_F(AtomicDir, ReadersNeverSeeAMixture) {
  write({{"a", "0"}, {"b", "0"}});
  std::atomic<bool> stop{false};
  std::atomic<int> mixed{0}, seen{0};
  std::thread reader([&] {
    while (!stop) {
      std::error_code gone;
      const fs::path data = fs::read_symlink(dir_ + "/..data", gone);
      const auto a = files::read(dir_ / data / "a"), b = files::read(dir_ / data / "b");
      if (gone || !a.ok() || !b.ok()) continue;  // replaced meanwhile: as the kubelet's
      ++seen;
      if (*a != *b) ++mixed;
    }
  });
  for (int i = 1; i < 300 || seen < 10; ++i) {
    const std::string value = std::to_string(i);
    write({{"a", value}, {"b", value}});
    EXPECT_EQ(text("a"), value);
  }
  stop = true;
  reader.join();
  EXPECT_EQ(mixed, 0);
}

// Two sources of a projected volume may have a key in common.
TEST_F(AtomicDir, OfTwoFilesWithOnePathTheLastCounts) {
  EXPECT_TRUE(write({{"a", "first"}, {"b", "b"}, {"a", "last"}}));
  EXPECT_EQ(text("a"), "last");
  EXPECT_FALSE(write({{"a", "first"}, {"b", "b"}, {"a", "last"}})) << "no change";
  EXPECT_FALSE(write({{"b", "b"}, {"a", "last"}}));
}

TEST_F(AtomicDir, FinishesWhatACrashLeft) {
  write({{"a", "1"}, {"b", "1"}});
  // Killed after ..data was replaced: links are missing, others are stale, an old version is there.
  fs::remove(dir_ + "/b");
  fs::create_symlink("..data/gone", dir_ + "/gone");
  fs::create_directories(dir_ + "/..v-old/sub");
  fs::create_symlink("..v-old", dir_ + "/..link");
  EXPECT_FALSE(write({{"a", "1"}, {"b", "1"}}));
  EXPECT_EQ(shown(), (Names{"a", "b"}));
  EXPECT_EQ(text("b"), "1");
  EXPECT_EQ(versions(), 1u);
  // Killed before: a version that is not in force.
  fs::create_directories(dir_ + "/..v-new");
  EXPECT_TRUE(write({{"a", "2"}}));
  EXPECT_EQ(versions(), 1u);
  // A link to nowhere, as after a loss of power.
  fs::remove_all(dir_ + "/" + version());
  EXPECT_TRUE(write({{"a", "2"}}));
  EXPECT_EQ(text("a"), "2");
}

TEST_F(AtomicDir, TakesTheFormerLayoutOver) {
  ASSERT_TRUE(files::write_atomic(dir_ + "/a", "old").ok());
  ASSERT_TRUE(files::make_dirs(dir_ + "/sub").ok());
  ASSERT_TRUE(files::write_atomic(dir_ + "/sub/b", "old").ok());
  EXPECT_TRUE(write({{"a", "new"}, {"sub/b", "new"}}));
  EXPECT_EQ(text("a"), "new");
  EXPECT_EQ(text("sub/b"), "new");
}

TEST_F(AtomicDir, TheGroupMayRead) {
  const auto done = write_atomic_dir(dir_, {{"a", "1", 0400}}, getgid());
  ASSERT_TRUE(done.ok());
  struct stat info {};
  ASSERT_EQ(stat((dir_ + "/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0440u);
  EXPECT_EQ(info.st_gid, getgid());
  EXPECT_FALSE(*write_atomic_dir(dir_, {{"a", "1", 0400}}, getgid()));
}

TEST_F(AtomicDir, RefusesPathsThatLeaveIt) {
  for (const char* path :
       {"", "/a", "../a", "a/../b", "a/..", "a//b", "a/", "./a", "..data", "..x"}) {
    const auto done = write_atomic_dir(dir_, {{"good", "1"}, {path, "1"}}, std::nullopt);
    ASSERT_FALSE(done.ok()) << path;
    EXPECT_EQ(done.error().code(), ErrorCode::kInvalid) << path;
  }
  EXPECT_TRUE(files::list(dir_).empty());
  EXPECT_TRUE(write({{".hidden", "1"}, {"a..b/..c", "1"}}));
}

}  // namespace
}  // namespace fairlead::orchestrator
