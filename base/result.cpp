// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <cerrno>
#include <system_error>

namespace fairlead {
namespace {

ErrorCode code_of_errno(int error_number) {
  switch (error_number) {
    case EINVAL:
    case ERANGE:
    case E2BIG:
      return ErrorCode::kInvalid;
    case ENOENT:
    case ESRCH:
    case ENODEV:
      return ErrorCode::kNotFound;
    case EEXIST:
      return ErrorCode::kAlreadyExists;
    case EPERM:
    case EACCES:
      return ErrorCode::kPermission;
    case ETIMEDOUT:
      return ErrorCode::kTimeout;
    case ECANCELED:
      return ErrorCode::kCancelled;
    case EINTR:
      return ErrorCode::kInterrupted;
    case ENOMEM:
    case ENOSPC:
    case ENFILE:
    case EMFILE:
    case ENOBUFS:
      return ErrorCode::kResourceExhausted;
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
    case ENOSYS:
      return ErrorCode::kUnsupported;
    default:
      return ErrorCode::kUnavailable;
  }
}

}  // namespace

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kAlreadyExists:
      return "already exists";
    case ErrorCode::kConflict:
      return "conflict";
    case ErrorCode::kExpired:
      return "expired";
    case ErrorCode::kPermission:
      return "not permitted";
    case ErrorCode::kTimeout:
      return "timed out";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kInterrupted:
      return "interrupted";
    case ErrorCode::kResourceExhausted:
      return "resource exhausted";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kInternal:
      return "internal error";
  }
  return "unknown";
}

Error Error::from_errno(int error_number, std::string_view what) {
  Error error(code_of_errno(error_number),
              std::string(what) + ": " + std::generic_category().message(error_number));
  error.error_number_ = error_number;
  return error;
}

Error Error::with_context(std::string_view context) const {
  Error error = *this;
  error.message_ = std::string(context) + ": " + message_;
  return error;
}

}  // namespace fairlead
