// SPDX-License-Identifier: Apache-2.0
// A watch over HTTP: one JSON line an event.
#include <deque>
#include <random>

#include "orchestrator/apiserver/front/request.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr size_t kMaxWaitingFrames = 10'000;
constexpr size_t kMaxWaitingBytes = 32 << 20;
constexpr const char* kInitialEventsEnd = "k8s.io/initial-events-end";
constexpr Duration kBookmarkEvery = std::chrono::seconds(60);

// What watchers derive from an event, once for all of them: the usual frame, and what filters look
// at.
class EventView {
 public:
  explicit EventView(const store::Event& event) : event_(event) {}

  const Bytes& frame() const {
    std::call_once(frame_once_, [this] {
      const char* type = event_.type == store::Event::Type::kDelete ? "DELETED"
                         : event_.previous                          ? "MODIFIED"
                                                                    : "ADDED";
      frame_ = std::make_shared<const std::string>(frame_of(type, *event_.value));
    });
    return frame_;
  }
  const Json& now(const Kind& kind) const { return parts(kind), now_; }
  const Json& before(const Kind& kind) const { return parts(kind), before_; }

  static std::string frame_of(std::string_view type, std::string_view object) {
    std::string text = "{\"type\":\"";
    text.reserve(object.size() + 48);
    return text.append(type).append("\",\"object\":").append(object).append("}\n");
  }

 private:
  // Kinds served from one storage have their own labels of fields; the stored kind's are a
  // superset.
  void parts(const Kind& kind) const {
    std::call_once(parts_once_, [&] {
      const Kind* stored = Kinds::builtin().of_key(event_.key);
      const Kind& by = stored != nullptr ? *stored : kind;
      now_ = selectable_part(by, decode_stored(event_.value));
      if (event_.previous) before_ = selectable_part(by, decode_stored(event_.previous));
    });
  }

  const store::Event& event_;
  mutable std::once_flag frame_once_, parts_once_;
  mutable Bytes frame_;
  mutable Json now_, before_;
};

const EventView& view_of(const store::Event& event) {
  return event.derived<EventView>(
      [](const store::Event& e) { return std::make_shared<const EventView>(e); });
}

