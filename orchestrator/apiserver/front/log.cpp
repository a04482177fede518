// SPDX-License-Identifier: Apache-2.0
// GET pods/NAME/log.
#include <algorithm>
#include <charconv>

#include "orchestrator/apiserver/front/request.h"
#include "orchestrator/apiserver/table/columns.h"

namespace fairlead::orchestrator::apiserver {
namespace {

std::string node_address(const Json& node) {
  const Json& addresses = at_path(node, "status.addresses");
  if (addresses.is_array())
    for (const Json& one : addresses)
      if (string_at(one, "type") == "InternalIP") return string_at(one, "address");
  return "";
}

class LogStream : public Stream {
 public:
  std::unique_ptr<PodLogStream> source;
};

// What core/v1's ValidatePodLogOptions says.
std::optional<ApiError> check_log_options(const Request& request) {
  std::vector<Cause> causes;
  struct Option {
    const char* name;
    int64_t least;
    const char* complaint;
  };
  static constexpr Option kOptions[] = {
      {"tailLines", 0, "must be greater than or equal to 0"},
      {"limitBytes", 1, "must be greater than 0"},
      {"sinceSeconds", 1, "must be greater than 0"},
  };
  for (const Option& option : kOptions) {
    const std::string text = request.query(option.name);
    if (text.empty()) continue;
    int64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size())
      return bad_request("unable to decode the query: " + std::string(option.name) + " is " +
                         go_value(Json(text)) + ", not a number");
    if (value < option.least) causes.push_back(invalid_value(option.name, text, option.complaint));
  }
  const std::string since = request.query("sinceTime");
  if (!since.empty() && !parse_timestamp(since))
    return bad_request("unable to decode the query: sinceTime is " + go_value(Json(since)) +
                       ", not a time as RFC 3339 writes it");
  if (!since.empty() && !request.query("sinceSeconds").empty())
    causes.push_back(
        forbidden_field("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
  // One of a container's two streams alone (feature gate PodLogsQuerySplitStreams, off in 1.36).
  if (!request.query("stream").empty())
    causes.push_back(forbidden_field("stream", "may not be specified"));
  if (causes.empty()) return std::nullopt;
  return invalid({"", "", "PodLogOptions", request.info.name}, std::move(causes));
}

}  // namespace

void Front::serve_log(const RequestRef& request) {
  if (auto wrong = check_log_options(*request)) return request->fail(*wrong);
  auto pod_bytes = registry_.get(*request->kind, request->key());
  if (!pod_bytes) return request->fail(pod_bytes.error());
  const Json pod = decode_stored(*pod_bytes);
  PodLogRequest log;
  log.ns = request->info.ns;
  log.pod = request->info.name;
  log.container = request->query("container");
  const Json& containers = at_path(pod, "spec.containers");
  std::vector<std::string> names;
  for (const char* list : {"containers", "initContainers"})
    if (const Json& items = at(at(pod, "spec"), list); items.is_array())
      for (const Json& one : items) names.push_back(string_at(one, "name"));
  if (log.container.empty() && containers.size() != 1) {
    std::string all;
    for (const std::string& one : names) all += (all.empty() ? "" : " ") + one;
    return request->fail(bad_request("a container name must be specified for pod " + log.pod +
                                     ", choose one of: [" + all + "]"));
  }
  if (log.container.empty()) log.container = names[0];
  if (std::find(names.begin(), names.end(), log.container) == names.end())
    return request->fail(
        bad_request("container " + log.container + " is not valid for pod " + log.pod));
  const std::string node_name = string_at(pod, "spec.nodeName");
  if (node_name.empty()) return request->send(204, "");  // it has said nothing yet
  auto node = registry_.get(*Kinds::builtin().find(Resource{"", "nodes"}), {"", node_name});
  if (node) log.node_address = node_address(decode_stored(*node));
  if (log.node_address.empty() || !logs_)
    return request->fail(internal("the address of node " + node_name + " is not known"));
  for (const auto& [name, value] : request->http.query)
    if (name != "container")
      log.query +=
          (log.query.empty() ? "" : "&") + percent_encode(name) + "=" + percent_encode(value);
  auto stream = std::make_shared<LogStream>();
  const auto end = [this, weak = std::weak_ptr<Stream>(stream),
                    alive = std::weak_ptr<bool>(alive_)] {
    // Not from inside the stream's own callback.
    if (alive.expired()) return;
    loop_.post([this, weak, alive] {
      if (auto ended = weak.lock(); ended && !alive.expired()) streams_.erase(ended);
    });
  };
  request->responder->on_closed(end);
  stream->source = logs_->open(log, request->responder, end);
  keep(std::move(stream));
}

}  // namespace fairlead::orchestrator::apiserver
