// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/registration.h"

#include "base/log.h"
#include "orchestrator/node/status_compare.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator {

namespace {
using json::Json;
using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr char kCore[] = "/api/v1";
constexpr char kCoordination[] = "/apis/coordination.k8s.io/v1";
constexpr char kLeaseNamespace[] = "kube-node-lease";
constexpr Duration kHeartbeat = seconds(10);
// A node that was cut off is soon heard again, before much is done about its silence.
constexpr Duration kLeaseRetry = seconds(1);
// A runtime that restarts is no reason to evict pods: they go on meanwhile (kubelet runtimeState).
constexpr Duration kDownLimit = seconds(30);
}  // namespace

NodeRegistration::NodeRegistration(Clock& clock, Cri& cri, kube::ApiClient& client, NodeInfo info,
                                   Cidr cluster_cidr, std::optional<Cidr> pod_cidr,
                                   Callbacks callbacks)
    : clock_(clock),
      cri_(cri),
      calls_(client),
      info_(std::move(info)),
      cluster_cidr_(cluster_cidr),
      pod_cidr_(pod_cidr),
      callbacks_(std::move(callbacks)) {}
NodeRegistration::~NodeRegistration() = default;

void NodeRegistration::start() {
  find();
  check_runtime();
}

void NodeRegistration::retry(const Error& error, std::function<void()> what) {
  log::debug("registering the node, trying again: {}", error.message());
  retry_ = clock_.after(error.is(ErrorCode::kUnavailable) ? milliseconds(100) : milliseconds(1000),
                        std::move(what));
}

void NodeRegistration::find() {
  kube::ApiRequest request;
  request.path = kube::resource_path(kCore, "nodes", "", info_.name);
  calls_.send(std::move(request), [this](Result<Json> node) {
    if (node.ok()) return adopt(*node);
    if (!node.error().is_not_found()) return retry(node.error(), [this] { find(); });
    if (pod_cidr_) return create();
    kube::ApiRequest list;
    list.path = kube::resource_path(kCore, "nodes");
    calls_.send(std::move(list), [this](Result<Json> nodes) {
      if (!nodes.ok()) return retry(nodes.error(), [this] { find(); });
      choose_range(*nodes);
    });
  });
}

void NodeRegistration::choose_range(const Json& nodes) {
  std::vector<Cidr> taken;
  for (const Json& node : json::items(nodes, "items"))
    if (const auto cidr = Cidr::parse(json::text(json::member(node, "spec"), "podCIDR")); cidr.ok())
      taken.push_back(*cidr);
  const Result<Cidr> chosen = choose_pod_cidr(cluster_cidr_, taken);
  if (!chosen.ok()) {
    log::error("{}", chosen.error().message());
    retry_ = clock_.after(seconds(10), [this] { find(); });
    return;
  }
  pod_cidr_ = *chosen;
  create();
}

void NodeRegistration::create() {
  kube::ApiRequest request;
  request.method = "POST";
  request.path = kube::resource_path(kCore, "nodes");
  request.body = node_object(info_, pod_cidr_->to_string()).dump();
  calls_.send(std::move(request), [this](Result<Json> node) {
    if (!node.ok()) return retry(node.error(), [this] { find(); });
    adopt(*node);
  });
}

// The object is there: its range is ours from now on.
void NodeRegistration::adopt(const Json& node) {
  const Json& spec = json::member(node, "spec");
  if (const auto cidr = Cidr::parse(json::text(spec, "podCIDR")); cidr.ok()) pod_cidr_ = *cidr;
  if (!pod_cidr_) {
    log::error("node {} has no podCIDR; delete the Node object to have it made again", info_.name);
    retry_ = clock_.after(seconds(10), [this] { find(); });
    return;
  }
  seen(node);
  registered_ = true;
  callbacks_.on_pod_cidr(*pod_cidr_);
  renew_lease();
  write_status();
}

