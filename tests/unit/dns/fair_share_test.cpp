// SPDX-License-Identifier: Apache-2.0
#include "dns/server/fair_share.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "dns/plugins/forward/client_share.h"
#include "tests/unit/dns/support.h"

namespace fairlead::dns::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A socket and a worker in a model of time: a datagram costs 1 us to read and 7 us more to answer,
// so that 125 are answered in a millisecond; the socket holds kBuffer, and more are lost.
class Model {
 public:
  static constexpr size_t kBuffer = 1000;
  static constexpr double kRead = 1;
  static constexpr double kAnswer = 7;

  struct Sender {
    std::string address;
    double per_millisecond = 0;
    size_t sent = 0, answered = 0, shed = 0, lost = 0;
    double due = 0;
  };
  std::vector<Sender> senders;
  FairShare share{42};

  void run(Duration duration) {
    const MonoTime end = now_ + duration;
    while (now_ < end) step();
  }
  void forget() {
    for (Sender& sender : senders) sender.sent = sender.answered = sender.shed = sender.lost = 0;
  }

 private:
  void step() {
    const size_t batch = std::min<size_t>(queue_.size(), 64);
    const bool full = batch == 64;
    if (share.concerns(full) && share.batch(full, now_))
      share.filled(static_cast<double>(queue_.size() - batch) / kBuffer, now_);
    double cost = 5;
    for (size_t i = 0; i < batch; ++i) {
      Sender& sender = senders[queue_[i]];
      cost += kRead;
      if (share.overloaded() && !share.admit(ip(sender.address))) {
        ++sender.shed;
        continue;
      }
      cost += kAnswer;
      ++sender.answered;
    }
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(batch));
    pass(cost);
  }
  void pass(double microseconds_passed) {
    now_ += Duration(static_cast<int64_t>(microseconds_passed * 1000));
    for (size_t i = 0; i < senders.size(); ++i) {
      Sender& sender = senders[i];
      for (sender.due += sender.per_millisecond * microseconds_passed / 1000; sender.due >= 1;
           --sender.due) {
        ++sender.sent;
        if (queue_.size() < kBuffer)
          queue_.push_back(i);
        else
          ++sender.lost;
      }
    }
  }
  MonoTime now_{seconds(1)};
  std::vector<size_t> queue_;
};

TEST(FairShare, WhoIsShed) {
  struct Row {
    const char* what;
    std::vector<std::pair<const char*, double>> senders;  // queries in a millisecond
    std::vector<std::pair<double, double>> answered;      // of each, from and to, of what it sent
    bool overloaded;
  };
  const Row kRows[] = {
      {"all that is asked is answered",
       {{"10.0.0.1", 100}, {"10.0.0.2", 10}},
       {{0.98, 1}, {0.98, 1}},
       false},
      {"a greedy one and a quiet one",
       {{"10.0.0.1", 400}, {"10.0.0.2", 1}},
       {{0.1, 0.3}, {0.99, 1}},
       true},
      {"two greedy ones have the same",
       {{"10.0.0.1", 200}, {"10.0.0.2", 400}, {"10.0.0.3", 2}},
       {{0.1, 0.3}, {0.05, 0.15}, {0.99, 1}},
       true},
      {"two pods of one /64 are two clients",
       {{"fd00:0:0:1::1", 400}, {"fd00:0:0:1::2", 1}},
       {{0.1, 0.3}, {0.99, 1}},
       true},
      {"one alone has what can be answered", {{"10.0.0.1", 500}}, {{0.1, 0.25}}, true},
  };
  for (const Row& row : kRows) {
    Model model;
    for (const auto& [address, rate] : row.senders) model.senders.push_back({address, rate});
    model.run(milliseconds(300));  // until the allowance has found its level
    model.forget();
    model.run(seconds(1));
    EXPECT_EQ(model.share.overloaded(), row.overloaded) << row.what;
    for (size_t i = 0; i < row.senders.size(); ++i) {
      const Model::Sender& sender = model.senders[i];
      const double part = double(sender.answered) / double(sender.sent);
      EXPECT_GE(part, row.answered[i].first) << row.what << " " << i << " lost " << sender.lost;
      EXPECT_LE(part, row.answered[i].second + 0.01) << row.what << " " << i;
    }
  }
}

