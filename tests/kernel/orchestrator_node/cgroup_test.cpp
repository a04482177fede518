// SPDX-License-Identifier: Apache-2.0
// cgroup v2 as the kernel has it. Where its tree has no controllers, because v1 has them, the
// refusal is what is seen; under Debian's own kernel (scripts/test vm) all of it.
#include "orchestrator/node/cgroup.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <set>
#include <sstream>
#include <thread>

#include "orchestrator/node/files.h"
#include "orchestrator/node/qos_cgroups.h"

namespace fairlead::orchestrator {
namespace {

struct V2 {
  Cgroups cgroups;
  std::string mount_point;
  std::string path = "/fairlead-test-v2-" + std::to_string(getpid());

  std::string folder() const { return mount_point + path; }
  std::string read(const std::string& file) const {
    const Result<std::string> text = files::read(folder() + file);
    return text.ok() ? *text : text.error().message();
  }
  bool has_controllers() const {
    const Result<std::string> text = files::read(mount_point + "/cgroup.controllers");
    std::istringstream words(text.ok() ? *text : "");
    const std::set<std::string> names{std::istream_iterator<std::string>(words), {}};
    return names.contains("cpu") && names.contains("memory");
  }
};

// In a thread with a mount namespace of its own: containerd's mounts, which other tests of this
// process see, stay in theirs.
void with_v2(const std::function<void(const V2&)>& test) {
  std::thread([&] {
    char name[] = "/tmp/fairlead-cgroup-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(mount("none", name, "cgroup2", 0, nullptr), 0);
    V2 v2{Cgroups::parse(std::string("30 23 0:26 / ") + name + " rw - cgroup2 none rw\n"), name};
    ASSERT_TRUE(v2.cgroups.unified());
    test(v2);
    EXPECT_TRUE(v2.cgroups.kill_and_remove(v2.path).ok());
    EXPECT_FALSE(files::exists(v2.folder()));
    umount2(name, MNT_DETACH);
    rmdir(name);
  }).join();
}

// A process that waits in a cgroup, and is gone with this object.
class Sleeper {
 public:
  explicit Sleeper(const std::string& folder) : pid_(fork()) {
    if (pid_ == 0)
      for (;;) pause();
    if (pid_ > 0)
      EXPECT_TRUE(files::write_value(folder + "/cgroup.procs", std::to_string(pid_)).ok());
  }
  ~Sleeper() {
    if (pid_ <= 0) return;  // kill() takes -1 for every process there is
    kill(pid_, SIGKILL);
    wait_for_end();
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  // The signal that ended it.
  int wait_for_end() {
    if (pid_ <= 0) return 0;
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WTERMSIG(status);
  }
  bool is_alive() {
    int status = 0;
    if (pid_ > 0 && waitpid(pid_, &status, WNOHANG) != 0) pid_ = -1;
    return pid_ > 0;
  }

 private:
  pid_t pid_;
};

TEST(CgroupsV2, LimitsAreSetOrTheMissingControllerIsNamed) {
  with_v2([](const V2& v2) {
    const std::string pod = v2.path + "/burstable/podu";
    const Result<void> made = v2.cgroups.create(pod);
    if (!v2.has_controllers()) {
      ASSERT_FALSE(made.ok());
      EXPECT_EQ(made.error().code(), ErrorCode::kUnsupported);
      EXPECT_NE(made.error().message().find("the cgroup controller cpu is not available in " +
                                            v2.mount_point + ": "),
                std::string::npos)
          << made.error().message();
      EXPECT_FALSE(files::exists(v2.folder()));
      return;
    }
    ASSERT_TRUE(made.ok()) << made.error().message();
    const Result<void> set = v2.cgroups.set(pod, {1024, 50000, 64 << 20});
    ASSERT_TRUE(set.ok()) << set.error().message();
    const std::string weight = std::to_string(weight_of_shares(1024)) + "\n";
    EXPECT_EQ(v2.read("/burstable/podu/cpu.weight"), weight);
    EXPECT_EQ(v2.read("/burstable/podu/cpu.max"), "50000 100000\n");
    EXPECT_EQ(v2.read("/burstable/podu/memory.max"), "67108864\n");
    ASSERT_TRUE(v2.cgroups.create(pod).ok()) << "again, which changes nothing";
    ASSERT_TRUE(v2.cgroups.set(pod, {}).ok());
    EXPECT_EQ(v2.read("/burstable/podu/cpu.max"), "max 100000\n");
    EXPECT_EQ(v2.read("/burstable/podu/memory.max"), "max\n");
    EXPECT_TRUE(v2.cgroups.remove(pod).ok());
    EXPECT_FALSE(files::exists(v2.folder() + "/burstable/podu"));
    EXPECT_TRUE(files::exists(v2.folder() + "/burstable"));
  });
}

// In whatever hierarchies this machine has.
TEST(QosCgroups, WeighWhatTheirPodsAskFor) {
  Result<Cgroups> cgroups = Cgroups::detect();
  ASSERT_TRUE(cgroups.ok());
  const std::string root = "/fairlead-test-qos-" + std::to_string(getpid());
  QosCgroups classes(*cgroups, root, 4000);
  const auto weights = [&] {
    std::vector<int64_t> list;
    for (const Cgroups::Hierarchy& hierarchy : cgroups->hierarchies()) {
      if (!cgroups->unified() && !hierarchy.has("cpu")) continue;
      for (const char* name : {"", "/burstable", "/besteffort"}) {
        const auto text = files::read(hierarchy.mount_point + root + name +
                                      (cgroups->unified() ? "/cpu.weight" : "/cpu.shares"));
        list.push_back(text.ok() ? std::stoll(*text) : -1);
      }
    }
    return list;
  };
  const auto expected = [&](int64_t all, int64_t burstable, int64_t best_effort) {
    std::vector<int64_t> list{all, burstable, best_effort};
    if (cgroups->unified())
      for (int64_t& shares : list) shares = weight_of_shares(shares);
    return list;
  };
  ASSERT_TRUE(classes.update({}).ok());
  EXPECT_EQ(weights(), expected(4096, 2, 2));
  PodSpec pod;
  pod.containers.emplace_back();
  pod.containers.back().requests["cpu"] = 1500;
  ASSERT_TRUE(classes.update({&pod, &pod}).ok());
  EXPECT_EQ(weights(), expected(4096, 3072, 2));
  ASSERT_TRUE(classes.update({}).ok());
  EXPECT_EQ(weights(), expected(4096, 2, 2));
  EXPECT_TRUE(cgroups->remove(root).ok());
}

// The kernel enables nothing below a cgroup that has processes itself.
TEST(CgroupsV2, ARefusalOfTheKernelIsAnError) {
  with_v2([](const V2& v2) {
    if (!v2.has_controllers()) return;  // the test above sees the refusal there is
    ASSERT_TRUE(v2.cgroups.create(v2.path).ok());
    Sleeper sleeper(v2.folder());
    const Result<void> made = v2.cgroups.create(v2.path + "/podu");
    ASSERT_FALSE(made.ok());
    EXPECT_NE(made.error().message().find("cpu and memory cannot be enabled"), std::string::npos)
        << made.error().message();
    EXPECT_FALSE(files::exists(v2.folder() + "/podu"));
  });
}

TEST(CgroupsV2, WhatLivesBelowIsKilledAndAllRemoved) {
  with_v2([](const V2& v2) {
    const std::string inner = v2.folder() + "/pod/container";
    for (const std::string& folder : {v2.folder(), v2.folder() + "/pod", inner})
      ASSERT_EQ(mkdir(folder.c_str(), 0755), 0);
    Sleeper sleeper(inner), other(v2.mount_point);
    EXPECT_FALSE(v2.cgroups.remove(v2.path).ok());
    EXPECT_TRUE(v2.cgroups.kill_and_remove(v2.path).ok());
    EXPECT_EQ(sleeper.wait_for_end(), SIGKILL);
    EXPECT_TRUE(other.is_alive());
    EXPECT_FALSE(files::exists(v2.folder()));
    EXPECT_TRUE(v2.cgroups.kill_and_remove(v2.path).ok());
  });
}

// A controller that init left out of v1 gets a hierarchy, which goes when no cgroup is in it. Where
// none is left out (v2 alone; every controller has its place), nothing is mounted.
TEST(CgroupsV1, WhatWasLeftInV2IsMounted) {
  std::thread([] {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const std::string holder = "/fairlead-test-" + std::to_string(getpid());
    Result<Cgroups> before = Cgroups::detect();
    ASSERT_TRUE(before.ok());
    const bool obstacle = !before->crun_obstacle().empty();
    const Result<int> mounted = before->mount_left_in_v2();
    ASSERT_TRUE(mounted.ok()) << mounted.error().message();
    EXPECT_EQ(*mounted > 0, obstacle);
    if (*mounted == 0) return;
    const Result<Cgroups> now = Cgroups::detect();
    ASSERT_TRUE(now.ok());
    EXPECT_EQ(now->crun_obstacle(), "");
    ASSERT_TRUE(now->hold_ours(holder).ok());
    EXPECT_EQ(std::ranges::count_if(now->hierarchies(), &Cgroups::Hierarchy::ours), *mounted);
    const auto kept = now->unmount_ours();
    ASSERT_TRUE(kept.ok());
    EXPECT_EQ(kept->size(), static_cast<size_t>(*mounted)) << "they are in use";
    now->remove_empty(holder);
    const auto none = now->unmount_ours();
    ASSERT_TRUE(none.ok()) << none.error().message();
    EXPECT_TRUE(none->empty());
    const Result<Cgroups> after = Cgroups::detect();
    ASSERT_TRUE(after.ok());
    EXPECT_EQ(after->crun_obstacle(), before->crun_obstacle()) << "as it was";
    EXPECT_FALSE(after->crun_obstacle().empty());
    EXPECT_EQ(after->hierarchies().size(),
              now->hierarchies().size() - static_cast<size_t>(*mounted));
  }).join();
}

}  // namespace
}  // namespace fairlead::orchestrator
