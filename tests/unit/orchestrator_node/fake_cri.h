// SPDX-License-Identifier: Apache-2.0
// A container runtime in memory: what is made is there at once, runs until the test says otherwise,
// and every call is answered in the clock's next moment.
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "orchestrator/node/cri.h"

namespace fairlead::orchestrator {

class FakeCri : public Cri {
 public:
  explicit FakeCri(Clock& clock) : clock_(clock) {}

  void version(CriDone<RuntimeVersion> done) override {
    reply<RuntimeVersion>("version", std::move(done), [] {
      return RuntimeVersion{"containerd", "1.6"};
    });
  }
  void status(CriDone<RuntimeStatus> done) override {
    reply<RuntimeStatus>("status", std::move(done), [] { return RuntimeStatus{true, true, ""}; });
  }

  void run_sandbox(const SandboxConfig& config, CriDone<std::string> done) override {
    reply<std::string>("run_sandbox", std::move(done), [this, config] {
      dns = config.dns;
      sandboxes.push_back({"s" + std::to_string(config.attempt),
                           config.name,
                           config.uid,
                           config.ns,
                           config.attempt,
                           true,
                           clock_.wall_now(),
                           {"10.0.0.2"}});
      return sandboxes.back().id;
    });
  }
  void stop_sandbox(const std::string& id, CriDone<void> done) override {
    reply<void>("stop_sandbox", std::move(done), [this, id] {
      for (SandboxInfo& sandbox : sandboxes)
        if (sandbox.id == id) sandbox.ready = false;
      return ok();
    });
  }
  void remove_sandbox(const std::string& id, CriDone<void> done) override {
    reply<void>("remove_sandbox", std::move(done), [this, id] {
      std::erase_if(sandboxes, [&](const SandboxInfo& s) { return s.id == id; });
      std::erase_if(containers, [&](const ContainerInfo& c) { return c.sandbox_id == id; });
      return ok();
    });
  }
  void sandbox_status(const std::string& id, CriDone<SandboxInfo> done) override {
    reply<SandboxInfo>("sandbox_status", std::move(done), [this, id]() -> Result<SandboxInfo> {
      for (const SandboxInfo& sandbox : sandboxes)
        if (sandbox.id == id) return sandbox;
      return Error(ErrorCode::kNotFound, id);
    });
  }
  void list_sandboxes(const std::string&, CriDone<std::vector<SandboxInfo>> done) override {
    reply<std::vector<SandboxInfo>>("list_sandboxes", std::move(done), [this] {
      std::vector<SandboxInfo> list = sandboxes;  // as CRI's lists: without addresses
      for (SandboxInfo& sandbox : list) sandbox.ips.clear();
      return list;
    });
  }

