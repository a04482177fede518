// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/transaction.h"

#include <linux/netfilter/nfnetlink.h>

#include "netlink/nftables/rule_builder.h"
#include "tests/kernel/netlink/fixture.h"

namespace fairlead::netlink::nft {
namespace {

const Table kTable{TableFamily::kIp, "fairlead", false, "", 0};

Set service_map() {
  Set set;
  set.table = "fairlead";
  set.name = "svc";
  set.key = {DataType::kIpv4Addr, DataType::kInetProto, DataType::kInetService};
  set.data = {DataType::kVerdict};
  return set;
}

Element service(uint32_t number, Verdict verdict = Verdict::accept()) {
  const IpAddress address =
      IpAddress::v4(10, static_cast<uint8_t>(number >> 16), static_cast<uint8_t>(number >> 8),
                    static_cast<uint8_t>(number));
  Element element;
  element.key = Value().concat(address).concat_u8(6).concat_be16(80);
  element.data = std::move(verdict);
  return element;
}

class TransactionTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    connection_ = open(Protocol::kNetfilter);
    Transaction start;
    start.add(kTable);
    start.add(service_map());
    ASSERT_TRUE(commit(std::move(start)).ok());
  }
  Result<void> commit(Transaction transaction) {
    return commit_sync(*connection_, std::move(transaction), kPatience);
  }
  std::string error_of(Transaction transaction) {
    const Result<void> result = commit(std::move(transaction));
    return result.ok() ? "ok" : result.error().message();
  }
  std::vector<Element> elements() {
    const auto content = list_table_sync(*connection_, TableFamily::kIp, "fairlead", kPatience);
    EXPECT_TRUE(content.ok());
    return content->elements.at(0);
  }
  std::unique_ptr<Connection> connection_;
};

