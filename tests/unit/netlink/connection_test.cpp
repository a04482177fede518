// SPDX-License-Identifier: Apache-2.0
// What a Connection makes of a kernel that loses messages, disturbs dumps, or says nothing.
#include "netlink/connection.h"

#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cerrno>
#include <random>

#include "tests/support/seed.h"
#include "tests/unit/netlink/fake_kernel.h"

namespace fairlead::netlink {
namespace {

constexpr Duration kPatience = std::chrono::seconds(20);
// Datagrams a Connection takes in one turn of the loop (connection.cpp).
constexpr int kTurn = 256;

MessageWriter message(uint16_t type = NLMSG_MIN_TYPE) {
  MessageWriter writer;
  writer.begin(type, 0, nfgenmsg{});
  writer.end();
  return writer;
}

std::shared_ptr<MessageWriter> batch_of(int messages) {
  auto writer = std::make_shared<MessageWriter>(message(NFNL_MSG_BATCH_BEGIN));
  for (int i = 0; i < messages; ++i) {
    writer->begin(NLMSG_MIN_TYPE, 0, nfgenmsg{});
    writer->end();
  }
  writer->begin(NFNL_MSG_BATCH_END, 0, nfgenmsg{});
  writer->end();
  return writer;
}

class ConnectionTest : public testing::Test {
 protected:
  void connect(Connection::Options options = {}) { connection_ = kernel_.connect(loop_, options); }
  bool until(const std::function<bool()>& done) { return loop_.run_until(done, kPatience); }

  Loop loop_;
  FakeKernel kernel_;
  std::unique_ptr<Connection> connection_;
};

// The turn ends with the last datagram there is: no later readiness tells of the loss.
TEST_F(ConnectionTest, ALossAtTheEndOfATurnIsToldToo) {
  for (const int behind : {0, kTurn - 2, kTurn - 1, kTurn, 2 * kTurn - 1}) {
    SCOPED_TRACE(behind);
    FakeKernel kernel;
    const auto connection = kernel.connect(loop_, {});
    int resyncs = 0;
    connection->set_on_resync([&] { ++resyncs; });
    kernel.overrun();
    for (int i = 0; i < behind; ++i) kernel.noop();
    EXPECT_TRUE(until([&] { return resyncs > 0; }));
    EXPECT_EQ(resyncs, 1);
  }
}

TEST_F(ConnectionTest, ALossInterruptsRequestsButNoDump) {
  connect();
  std::vector<std::string> told;
  connection_->set_on_resync([&] { told.push_back("resync"); });
  connection_->request(message(), [&](Result<void> result) {
    told.push_back(result.ok() ? "request ok" : std::string(to_string(result.error().code())));
  });
  int rows = 0;
  connection_->dump(
      message(), [&](const MessageView&) { ++rows; },
      [&](Result<void> result) { told.push_back(result.ok() ? "dump ok" : "dump failed"); });
  const auto request = kernel_.take();
  const auto dump = kernel_.take();
  ASSERT_TRUE(request && dump);
  kernel_.overrun();
  kernel_.row(dump->first_sequence);
  ASSERT_TRUE(until([&] { return told.size() == 2; }));
  kernel_.answer(request->first_sequence, 0);  // late: nobody waits for it
  kernel_.row(dump->first_sequence);
  kernel_.done(dump->first_sequence);
  ASSERT_TRUE(until([&] { return told.size() == 3; }));
  EXPECT_EQ(told, (std::vector<std::string>{std::string(to_string(ErrorCode::kInterrupted)),
                                            "resync", "dump ok"}));
  EXPECT_EQ(rows, 2);
}

TEST_F(ConnectionTest, DumpsThatWereDisturbedSaySo) {
  struct Case {
    const char* what;
    void (*play)(FakeKernel& kernel, uint32_t sequence);
    ErrorCode code;
  };
  const Case kCases[] = {
      {"NLM_F_DUMP_INTR on a row",
       [](FakeKernel& kernel, uint32_t sequence) {
         kernel.row(sequence, NLM_F_DUMP_INTR);
         kernel.row(sequence);
         kernel.done(sequence);
       },
       ErrorCode::kInterrupted},
      {"NLM_F_DUMP_INTR on the end alone",
       [](FakeKernel& kernel, uint32_t sequence) {
         kernel.row(sequence);
         kernel.done(sequence, 0, NLM_F_DUMP_INTR);
       },
       ErrorCode::kInterrupted},
      {"EINTR at the start",
       [](FakeKernel& kernel, uint32_t sequence) { kernel.answer(sequence, EINTR); },
       ErrorCode::kInterrupted},
      {"EINTR at the end",
       [](FakeKernel& kernel, uint32_t sequence) {
         kernel.row(sequence);
         kernel.done(sequence, EINTR);
       },
       ErrorCode::kInterrupted},
      {"another error after an interruption",
       [](FakeKernel& kernel, uint32_t sequence) {
         kernel.row(sequence, NLM_F_DUMP_INTR);
         kernel.done(sequence, ENOMEM);
       },
       ErrorCode::kResourceExhausted},
  };
  connect();
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.what);
    std::optional<Error> error;
    connection_->dump(message(), nullptr, [&](Result<void> result) {
      ASSERT_FALSE(result.ok());
      error = result.error();
    });
    const auto asked = kernel_.take();
    ASSERT_TRUE(asked);
    c.play(kernel_, asked->first_sequence);
    ASSERT_TRUE(until([&] { return error.has_value(); }));
    EXPECT_EQ(error->code(), c.code) << error->message();
  }
  // An interrupted dump leaves nothing behind for the next.
  bool clean = false;
  connection_->dump(message(), nullptr, [&](Result<void> result) { clean = result.ok(); });
  kernel_.done(kernel_.take()->first_sequence);
  EXPECT_TRUE(until([&] { return clean; }));
}

