// SPDX-License-Identifier: Apache-2.0
// Keeps a Store equal to what an API server has of one kind of object: lists once, watches from
// there, and goes on from where it was whenever the stream breaks.
//
// How (semantics of client-go's reflector; KEP-3157 WatchList, KEP-956 bookmarks):
//  - WatchList first: one stream brings the objects, a marked bookmark says they are complete, the
//    changes follow. A server that refuses it with a 4xx, or never sends the bookmark, gets LIST +
//    WATCH from then on.
//  - A list is read as it arrives, object by object; then objects it did not have are removed. Its
//    keys are kept for that meanwhile, but for the first list into a target that holds nothing.
//  - A watch that ends is resumed from the last resource version seen, bookmarks included. When the
//    server has forgotten that version (410) everything is listed again, and as of now.
//  - Every failure waits: 800 ms doubling to 15 s, plus up to as much again at random, and at least
//    what Retry-After says; a watch that held for ten seconds starts over at 800 ms.
//  - A 401 makes the client read its credentials again before the next attempt.
//  - A stream without a byte for too long is hung (half-open TCP) and is given up: after
//    kBookmarkLimit where the server has ever sent a bookmark, else at the end of the watch;
//    HttpClient's TCP keep-alive finds a dead peer within a minute.
//  - An object that cannot be decoded is logged, counted and skipped: its last good version stays.
//    Bytes that are no JSON mean a broken stream: it is given up and everything listed again.
//
// The Store is filled as objects arrive and synced when the first list is complete. Until then, and
// during a later list, it may hold objects the server has deleted.
//
// Threads: everything on the client's loop. Inert until start(). Must not be destroyed or stopped
// from inside a callback of its target.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "kube/client.h"
#include "kube/decode.h"
#include "kube/reflector_metrics.h"
#include "kube/store.h"
#include "kube/stream.h"

namespace fairlead::kube {

struct ReflectorOptions {
  std::string kind;  // for logs: "Service"
  std::string path;  // "/api/v1/services"
  std::string label_selector;
  std::string field_selector;
  bool watch_list = true;  // false: never ask for WatchList

  int page_size = 500;                        // of a list; a server may send more at once
  size_t max_object_bytes = 8 * 1024 * 1024;  // etcd's default limit is 1.5 MiB
  uint64_t seed = 0;                          // of jitter; 0: random
};

// What a Reflector fills.
class ReflectorTarget {
 public:
  virtual ~ReflectorTarget() = default;
  // Adds or replaces. An Error: the object is not of the kind, nothing changed.
  virtual Result<ObjectVersion> put(std::string_view json) = 0;
  virtual void remove(const ObjectKey& key) = 0;
  // Removes everything else.
  virtual void retain(const std::set<ObjectKey>& keys) = 0;
  // It holds what a complete list has. Runs once.
  virtual void mark_synced() = 0;
  // Whether it holds nothing that retain() might remove; asked when the reflector starts.
  virtual bool empty() const { return false; }
};

struct ReflectorStatus {
  bool synced = false;
  bool watching = false;         // a watch is open and its objects are complete
  std::string resource_version;  // the last one seen
  MonoTime last_contact;         // when the server last sent a byte; before that, of start()
  uint64_t lists = 0;            // complete lists, by LIST or WatchList
  uint64_t watches = 0;          // streams opened
  uint64_t short_watches = 0;    // of those, ended within kShortWatch
  uint64_t events = 0;
  uint64_t bookmarks = 0;
  uint64_t failures = 0;         // requests and streams that failed
  uint64_t decode_failures = 0;  // objects skipped
  std::optional<Error> last_error;
};

class Reflector {
 public:
  // Limits in time. A watch asks the server to end it after 5 to 10 minutes, at random so that the
  // watches of many nodes do not end together.
  static constexpr Duration kMinBackoff = std::chrono::milliseconds(800);
  static constexpr Duration kMaxBackoff = std::chrono::seconds(15);   // before jitter doubles it
  static constexpr Duration kAnswerLimit = std::chrono::seconds(30);  // first byte; gap in a list
  static constexpr Duration kListLimit = std::chrono::minutes(5);     // of one page
  static constexpr Duration kWatchMin = std::chrono::minutes(5);
  static constexpr Duration kWatchMax = std::chrono::minutes(10);
  static constexpr Duration kWatchGrace = std::chrono::seconds(30);  // beyond what was asked for
  // Servers that send bookmarks do so about every minute; one that has and stops is hung.
  static constexpr Duration kBookmarkLimit = std::chrono::seconds(150);
  // A WatchList that is silent for this long, or not complete after that long, never will be.
  static constexpr Duration kInitialGap = std::chrono::seconds(10);
  static constexpr Duration kInitialLimit = std::chrono::minutes(2);
  static constexpr Duration kShortWatch = std::chrono::seconds(1);
  static constexpr Duration kSteadyWatch = std::chrono::seconds(10);

