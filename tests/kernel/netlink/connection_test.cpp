// SPDX-License-Identifier: Apache-2.0
#include "netlink/connection.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#include "netlink/route/link.h"
#include "tests/kernel/netlink/fixture.h"

namespace fairlead::netlink {
namespace {

class ConnectionTest : public KernelTest {
 protected:
  route::Link bridge(const std::string& name) {
    route::Link link;
    link.name = name;
    link.kind = "bridge";
    return link;
  }
};

TEST_F(ConnectionTest, AcksAndErrorsComeThroughTheLoop) {
  auto connection = open(Protocol::kRoute);
  EXPECT_NE(connection->port_id(), 0u);
  std::vector<std::string> answers;
  const auto note = [&](Result<void> result) {
    answers.push_back(result.ok() ? "ok" : std::string(to_string(result.error().code())));
  };
  connection->request(route::add_link(bridge("d0")), note);
  connection->request(route::add_link(bridge("d0")), note);
  connection->request(route::remove_link(9999), note);
  EXPECT_TRUE(answers.empty()) << "a completion ran inside the call";
  ASSERT_TRUE(loop_.run_until([&] { return answers.size() == 3; }, kPatience));
  EXPECT_EQ(answers[0], "ok");
  EXPECT_EQ(answers[1], to_string(ErrorCode::kAlreadyExists));
  EXPECT_EQ(answers[2], to_string(ErrorCode::kNotFound));
  EXPECT_EQ(connection->in_flight(), 0u);
}

TEST_F(ConnectionTest, ErrorCarriesTheKernelsExplanation) {
  auto connection = open(Protocol::kRoute);
  route::Link link = bridge("d0");
  link.kind = "no-such-kind";
  const auto result = connection->request_sync(route::add_link(link), kPatience);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message().find("Unknown device type"), std::string::npos)
      << result.error().message();
}

TEST_F(ConnectionTest, DumpsQueueBehindEachOther) {
  auto connection = open(Protocol::kRoute);
  int done = 0;
  for (int i = 0; i < 5; ++i)
    connection->dump<route::Link>(route::dump_links(), route::parse_link,
                                  [&](Result<std::vector<route::Link>> links) {
                                    ASSERT_TRUE(links.ok()) << links.error().message();
                                    ASSERT_EQ(links->size(), 1u);
                                    EXPECT_EQ((*links)[0].name, "lo");
                                    ++done;
                                  });
  EXPECT_EQ(connection->in_flight(), 1u);
  EXPECT_EQ(connection->queued(), 4u);
  ASSERT_TRUE(loop_.run_until([&] { return done == 5; }, kPatience));
}

TEST_F(ConnectionTest, QueueIsBounded) {
  Connection::Options options;
  options.max_in_flight = 1;
  options.max_queued = 2;
  auto connection = open(Protocol::kRoute, options);
  std::map<ErrorCode, int> refused;
  int succeeded = 0;
  for (int i = 0; i < 5; ++i)
    connection->request(route::add_link(bridge("d" + std::to_string(i))), [&](Result<void> result) {
      if (result.ok()) {
        ++succeeded;
      } else {
        ++refused[result.error().code()];
      }
    });
  ASSERT_TRUE(loop_.run_until(
      [&] { return succeeded + refused[ErrorCode::kResourceExhausted] == 5; }, kPatience));
  EXPECT_EQ(succeeded, 3);
  EXPECT_EQ(refused[ErrorCode::kResourceExhausted], 2);
}

TEST_F(ConnectionTest, ADumpThatFailsAtItsStartReportsTheError) {
  auto connection = open(Protocol::kNetfilter);
  nft::Set missing;
  missing.table = "missing";
  missing.name = "missing";
  std::optional<Error> error;
  nft::list_elements(*connection, missing, [&](Result<std::vector<nft::Element>> rows) {
    ASSERT_FALSE(rows.ok());
    error = rows.error();
  });
  ASSERT_TRUE(loop_.run_until([&] { return error.has_value(); }, kPatience));
  EXPECT_TRUE(error->is_not_found()) << error->message();
}

TEST_F(ConnectionTest, CancelCompletesOnce) {
  Connection::Options options;
  options.max_in_flight = 1;
  auto connection = open(Protocol::kRoute, options);
  std::vector<ErrorCode> codes;
  const auto note = [&](Result<void> result) {
    codes.push_back(result.ok() ? ErrorCode::kInternal : result.error().code());
  };
  const RequestId sent = connection->request(route::add_link(bridge("d0")), note);
  const RequestId waiting = connection->request(route::add_link(bridge("d1")), note);
  EXPECT_TRUE(connection->cancel(waiting));
  EXPECT_TRUE(connection->cancel(sent));
  EXPECT_FALSE(connection->cancel(sent));
  EXPECT_FALSE(connection->cancel(12345));
  EXPECT_EQ(codes, std::vector<ErrorCode>(2, ErrorCode::kCancelled));
  // The late ack of the first finds nobody; the connection works on.
  ASSERT_TRUE(connection->request_sync(route::add_link(bridge("d2")), kPatience).ok());
  EXPECT_EQ(codes.size(), 2u);
}

TEST_F(ConnectionTest, ACancelledDumpDoesNotDisturbTheNext) {
  auto connection = open(Protocol::kRoute);
  for (int i = 0; i < 200; ++i)
    ASSERT_TRUE(
        connection->request_sync(route::add_link(bridge("d" + std::to_string(i))), kPatience).ok());
  int rows = 0;
  bool cancelled = false;
  const RequestId id = connection->dump(
      route::dump_links(), [&](const MessageView&) { ++rows; },
      [&](Result<void> result) { cancelled = !result.ok() && result.error().is_cancelled(); });
  ASSERT_TRUE(connection->cancel(id));
  EXPECT_TRUE(cancelled);
  const auto links =
      connection->dump_sync<route::Link>(route::dump_links(), route::parse_link, kPatience);
  ASSERT_TRUE(links.ok()) << links.error().message();
  EXPECT_EQ(links->size(), 201u);
  EXPECT_EQ(rows, 0);
}

TEST_F(ConnectionTest, DestructionCompletesEverything) {
  Connection::Options options;
  options.max_in_flight = 2;
  auto connection = open(Protocol::kRoute, options);
  int cancelled = 0;
  const auto note = [&](Result<void> result) {
    ASSERT_FALSE(result.ok());
    if (result.error().is_cancelled()) ++cancelled;
  };
  for (int i = 0; i < 5; ++i)
    connection->request(route::add_link(bridge("d" + std::to_string(i))), note);
  connection->complete_later(ok(), note);
  connection.reset();
  EXPECT_EQ(cancelled, 6);
}

TEST_F(ConnectionTest, ACallbackMayDestroyTheConnection) {
  auto connection = open(Protocol::kRoute);
  bool done = false;
  connection->dump(
      route::dump_links(), [&](const MessageView&) { connection.reset(); },
      [&](Result<void> result) { done = !result.ok() && result.error().is_cancelled(); });
  ASSERT_TRUE(loop_.run_until([&] { return done; }, kPatience));
  EXPECT_EQ(connection, nullptr);
}

// A request the kernel never answers: NLMSG_NOOP without an ack is read and dropped.
TEST_F(ConnectionTest, TimesOut) {
  Connection::Options options;
  options.timeout = std::chrono::milliseconds(30);
  auto connection = open(Protocol::kRoute, options);
  MessageWriter silent;
  silent.begin(NLMSG_NOOP, 0, rtgenmsg{});
  silent.end();
  // As a batch of one, no ack is asked for.
  std::optional<BatchError> error;
  connection->batch(std::make_shared<MessageWriter>(std::move(silent)),
                    [&](std::optional<BatchError> result) { error = std::move(result); });
  ASSERT_TRUE(loop_.run_until([&] { return error.has_value(); }, kPatience));
  EXPECT_TRUE(error->error.is_timeout()) << error->error.message();
}

TEST_F(ConnectionTest, WaitEndsAtItsLimit) {
  auto connection = open(Protocol::kRoute);
  EXPECT_FALSE(connection->wait([] { return false; }, std::chrono::milliseconds(20)));
}

TEST_F(ConnectionTest, NotificationsArrive) {
  auto listener = open(Protocol::kRoute);
  ASSERT_TRUE(listener->subscribe(RTNLGRP_LINK).ok());
  std::vector<std::string> names;
  listener->set_on_notification([&](const MessageView& message) {
    if (message.type != RTM_NEWLINK) return;
    if (const auto link = route::parse_link(message); link.ok()) names.push_back(link->name);
  });
  // Of this connection's own doing too.
  ASSERT_TRUE(listener->request_sync(route::add_link(bridge("d0")), kPatience).ok());
  ASSERT_TRUE(loop_.run_until([&] { return !names.empty(); }, kPatience));
  EXPECT_EQ(names[0], "d0");
}

TEST_F(ConnectionTest, WhoHasLeftAGroupHearsNoMore) {
  auto listener = open(Protocol::kRoute);
  std::vector<std::string> names;
  listener->set_on_notification([&](const MessageView& message) {
    if (message.type != RTM_NEWLINK) return;
    if (const auto link = route::parse_link(message); link.ok()) names.push_back(link->name);
  });
  const auto add = [&](const char* name) {
    ASSERT_TRUE(listener->request_sync(route::add_link(bridge(name)), kPatience).ok());
  };
  ASSERT_TRUE(listener->subscribe(RTNLGRP_LINK).ok());
  add("before");
  ASSERT_TRUE(listener->unsubscribe(RTNLGRP_LINK).ok());
  add("unheard");
  ASSERT_TRUE(listener->subscribe(RTNLGRP_LINK).ok());
  add("after");
  ASSERT_TRUE(
      loop_.run_until([&] { return !names.empty() && names.back() == "after"; }, kPatience));
  EXPECT_EQ(std::count(names.begin(), names.end(), "before"), 1);
  EXPECT_EQ(std::count(names.begin(), names.end(), "unheard"), 0);
}

TEST_F(ConnectionTest, LostNotificationsMeanResync) {
  Connection::Options small;
  small.receive_buffer = 1;  // the kernel makes it its minimum
  auto listener = open(Protocol::kRoute, small);
  ASSERT_TRUE(listener->subscribe(RTNLGRP_LINK).ok());
  int resyncs = 0;
  listener->set_on_resync([&] { ++resyncs; });
  auto connection = open(Protocol::kRoute);
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(
        connection->request_sync(route::add_link(bridge("d" + std::to_string(i))), kPatience).ok());
  // A request on the socket that lost messages does not hang: whether done or not is unknown.
  std::optional<Result<void>> answer;
  listener->request(route::add_link(bridge("late")), [&](Result<void> result) { answer = result; });
  ASSERT_TRUE(loop_.run_until([&] { return resyncs > 0 && answer; }, kPatience));
  if (!answer->ok()) EXPECT_TRUE(answer->error().is_interrupted()) << answer->error().message();
  EXPECT_EQ(resyncs, 1);
  // What a resync is for: the state can be dumped again.
  const auto links =
      listener->dump_sync<route::Link>(route::dump_links(), route::parse_link, kPatience);
  ASSERT_TRUE(links.ok()) << links.error().message();
  EXPECT_GE(links->size(), 51u);
}

TEST_F(ConnectionTest, DisturbedDumpIsInterrupted) {
  auto connection = open(Protocol::kNetfilter);
  nft::Transaction fill;
  const nft::Table table{nft::TableFamily::kIp, "t", false, "", 0};
  fill.add(table);
  for (int i = 0; i < 3000; ++i)
    fill.add(nft::Chain{
        nft::TableFamily::kIp, "t", "chain_with_a_long_name_" + std::to_string(i), {}, 0});
  ASSERT_TRUE(commit_sync(*connection, std::move(fill), kPatience).ok());

  auto other = open(Protocol::kNetfilter);
  bool disturbed = false;
  std::optional<Result<void>> answer;
  MessageWriter request;
  request.begin(nft::message_type(NFT_MSG_GETCHAIN), 0, nft::message_header(nft::TableFamily::kIp));
  request.end();
  connection->dump(
      std::move(request),
      [&](const MessageView&) {
        if (std::exchange(disturbed, true)) return;
        nft::Transaction change;
        change.add(nft::Table{nft::TableFamily::kIp, "u", false, "", 0});
        EXPECT_TRUE(commit_sync(*other, std::move(change), kPatience).ok());
      },
      [&](Result<void> result) { answer = result; });
  ASSERT_TRUE(loop_.run_until([&] { return answer.has_value(); }, kPatience));
  ASSERT_FALSE(answer->ok());
  EXPECT_TRUE(answer->error().is_interrupted()) << answer->error().message();
}

}  // namespace
}  // namespace fairlead::netlink
