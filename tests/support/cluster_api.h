// SPDX-License-Identifier: Apache-2.0
// A small Kubernetes API server over HTTP for programs under test: lists and watches of whatever
// objects the test puts in, as JSON text. No WatchList, no pages, no writes, no TLS.
//
// Threads: the loop's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/server.h"
#include "base/loop.h"

namespace fairlead::test {

class ClusterApi {
 public:
  explicit ClusterApi(Loop& loop);

  // Binds; port 0 takes a free one.
  Result<SocketAddress> listen(const SocketAddress& address) { return server_.listen(address); }
  // `collection`: "/api/v1/services". `json`: an object whose metadata.resourceVersion is the text
  // "@RV@". Watches hear of it at once.
  void put(const std::string& collection, const std::string& key, std::string json);
  void remove(const std::string& collection, const std::string& key);
  // From now on requests are not answered, and open watches end.
  void set_down(bool down);
  // Forgets its history: watches end, and from an older version they are refused with 410 Gone.
  void compact();
  size_t lists_served(const std::string& collection) { return lists_served_[collection]; }

  // A kubeconfig for it.
  static std::string kubeconfig(const SocketAddress& address);

 private:
  struct Watch {
    std::string collection;
    std::shared_ptr<HttpResponder> responder;
  };
  struct Event {
    uint64_t version;
    std::string collection;
    std::string line;
  };
  void handle(const HttpServerRequest& request, std::shared_ptr<HttpResponder> responder);
  void list(const std::string& collection, HttpResponder& responder);
  void watch(const std::string& collection, uint64_t since,
             std::shared_ptr<HttpResponder> responder);
  void publish(const char* type, const std::string& collection, const std::string& object);
  std::string versioned(std::string json) const;

  std::map<std::string, std::map<std::string, std::string>> objects_;  // by collection and key
  std::vector<Event> events_;
  std::vector<Watch> watches_;
  uint64_t version_ = 1;
  uint64_t floor_ = 0;  // watches can start here
  std::map<std::string, size_t> lists_served_;
  bool down_ = false;
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
