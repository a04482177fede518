// SPDX-License-Identifier: Apache-2.0
// The addresses of one host name, asked of one server after another until one knows some. At most
// kMaxUpstreams are kept. The callback runs once, on the loop, unless the lookup is destroyed
// first; it may destroy the lookup. Threads: the loop's.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "dns/plugins/forward/exchange.h"
#include "dns/plugins/forward/random_source.h"

namespace fairlead::dns {

class NameLookup {
 public:
  // Sorted, without repetitions.
  using OnDone = std::function<void(Result<std::vector<IpAddress>>)>;

  NameLookup(Loop& loop, const Name& name, std::vector<SocketAddress> servers, OnDone on_done);
  // False: of one of the two types nobody could say what there is. In the callback.
  bool complete() const { return answered_ == std::size(kTypes); }

 private:
  static constexpr Type kTypes[] = {Type::kA, Type::kAaaa};
  void ask();
  void on_reply(const Result<ReplyView>& reply);
  void done();

  const Name name_;
  const std::vector<SocketAddress> servers_;
  size_t next_ = 0;  // server
  OnDone on_done_;
  RandomSource random_;
  TlsDialer tls_{nullptr};
  IdleConnections idle_;
  Outside outside_;
  ForwardMetrics::Server counts_;
  std::unique_ptr<UpstreamExchange> questions_[2];
  size_t waiting_ = 0;
  size_t answered_ = 0;  // of the types, by the server asked last
  std::vector<IpAddress> addresses_;
  Error failure_{ErrorCode::kNotFound, "there is no server to ask"};
  Timer timer_;
};

// The data of A and AAAA records in the answer section.
std::vector<IpAddress> addresses_in(const ReplyView& reply);

}  // namespace fairlead::dns
