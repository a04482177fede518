// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/kube/fake_api_server.h"

#include <algorithm>

namespace fairlead::kube {

void FakeApiServer::write() {
  const std::string name = "object-" + std::to_string(rng_() % 12);
  const bool exists = objects_.contains(name);
  if (exists && chance(35)) {
    record("DELETED", name, true);
    return;
  }
  record(exists ? "MODIFIED" : "ADDED", name, !chance(5));
}

void FakeApiServer::mend() {
  const Objects now = objects_;
  for (const auto& [name, object] : now) {
    if (!object.decodable) record("MODIFIED", name, true);
  }
}

void FakeApiServer::record(const std::string& type, const std::string& name, bool decodable) {
  ++version_;
  history_.push_back({version_, type, name, decodable});
  if (type == "DELETED") {
    objects_.erase(name);
  } else {
    objects_[name] = {version_, decodable};
  }
}

void FakeApiServer::compact() {
  floor_ = version_;
  objects_at_floor_ = objects_;
  history_.clear();
  tokens_.clear();
}

FakeApiServer::Objects FakeApiServer::objects_at(int64_t version) const {
  Objects objects = objects_at_floor_;
  for (const Event& event : history_) {
    if (event.version > version) break;
    if (event.type == "DELETED") {
      objects.erase(event.name);
    } else {
      objects[event.name] = {event.version, event.decodable};
    }
  }
  return objects;
}

std::map<std::string, std::string> FakeApiServer::state() const {
  std::map<std::string, std::string> state;
  for (const auto& [name, object] : objects_) state[name] = std::to_string(object.version);
  return state;
}

std::string FakeApiServer::text_of(const std::string& name, const Object& object) {
  const std::string version = std::to_string(object.version);
  const std::string labels = object.decodable ? R"({"v":")" + version + "\"}" : "[]";
  return R"({"metadata":{"name":")" + name + R"(","resourceVersion":")" + version +
         R"(","labels":)" + labels + "}}";
}

std::string FakeApiServer::status(int code, const std::string& reason, const std::string& details) {
  return R"({"kind":"Status","reason":")" + reason + R"(","message":"fault","details":)" + details +
         R"(,"code":)" + std::to_string(code) + "}";
}

// In pieces of any size.
void FakeApiServer::send(Exchange& exchange, const std::string& text) {
  for (size_t at = 0; at < text.size() && exchange.open();) {
    const size_t size = 1 + rng_() % 200;
    exchange.body(std::string_view(text).substr(at, size));
    at += size;
  }
}

void FakeApiServer::serve(int fault_percent) {
  transport_.forget_closed();
  std::erase_if(streams_, [](const Stream& stream) { return !stream.exchange->open(); });
  std::erase_if(ignored_, [](const auto& exchange) { return !exchange->open(); });
  for (Stream& stream : streams_) pump(stream, fault_percent);
  const auto exchanges = transport_.exchanges();
  for (const auto& exchange : exchanges) {
    const bool streaming = std::any_of(streams_.begin(), streams_.end(), [&](const Stream& stream) {
      return stream.exchange == exchange;
    });
    const bool ignored = std::find(ignored_.begin(), ignored_.end(), exchange) != ignored_.end();
    if (exchange->open() && !streaming && !ignored) answer(exchange, fault_percent);
  }
}

void FakeApiServer::answer(const std::shared_ptr<Exchange>& exchange, int fault_percent) {
  if (chance(fault_percent)) {
    if (!go_wrong(*exchange)) ignored_.push_back(exchange);
    return;
  }
  if (exchange->query("watch") != "true") return answer_list(*exchange);
  if (exchange->query("sendInitialEvents") == "true") return answer_initial(exchange);
  answer_watch(exchange);
}

// False: it is never answered.
bool FakeApiServer::go_wrong(Exchange& exchange) {
  switch (rng_() % 9) {
    case 0:
      exchange.fail(Error(ErrorCode::kUnavailable, "connection refused"));
      return true;
    case 1:
      exchange.fail(Error(ErrorCode::kTimeout, "connect"));
      return true;
    case 2:
      exchange.respond(500, "boom");
      return true;
    case 3:
      exchange.respond(429, status(429, "TooManyRequests", R"({"retryAfterSeconds":3})"));
      return true;
    case 4:
      exchange.respond(503, "", {{"Retry-After", "2"}});
      return true;
    case 5:
      exchange.respond(401, "");
      return true;
    case 6:
      exchange.respond(200, "<html>not an API server</html>");
      return true;
    case 7:
      exchange.respond(200, R"({"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"na)");
      return true;
    default:
      return false;
  }
}