TEST_F(ConnectionTest, ALargeBatchIsSentAside) {
  Connection::Options options;
  options.send_aside_from = 1;
  connect(options);
  std::vector<bool> told;
  for (int i = 0; i < 3; ++i)
    connection_->batch(batch_of(2), [&](std::optional<BatchError> e) { told.push_back(!e); });
  Timer tick(loop_);  // what arrives at the kernel's end is no event of this loop
  tick.start_every(std::chrono::milliseconds(1), [] {});
  for (const bool refused : {false, true, false}) {
    std::optional<Asked> asked;
    ASSERT_TRUE(until([&] {
      if (!asked) asked = kernel_.take();
      return asked.has_value();
    }));
    kernel_.answer(asked->first_sequence + 2, refused ? ENOSPC : 0);
  }
  ASSERT_TRUE(until([&] { return told.size() == 3; }));
  EXPECT_EQ(told, (std::vector<bool>{true, false, true}));
}

TEST_F(ConnectionTest, ARefusedSendOfALargeBatchIsTold) {
  Connection::Options options;
  options.send_aside_from = 1;
  auto kernel = std::make_unique<FakeKernel>();
  connection_ = kernel->connect(loop_, options);
  kernel.reset();
  std::optional<BatchError> told;
  connection_->batch(batch_of(1), [&](std::optional<BatchError> error) { told = error; });
  EXPECT_FALSE(told) << "inside the call that asked";
  ASSERT_TRUE(until([&] { return told.has_value(); }));
  EXPECT_NE(told->error.message().find("send to netlink"), std::string::npos)
      << told->error.message();
}

// Requests of every kind against a kernel that answers, refuses, is silent, loses messages and
// talks nonsense, while callers cancel, ask from inside callbacks, and at last let go.
class RandomRun {
 public:
  explicit RandomRun(uint64_t seed) : random_(seed) {
    Connection::Options options;
    options.timeout = std::chrono::milliseconds(10);
    options.max_in_flight = 1 + pick(4);
    options.max_queued = 1 + pick(8);
    if (pick(2) == 0) options.send_aside_from = 0;
    connection_ = kernel_.connect(loop_, options);
  }

