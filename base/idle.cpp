// SPDX-License-Identifier: Apache-2.0
#include "base/idle.h"

#include "base/loop_handle.h"

namespace fairlead {

using IdleState = internal::HandleState<uv_idle_t, void()>;

Idle::Idle(Loop& loop) : state_(new IdleState()) {
  uv_idle_init(loop.uv(), &state_->handle);
}

Idle::~Idle() {
  IdleState::close(state_);
}

void Idle::start(std::function<void()> callback) {
  state_->callback = std::move(callback);
  uv_idle_start(&state_->handle, [](uv_idle_t* handle) { IdleState::of(handle)->call(); });
}

void Idle::stop() {
  uv_idle_stop(&state_->handle);
}

bool Idle::active() const {
  return uv_is_active(reinterpret_cast<const uv_handle_t*>(&state_->handle)) != 0;
}

}  // namespace fairlead