  // All but `options` must outlive the reflector.
  Reflector(Clock& clock, ApiClient& client, ReflectorTarget& target, ReflectorOptions options);
  Reflector(const Reflector&) = delete;
  Reflector& operator=(const Reflector&) = delete;

  void start();
  void stop();  // what is stored stays

  const ReflectorStatus& status() const { return status_; }
  // How long the store may have been out of date: zero while a watch is open.
  Duration lag() const;

 private:
  enum class Phase : uint8_t {
    kStopped,
    kWaiting,   // for a retry
    kListing,   // LIST, page by page
    kInitial,   // WatchList, before its bookmark
    kWatching,  // WATCH, or WatchList after its bookmark
  };

  void next();
  void begin_keys();
  void note_listed(const ObjectKey& key);
  void begin_list(const std::string& continue_token);
  void begin_initial();
  void begin_watch();
  ApiRequest watch_request();
  void open(Phase phase, ApiRequest request);

  void on_head(const HttpResponseHead& head);
  void on_body(std::string_view chunk);
  void on_done(const Result<HttpResponseHead>& result);
  void page_ended();
  void initial_ended();
  void watch_ended();

  // These return false when the stream was given up: nothing of it may be touched any more.
  bool on_item(std::string_view json);
  bool on_line(std::string_view line);
  bool on_object(const WatchEvent& event);
  bool on_bookmark(std::string_view object);
  bool on_error_event(std::string_view object);

  Result<ObjectVersion> put(std::string_view json);
  void complete(const std::string& resource_version);

  void refused(int status, const HttpHeaders& headers, std::string_view body);
  void list_as_of_now(const Error& error);
  void list_instead(std::string_view why);
  void broken(const Error& error);
  void fail(const Error& error, Duration at_least = {});
  void wait(Duration delay);
  void close();

  void report();
  MonoTime deadline() const;
  void watch_deadline();
  Duration next_backoff();
  double chance();  // in [0, 1)

  Clock& clock_;
  ApiClient& client_;
  ReflectorTarget& target_;
  const ReflectorOptions options_;
  std::minstd_rand random_;
  std::optional<ReflectorMetrics> metrics_;

  // Knowledge that outlives a request.
  ReflectorStatus status_;
  bool use_watch_list_;
  int incomplete_initials_ = 0;  // WatchList streams in a row that ended before their bookmark
  bool must_list_ = true;        // false: a watch from status_.resource_version can go on
  bool as_of_now_ = false;       // the server forgot our version: list the newest state
  bool in_one_page_ = false;     // the server forgot a continue token: ask for no more of them
  bool relisted_ = false;        // at once after a 410; the next one waits
  int backoff_step_ = 0;
  bool target_empty_ = false;  // nothing has been put yet

  // The request under way.
  Phase phase_ = Phase::kStopped;
  HttpCall call_;
  Alarm deadline_;
  Alarm retry_;
  HttpResponseHead head_;
  MonoTime opened_at_;
  MonoTime last_byte_;
  Duration watch_length_{};
  uint64_t stream_events_ = 0;
  std::string error_body_;
  LineSplitter lines_;
  ListSplitter page_;
  uint64_t page_items_ = 0;
  std::string continue_token_;               // the page was asked for with it
  std::string list_version_;                 // of the first page
  uint64_t listed_ = 0;                      // objects read of the list under way
  std::optional<std::set<ObjectKey>> seen_;  // its keys, if others may have to go
};

// A Reflector that fills a Store<T>.
template <typename T>
class StoreTarget : public ReflectorTarget {
 public:
  explicit StoreTarget(Store<T>& store) : store_(store) {}
  Result<ObjectVersion> put(std::string_view json) override {
    Result<T> object = decode<T>(json);
    if (!object.ok()) return object.error();
    auto shared = std::make_shared<const T>(*std::move(object));
    ObjectVersion version{shared->meta.key(), shared->meta.resource_version, false};
    store_.put(std::move(shared));
    return version;
  }
  void remove(const ObjectKey& key) override { store_.remove(key); }
  void retain(const std::set<ObjectKey>& keys) override { store_.retain(keys); }
  void mark_synced() override { store_.mark_synced(); }
  bool empty() const override { return store_.size() == 0; }

 private:
  Store<T>& store_;
};

template <typename T>
class TypedReflector {
 public:
  // Fills in options.kind, and options.path (all namespaces) where it is empty.
  TypedReflector(Clock& clock, ApiClient& client, Store<T>& store, ReflectorOptions options = {})
      : target_(store), reflector_(clock, client, target_, complete(std::move(options))) {}

  void start() { reflector_.start(); }
  void stop() { reflector_.stop(); }
  const ReflectorStatus& status() const { return reflector_.status(); }
  Duration lag() const { return reflector_.lag(); }

 private:
  static ReflectorOptions complete(ReflectorOptions options) {
    options.kind = Kind<T>::kName;
    if (options.path.empty()) options.path = resource_path(Kind<T>::kApi, Kind<T>::kResource);
    return options;
  }

  StoreTarget<T> target_;
  Reflector reflector_;
};

}  // namespace fairlead::kube
