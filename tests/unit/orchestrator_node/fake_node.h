// SPDX-License-Identifier: Apache-2.0
// One pod's worker between a runtime and an API server in memory, by a clock that is turned by
// hand. Volumes and logs are in a folder of its own.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "orchestrator/node/files.h"
#include "orchestrator/node/pod_worker.h"
#include "tests/unit/orchestrator_node/fake_cri.h"

namespace fairlead::orchestrator {

// Nobody is answered but by the test.
class SilentProbes : public ProbeRunner {
 public:
  struct Asked {
    ProbeSpec probe;
    ProbeTarget target;
    ProbeDone done;
  };
  std::unique_ptr<ProbeAttempt> run(const ProbeSpec& probe, const ProbeTarget& target,
                                    ProbeDone done) override {
    asked.push_back({probe, target, std::move(done)});
    return std::make_unique<ProbeAttempt>();
  }
  void answer(ProbeResult::Outcome outcome, const std::string& output = "") {
    const ProbeDone done = asked.back().done;  // it may ask again
    done({outcome, output});
  }
  std::vector<Asked> asked;
};

class StatusApi : public NodeApi {
 public:
  explicit StatusApi(Clock& clock) : clock_(clock) {}
  void patch_pod_status(const kube::ObjectKey&, const std::string&, const nlohmann::json& change,
                        JsonDone done) override {
    status.merge_patch(change);
    phases.push_back(status.value("phase", ""));
    later([this, done] { done(nlohmann::json{{"status", status}}); });
  }
  void delete_pod(const kube::ObjectKey&, const std::string&,
                  std::function<void(Result<void>)> done) override {
    deleted = true;
    later([done] { done(ok()); });
  }
  void get_object(const std::string&, const ObjectRef& reference,
                  std::function<void(Result<ObjectData>)> done) override {
    later([done, reference] { done(Error(ErrorCode::kNotFound, reference.to_string())); });
  }

  nlohmann::json status = nlohmann::json::object();
  std::vector<std::string> phases;
  bool deleted = false;

 private:
  void later(std::function<void()> task) {
    alarms_.push_back(clock_.after(Duration::zero(), std::move(task)));
  }
  Clock& clock_;
  std::vector<Alarm> alarms_;
};

struct EventList : EventSink {
  void record(const EventSubject&, const std::string& type, const std::string& reason,
              const std::string& message) override {
    list.push_back(type + " " + reason + ": " + message);
  }
  size_t count(const std::string& start) const {
    size_t found = 0;
    for (const std::string& line : list) found += line.starts_with(start) ? 1 : 0;
    return found;
  }
  std::vector<std::string> list;
};

class FakeNode : public testing::Test {
 protected:
  using Json = nlohmann::json;

  FakeNode() {
    std::string name = (std::filesystem::temp_directory_path() / "fairlead-pod-XXXXXX").string();
    root_ = mkdtemp(name.data());
    volumes_ = std::make_unique<Volumes>(root_);
    trash_ = std::make_unique<Trash>(volumes_->trash_dir());
    context_ = std::make_unique<PodContext>(PodContext{clock_,
                                                       cri_,
                                                       api_,
                                                       events_,
                                                       probes_,
                                                       *volumes_,
                                                       *trash_,
                                                       cgroups_,
                                                       "/test",
                                                       {root_ + "/log", root_ + "/links"},
                                                       root_ + "/resolv.conf",
                                                       root_ + "/resolved.conf",
                                                       {"10.96.0.10", "cluster.local"},
                                                       {"n", "192.0.2.1", {}, 2000, 1 << 30},
                                                       nullptr});
    pod_ = {{"metadata", {{"name", "p"}, {"namespace", "default"}, {"uid", "u"}}},
            {"spec", {{"containers", {{{"name", "c"}, {"image", "image:1"}}}}}}};
  }
  ~FakeNode() override {
    worker_.reset();
    trash_.reset();
    std::filesystem::remove_all(root_);
  }

  // The API object as pod_ and the status that was written last.
  void apply() {
    if (!worker_) worker_ = std::make_unique<PodWorker>(*context_, "u", [this] { over_ = true; });
    Result<PodSpec> spec = parse_pod(pod_);
    ASSERT_TRUE(spec.ok()) << spec.error().message();
    worker_->update(*std::move(spec), api_.status);
    turn(std::chrono::milliseconds(100));
  }
  void remove(int grace) {
    pod_["metadata"]["deletionTimestamp"] =
        format_time(clock_.wall_now() + std::chrono::seconds(grace));
    pod_["metadata"]["deletionGracePeriodSeconds"] = grace;
    apply();
  }
  // As a restart of fairlead.
  void restart() {
    worker_.reset();
    apply();
  }
  void turn(Duration span) { clock_.advance(span); }
  // A container ends by itself, and the runtime says so.
  void end(const std::string& id, int code) {
    cri_.end(id, code);
    worker_->task_ended(id);
    turn(std::chrono::milliseconds(100));
  }
  std::string phase() const { return api_.status.value("phase", ""); }
  Json container() const { return api_.status["containerStatuses"][0]; }
  std::string log_path(int attempt) const {
    return root_ + "/log/default_p_u/c/" + std::to_string(attempt) + ".log";
  }

  ManualClock clock_;
  FakeCri cri_{clock_};
  StatusApi api_{clock_};
  EventList events_;
  SilentProbes probes_;
  Cgroups cgroups_ = Cgroups::parse("");
  std::string root_;
  std::unique_ptr<Volumes> volumes_;
  std::unique_ptr<Trash> trash_;
  std::unique_ptr<PodContext> context_;
  std::unique_ptr<PodWorker> worker_;
  Json pod_;
  bool over_ = false;
};

}  // namespace fairlead::orchestrator
