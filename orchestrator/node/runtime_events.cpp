// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/runtime_events.h"

#include <algorithm>

#include "base/log.h"
#include "containerd_events.pb.h"

namespace fairlead::orchestrator {

namespace events = ::containerd::services::events::v1;

namespace {
constexpr Duration kMinBackoff = std::chrono::milliseconds(200);
constexpr Duration kMaxBackoff = std::chrono::seconds(5);
constexpr char kPodNamespace[] = "k8s.io";
}  // namespace

std::optional<RuntimeEvent> parse_runtime_event(std::string_view bytes) {
  events::Envelope envelope;
  if (!envelope.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  if (envelope.namespace_() != kPodNamespace) return std::nullopt;
  if (envelope.topic() == "/tasks/exit") {
    events::TaskExit exit;
    if (!exit.ParseFromString(envelope.event().value())) return std::nullopt;
    // An exec'ed process has an id of its own; its end is not the container's.
    if (exit.id() != exit.container_id()) return std::nullopt;
    return RuntimeEvent{RuntimeEvent::Type::kExit, exit.container_id()};
  }
  if (envelope.topic() == "/tasks/oom") {
    events::TaskOOM oom;
    if (!oom.ParseFromString(envelope.event().value())) return std::nullopt;
    return RuntimeEvent{RuntimeEvent::Type::kOutOfMemory, oom.container_id()};
  }
  return std::nullopt;
}

void RuntimeEvents::subscribe(std::function<void(const RuntimeEvent&)> on_event,
                              std::function<void()> on_gap) {
  on_event_ = std::move(on_event);
  on_gap_ = std::move(on_gap);
  backoff_ = kMinBackoff;
  open();
}

void RuntimeEvents::open() {
  events::SubscribeRequest request;
  request.add_filters("topic==\"/tasks/exit\"");
  request.add_filters("topic==\"/tasks/oom\"");
  stream_ = channel_.subscribe(
      "/containerd.services.events.v1.Events/Subscribe", request.SerializeAsString(),
      [this](const std::string& message) {
        backoff_ = kMinBackoff;
        if (const auto event = parse_runtime_event(message)) on_event_(*event);
      },
      [this](const Error& error) { ended(error); });
  // containerd sends nothing to say that the subscription stands. Looking a little later misses
  // nothing that matters: the slow resync is behind it.
  retry_ = loop_.clock().after(std::chrono::milliseconds(50), [this] { on_gap_(); });
}

void RuntimeEvents::ended(const Error& error) {
  log::debug("containerd's event stream ended, opening it again: {}", error.message());
  retry_ = loop_.clock().after(backoff_, [this] { open(); });
  backoff_ = std::min(backoff_ * 2, kMaxBackoff);
}

}  // namespace fairlead::orchestrator