void FakeApiServer::answer_list(Exchange& exchange) {
  const std::string token = exchange.query("continue");
  int64_t version = version_;
  Objects objects;
  if (!token.empty()) {
    const auto it = tokens_.find(token);
    if (it == tokens_.end() || chance(5))
      return exchange.respond(410, status(410, "Expired", "{}"));
    std::tie(version, objects) = it->second;
  } else {
    const std::string asked = exchange.query("resourceVersion");
    const int64_t at_least = asked.empty() ? version_ : std::stoll(asked);
    if (at_least > version_)
      return exchange.respond(
          504, status(504, "Timeout", R"({"causes":[{"reason":"ResourceVersionTooLarge"}]})"));
    // Any state that is not older will do.
    const int64_t oldest = std::max(at_least, floor_);
    version = oldest + static_cast<int64_t>(rng_() % static_cast<uint64_t>(version_ - oldest + 1));
    objects = objects_at(version);
  }
  const size_t limit = exchange.query("limit").empty() ? 1000 : 1 + rng_() % 5;
  std::string text = R"({"kind":"List","items":[)";
  size_t count = 0;
  for (auto it = objects.begin(); it != objects.end() && count < limit; it = objects.erase(it))
    text += (count++ > 0 ? "," : "") + text_of(it->first, it->second);
  std::string next;
  if (!objects.empty()) {
    next = "t" + std::to_string(next_token_++);
    tokens_[next] = {version, objects};
  }
  text += R"(],"metadata":{"resourceVersion":")" + std::to_string(version) + R"(","continue":")" +
          next + "\"}}";
  exchange.head(200);
  send(exchange, text);
  exchange.done();
}

void FakeApiServer::answer_watch(const std::shared_ptr<Exchange>& exchange) {
  const int64_t from = std::stoll(exchange->query("resourceVersion"));
  const std::string gone = status(410, "Expired", "{}");
  if (from > version_)
    return exchange->respond(
        504, status(504, "Timeout", R"({"causes":[{"reason":"ResourceVersionTooLarge"}]})"));
  if (from < floor_ && chance(50)) return exchange->respond(410, gone);
  exchange->head(200);
  if (from < floor_) return send(*exchange, R"({"type":"ERROR","object":)" + gone + "}\n");
  streams_.push_back({exchange, from});
}

void FakeApiServer::answer_initial(const std::shared_ptr<Exchange>& exchange) {
  if (watch_list_ == WatchList::kRefused)
    return exchange->respond(422, status(422, "Invalid", "{}"));
  const int64_t version = version_;
  std::vector<std::pair<std::string, Object>> objects(objects_.begin(), objects_.end());
  std::shuffle(objects.begin(), objects.end(), rng_);
  exchange->head(200);
  for (const auto& [name, object] : objects)
    send(*exchange, R"({"type":"ADDED","object":)" + text_of(name, object) + "}\n");
  if (watch_list_ == WatchList::kServed)
    send(*exchange, R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":")" +
                        std::to_string(version) +
                        R"(","annotations":{"k8s.io/initial-events-end":"true"}}}})"
                        "\n");
  streams_.push_back({exchange, version});
}

void FakeApiServer::pump(Stream& stream, int fault_percent) {
  if (stream.hung || !stream.exchange->open()) return;
  if (chance(fault_percent)) return break_stream(stream);
  if (stream.position < floor_) return stream.exchange->done();
  // Now and then an event is sent twice.
  if (chance(10) && stream.position > floor_) --stream.position;
  for (const Event& event : history_) {
    if (event.version <= stream.position) continue;
    send(*stream.exchange, R"({"type":")" + event.type + R"(","object":)" +
                               text_of(event.name, {event.version, event.decodable}) + "}\n");
    stream.position = event.version;
  }
  if (chance(20))
    send(*stream.exchange, R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":")" +
                               std::to_string(stream.position) + "\"}}}\n");
}

void FakeApiServer::break_stream(Stream& stream) {
  Exchange& exchange = *stream.exchange;
  switch (rng_() % 7) {
    case 0:
      return exchange.done();
    case 1:
      return exchange.fail(Error(ErrorCode::kUnavailable, "reset"));
    case 2:
      return send(exchange, "}garbage{\n");
    case 3:
      return send(exchange, R"({"type":"ERROR","object":)" + status(410, "Expired", "{}") + "}\n");
    case 4:
      return send(exchange,
                  R"({"type":"ERROR","object":)" + status(500, "InternalError", "{}") + "}\n");
    case 5:
      send(exchange, R"({"type":"ADDED","object":{"metada)");
      return exchange.done();
    case 6:
      stream.hung = true;
      return;
  }
}

}  // namespace fairlead::kube