// The kernel is late with its answer only once the call that sends has ended: within it, it works,
// or waits for somebody else's transaction.
TEST_F(TransactionTest, OneThatTakesLongerThanTheTimeOutIsNotGivenUp) {
  Connection::Options options;
  options.send_aside_from = 0;
  options.timeout = std::chrono::milliseconds(5);
  const auto patient = open(Protocol::kNetfilter, options);
  Transaction transaction;
  for (uint32_t i = 0; i < 60'000; ++i) transaction.add_element(service_map(), service(i));
  std::optional<Result<void>> told;
  Duration took{};
  const MonoTime begun = loop_.clock().now();
  nft::commit(*patient, std::move(transaction), [&](Result<void> result) {
    took = loop_.clock().now() - begun;
    told = std::move(result);
  });
  ASSERT_TRUE(loop_.run_until([&] { return told.has_value(); }, kPatience));
  EXPECT_TRUE(told->ok()) << told->error().message();
  EXPECT_GT(took, options.timeout) << "else this has shown nothing";
}

TEST_F(TransactionTest, ErrorsNameTheObject) {
  Transaction missing_chain;
  missing_chain.add_element(service_map(), service(1));
  missing_chain.add_element(service_map(), service(2, Verdict::go_to("nowhere")));
  missing_chain.add_element(service_map(), service(3));
  EXPECT_EQ(
      error_of(std::move(missing_chain)),
      "add element ip fairlead svc { 10.0.0.2 . tcp . 80 }: netlink: No such file or directory");

  Transaction missing_element;
  missing_element.add(Chain{TableFamily::kIp, "fairlead", "c", {}, 0});
  missing_element.remove_element(service_map(), service(7));
  EXPECT_EQ(
      error_of(std::move(missing_element)),
      "delete element ip fairlead svc { 10.0.0.7 . tcp . 80 }: netlink: No such file or directory");

  Transaction missing_set;
  missing_set.add(RuleBuilder(TableFamily::kIp, "fairlead", "none").counter().build());
  EXPECT_EQ(error_of(std::move(missing_set)),
            "add rule ip fairlead none: netlink: No such file or directory");
  EXPECT_TRUE(elements().empty()) << "a refused transaction left something behind";
}

TEST_F(TransactionTest, VerbsMeanWhatNftMeans) {
  const Chain chain{TableFamily::kIp, "fairlead", "c", {}, 0};
  const auto one = [&](auto&& change) {
    Transaction transaction;
    change(transaction);
    const Result<void> result = commit(std::move(transaction));
    return result.ok() ? std::string("ok") : std::string(to_string(result.error().code()));
  };
  const std::string exists(to_string(ErrorCode::kAlreadyExists));
  const std::string missing(to_string(ErrorCode::kNotFound));

  EXPECT_EQ(one([&](auto& t) { t.destroy(chain); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.create(chain); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.create(chain); }), exists);
  EXPECT_EQ(one([&](auto& t) { t.add(chain); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.add(RuleBuilder(chain).counter().build()); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.destroy(chain); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.remove(chain); }), missing);
  EXPECT_EQ(one([&](auto& t) { t.create(service_map()); }), exists);
  EXPECT_EQ(one([&](auto& t) { t.add_element(service_map(), service(1)); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.add_element(service_map(), service(1)); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.create_element(service_map(), service(1)); }), exists);
  EXPECT_EQ(one([&](auto& t) { t.remove_element(service_map(), service(1)); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.add_element(service_map(), service(2)); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.flush(service_map()); }), "ok");
  EXPECT_TRUE(elements().empty());
  EXPECT_EQ(one([&](auto& t) { t.destroy(service_map()); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.destroy(service_map()); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.create(kTable); }), exists);
  EXPECT_EQ(one([&](auto& t) { t.destroy(kTable); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.destroy(kTable); }), "ok");
  EXPECT_EQ(one([&](auto& t) { t.remove(kTable); }), missing);
  EXPECT_EQ(nft_list(), "");
}

TEST_F(TransactionTest, RulesInOrder) {
  const Chain chain{TableFamily::kIp, "fairlead", "c", {}, 0};
  const auto rule = [&](const char* comment) {
    return RuleBuilder(chain).verdict(Verdict::accept()).comment(comment).build();
  };
  Transaction first;
  first.add(chain);
  first.add(rule("b"));
  first.add(rule("d"));
  first.insert(rule("a"));
  ASSERT_TRUE(commit(std::move(first)).ok());
  const auto comments = [&] {
    std::string text;
    const auto content = list_table_sync(*connection_, TableFamily::kIp, "fairlead", kPatience);
    EXPECT_TRUE(content.ok());
    for (const Rule& r : content->rules) text += r.comment;
    return std::make_pair(text, content->rules);
  };
  auto [text, rules] = comments();
  ASSERT_EQ(text, "abd");

  Transaction second;
  second.add_after(rule("c"), rules[1].handle);
  second.insert_before(rule("x"), rules[0].handle);
  Rule replaced = rule("D");
  replaced.handle = rules[2].handle;
  second.replace(replaced);
  second.remove(rules[0]);
  ASSERT_EQ(error_of(std::move(second)), "ok");
  EXPECT_EQ(comments().first, "xbcD");

  Transaction third;
  third.flush(kTable);
  ASSERT_TRUE(commit(std::move(third)).ok());
  EXPECT_EQ(comments().first, "");
}

TEST_F(TransactionTest, ManyElementsInOneTransaction) {
  Set set = service_map();
  Transaction load;
  constexpr uint32_t kCount = 5000;
  for (uint32_t i = 0; i < kCount; ++i) load.add_element(set, service(i));
  EXPECT_EQ(load.element_count(), kCount);
  EXPECT_EQ(load.operation_count(), kCount);
  EXPECT_GT(load.size_bytes(), 64u << 10);
  ASSERT_EQ(error_of(std::move(load)), "ok");
  EXPECT_EQ(elements().size(), kCount);

  // The bad one far behind, in another message of the same list.
  Transaction bad;
  for (uint32_t i = 0; i < kCount; ++i)
    bad.add_element(set, service(kCount + i, i == 4321 ? Verdict::jump("none") : Verdict::drop()));
  EXPECT_EQ(
      error_of(std::move(bad)),
      "add element ip fairlead svc { 10.0.36.105 . tcp . 80 }: netlink: No such file or directory");
  EXPECT_EQ(elements().size(), kCount);
}

TEST_F(TransactionTest, AFullSetSaysSo) {
  Set set = service_map();
  set.name = "small";
  set.size = 2;
  Transaction fill;
  fill.add(set);
  for (uint32_t i = 0; i < 3; ++i) fill.add_element(set, service(i));
  const Result<void> result = commit(std::move(fill));
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(result.error().is(ErrorCode::kResourceExhausted)) << result.error().message();
  EXPECT_EQ(result.error().error_number(), ENFILE);
}

TEST_F(TransactionTest, EmptyAndRefusedOnesCompleteToo) {
  EXPECT_EQ(error_of(Transaction()), "ok");
  Transaction bad;
  bad.add(Table{TableFamily::kIp, "", false, "", 0});
  std::optional<Result<void>> answer;
  nft::commit(*connection_, std::move(bad), [&](Result<void> result) { answer = result; });
  EXPECT_FALSE(answer) << "a completion ran inside the call";
  ASSERT_TRUE(loop_.run_until([&] { return answer.has_value(); }, kPatience));
  EXPECT_TRUE(answer->error().is(ErrorCode::kInvalid));
}

TEST_F(TransactionTest, EventsTellWhoChangedWhat) {
  auto listener = open(Protocol::kNetfilter);
  ASSERT_TRUE(listener->subscribe(NFNLGRP_NFTABLES).ok());
  std::vector<Event> events;
  listener->set_on_notification([&](const MessageView& message) {
    auto event = parse_event(message);
    ASSERT_TRUE(event.ok()) << event.error().message();
    events.push_back(std::move(*event));
  });
  const Chain chain{TableFamily::kIp, "fairlead", "c", {}, 0};
  const Rule rule = RuleBuilder(chain).counter().verdict(Verdict::accept()).build();
  Transaction change;
  change.add(chain);
  change.add(rule);
  change.add_element(service_map(), service(1, Verdict::go_to("c")));
  ASSERT_EQ(error_of(std::move(change)), "ok");
  ASSERT_TRUE(loop_.run_until([&] { return events.size() == 4; }, kPatience));
  EXPECT_EQ(std::get<Chain>(events[0].what).name, "c");
  EXPECT_EQ(std::get<Rule>(events[1].what).expressions, rule.expressions);
  const auto& added = std::get<SetElements>(events[2].what);
  EXPECT_EQ(added.set, "svc");
  EXPECT_EQ(added.elements, std::vector<Element>{service(1, Verdict::go_to("c"))});
  EXPECT_NE(std::get<Generation>(events[3].what).id, 0u);
  for (const Event& event : events) {
    EXPECT_FALSE(event.removed);
    EXPECT_EQ(event.port_id, connection_->port_id());
  }

  events.clear();
  ASSERT_EQ(test::run_command({"nft", "delete", "table", "ip", "fairlead"}).status, 0);
  ASSERT_TRUE(loop_.run_until(
      [&] { return !events.empty() && std::holds_alternative<Generation>(events.back().what); },
      kPatience));
  bool table_gone = false;
  for (const Event& event : events) {
    EXPECT_NE(event.port_id, connection_->port_id());
    table_gone = table_gone || (event.removed && std::holds_alternative<Table>(event.what));
  }
  EXPECT_TRUE(table_gone);
  EXPECT_EQ(std::get<Generation>(events.back().what).process_name, "nft");
}

TEST_F(TransactionTest, ListingAMissingTableIsNotFound) {
  const auto content = list_table_sync(*connection_, TableFamily::kIp, "missing", kPatience);
  ASSERT_FALSE(content.ok());
  EXPECT_TRUE(content.error().is_not_found());
}

}  // namespace
}  // namespace fairlead::netlink::nft