void NodeRegistration::check_runtime() {
  check_ = clock_.after(kHeartbeat, [this] { check_runtime(); });
  cri_.status([this, guard = std::weak_ptr<bool>(alive_)](Result<RuntimeStatus> status) {
    if (guard.expired()) return;
    RuntimeStatus seen = status.ok()
                             ? *std::move(status)
                             : RuntimeStatus{false, false, "the container runtime does not answer"};
    const bool good = seen.runtime_ready && seen.network_ready;
    if (good)
      good_at_ = clock_.now();
    else
      check_ = clock_.after(milliseconds(ready() ? 500 : 100), [this] { check_runtime(); });
    if (!good && ready() && clock_.now() - good_at_ < kDownLimit) return;
    runtime_ = std::move(seen);
    if (!runtime_known_ && runtime_.runtime_ready) {
      cri_.version([this, guard](Result<RuntimeVersion> version) {
        if (guard.expired() || !version.ok()) return;
        info_.runtime = *std::move(version);
        runtime_known_ = true;
        write_status();
      });
      return;
    }
    write_status();
  });
}

// As the server has it now.
void NodeRegistration::seen(const Json& node) {
  const Json& metadata = json::member(node, "metadata");
  uid_ = json::text(metadata, "uid");
  labels_ = json::member(metadata, "labels");
  status_ = json::member(node, "status");
}

void NodeRegistration::look() {
  if (!registered_ || writing_) return;
  kube::ApiRequest request;
  request.path = kube::resource_path(kCore, "nodes", "", info_.name);
  calls_.send(std::move(request), [this](Result<Json> node) {
    if (!registered_ || writing_) return;  // an answer to a write is newer
    if (!node.ok()) {
      if (!node.error().is_not_found()) return;
      registered_ = false;
      return find();
    }
    if (json::text(json::member(*node, "metadata"), "uid") != uid_) return adopt(*node);
    seen(*node);
    write_status();
  });
}

bool NodeRegistration::is_told(const Json& status) const {
  if (written_.is_null() || !contains_members(labels_, node_labels(info_))) return false;
  return (status == written_ && status_ == accepted_) || contains_status(status_, status);
}

void NodeRegistration::write_status() {
  if (!registered_ || writing_ || !runtime_known_) return;
  const Json status = node_status(info_, runtime_, status_, clock_.wall_now());
  const bool ready = runtime_.runtime_ready && runtime_.network_ready;
  if (is_told(status)) return report(ready);
  writing_ = true;
  kube::ApiRequest request;
  request.method = "PATCH";
  request.path = kube::resource_path(kCore, "nodes", "", info_.name, "status");
  request.content_type = "application/strategic-merge-patch+json";
  request.body = node_status_patch(info_, status).dump();
  calls_.send(std::move(request), [this, status, ready](Result<Json> node) {
    writing_ = false;
    if (!node.ok()) {
      if (node.error().is_not_found()) registered_ = false;
      return retry(node.error(), [this] { registered_ ? write_status() : find(); });
    }
    seen(*node);
    written_ = status;
    accepted_ = status_;
    report(ready);
    // A server that keeps the labels as they are is told again at the next look.
    if (contains_members(labels_, node_labels(info_))) write_status();
  });
}

void NodeRegistration::report(bool ready) {
  if (std::exchange(reported_ready_, ready) != std::optional<bool>(ready))
    callbacks_.on_ready(ready);
}

void NodeRegistration::renew_lease() {
  lease_ = clock_.after(kHeartbeat, [this] { renew_lease(); });
  const Json object = lease_object(info_.name, clock_.wall_now());
  kube::ApiRequest request;
  request.method = lease_exists_ ? "PATCH" : "POST";
  request.path = lease_exists_
                     ? kube::resource_path(kCoordination, "leases", kLeaseNamespace, info_.name)
                     : kube::resource_path(kCoordination, "leases", kLeaseNamespace);
  if (lease_exists_) request.content_type = "application/merge-patch+json";
  request.body = (lease_exists_ ? Json{{"spec", object["spec"]}} : object).dump();
  calls_.send(std::move(request), [this](Result<Json> lease) {
    if (lease.ok()) {
      lease_exists_ = true;
      lease_failing_ = false;
      return look();
    }
    Duration again = milliseconds(200);
    if (lease.error().is_already_exists()) {
      lease_exists_ = true;
    } else if (lease.error().is_not_found()) {
      lease_exists_ = false;
    } else {
      if (!std::exchange(lease_failing_, true))
        log::warn("the node's lease could not be renewed: {}", lease.error().message());
      again = kLeaseRetry;
    }
    lease_ = clock_.after(again, [this] { renew_lease(); });
  });
}

}  // namespace fairlead::orchestrator