  void run() {
    for (int step = 0; step < 200; ++step) {
      if (pick(3) == 0) ask();
      if (pick(3) == 0) play();
      if (pick(8) == 0 && !ids_.empty()) connection_->cancel(ids_[pick(ids_.size())]);
      if (pick(4) == 0) turn();
      ASSERT_LE(connection_->in_flight(), 4u);
    }
    if (pick(2) == 0) {
      asking_ = false;
      while (kernel_.take()) {
      }
      ASSERT_TRUE(loop_.run_until([&] { return open() == 0; }, kPatience)) << open();
      EXPECT_EQ(connection_->queued(), 0u);
    }
    asking_ = false;
    connection_.reset();
    for (size_t i = 0; i < completions_.size(); ++i)
      EXPECT_EQ(completions_[i], 1) << "request number " << i;
  }

 private:
  size_t pick(size_t below) { return random_() % below; }
  size_t open() const {
    return static_cast<size_t>(std::count(completions_.begin(), completions_.end(), 0));
  }

  // Lets the loop do what is due.
  void turn() {
    bool turned = false;
    loop_.post([&] { turned = true; });
    loop_.run_until([&] { return turned; }, kPatience);
  }

  void ask() {
    const size_t number = completions_.size();
    completions_.push_back(0);
    const bool inside = inside_call_;
    inside_call_ = true;
    const auto completed = [this, number] {
      ++completions_[number];
      EXPECT_FALSE(inside_call_) << "completed inside the call that asked";
      if (asking_ && pick(6) == 0) ask();
    };
    const auto done = [completed](Result<void>) { completed(); };
    switch (pick(4)) {
      case 0:
        ids_.push_back(connection_->request(message(), done));
        break;
      case 1:
        ids_.push_back(connection_->dump(
            message(), [](const MessageView&) {}, done));
        break;
      case 2:
        ids_.push_back(connection_->batch(batch_of(1 + static_cast<int>(pick(3))),
                                          [completed](std::optional<BatchError>) { completed(); }));
        break;
      default:
        ids_.push_back(connection_->complete_later(ok(), done));
        break;
    }
    inside_call_ = inside;
  }

  // One thing a kernel may do.
  void play() {
    if (pick(12) == 0) return kernel_.overrun();
    if (pick(12) == 0) return kernel_.answer(static_cast<uint32_t>(pick(100)), EBUSY);
    const auto asked = kernel_.take();
    if (!asked || pick(6) == 0) return;  // silence: it times out
    const uint32_t first = asked->first_sequence;
    const int error = pick(3) == 0 ? ENOENT : 0;
    switch (asked->kind) {
      case Asked::Kind::kRequest:
        return kernel_.answer(first, error);
      case Asked::Kind::kDump:
        for (size_t i = pick(4); i > 0; --i)
          kernel_.row(first, pick(5) == 0 ? uint16_t{NLM_F_DUMP_INTR} : uint16_t{0});
        if (pick(8) > 0) kernel_.done(first, error);
        return;
      case Asked::Kind::kBatch:  // each refused message is reported; success by the last alone
        for (uint32_t i = 1; error != 0 && i + 1 < asked->count; ++i)
          kernel_.answer(first + i, error);
        return kernel_.answer(first + asked->count - 2, error);
    }
  }

  std::mt19937_64 random_;
  Loop loop_;
  FakeKernel kernel_;
  std::unique_ptr<Connection> connection_;
  std::vector<int> completions_;  // of each request made
  std::vector<RequestId> ids_;
  bool asking_ = true;
  bool inside_call_ = false;
};

TEST(ConnectionRandom, EveryRequestCompletesExactlyOnce) {
  const uint64_t seed = test::random_seed();
  for (uint64_t run = 0; run < 100 && !testing::Test::HasFailure(); ++run) {
    SCOPED_TRACE("FAIRLEAD_SEED=" + std::to_string(seed + run));
    RandomRun(seed + run).run();
  }
}

}  // namespace
}  // namespace fairlead::netlink