  void create_container(const std::string& sandbox_id, const ContainerConfig& config,
                        const SandboxConfig& sandbox, CriDone<std::string> done) override {
    reply<std::string>("create_container", std::move(done), [this, sandbox_id, config, sandbox] {
      ContainerInfo info;
      info.id = config.name + std::to_string(config.attempt);
      info.sandbox_id = sandbox_id;
      info.name = config.name;
      info.pod_uid = sandbox.uid;
      info.attempt = config.attempt;
      info.state = ContainerState::kCreated;
      info.created_at = clock_.wall_now();
      info.annotations = config.annotations;
      containers.push_back(info);
      return info.id;
    });
  }
  void start_container(const std::string& id, CriDone<void> done) override {
    reply<void>("start_container", std::move(done), [this, id]() -> Result<void> {
      ContainerInfo& info = *find(id);
      info.started_at = clock_.wall_now();
      if (unstartable) {
        end(id, 128);
        return Error(ErrorCode::kInternal, "no such program");
      }
      info.state = ContainerState::kRunning;
      return ok();
    });
  }
  void stop_container(const std::string& id, Duration grace, CriDone<void> done) override {
    graces.push_back(grace);
    if (silent_stop) return;
    reply<void>("stop_container", std::move(done), [this, id] {
      end(id, exit_on_stop);
      return ok();
    });
  }
  void remove_container(const std::string& id, CriDone<void> done) override {
    reply<void>("remove_container", std::move(done), [this, id] {
      std::erase_if(containers, [&](const ContainerInfo& c) { return c.id == id; });
      return ok();
    });
  }
  void container_status(const std::string& id, CriDone<ContainerInfo> done) override {
    reply<ContainerInfo>("container_status", std::move(done),
                         [this, id]() -> Result<ContainerInfo> {
                           if (const ContainerInfo* info = find(id)) return *info;
                           return Error(ErrorCode::kNotFound, id);
                         });
  }
  void list_containers(const std::string&, CriDone<std::vector<ContainerInfo>> done) override {
    reply<std::vector<ContainerInfo>>("list_containers", std::move(done), [this] {
      std::vector<ContainerInfo> list = containers;  // as CRI's lists: without how they ended
      for (ContainerInfo& info : list) {
        info.started_at = info.finished_at = WallTime();
        info.exit_code = 0;
        info.reason = info.log_path = "";
        info.annotations.clear();
      }
      return list;
    });
  }
  void reopen_log(const std::string&, CriDone<void> done) override {
    reply<void>("reopen_log", std::move(done), [] { return ok(); });
  }
  void exec(const std::string&, const std::vector<std::string>&, Duration,
            CriDone<ExecResult> done) override {
    reply<ExecResult>("exec", std::move(done), [] { return ExecResult(); });
  }

  void image_status(const std::string& image, CriDone<std::optional<ImageInfo>> done) override {
    reply<std::optional<ImageInfo>>("image_status", std::move(done),
                                    [this, image]() -> std::optional<ImageInfo> {
                                      if (absent.contains(image)) return std::nullopt;
                                      ImageInfo info;
                                      info.id = "sha256:" + image;
                                      return info;
                                    });
  }
  // Nothing absent can be pulled; `silent`: no answer ever comes.
  void pull_image(const std::string& image, const RegistryLogin&,
                  CriDone<std::string> done) override {
    calls.push_back("pull_image " + image);
    if (silent) return;
    reply<std::string>("pull_image", std::move(done), [this, image]() -> Result<std::string> {
      if (absent.contains(image)) return Error(ErrorCode::kNotFound, "no such image");
      return image;
    });
  }
  void subscribe(std::function<void(const RuntimeEvent&)>, std::function<void()>) override {}

  ContainerInfo* find(const std::string& id) {
    for (ContainerInfo& info : containers)
      if (info.id == id) return &info;
    return nullptr;
  }
  void end(const std::string& id, int code) {
    ContainerInfo* info = find(id);
    if (info == nullptr || info->state == ContainerState::kExited) return;
    info->state = ContainerState::kExited;
    info->exit_code = code;
    info->finished_at = clock_.wall_now();
  }

  std::vector<SandboxInfo> sandboxes;
  std::vector<ContainerInfo> containers;
  std::vector<std::string> calls;  // names, in order
  std::vector<Duration> graces;    // of stop_container
  std::set<std::string> absent;    // images
  std::set<std::string> failing;   // names of calls that are not answered in time
  bool down = false;               // none is
  bool silent = false;
  bool silent_stop = false;  // as a container that does not want to end
  DnsConfig dns;             // of the last sandbox
  bool unstartable = false;
  int exit_on_stop = 0;

 private:
  template <typename T>
  void reply(const char* call, CriDone<T> done, std::function<Result<T>()> make) {
    calls.push_back(call);
    alarms_.push_back(clock_.after(
        Duration::zero(), [this, call, done = std::move(done), make = std::move(make)] {
          if (down || failing.contains(call))
            return done(Error(ErrorCode::kTimeout, std::string(call) + ": no answer"));
          done(make());
        }));
  }

  Clock& clock_;
  std::vector<Alarm> alarms_;
};

}  // namespace fairlead::orchestrator