class WatchStream : public Stream {
 public:
  WatchStream(Loop& loop, Registry& registry, RequestRef request, WatchParameters parameters,
              std::function<void()> on_end)
      : loop_(loop),
        registry_(registry),
        request_(std::move(request)),
        parameters_(std::move(parameters)),
        on_end_(std::move(on_end)),
        alive_(std::make_shared<bool>(true)) {
    const Kind& kind = *request_->kind;
    const std::string name = parameters_.filter.single_name();
    prefix_ = kind.prefix(request_->info.ns);
    if (!name.empty() && (!kind.namespaced || !request_->info.ns.empty())) prefix_ += name;
    request_->responder->start(
        200, {{"content-type", "application/json"}, {"cache-control", "no-cache, private"}});
    request_->responder->on_closed([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) end();
    });
    follow_from_start();
    pump();
    time_limit_ = loop_.clock().after(parameters_.time_limit, [this] { close(); });
    if (parameters_.bookmarks) schedule_bookmark();
  }

 private:
  // What there is now is remembered as shared bytes, and made into frames as the client takes them.
  void follow_from_start() {
    int64_t revision = parse_version(request_->query("resourceVersion")).value_or(0);
    if (parameters_.initial) {
      auto range = registry_.store().range({prefix_, "", 0, 0});
      if (!range) return lose(range.error());
      revision = range->revision;
      for (store::Entry& entry : range->entries)
        if (prefix_.ends_with('/') || entry.key == prefix_)
          initial_.push_back(std::move(entry.value));
      if (parameters_.bookmarks && parameters_.announced) initial_end_ = revision;
    } else if (revision == 0) {
      revision = registry_.store().revision();
    }
    told_ = revision;
    auto watch = registry_.store().watch({prefix_, revision}, loop_,
                                         {[this](const store::Batch& batch) { on_batch(batch); },
                                          [this](const Error& error) { lose(error); }});
    if (!watch) return lose(watch.error());
    watch_ = std::move(*watch);
    past_until_ = registry_.store().revision();
  }

  void on_batch(const store::Batch& batch) {
    const std::weak_ptr<bool> alive = alive_;
    for (const store::EventRef& event : batch.events) {
      if (event->revision <= told_) continue;
      if (event->revision <= past_until_)
        past_.push_back(event);
      else if (Bytes frame = frame_of(*event))
        write(std::move(frame));
      if (alive.expired() || ended_) return;
    }
    pump();
    if (alive.expired() || ended_) return;
    const bool news = batch.revision > told_;
    if (batch.events.empty() && news) send_bookmark(batch.revision);
    told_ = std::max(told_, batch.revision);
  }

  // An object that leaves the filter is DELETED for this watcher, one that enters is ADDED.
  // Null: this watcher is not told.
  Bytes frame_of(const store::Event& event) {
    const EventView& view = view_of(event);
    const Kind& kind = *request_->kind;
    const bool plain = request_->wants_as_stored();
    if (parameters_.filter.empty()) {
      if (plain) return view.frame();
      const char* type = event.type == store::Event::Type::kDelete ? "DELETED"
                         : event.previous                          ? "MODIFIED"
                                                                   : "ADDED";
      return frame_of(type, *event.value);
    }
    const bool now =
        event.type == store::Event::Type::kPut && parameters_.filter.matches(view.now(kind));
    const bool before = event.previous && parameters_.filter.matches(view.before(kind));
    if (now && before && plain) return view.frame();
    if (now) return frame_of(before ? "MODIFIED" : "ADDED", *event.value);
    if (!before) return nullptr;
    if (event.type == store::Event::Type::kDelete) return frame_of("DELETED", *event.value);
    return frame_of("DELETED", *encode(decode_stored(event.previous)).at(event.revision));
  }

  Bytes frame_of(std::string_view type, const std::string& stored) {
    if (request_->wants_as_stored())
      return std::make_shared<const std::string>(EventView::frame_of(type, stored));
    Json object = Json::parse(stored, nullptr, false);
    if (request_->wants_table()) {
      const Json metadata = {{"resourceVersion", string_at(object, "metadata.resourceVersion")}};
      object = table_of({object}, metadata, std::chrono::system_clock::now());
    } else {
      object = request_->shown(std::move(object));
    }
    return std::make_shared<const std::string>(EventView::frame_of(type, dump(object)));
  }

  Json table_of(const std::vector<Json>& objects, const Json& metadata, WallTime now) {
    const TableOptions options = request_->table_options(!std::exchange(columns_told_, true));
    return make_table(*request_->kind, objects, metadata, options, now);
  }

  void send_bookmark(int64_t revision) { write(bookmark_of(revision, Json::object())); }

  // That everything there was has been sent: what a client that lists by watching waits for.
  void send_initial_end() {
    const int64_t revision = *std::exchange(initial_end_, std::nullopt);
    send(bookmark_of(revision, {{"annotations", {{kInitialEventsEnd, "true"}}}}));
  }

  Bytes bookmark_of(int64_t revision, Json metadata) {
    const Kind& kind = *request_->kind;
    metadata["resourceVersion"] = std::to_string(revision);
    Json object = {{"kind", kind.kind}, {"apiVersion", kind.api_version()}, {"metadata", metadata}};
    if (request_->wants_metadata()) object = partial_metadata(object, request_->meta_version());
    if (request_->wants_table()) {
      const std::vector<Json> rows =
          metadata.contains("annotations") ? std::vector<Json>{object} : std::vector<Json>{};
      object = table_of(rows, {{"resourceVersion", metadata["resourceVersion"]}}, {});
    }
    return std::make_shared<const std::string>(EventView::frame_of("BOOKMARK", dump(object)));
  }

  void schedule_bookmark() {
    bookmark_ = loop_.clock().after(kBookmarkEvery, [this] {
      if (watch_) watch_->request_progress();
      schedule_bookmark();
    });
  }

  // The history this watch needs is gone: the client has to list again, and what waits is no use.
  void lose(const Error& error) {
    const std::string status = ApiError::from_error(error).to_json();
    request_->responder->write(EventView::frame_of("ERROR", status));
    close();
  }

  // A slow client gets what waits once it has drained; too much waiting closes it.
  void write(Bytes frame) {
    if (ended_) return;
    waiting_bytes_ += frame->size();
    waiting_.push_back(std::move(frame));
    pump();
    if (waiting_.size() > kMaxWaitingFrames || waiting_bytes_ > kMaxWaitingBytes) close();
  }

  // What there was, then what had changed, then what changes, for as long as the client takes it.
  void pump() {
    while (!congested_ && !ended_) {
      if (next_initial_ < initial_.size()) {
        send_initial(std::exchange(initial_[next_initial_++], nullptr));
        if (next_initial_ == initial_.size()) std::vector<Bytes>().swap(initial_);
      } else if (initial_end_) {
        send_initial_end();
      } else if (!past_.empty()) {
        const store::EventRef event = std::move(past_.front());
        past_.pop_front();
        if (Bytes frame = frame_of(*event)) send(std::move(frame));
      } else if (!waiting_.empty()) {
        Bytes frame = std::move(waiting_.front());
        waiting_.pop_front();
        waiting_bytes_ -= frame->size();
        send(std::move(frame));
      } else {
        return;
      }
    }
  }

  void send_initial(const Bytes& stored) {
    const Filter& filter = parameters_.filter;
    if (filter.empty() || filter.matches(decode_stored(stored))) send(frame_of("ADDED", *stored));
  }

  void send(Bytes frame) {
    congested_ = !request_->responder->write_shared(std::move(frame));
    if (!congested_) return;
    request_->responder->on_drained([this, alive = std::weak_ptr<bool>(alive_)] {
      if (alive.expired()) return;
      congested_ = false;
      pump();
    });
  }

  void close() {
    if (ended_) return;
    request_->responder->finish();
    end();
  }
  void end() {
    if (std::exchange(ended_, true)) return;
    watch_.reset();
    loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) on_end_();
    });
  }

  Loop& loop_;
  Registry& registry_;
  RequestRef request_;
  WatchParameters parameters_;
  std::function<void()> on_end_;
  std::string prefix_;
  std::unique_ptr<store::Watch> watch_;
  std::vector<Bytes> initial_;  // those before next_initial_ have been sent; all: empty
  size_t next_initial_ = 0;
  std::optional<int64_t> initial_end_;  // their revision, until the client is told of their end
  std::deque<store::EventRef> past_;    // changes before the watch began: at most the history
  std::deque<Bytes> waiting_;           // changes since
  size_t waiting_bytes_ = 0;
  Alarm bookmark_, time_limit_;
  int64_t told_ = 0;
  int64_t past_until_ = 0;
  bool columns_told_ = false, congested_ = false, ended_ = false;
  std::shared_ptr<bool> alive_;
};

}  // namespace

std::shared_ptr<Stream> make_watch_stream(Loop& loop, Registry& registry, RequestRef request,
                                          WatchParameters parameters,
                                          std::function<void()> on_end) {
  return std::make_shared<WatchStream>(loop, registry, std::move(request), std::move(parameters),
                                       std::move(on_end));
}

}  // namespace fairlead::orchestrator::apiserver
