// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

namespace fairlead {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string name = (fs::temp_directory_path() / "fairlead-file-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~FileTest() override { fs::remove_all(directory_); }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  void put(const std::string& name, std::string_view text) {
    const auto written = write_file_atomic(path(name), text, 0600);
    ASSERT_TRUE(written.ok()) << written.error().message();
  }
  std::string directory_;
};

TEST_F(FileTest, WritesAndReadsBack) {
  const std::string bytes("a\0b\n", 4);
  ASSERT_TRUE(write_file_atomic(path("f"), bytes, 0640).ok());
  struct stat status {};
  ASSERT_EQ(stat(path("f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
  const auto read = read_file(path("f"), 4);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, bytes);
  put("f", "shorter");
  EXPECT_EQ(*read_file(path("f"), 100), "shorter");
  ASSERT_TRUE(write_file_atomic(path("f"), "fleeting", 0600, Durability::kUnsynced).ok());
  EXPECT_EQ(*read_file(path("f"), 100), "fleeting");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1) << "no temporary file stays";
}

TEST_F(FileTest, ReadsFilesWithoutASize) {
  const auto read = read_file("/proc/self/status", 1 << 20);
  ASSERT_TRUE(read.ok());
  EXPECT_NE(read->find("Pid:"), std::string::npos);
}

TEST_F(FileTest, ErrorsNameTheFile) {
  put("f", "12345");
  EXPECT_EQ(read_file(path("f"), 4).error().code(), ErrorCode::kResourceExhausted);
  const auto missing = read_file(path("none"), 4);
  ASSERT_FALSE(missing.ok());
  EXPECT_TRUE(missing.error().is_not_found());
  EXPECT_EQ(missing.error().message(), "open " + path("none") + ": No such file or directory");
  EXPECT_FALSE(read_file(directory_, 4).ok());
  EXPECT_TRUE(write_file_atomic(path("none/f"), "x", 0600).error().is_not_found());
  ASSERT_TRUE(make_directories(path("taken/sub"), 0755).ok());
  EXPECT_FALSE(write_file_atomic(path("taken"), "x", 0600).ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 2) << "no temporary file stays";
}

TEST_F(FileTest, MakesDirectories) {
  EXPECT_TRUE(make_directories(path("a/b//c/"), 0755).ok());
  EXPECT_TRUE(make_directories(path("a/b/c"), 0755).ok());
  EXPECT_TRUE(fs::is_directory(path("a/b/c")));
  put("a/file", "x");
  const auto blocked = make_directories(path("a/file/d"), 0755);
  ASSERT_FALSE(blocked.ok());
  EXPECT_NE(blocked.error().message().find("a/file"), std::string::npos);
  EXPECT_FALSE(make_directories("", 0755).ok());
}

TEST_F(FileTest, WatchSeesEveryWayOfChanging) {
  struct Case {
    const char* name;
    std::function<void()> prepare;
    std::function<void()> change;
    std::string watched;
  };
  const Case cases[] = {
      {"replaced by rename", [&] { put("f", "1"); }, [&] { put("f", "2"); }, "f"},
      {"rewritten in place", [&] { put("g", "1"); },
       [&] {
         FILE* f = fopen(path("g").c_str(), "w");
         fputs("22", f);
         fclose(f);
       },
       "g"},
      {"appears", [] {}, [&] { put("h", "1"); }, "h"},
      {"its directory appears", [] {},
       [&] {
         fs::create_directory(path("d"));
         put("d/f", "1");
       },
       "d/f"},
      {"its directory is another",
       [&] {
         fs::create_directory(path("e"));
         put("e/f", "1");
       },
       [&] {
         fs::rename(path("e"), path("old"));
         fs::create_directory(path("e"));
         put("e/f", "2");
       },
       "e/f"},
      {"the ..data link of a Kubernetes volume is swapped",
       [&] {
         fs::create_directories(path("v/..1"));
         put("v/..1/tls.crt", "1");
         fs::create_symlink("..1", path("v/..data"));
         fs::create_symlink("..data/tls.crt", path("v/tls.crt"));
       },
       [&] {
         fs::create_directories(path("v/..2"));
         put("v/..2/tls.crt", "2");
         fs::create_symlink("..2", path("v/..tmp"));
         fs::rename(path("v/..tmp"), path("v/..data"));
         fs::remove_all(path("v/..1"));
       },
       "v/tls.crt"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Loop loop;
    c.prepare();
    int calls = 0;
    FileWatch watch(
        loop, path(c.watched), [&] { ++calls; }, milliseconds(200));
    loop.run_until([] { return false; }, milliseconds(20));
    EXPECT_EQ(calls, 0);
    c.change();
    EXPECT_TRUE(loop.run_until([&] { return calls > 0; }, seconds(20)));
  }
}

TEST_F(FileTest, WatchIsQuickWithoutThePoll) {
  Loop loop;
  put("f", "1");
  int calls = 0;
  FileWatch watch(
      loop, path("f"), [&] { ++calls; }, std::chrono::hours(1));
  loop.run_until([] { return false; }, milliseconds(20));
  for (int i = 0; i < 10; ++i) put("f", "burst");
  EXPECT_TRUE(loop.run_until([&] { return calls > 0; }, seconds(20)));
  EXPECT_EQ(calls, 1) << "a burst gives one call";
  put("other", "x");
  loop.run_until([] { return false; }, milliseconds(150));
  EXPECT_EQ(calls, 1) << "another file is none of our business";
}

TEST_F(FileTest, WatchMayBeDestroyedInItsCallback) {
  Loop loop;
  put("f", "1");
  std::unique_ptr<FileWatch> watch;
  watch = std::make_unique<FileWatch>(loop, path("f"), [&] { watch.reset(); });
  loop.run_until([] { return false; }, milliseconds(20));
  put("f", "2");
  EXPECT_TRUE(loop.run_until([&] { return watch == nullptr; }, seconds(20)));
}

}  // namespace
}  // namespace fairlead
