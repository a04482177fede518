// SPDX-License-Identifier: Apache-2.0
// What a handle of libuv has behind it: for the files that define the handles, nobody else.
#pragma once

#include <uv.h>

#include <functional>

namespace fairlead::internal {

// The libuv handle and the callback it serves. Freed in the close callback, so a callback may
// destroy the object that owns it while it runs.
template <typename UvHandle, typename Function>
struct HandleState {
  UvHandle handle;
  std::function<Function> callback;

  HandleState() { handle.data = this; }

  static HandleState* of(UvHandle* uv) { return static_cast<HandleState*>(uv->data); }

  // Takes the callback for the length of one call, so that start() inside it can set another.
  template <typename... Args>
  void call(Args... args) {
    std::function<Function> current = callback;
    if (current) current(args...);
  }

  static void close(HandleState* state) {
    uv_close(reinterpret_cast<uv_handle_t*>(&state->handle),
             [](uv_handle_t* closed) { delete static_cast<HandleState*>(closed->data); });
  }
};

}  // namespace fairlead::internal
