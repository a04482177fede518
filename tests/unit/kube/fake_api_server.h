// SPDX-License-Identifier: Apache-2.0
// A small API server at the other end of a FakeTransport: objects with a history, lists in pages,
// watches, WatchList, and faults drawn from a random number generator. One kind of object.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/kube/fake_transport.h"

namespace fairlead::kube {

class FakeApiServer {
 public:
  enum class WatchList { kServed, kRefused, kIgnored };  // ignored: a stream without its bookmark

  FakeApiServer(FakeTransport& transport, std::mt19937_64& rng, WatchList watch_list)
      : transport_(transport), rng_(rng), watch_list_(watch_list) {}

  // One random write: create, change, delete; sometimes an object nobody can decode.
  void write();
  // Every object becomes decodable.
  void mend();
  // History up to now is forgotten, page tokens too.
  void compact();
  // Answers what is asked and sends what is due; `fault_percent` of the answers go wrong.
  void serve(int fault_percent);

  // name -> version label
  std::map<std::string, std::string> state() const;

 private:
  struct Object {
    int64_t version = 0;
    bool decodable = true;
  };
  using Objects = std::map<std::string, Object>;
  struct Event {
    int64_t version;
    std::string type;
    std::string name;
    bool decodable;
  };
  struct Stream {
    std::shared_ptr<Exchange> exchange;
    int64_t position;
    bool hung = false;
  };

  bool chance(int percent) { return static_cast<int>(rng_() % 100) < percent; }
  void record(const std::string& type, const std::string& name, bool decodable);
  Objects objects_at(int64_t version) const;
  static std::string text_of(const std::string& name, const Object& object);
  static std::string status(int code, const std::string& reason, const std::string& details);
  void send(Exchange& exchange, const std::string& text);

  void answer(const std::shared_ptr<Exchange>& exchange, int fault_percent);
  bool go_wrong(Exchange& exchange);
  void answer_list(Exchange& exchange);
  void answer_watch(const std::shared_ptr<Exchange>& exchange);
  void answer_initial(const std::shared_ptr<Exchange>& exchange);
  void pump(Stream& stream, int fault_percent);
  void break_stream(Stream& stream);

  FakeTransport& transport_;
  std::mt19937_64& rng_;
  WatchList watch_list_;
  int64_t version_ = 100;
  int64_t floor_ = 100;  // watches can start here
  Objects objects_, objects_at_floor_;
  std::vector<Event> history_;  // after floor_
  std::map<std::string, std::pair<int64_t, Objects>> tokens_;
  int next_token_ = 0;
  std::vector<Stream> streams_;
  std::vector<std::shared_ptr<Exchange>> ignored_;  // will never be answered
};

}  // namespace fairlead::kube
