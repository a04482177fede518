// SPDX-License-Identifier: Apache-2.0
// A small Kubernetes API server over HTTP for programs under test: lists and watches of whatever
// objects the test puts in, as JSON text. It records what it is asked. No pages, no writes (they
// are taken and forgotten), no TLS. Label selectors select, in watches as kube-apiserver has it: an
// object that no longer matches is deleted for who asked, one that begins to is added. Asked to, it
// has WatchList as kube-apiserver 1.36 has it, and troubles as it has them.
//
// Threads: the loop's.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/server.h"
#include "base/loop.h"

namespace fairlead::test {

class ClusterApi {
 public:
  enum class Trouble {
    kNone,
    kTooMany,  // 429 with Retry-After
    kExpired,  // a watch gets 410 as its first event
    kCutOff,   // answers end in the middle of an object
    kSilent,   // requests are taken and never answered
  };
  struct Request {
    std::string method;
    std::string target;  // path and query, as sent
    std::string body;
  };

  explicit ClusterApi(Loop& loop);

  // Binds; port 0 takes a free one.
  Result<SocketAddress> listen(const SocketAddress& address) { return server_.listen(address); }
  // `collection`: "/api/v1/services". `json`: an object whose metadata.resourceVersion is the text
  // "@RV@". Watches hear of it at once.
  void put(const std::string& collection, const std::string& key, std::string json);
  void remove(const std::string& collection, const std::string& key);
  // These are 404, as kinds are whose CustomResourceDefinition is not there.
  void set_missing(std::set<std::string> collections) { missing_ = std::move(collections); }
  // From now on requests are not answered, and open watches end.
  void set_down(bool down);
  // Lists and watches begun from now on have it; open watches end, unless there is none.
  void set_trouble(Trouble trouble);
  // Answers come this many bytes a millisecond; 0: at once.
  void set_speed(size_t bytes) { speed_ = bytes; }
  // Serves WatchList; without, it is refused as by a server older than 1.27.
  void serve_watch_list() { watch_list_ = true; }
  // Tells every watch how far it is.
  void send_bookmarks();
  const std::vector<Request>& requests() const { return requests_; }
  // Forgets its history: watches end, and from an older version they are refused with 410 Gone.
  void compact();
  size_t lists_served(const std::string& collection) { return lists_served_[collection]; }

  // A kubeconfig for it.
  static std::string kubeconfig(const SocketAddress& address);

 private:
  // What is asked for: a collection, and what its objects' labels must meet.
  struct Selection {
    explicit Selection(const HttpServerRequest& request);
    std::string collection;
    std::vector<std::string> requirements;
  };
  struct Watch {
    Selection selection;
    std::shared_ptr<HttpResponder> responder;
  };
  struct Object {
    std::string json;
    std::map<std::string, std::string> labels;
    bool matches(const Selection& selection) const;
  };
  using ObjectPtr = std::shared_ptr<const Object>;
  struct Event {
    uint64_t version;
    std::string collection;
    ObjectPtr before, after;  // null: there was none, it is gone
  };
  // What is still to be sent, slowly.
  struct Trickle {
    std::shared_ptr<HttpResponder> responder;
    std::string text;
    bool finish;
  };
  void handle(const HttpServerRequest& request, std::shared_ptr<HttpResponder> responder);
  void list(const Selection& selection, std::shared_ptr<HttpResponder> responder);
  void watch_list(const HttpServerRequest& request, std::shared_ptr<HttpResponder> responder);
  bool troubled(const HttpServerRequest& request, const std::shared_ptr<HttpResponder>& responder);
  std::string bookmark(const std::string& collection, bool initial_events_end) const;
  // A body, or a part of one.
  void send(const std::shared_ptr<HttpResponder>& responder, std::string text, bool finish);
  void trickle();
  void watch(const Selection& selection, uint64_t since, std::shared_ptr<HttpResponder> responder);
  void publish(const std::string& collection, ObjectPtr before, ObjectPtr after);
  // The line an event is for who asked for `selection`; empty: none.
  static std::string line_of(const Event& event, const Selection& selection);
  std::string versioned(std::string json) const;

  std::map<std::string, std::map<std::string, ObjectPtr>> objects_;  // by collection and key
  std::vector<Event> events_;
  std::vector<Watch> watches_;
  uint64_t version_ = 1;
  uint64_t floor_ = 0;  // watches can start here
  std::map<std::string, size_t> lists_served_;
  bool down_ = false;
  Trouble trouble_ = Trouble::kNone;
  size_t speed_ = 0;
  bool watch_list_ = false;
  std::set<std::string> missing_;
  std::vector<Request> requests_;
  std::vector<std::shared_ptr<HttpResponder>> silent_;
  std::vector<Trickle> trickles_;
  Timer tick_;
  HttpServer server_;
};

// Objects as JSON text for ClusterApi::put.
std::string namespace_json(const std::string& name);
// `cluster_ip` "None": headless. `ports`: JSON, [{"name":"http","port":80}].
std::string service_json(const std::string& ns, const std::string& name,
                         const std::string& cluster_ip, const std::string& ports);
std::string slice_json(const std::string& ns, const std::string& name, const std::string& service,
                       const std::vector<std::string>& addresses, const std::string& ports);

}  // namespace fairlead::test
