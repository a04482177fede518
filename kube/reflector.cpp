// SPDX-License-Identifier: Apache-2.0
#include "kube/reflector.h"

#include <algorithm>

#include "base/log.h"

namespace fairlead::kube {
namespace {

constexpr size_t kMaxErrorBody = 64 * 1024;
constexpr int kMaxIncompleteInitials = 3;
constexpr Duration kAfterUnauthorized = std::chrono::seconds(1);  // see Credentials::reject

uint32_t seed_of(uint64_t given) {
  return given != 0 ? static_cast<uint32_t>(given) : std::random_device{}();
}

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Reflector::Reflector(Clock& clock, ApiClient& client, ReflectorTarget& target,
                     ReflectorOptions options)
    : clock_(clock),
      client_(client),
      target_(target),
      options_(std::move(options)),
      random_(seed_of(options_.seed)),
      use_watch_list_(options_.watch_list),
      lines_(options_.max_object_bytes),
      page_(options_.max_object_bytes) {
  if (Metrics* const metrics = client.metrics()) metrics_.emplace(*metrics, options_.kind);
}

void Reflector::start() {
  if (phase_ != Phase::kStopped) return;
  status_.last_contact = clock_.now();
  target_empty_ = target_.empty();
  next();
}

void Reflector::stop() {
  close();
  phase_ = Phase::kStopped;
}

Duration Reflector::lag() const {
  return status_.watching ? Duration{} : clock_.now() - status_.last_contact;
}

// The story: objects first, by the best way the server knows; then changes, as long as they last.
void Reflector::next() {
  if (!must_list_) return begin_watch();
  if (use_watch_list_) return begin_initial();
  begin_list("");
}

void Reflector::begin_keys() {
  listed_ = 0;
  seen_.reset();
  if (!target_empty_) seen_.emplace();
}

void Reflector::note_listed(const ObjectKey& key) {
  ++listed_;
  if (seen_) seen_->insert(seen_->end(), key);  // lists come in this order, mostly
}

// "0" lets the server answer from memory with whatever it has; later lists must not be older than
// what we know; after a 410 only the newest state is sure to be there.
void Reflector::begin_list(const std::string& continue_token) {
  ApiRequest request;
  if (!in_one_page_) request.query = {{"limit", std::to_string(options_.page_size)}};
  continue_token_ = continue_token;
  if (!continue_token.empty()) {
    request.query.emplace_back("continue", continue_token);
  } else {
    begin_keys();
    list_version_.clear();
    const std::string& known = status_.resource_version;
    if (!as_of_now_) request.query.emplace_back("resourceVersion", known.empty() ? "0" : known);
  }
  page_ = ListSplitter(options_.max_object_bytes);
  page_items_ = 0;
  open(Phase::kListing, std::move(request));
}

void Reflector::begin_initial() {
  begin_keys();
  ApiRequest request = watch_request();
  request.query.emplace_back("sendInitialEvents", "true");
  request.query.emplace_back("resourceVersionMatch", "NotOlderThan");
  if (!as_of_now_) request.query.emplace_back("resourceVersion", status_.resource_version);
  open(Phase::kInitial, std::move(request));
}

void Reflector::begin_watch() {
  ApiRequest request = watch_request();
  request.query.emplace_back("resourceVersion", status_.resource_version);
  open(Phase::kWatching, std::move(request));
}

ApiRequest Reflector::watch_request() {
  const auto range = std::chrono::duration_cast<std::chrono::seconds>(kWatchMax - kWatchMin);
  const auto extra = std::chrono::seconds(static_cast<int64_t>(chance() * double(range.count())));
  watch_length_ = kWatchMin + extra;
  const auto length = std::chrono::duration_cast<std::chrono::seconds>(watch_length_);
  lines_ = LineSplitter(options_.max_object_bytes);
  ++status_.watches;
  ApiRequest request;
  request.query = {{"watch", "true"},
                   {"allowWatchBookmarks", "true"},
                   {"timeoutSeconds", std::to_string(length.count())}};
  return request;
}

void Reflector::open(Phase phase, ApiRequest request) {
  close();
  phase_ = phase;
  head_ = {};
  error_body_.clear();
  opened_at_ = last_byte_ = clock_.now();
  stream_events_ = 0;
  request.path = options_.path;
  request.query.emplace_back("labelSelector", options_.label_selector);
  request.query.emplace_back("fieldSelector", options_.field_selector);
  HttpHandlers handlers;
  handlers.on_head = [this](const HttpResponseHead& head) { on_head(head); };
  handlers.on_body = [this](std::string_view chunk) { on_body(chunk); };
  handlers.on_done = [this](const Result<HttpResponseHead>& result) { on_done(result); };
  call_ = client_.stream(request, std::move(handlers));
  watch_deadline();
  report();
}

void Reflector::on_head(const HttpResponseHead& head) {
  head_ = head;
  last_byte_ = status_.last_contact = clock_.now();
  status_.watching = phase_ == Phase::kWatching && head.status == 200;
  watch_deadline();
  report();
}

void Reflector::on_body(std::string_view chunk) {
  last_byte_ = status_.last_contact = clock_.now();
  if (head_.status != 200) {
    error_body_.append(chunk.substr(0, kMaxErrorBody - error_body_.size()));
    return;
  }
  const Result<void> fed =
      phase_ == Phase::kListing
          ? page_.feed(chunk, [this](std::string_view item) { return on_item(item); })
          : lines_.feed(chunk, [this](std::string_view line) { return on_line(line); });
  if (!fed.ok()) return broken(fed.error());
  report();
}

void Reflector::on_done(const Result<HttpResponseHead>& result) {
  if (!result.ok()) return fail(result.error());
  if (result->status != 200) return refused(result->status, result->headers, error_body_);
  switch (phase_) {
    case Phase::kListing:
      return page_ended();
    case Phase::kInitial:
      return initial_ended();
    case Phase::kWatching:
      return watch_ended();
    case Phase::kWaiting:
    case Phase::kStopped:
      return;  // close() cancelled the call: it cannot be done
  }
}

// The watch goes on from the first page's version: what happened while later pages were read comes
// once more as events, which does no harm.
void Reflector::page_ended() {
  const Result<void> finished = page_.finish();
  if (!finished.ok()) return broken(finished.error());
  if (continue_token_.empty()) list_version_ = page_.resource_version();
  if (list_version_.empty())
    return broken(Error(ErrorCode::kInvalid, "the list has no resourceVersion"));
  const std::string token = page_.continue_token();
  if (token.empty()) {
    complete(list_version_);
    return begin_watch();
  }
  if (page_items_ == 0 || token == continue_token_)
    return broken(Error(ErrorCode::kInvalid, "the list makes no progress from page to page"));
  begin_list(token);
}

// Not a refusal, so another stream may do better; but not for ever.
void Reflector::initial_ended() {
  if (++incomplete_initials_ >= kMaxIncompleteInitials)
    return list_instead("it ended early again and again");
  fail(Error(ErrorCode::kUnavailable, "the WatchList ended before it was complete"));
}

void Reflector::watch_ended() {
  const Duration lived = clock_.now() - opened_at_;
  if (lived >= kSteadyWatch) backoff_step_ = 0;
  if (lived >= kShortWatch) return begin_watch();
  ++status_.short_watches;
  if (stream_events_ == 0)
    return fail(Error(ErrorCode::kUnavailable, "the watch ended at once, without an event"));
  wait(kMinBackoff);
}

bool Reflector::on_item(std::string_view json) {
  const Result<ObjectVersion> version = put(json);
  if (!version.ok()) return broken(version.error()), false;
  ++page_items_;
  note_listed(version->key);
  return true;
}

bool Reflector::on_line(std::string_view line) {
  const Result<WatchEvent> event = decode_event(line);
  if (!event.ok()) return broken(event.error()), false;
  switch (event->type) {
    case WatchEvent::Type::kAdded:
    case WatchEvent::Type::kModified:
    case WatchEvent::Type::kDeleted:
      return on_object(*event);
    case WatchEvent::Type::kBookmark:
      return on_bookmark(event->object);
    case WatchEvent::Type::kError:
      return on_error_event(event->object);
  }
  return false;
}

// The objects of a WatchList come in no order of versions: only its bookmark gives one to go on
// from.
bool Reflector::on_object(const WatchEvent& event) {
  const bool deleted = event.type == WatchEvent::Type::kDeleted;
  const Result<ObjectVersion> version = deleted ? decode_version(event.object) : put(event.object);
  if (!version.ok()) return broken(version.error()), false;
  if (version->key.name.empty())
    return broken(Error(ErrorCode::kInvalid, "an event's object has no name")), false;
  ++status_.events;
  ++stream_events_;
  if (deleted) target_.remove(version->key);
  if (phase_ == Phase::kInitial) {
    if (!deleted)
      note_listed(version->key);
    else if (seen_)
      seen_->erase(version->key);
  } else if (!version->resource_version.empty()) {
    status_.resource_version = version->resource_version;
    relisted_ = false;
  }
  return true;
}

bool Reflector::on_bookmark(std::string_view object) {
  const Result<ObjectVersion> bookmark = decode_version(object);
  if (!bookmark.ok()) return broken(bookmark.error()), false;
  if (bookmark->resource_version.empty())
    return broken(Error(ErrorCode::kInvalid, "a bookmark has no resourceVersion")), false;
  ++status_.bookmarks;
  if (phase_ == Phase::kInitial) {
    if (!bookmark->initial_events_end) return true;
    complete(bookmark->resource_version);
    phase_ = Phase::kWatching;
    status_.watching = true;
  } else {
    ++stream_events_;
    status_.resource_version = bookmark->resource_version;
    relisted_ = false;
  }
  watch_deadline();
  return true;
}

// The status has already been 200: the refusal comes as an event.
bool Reflector::on_error_event(std::string_view object) {
  const Result<StatusObject> status = decode_status(object);
  if (!status.ok()) return broken(status.error().with_context("ERROR event")), false;
  if (status->code != 429) must_list_ = true;
  refused(status->code, {}, object);
  return false;
}

// An object of the wrong shape is known at least by its name, so that a list does not remove its
// last good version. What has no name is no object: the stream is broken.
Result<ObjectVersion> Reflector::put(std::string_view json) {
  Result<ObjectVersion> version = target_.put(json);
  target_empty_ = false;
  if (version.ok()) return version;
  Result<ObjectVersion> named = decode_version(json);
  if (!named.ok()) return named;
  if (named->key.name.empty()) return version;
  ++status_.decode_failures;
  log::warn("{}: object left out: {}", options_.kind, version.error().message());
  return named;
}

void Reflector::complete(const std::string& resource_version) {
  if (seen_) target_.retain(*seen_);
  log::info("{}: listed {} objects at version {}", options_.kind, listed_, resource_version);
  seen_.reset();
  status_.resource_version = resource_version;
  ++status_.lists;
  must_list_ = as_of_now_ = in_one_page_ = false;
  incomplete_initials_ = 0;
  if (!std::exchange(status_.synced, true)) target_.mark_synced();
}

void Reflector::refused(int status, const HttpHeaders& headers, std::string_view body) {
  const Error error = response_error(status, body);
  const bool client_error = status >= 400 && status < 500;
  const Result<StatusObject> object = decode_status(body);
  const bool from_the_future = object.ok() && object->resource_version_too_large;
  if (error.is_expired() || from_the_future) return list_as_of_now(error);
  if (status == 401) {
    client_.rejected();
    return fail(error, kAfterUnauthorized);
  }
  if (client_error && status != 429) {
    if (phase_ == Phase::kInitial) return list_instead(error.message());
    must_list_ = true;
  }
  fail(error, kube::retry_after(headers, body).value_or(Duration{}));
}

// The version we know is gone from the server, or was never there (a restored backup).
void Reflector::list_as_of_now(const Error& error) {
  log::info("{}: version {} cannot be gone on from: {}; listing again", options_.kind,
            status_.resource_version, error.message());
  if (phase_ == Phase::kListing && !continue_token_.empty()) in_one_page_ = true;
  must_list_ = as_of_now_ = true;
  wait(std::exchange(relisted_, true) ? next_backoff() : Duration{});
}

void Reflector::list_instead(std::string_view why) {
  log::info("{}: no WatchList here ({}); using LIST and WATCH", options_.kind, why);
  use_watch_list_ = false;
  next();
}

void Reflector::broken(const Error& error) {
  must_list_ = true;
  fail(error);
}

void Reflector::fail(const Error& error, Duration at_least) {
  if (phase_ == Phase::kWatching && clock_.now() - opened_at_ >= kSteadyWatch) backoff_step_ = 0;
  const Duration delay = std::max(next_backoff(), at_least);
  ++status_.failures;
  status_.last_error = error;
  log::warn("{}: {} failed: {}; next try in {:.1f} s", options_.kind,
            phase_ == Phase::kListing ? "list" : "watch", error.message(), seconds(delay));
  wait(delay);
}

void Reflector::wait(Duration delay) {
  close();
  phase_ = Phase::kWaiting;
  retry_ = clock_.after(delay, [this] { next(); });
}

void Reflector::close() {
  status_.watching = false;
  deadline_.cancel();
  retry_.cancel();
  call_.cancel();
  report();
}

void Reflector::report() {
  if (metrics_)
    metrics_->update(status_, clock_.wall_now() - (clock_.now() - status_.last_contact));
}

// When the open request counts as hung if no further byte arrives.
MonoTime Reflector::deadline() const {
  const bool answered = head_.status != 0;
  if (!answered) return last_byte_ + kAnswerLimit;
  if (phase_ == Phase::kListing)
    return std::min(last_byte_ + kAnswerLimit, opened_at_ + kListLimit);
  if (phase_ == Phase::kInitial)
    return std::min(last_byte_ + kInitialGap, opened_at_ + kInitialLimit);
  const MonoTime whole = opened_at_ + watch_length_ + kWatchGrace;
  return status_.bookmarks > 0 ? std::min(last_byte_ + kBookmarkLimit, whole) : whole;
}

// Looks when the deadline is due; bytes that arrived meanwhile have moved it.
void Reflector::watch_deadline() {
  const MonoTime now = clock_.now();
  if (now < deadline()) {
    deadline_ = clock_.after(deadline() - now, [this] { watch_deadline(); });
    return;
  }
  const bool answered = head_.status != 0;
  if (phase_ == Phase::kInitial && answered)
    return list_instead("the server does not say that the initial events are complete");
  if (phase_ == Phase::kInitial && ++incomplete_initials_ >= kMaxIncompleteInitials)
    return list_instead("it was asked for again and again without an answer");
  fail(Error(ErrorCode::kTimeout, answered ? "silent for too long; the connection is given up"
                                           : "no answer from the server"));
}

Duration Reflector::next_backoff() {
  const Duration base = std::min(kMaxBackoff, kMinBackoff * (1 << backoff_step_));
  if (base < kMaxBackoff) ++backoff_step_;
  return base + Duration(static_cast<int64_t>(chance() * double(base.count())));
}

double Reflector::chance() {
  return std::uniform_real_distribution<double>(0, 1)(random_);
}

}  // namespace fairlead::kube
