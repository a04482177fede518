// SPDX-License-Identifier: Apache-2.0
// Who goes without an answer when more is asked than can be answered: those who ask most. Pure;
// time and how full the socket is are arguments. One for each UDP socket of a worker; its thread.
//
// While the socket keeps up, nothing here runs but comparisons for a batch of datagrams. When
// kStreak batches in a row are full and half of the socket's buffer is taken, the socket is
// overloaded: from then on a client that has had its allowance is shed, unread and unanswered,
// which costs a part of an answer, so that the buffer empties and the others' queries do not drown
// in it.
//
// A client is a whole address, of IPv6 too: the pods of a node, or of a network, may share a /64.
// What it was admitted is a level that leaks an eighth each kWindow; it is shed while its level is
// at the allowance, which is the same for all. The allowance shrinks by a sixteenth for each window
// in which the socket did not empty and grows by a thirty-second for each in which it did, so that
// it stays about where all that can be answered is: max-min fairness, and who asks less than the
// allowance is not shed. It is never under kLeast. A second without anybody shed, and the overload
// is over.
//
// Levels are kept in a count-min sketch with a key of its own for each overload: the memory is
// fixed whatever comes, and a flood from addresses without number raises all levels alike, the
// allowance with them. Beside thirty greedy clients a quiet one shares all its cells with some of
// them once in a million.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/address.h"
#include "base/time.h"

namespace fairlead::dns {

class FairShare {
 public:
  static constexpr unsigned kStreak = 8;
  static constexpr Duration kWindow = std::chrono::milliseconds(2);
  // Of the level: a burst of so many queries, or about a thousand a second.
  static constexpr uint32_t kLeast = 16;
  static constexpr unsigned kCalmWindows = 500;

  // `key` is secret, so that nobody can choose whose cells it meets.
  explicit FairShare(uint64_t key) : key_(key) {}

  // Whether batch() has to be told of a batch.
  bool concerns(bool full) const { return full || streak_ != 0 || sketch_ != nullptr; }
  // A batch has been read; `full`: the socket may have more. Not full is also that it has nothing.
  // True: filled() decides.
  bool batch(bool full, MonoTime now);
  // How full the socket's buffer is, from 0 to 1, once batch() has asked.
  void filled(double part, MonoTime now);

  bool overloaded() const { return sketch_ != nullptr; }
  // Only while overloaded. False: the query is shed.
  bool admit(const IpAddress& client);

  // For tests.
  uint32_t allowance() const { return allowance_; }

 private:
  static constexpr size_t kRows = 4;
  static constexpr size_t kCells = 1024;
  using Sketch = std::array<std::array<uint32_t, kCells>, kRows>;

  void begin(MonoTime now);
  void end_window(MonoTime now);

  uint64_t key_;
  unsigned streak_ = 0;             // full batches in a row
  MonoTime full_at_{};              // the last of them
  Duration quickest_{};             // the shortest time from one of them to the next
  std::unique_ptr<Sketch> sketch_;  // levels; null: not overloaded
  uint32_t allowance_ = 0;
  MonoTime window_ends_{};
  bool emptied_ = false;  // the socket, in this window
  bool shed_ = false;     // somebody, in this window
  unsigned calm_ = 0;     // windows in a row without
};

}  // namespace fairlead::dns
