// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/cri.h"

#include <algorithm>

#include "cri.pb.h"
#include "orchestrator/node/cri_messages.h"
#include "orchestrator/node/grpc_channel.h"
#include "orchestrator/node/runtime_events.h"

namespace fairlead::orchestrator {

namespace cri = ::runtime::v1;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

// Deadlines: what only reads, what starts or stops processes, and what may fetch from afar.
constexpr Duration kReadLimit = seconds(10);
constexpr Duration kWorkLimit = minutes(2);
// A large image over a slow line takes hours, and the kubelet sets no limit at all.
constexpr Duration kPullLimit = std::chrono::hours(24);

// Answers that say the runtime's shim or object vanished between our look and our call.
bool already_gone(const Error& error) {
  return error.is_not_found() || error.message().find("not found") != std::string::npos;
}

bool is_for_users(std::string_view method) {
  static constexpr std::string_view kMethods[] = {
      "RuntimeService/RunPodSandbox", "RuntimeService/CreateContainer",
      "RuntimeService/StartContainer", "RuntimeService/ExecSync", "ImageService/PullImage"};
  return std::find(std::begin(kMethods), std::end(kMethods), method) != std::end(kMethods);
}

google::protobuf::Map<std::string, std::string> our_labels(const std::string& pod_uid) {
  google::protobuf::Map<std::string, std::string> labels;
  labels[kLabelOurs] = "true";
  if (!pod_uid.empty()) labels[kLabelPodUid] = pod_uid;
  return labels;
}

}  // namespace

class CriClient::Impl {
 public:
  Impl(Loop& loop, const std::string& socket_path)
      : channel(loop, socket_path), events(loop, channel) {}

  // Sends `request` to SERVICE/METHOD and hands the parsed reply to `done`. An error names the
  // method, but for those that users are told: they read what the runtime said, as with a kubelet.
  template <typename Reply, typename Request>
  void call(const char* method, const Request& request, Duration limit, CriDone<Reply> done) {
    channel.call(
        std::string("/runtime.v1.") + method, request.SerializeAsString(), limit,
        [method, done = std::move(done)](Result<std::string> bytes) {
          if (!bytes.ok())
            return done(is_for_users(method) ? bytes.error() : bytes.error().with_context(method));
          Reply reply;
          if (!reply.ParseFromString(*bytes))
            return done(Error(ErrorCode::kInternal,
                              std::string(method) + ": the runtime's answer is no CRI v1"));
          done(std::move(reply));
        });
  }
  template <typename Request>
  void call_void(const char* method, const Request& request, Duration limit, CriDone<void> done) {
    call<cri::Empty>(method, request, limit, [done = std::move(done)](Result<cri::Empty> reply) {
      done(reply.ok() ? ok() : Result<void>(reply.error()));
    });
  }
  // For stopping and removing: what is gone already is success.
  template <typename Request>
  void call_until_gone(const char* method, const Request& request, Duration limit,
                       CriDone<void> done) {
    call_void(method, request, limit, [done = std::move(done)](Result<void> result) {
      done(!result.ok() && already_gone(result.error()) ? ok() : result);
    });
  }

  GrpcChannel channel;
  RuntimeEvents events;
};

CriClient::CriClient(Loop& loop, const std::string& socket_path)
    : impl_(std::make_unique<Impl>(loop, socket_path)) {}
CriClient::~CriClient() = default;

void CriClient::version(CriDone<RuntimeVersion> done) {
  impl_->call<cri::VersionResponse>(
      "RuntimeService/Version", cri::VersionRequest(), kReadLimit,
      [done = std::move(done)](Result<cri::VersionResponse> reply) {
        if (!reply.ok()) return done(reply.error());
        done(RuntimeVersion{reply->runtime_name(), reply->runtime_version()});
      });
}

void CriClient::status(CriDone<RuntimeStatus> done) {
  impl_->call<cri::StatusResponse>("RuntimeService/Status", cri::StatusRequest(), kReadLimit,
                                   [done = std::move(done)](Result<cri::StatusResponse> reply) {
                                     if (!reply.ok()) return done(reply.error());
                                     done(from_message(*reply));
                                   });
}

void CriClient::run_sandbox(const SandboxConfig& config, CriDone<std::string> done) {
  cri::RunPodSandboxRequest request;
  to_message(config, request.mutable_config());
  impl_->call<cri::RunPodSandboxResponse>(
      "RuntimeService/RunPodSandbox", request, kWorkLimit,
      [done = std::move(done)](Result<cri::RunPodSandboxResponse> reply) {
        if (!reply.ok()) return done(reply.error());
        done(reply->pod_sandbox_id());
      });
}

void CriClient::stop_sandbox(const std::string& id, CriDone<void> done) {
  cri::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  impl_->call_until_gone("RuntimeService/StopPodSandbox", request, kWorkLimit, std::move(done));
}

void CriClient::remove_sandbox(const std::string& id, CriDone<void> done) {
  cri::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  impl_->call_until_gone("RuntimeService/RemovePodSandbox", request, kWorkLimit, std::move(done));
}

void CriClient::sandbox_status(const std::string& id, CriDone<SandboxInfo> done) {
  cri::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(id);
  impl_->call<cri::PodSandboxStatusResponse>(
      "RuntimeService/PodSandboxStatus", request, kReadLimit,
      [done = std::move(done)](Result<cri::PodSandboxStatusResponse> reply) {
        if (!reply.ok()) return done(reply.error());
        done(from_message(reply->status()));
      });
}

