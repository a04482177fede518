// SPDX-License-Identifier: Apache-2.0
// The options of a write (ValidateCreateOptions and its like in apimachinery's
// pkg/apis/meta/v1/validation).
#include <charconv>

#include "orchestrator/apiserver/front/request.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr size_t kMaxFieldManager = 128;

const char* options_kind(const std::string& verb) {
  if (verb == "create") return "CreateOptions";
  if (verb == "update") return "UpdateOptions";
  if (verb == "patch") return "PatchOptions";
  return verb == "delete" || verb == "deletecollection" ? "DeleteOptions" : nullptr;
}

void check_manager(const std::string& manager, std::vector<Cause>& causes) {
  if (manager.size() > kMaxFieldManager)
    causes.push_back(
        {"FieldValueTooLong", "Too long: may not be more than 128 bytes", "fieldManager"});
  for (size_t i = 0; i < manager.size(); ++i) {
    const auto byte = static_cast<unsigned char>(manager[i]);
    if (byte >= 0x20 && byte != 0x7f) continue;
    char code[8];
    std::snprintf(code, sizeof code, "U+%04X", byte);
    causes.push_back(invalid_value(
        "fieldManager", go_value(manager),
        "invalid character " + std::string(code) + " (at position " + std::to_string(i) + ")"));
  }
}

void read_dry_run(Request& request, std::vector<Cause>& causes) {
  Json given = Json::array();
  for (const auto& [name, value] : request.http.query)
    if (name == "dryRun") given.push_back(value);
  for (const Json& value : given)
    if (value != "All") return causes.push_back(unsupported_value("dryRun", dump(given), {"All"}));
  request.dry_run = !given.empty();
}

void read_validation(Request& request, std::vector<Cause>& causes) {
  const std::string value = request.query("fieldValidation");
  if (value == "Strict")
    request.validation = FieldValidation::kStrict;
  else if (value == "Ignore")
    request.validation = FieldValidation::kIgnore;
  else if (value != "Warn" && !value.empty())
    causes.push_back(unsupported_value("fieldValidation", go_value(Json(value)),
                                       {"", "Ignore", "Strict", "Warn"}));
}

}  // namespace

std::optional<ApiError> read_write_options(Request& request) {
  const char* kind = options_kind(request.info.verb);
  if (kind == nullptr) return std::nullopt;
  std::vector<Cause> causes;
  const bool applies =
      media_type(request.http.headers.get("content-type")) == "application/apply-patch+yaml";
  if (request.info.verb == "patch" && !applies && request.http.query_value("force"))
    causes.push_back(forbidden_field("force", "may not be specified for non-apply patch"));
  check_manager(request.query("fieldManager"), causes);
  read_dry_run(request, causes);
  read_validation(request, causes);
  if (causes.empty()) return std::nullopt;
  return invalid({"meta.k8s.io", "", kind, ""}, std::move(causes));
}

Outcome<int64_t> parse_number(std::string_view text) {
  int64_t value = 0;
  if (text.empty()) return value;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure == std::errc() && end == text.data() + text.size()) return value;
  return bad_request("strconv.ParseInt: parsing " + go_value(Json(std::string(text))) +
                     ": invalid syntax");
}

}  // namespace fairlead::orchestrator::apiserver
