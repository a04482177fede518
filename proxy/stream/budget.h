// SPDX-License-Identifier: Apache-2.0
// Who gets how many of the descriptors that this process may have (RLIMIT_NOFILE). Pure.
//
// First come those without which nothing runs: the process's own, the loops', and some for the API
// server and for whoever asks how we are. Pipes and UDP sessions have a fixed share. The rest is
// for listening sockets and connections, two descriptors each: neither may take what the other
// holds, and connections leave room for a quarter more sockets than there are.
#pragma once

#include <cstddef>

namespace fairlead::proxy::stream {

class Budget {
 public:
  // `pipes` and `sessions`: what a worker would have at most.
  Budget(size_t descriptors, size_t workers, size_t pipes, size_t sessions);

  // Of each worker.
  size_t pipes() const { return pipes_; }
  size_t sessions() const { return sessions_; }
  // How many connections each worker may have while so many sockets listen; at least one.
  size_t connections(size_t listening) const;
  // How many sockets may listen while so many connections are open, of all workers both.
  size_t listening(size_t connections) const;

 private:
  const size_t workers_;
  const size_t most_listening_;
  const size_t pipes_, sessions_;
  size_t divided_;  // among the two
};

}  // namespace fairlead::proxy::stream