void CriClient::list_sandboxes(const std::string& pod_uid, CriDone<std::vector<SandboxInfo>> done) {
  cri::ListPodSandboxRequest request;
  *request.mutable_filter()->mutable_label_selector() = our_labels(pod_uid);
  impl_->call<cri::ListPodSandboxResponse>(
      "RuntimeService/ListPodSandbox", request, kReadLimit,
      [done = std::move(done)](Result<cri::ListPodSandboxResponse> reply) {
        if (!reply.ok()) return done(reply.error());
        std::vector<SandboxInfo> found;
        for (const auto& item : reply->items()) found.push_back(from_message(item));
        done(std::move(found));
      });
}

void CriClient::create_container(const std::string& sandbox_id, const ContainerConfig& config,
                                 const SandboxConfig& sandbox, CriDone<std::string> done) {
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(sandbox_id);
  to_message(config, request.mutable_config());
  to_message(sandbox, request.mutable_sandbox_config());
  impl_->call<cri::CreateContainerResponse>(
      "RuntimeService/CreateContainer", request, kWorkLimit,
      [done = std::move(done)](Result<cri::CreateContainerResponse> reply) {
        if (!reply.ok()) return done(reply.error());
        done(reply->container_id());
      });
}

void CriClient::start_container(const std::string& id, CriDone<void> done) {
  cri::StartContainerRequest request;
  request.set_container_id(id);
  impl_->call_void("RuntimeService/StartContainer", request, kWorkLimit, std::move(done));
}

void CriClient::stop_container(const std::string& id, Duration grace, CriDone<void> done) {
  cri::StopContainerRequest request;
  request.set_container_id(id);
  request.set_timeout(std::chrono::ceil<seconds>(grace).count());
  impl_->call_until_gone("RuntimeService/StopContainer", request, grace + kWorkLimit,
                         std::move(done));
}

void CriClient::remove_container(const std::string& id, CriDone<void> done) {
  cri::RemoveContainerRequest request;
  request.set_container_id(id);
  impl_->call_until_gone("RuntimeService/RemoveContainer", request, kWorkLimit, std::move(done));
}

void CriClient::container_status(const std::string& id, CriDone<ContainerInfo> done) {
  cri::ContainerStatusRequest request;
  request.set_container_id(id);
  impl_->call<cri::ContainerStatusResponse>(
      "RuntimeService/ContainerStatus", request, kReadLimit,
      [done = std::move(done)](Result<cri::ContainerStatusResponse> reply) {
        if (!reply.ok()) return done(reply.error());
        done(from_message(reply->status()));
      });
}

void CriClient::list_containers(const std::string& pod_uid,
                                CriDone<std::vector<ContainerInfo>> done) {
  cri::ListContainersRequest request;
  *request.mutable_filter()->mutable_label_selector() = our_labels(pod_uid);
  impl_->call<cri::ListContainersResponse>(
      "RuntimeService/ListContainers", request, kReadLimit,
      [done = std::move(done)](Result<cri::ListContainersResponse> reply) {
        if (!reply.ok()) return done(reply.error());
        std::vector<ContainerInfo> found;
        for (const auto& item : reply->containers()) found.push_back(from_message(item));
        done(std::move(found));
      });
}

void CriClient::reopen_log(const std::string& id, CriDone<void> done) {
  cri::ReopenContainerLogRequest request;
  request.set_container_id(id);
  impl_->call_void("RuntimeService/ReopenContainerLog", request, kReadLimit, std::move(done));
}

void CriClient::exec(const std::string& id, const std::vector<std::string>& command, Duration limit,
                     CriDone<ExecResult> done) {
  cri::ExecSyncRequest request;
  request.set_container_id(id);
  for (const std::string& word : command) request.add_cmd(word);
  request.set_timeout(std::chrono::ceil<seconds>(limit).count());
  impl_->call<cri::ExecSyncResponse>(
      "RuntimeService/ExecSync", request, limit + seconds(5),
      [done = std::move(done)](Result<cri::ExecSyncResponse> reply) {
        if (!reply.ok()) return done(reply.error());
        done(ExecResult{reply->exit_code(), reply->standard_output() + reply->standard_error()});
      });
}

void CriClient::image_status(const std::string& image, CriDone<std::optional<ImageInfo>> done) {
  cri::ImageStatusRequest request;
  request.mutable_image()->set_image(image);
  impl_->call<cri::ImageStatusResponse>(
      "ImageService/ImageStatus", request, kReadLimit,
      [done = std::move(done)](Result<cri::ImageStatusResponse> reply) {
        if (!reply.ok()) return done(reply.error());
        if (!reply->has_image()) return done(std::optional<ImageInfo>());
        done(std::optional<ImageInfo>(from_message(reply->image())));
      });
}

void CriClient::pull_image(const std::string& image, const RegistryLogin& login,
                           CriDone<std::string> done) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image(image);
  if (!(login == RegistryLogin())) {
    request.mutable_auth()->set_username(login.user);
    request.mutable_auth()->set_password(login.password);
    request.mutable_auth()->set_identity_token(login.identity_token);
  }
  impl_->call<cri::PullImageResponse>(
      "ImageService/PullImage", request, kPullLimit,
      [done = std::move(done)](Result<cri::PullImageResponse> reply) {
        if (!reply.ok()) return done(reply.error());
        done(reply->image_ref());
      });
}

void CriClient::subscribe(std::function<void(const RuntimeEvent&)> on_event,
                          std::function<void()> on_gap) {
  impl_->events.subscribe(std::move(on_event), std::move(on_gap));
}

}  // namespace fairlead::orchestrator
