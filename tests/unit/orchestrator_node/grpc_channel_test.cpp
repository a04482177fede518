// SPDX-License-Identifier: Apache-2.0
// The channel without a server behind it.
#include "orchestrator/node/grpc_channel.h"

#include <gtest/gtest.h>

#include <optional>

namespace fairlead::orchestrator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kNowhere[] = "/tmp/fairlead-no-such-directory/socket";

// What a subscriber does that wants to be told again and again: the handle of the stream that ended
// is replaced by the next one's. Both may have been at one address; the new stream lives all the
// same.
TEST(GrpcChannel, AStreamThatTakesTheOldOnesPlaceEndsToo) {
  Loop loop;
  GrpcChannel channel(loop, kNowhere);
  GrpcStream stream;
  Alarm again;
  int ended = 0;
  std::function<void()> open = [&] {
    stream = channel.subscribe(
        "/service/Method", "", [](const std::string&) { ADD_FAILURE() << "from nobody"; },
        [&](const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.message();
          ++ended;
          again = loop.clock().after(milliseconds(1), open);
        });
  };
  open();
  EXPECT_TRUE(loop.run_until([&] { return ended == 50; }, seconds(30))) << ended << " ended";
}

TEST(GrpcChannel, AnAbandonedStreamIsSilent) {
  Loop loop;
  GrpcChannel channel(loop, kNowhere);
  bool told = false;
  {
    const GrpcStream stream = channel.subscribe(
        "/service/Method", "", [&](const std::string&) { told = true; },
        [&](const Error&) { told = true; });
  }
  std::optional<Result<std::string>> reply;
  channel.call("/service/Method", "", seconds(5), [&](Result<std::string> r) { reply = r; });
  ASSERT_TRUE(loop.run_until([&] { return reply.has_value(); }, seconds(30)));
  EXPECT_FALSE(reply->ok());
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace fairlead::orchestrator
