// SPDX-License-Identifier: Apache-2.0
// Errors are values: an Error names what failed, on what, and what to do; a Result<T> holds a T or
// an Error. Pure; safe to copy between threads. Exceptions of libraries are turned into Errors
// where the library is called; nothing in the project throws.
#pragma once

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace fairlead {

// What kind of failure; callers decide by kind, people read the message.
enum class ErrorCode {
  kInvalid,            // the input is wrong; the same input fails again
  kNotFound,           // the named thing is not there (ENOENT, HTTP 404)
  kAlreadyExists,      // the named thing is already there (EEXIST, HTTP 409 AlreadyExists)
  kConflict,           // it changed since it was read (HTTP 409 Conflict); read again and retry
  kExpired,            // the position asked for is gone (HTTP 410); list again
  kPermission,         // not allowed (EPERM, EACCES, HTTP 401 and 403)
  kTimeout,            // no answer in time; the outcome is unknown
  kCancelled,          // the caller gave up
  kInterrupted,        // another change got in between (EINTR, NLM_F_DUMP_INTR); do it again
  kResourceExhausted,  // a limit was reached (ENOMEM, ENOSPC, ENFILE, HTTP 429)
  kUnavailable,        // the other side is not there or closed; retry later
  kUnsupported,        // this kernel or peer cannot do it
  kInternal,           // a bug of ours or the peer's
};

std::string_view to_string(ErrorCode code);

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  // Wrong input: kInvalid.
  static Error invalid(std::string message) { return {ErrorCode::kInvalid, std::move(message)}; }

  // From an errno value; `what` says what was tried on what: "bind 127.0.0.1:53".
  // The message becomes "bind 127.0.0.1:53: Address already in use".
  static Error from_errno(int error_number, std::string_view what);

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  int error_number() const { return error_number_; }  // 0 unless made by from_errno

  // The same error seen from one level up: "context: message".
  Error with_context(std::string_view context) const;

  bool is(ErrorCode code) const { return code_ == code; }
  bool is_not_found() const { return code_ == ErrorCode::kNotFound; }
  bool is_already_exists() const { return code_ == ErrorCode::kAlreadyExists; }
  bool is_conflict() const { return code_ == ErrorCode::kConflict; }
  bool is_expired() const { return code_ == ErrorCode::kExpired; }
  bool is_timeout() const { return code_ == ErrorCode::kTimeout; }
  bool is_cancelled() const { return code_ == ErrorCode::kCancelled; }
  bool is_interrupted() const { return code_ == ErrorCode::kInterrupted; }

 private:
  ErrorCode code_;
  int error_number_ = 0;
  std::string message_;
};

// A value or an Error. Reading the side that is not there is a bug and asserts.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return assert(ok()), *std::get_if<0>(&state_); }
  const T& value() const& { return assert(ok()), *std::get_if<0>(&state_); }
  T&& value() && { return assert(ok()), std::move(*std::get_if<0>(&state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const { return assert(!ok()), *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

// Success or an Error: `return ok();` or `return Error(...)`.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : state_(std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return assert(!ok()), *std::get_if<1>(&state_); }

 private:
  std::variant<std::monostate, Error> state_;
};

inline Result<void> ok() {
  return {};
}

}  // namespace fairlead
