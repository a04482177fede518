// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/patch/patch.h"

namespace fairlead::orchestrator::apiserver {

namespace {

bool deeper_than(const Json& json, size_t levels) {
  if (!json.is_structured()) return false;
  if (levels == 0) return true;
  for (const Json& item : json)
    if (deeper_than(item, levels - 1)) return true;
  return false;
}

// Copies double, and paths deepen, with every operation.
Result<void> check_size(const Json& document) {
  if (deeper_than(document, kMaxJsonDepth))
    return Error(ErrorCode::kInvalid, "the patched document is nested deeper than " +
                                          std::to_string(kMaxJsonDepth) + " levels");
  if (document.dump().size() > kMaxPatchedBytes)
    return Error(ErrorCode::kInvalid, "the patched document is larger than " +
                                          std::to_string(kMaxPatchedBytes) + " bytes");
  return ok();
}

// The library that Kubernetes patches with adds a member that was to be replaced and is not there.
Json as_taken(const Json& document, Json operation) {
  if (string_at(operation, "op") != "replace") return operation;
  const Json::json_pointer path(string_at(operation, "path"));
  if (path.empty() || document.contains(path)) return operation;
  const Json::json_pointer owner = path.parent_pointer();
  if (document.contains(owner) && document.at(owner).is_object()) operation["op"] = "add";
  return operation;
}

}  // namespace

Result<Json> apply_json_patch(Json document, const Json& operations) {
  if (!operations.is_array())
    return Error(ErrorCode::kInvalid, "a JSON patch is a list of operations");
  if (operations.size() > kMaxJsonPatchOperations)
    return Error(ErrorCode::kInvalid,
                 "a JSON patch may have at most " + std::to_string(kMaxJsonPatchOperations) +
                     " operations, this has " + std::to_string(operations.size()));
  for (const Json& operation : operations) {
    try {
      document.patch_inplace(Json::array({as_taken(document, operation)}));
    } catch (const Json::exception& e) {
      const std::string_view what = e.what();
      const size_t bracket = what.find("] ");
      return Error(ErrorCode::kInvalid,
                   dump(operation) + ": " +
                       std::string(bracket == what.npos ? what : what.substr(bracket + 2)));
    }
    if (string_at(operation, "op") == "copy")
      if (auto fits = check_size(document); !fits) return fits.error();
  }
  if (auto fits = check_size(document); !fits) return fits.error();
  return document;
}

Json apply_merge_patch(Json document, const Json& patch) {
  if (!patch.is_object()) return patch;
  if (!document.is_object()) document = Json::object();
  for (const auto& [name, value] : patch.items()) {
    if (value.is_null())
      document.erase(name);
    else
      document[name] = apply_merge_patch(at(document, name), value);
  }
  return document;
}

}  // namespace fairlead::orchestrator::apiserver