// What is shed is not lost for nothing: the worker stays busy.
TEST(FairShare, TheWorkerStaysBusy) {
  Model model;
  model.senders = {{"10.0.0.1", 300}, {"10.0.0.2", 300}};
  model.run(milliseconds(300));
  model.forget();
  model.run(seconds(1));
  const size_t answered = model.senders[0].answered + model.senders[1].answered;
  // To read 600 datagrams takes 0.6 ms of each, which leaves time for 57 answers.
  EXPECT_GT(answered, 40'000u);
}

TEST(FairShare, AnOverloadEndsASecondAfterTheLastOneIsShed) {
  Model model;
  model.senders = {{"10.0.0.1", 400}, {"10.0.0.2", 1}};
  model.run(milliseconds(500));
  EXPECT_TRUE(model.share.overloaded());
  model.senders[0].per_millisecond = 50;
  model.run(milliseconds(500));
  EXPECT_TRUE(model.share.overloaded());
  model.run(seconds(1));
  EXPECT_FALSE(model.share.overloaded());
  EXPECT_FALSE(model.share.concerns(false)) << "nothing more is done for a batch";
}

// Many at once, fewer than half of the buffer, are no overload.
TEST(FairShare, ABurstIsNoOverload) {
  FairShare share(1);
  const MonoTime now(seconds(1));
  for (int round = 0; round < 100; ++round) {
    for (unsigned i = 1; i < FairShare::kStreak; ++i) EXPECT_FALSE(share.batch(true, now)) << i;
    EXPECT_TRUE(share.batch(true, now));
    share.filled(0.49, now);
    EXPECT_FALSE(share.overloaded());
  }
}

// One that does not fill the socket ends a row of full batches, or one that finds nothing.
TEST(FairShare, FullBatchesFarApartAreNoOverload) {
  FairShare share(1);
  MonoTime now(seconds(1));
  const auto asks = [&](bool full) {
    now += std::chrono::hours(1);
    return share.concerns(full) && share.batch(full, now);
  };
  EXPECT_FALSE(share.concerns(false)) << "nothing is done while nothing is full";
  for (unsigned i = 1; i < FairShare::kStreak; ++i) {
    EXPECT_FALSE(asks(true)) << i;
    EXPECT_FALSE(asks(false)) << i;
  }
  EXPECT_FALSE(asks(true));
  for (unsigned i = 2; i < FairShare::kStreak; ++i) EXPECT_FALSE(asks(true)) << i;
  EXPECT_TRUE(asks(true)) << "in a row they are";
}

// It is what the worker answers while it runs.
TEST(FairShare, TheFirstAllowance) {
  struct Row {
    const char* what;
    std::vector<Duration> between;  // the full batches of the streak
    uint32_t allowance;
  };
  using Times = std::vector<Duration>;
  Times away(FairShare::kStreak - 1, milliseconds(100));
  away[3] = microseconds(500);
  const Row kRows[] = {
      {"64 in half a millisecond", Times(FairShare::kStreak - 1, microseconds(500)), 256},
      {"only once the worker was not away", away, 256},
      {"it is slow", Times(FairShare::kStreak - 1, milliseconds(100)), FairShare::kLeast},
      {"no time has passed", Times(FairShare::kStreak - 1, Duration(0)), 1u << 20},
  };
  for (const Row& row : kRows) {
    FairShare share(1);
    MonoTime now(seconds(1));
    // Another streak, of batches that cost little.
    for (int i = 0; i < 3; ++i) share.batch(true, now += Duration(1));
    share.batch(false, now += Duration(1));
    share.batch(true, now += Duration(1));
    for (const Duration each : row.between) share.batch(true, now += each);
    share.filled(1, now);
    EXPECT_TRUE(share.overloaded()) << row.what;
    EXPECT_EQ(share.allowance(), row.allowance) << row.what;
  }
}

// Nobody who asks little is shed, however long the others go on.
TEST(FairShare, TheAllowanceHasALeastValue) {
  FairShare share(1);
  MonoTime now(seconds(1));
  for (unsigned i = 0; i < FairShare::kStreak; ++i) share.batch(true, now += microseconds(500));
  share.filled(1, now);
  ASSERT_TRUE(share.overloaded());
  for (int i = 0; i < 1000; ++i)
    for (const uint8_t last : {1, 2}) {
      share.batch(true, now += FairShare::kWindow / 2);
      share.admit(IpAddress::v4(10, 0, 1, last));
    }
  EXPECT_EQ(share.allowance(), FairShare::kLeast);
  for (uint32_t i = 0; i < FairShare::kLeast; ++i) EXPECT_TRUE(share.admit(ip("10.0.0.1"))) << i;
  EXPECT_FALSE(share.admit(ip("10.0.0.1")));
  EXPECT_TRUE(share.admit(ip("10.0.0.2")));
  share.batch(true, now += FairShare::kWindow);
  EXPECT_TRUE(share.admit(ip("10.0.0.1"))) << "an eighth has leaked";
}

// A flood from addresses that are all different takes no memory and singles nobody out.
TEST(FairShare, AFloodOfAddressesShedsNoQuietClient) {
  FairShare share(7);
  MonoTime now(seconds(1));
  for (unsigned i = 0; i < FairShare::kStreak; ++i) share.batch(true, now += microseconds(500));
  share.filled(1, now);
  size_t shed = 0;
  uint32_t next = 0;
  for (int window = 0; window < 1000; ++window) {
    share.batch(true, now += FairShare::kWindow);
    for (int i = 0; i < 500; ++i, ++next)
      share.admit(IpAddress::v4(172, static_cast<uint8_t>(next >> 16),
                                static_cast<uint8_t>(next >> 8), static_cast<uint8_t>(next)));
    if (!share.admit(ip("10.0.0.1"))) ++shed;
  }
  EXPECT_EQ(shed, 0u);
}

TEST(ClientShare, AlwaysLeavesAPlace) {
  struct Row {
    size_t places;
    std::vector<size_t> had;  // by greedy clients, that take all they get one after the other
  };
  const Row kRows[] = {{1, {1}}, {3, {3}}, {9, {8, 1}}, {90, {80, 9, 1}}, {900, {800, 89, 10, 1}}};
  for (const Row& row : kRows) {
    ClientShare share;
    std::vector<ClientShare::Place> taken;
    for (size_t i = 0; i < row.had.size(); ++i) {
      const IpAddress client = IpAddress::v4(10, 0, 0, static_cast<uint8_t>(i + 1));
      size_t had = 0;
      while (taken.size() < row.places) {
        ClientShare::Place place = share.take(client, row.places - taken.size());
        if (place == nullptr) break;
        taken.push_back(std::move(place));
        ++had;
      }
      EXPECT_EQ(had, row.had[i]) << row.places << " " << i;
    }
    taken.clear();
    EXPECT_EQ(share.clients(), 0u) << "nothing is kept of who has none";
  }
}

TEST(ClientShare, ClientsAreAddresses) {
  ClientShare share;
  std::vector<ClientShare::Place> taken;
  const char* const kAll[] = {"10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2", "fd00:0:0:1::1"};
  for (const char* address : kAll)
    for (int i = 0; i < 2; ++i) taken.push_back(share.take(ip(address), 100));
  EXPECT_EQ(share.clients(), std::size(kAll));
}

}  // namespace
}  // namespace fairlead::dns::test
