// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/transaction.h"

#include <gtest/gtest.h>
#include <linux/netfilter/nfnetlink.h>

#include "netlink/nftables/rule_builder.h"
#include "netlink/nftables/text.h"
#include "netlink/nftables/wire.h"

namespace fairlead::netlink::nft {
namespace {

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

Set endpoints_at_random() {
  Set set;
  set.table = "t";
  set.name = "ep";
  set.key = {ip_daddr(Family::kIpv4), meta_l4proto(), th_dport(), numgen_random(2)};
  set.data = {ip_daddr(Family::kIpv4), th_dport()};
  return set;
}

Element endpoint(uint32_t index) {
  Element element;
  element.key = Value().concat(ip("10.0.0.1")).concat_u8(6).concat_be16(80).concat_host32(index);
  element.data = Value().concat(ip("1.1.1.1")).concat_be16(8080);
  return element;
}

TEST(Transaction, ConsecutiveElementsOfOneSetShareAMessage) {
  Transaction transaction;
  const Set first = endpoints_at_random();
  Set second = first;
  second.name = "other";
  transaction.add_element(first, endpoint(0));
  transaction.add_element(first, endpoint(1));
  transaction.add_element(second, endpoint(0));
  transaction.remove_element(second, endpoint(0));
  transaction.remove_element(second, endpoint(1));
  EXPECT_EQ(transaction.element_count(), 5u);
  EXPECT_EQ(transaction.operation_count(), 5u);
  EXPECT_EQ(transaction.finish().message_count(), 2 + 3u);
}

TEST(Transaction, InPlaceOfASpentOneIsAsFresh) {
  const auto fill = [](Transaction& transaction) {
    for (uint32_t i = 0; i < 3; ++i) transaction.add_element(endpoints_at_random(), endpoint(i));
    const Bytes bytes = transaction.finish().bytes();
    return std::vector<uint8_t>(bytes.begin(), bytes.end());
  };
  Transaction spent, fresh;
  spent.remove(Table{TableFamily::kIp, "longer", false, "", 0});
  for (uint32_t i = 0; i < 1000; ++i) spent.add_element(endpoints_at_random(), endpoint(i));
  spent.finish();
  Transaction again = Transaction::in_place_of(spent);
  EXPECT_TRUE(again.empty());
  EXPECT_EQ(fill(again), fill(fresh));
  EXPECT_EQ(spent.size_bytes(), 0u);
}

TEST(Transaction, ElementsBeyondOneAttributeTakeAnotherMessage) {
  Transaction transaction;
  const Set set = endpoints_at_random();
  for (uint32_t i = 0; i < 10000; ++i) transaction.add_element(set, endpoint(i));
  const MessageWriter& writer = transaction.finish();
  Bytes rest(writer.bytes());
  MessageView message;
  size_t elements = 0;
  uint32_t expected = 0;
  while (next_message(rest, message)) {
    if (message.type < 0x100) continue;
    const auto list = parse_elements(message);
    ASSERT_TRUE(list.ok());
    for (const Element& element : list->elements) ASSERT_EQ(element, endpoint(expected++));
    elements += list->elements.size();
  }
  EXPECT_EQ(elements, 10000u);
}

TEST(Transaction, ElementsOneAfterAnotherAreAsEachByItself) {
  const Set set = endpoints_at_random();
  const auto bytes_of = [](Transaction& transaction) {
    const Bytes bytes = transaction.finish().bytes();
    return std::vector<uint8_t>(bytes.begin(), bytes.end());
  };
  for (const uint32_t count : {0u, 1u, 10000u}) {
    Transaction one_by_one, together;
    for (uint32_t i = 0; i < count; ++i) one_by_one.add_element(set, endpoint(i));
    uint32_t next = 0;
    together.add_elements(set, [&](Element& element) {
      if (next < count) element = endpoint(next);
      return next++ < count;
    });
    EXPECT_EQ(together.element_count(), count);
    EXPECT_EQ(bytes_of(together), bytes_of(one_by_one)) << count;
  }
}

TEST(Transaction, OfElementsOneAfterAnotherTheFirstMistakeIsTheLast) {
  Transaction transaction;
  int asked = 0;
  transaction.add_elements(endpoints_at_random(), [&](Element& element) {
    element = endpoint(0);
    if (++asked == 3) element.key = Value::host32(1);
    return true;
  });
  EXPECT_EQ(asked, 3);
  ASSERT_TRUE(transaction.error());
  EXPECT_EQ(transaction.error()->message(),
            "nftables transaction: an element of set ep has a key of the wrong size");
}

// Of every length, with zeros up to the next four bytes, whatever comes behind.
TEST(Transaction, ValuesArePaddedWithZeros) {
  for (size_t size = 1; size <= Value::kMax; ++size) {
    const std::vector<uint8_t> ones(size, 0xff);
    MessageWriter plain, commented;
    for (MessageWriter* writer : {&plain, &commented}) {
      writer->begin(0, 0, nfgenmsg{});
      Element element;
      element.key = Value::of(ones);
      element.data = Value::of(ones);
      if (writer == &commented) element.comment = "x";
      put_element(*writer, element);
      writer->end();
    }
    const size_t padded = (size + 3) / 4 * 4;
    std::vector<uint8_t> value(ones);
    value.resize(padded);
    const Bytes bytes(plain.bytes());
    ASSERT_EQ(bytes.size(), 20 + 4 + 2 * (8 + padded));
    for (const size_t at : {size_t{32}, 40 + padded})
      EXPECT_TRUE(std::equal(value.begin(), value.end(), bytes.begin() + at)) << size;
    const Bytes longer(commented.bytes());
    EXPECT_TRUE(std::equal(bytes.begin() + 24, bytes.end(), longer.begin() + 24)) << size;
  }
}

TEST(Transaction, FirstMistakeSticks) {
  const auto error = [](const std::function<void(Transaction&)>& change) {
    Transaction transaction;
    transaction.add(Table{TableFamily::kIp, "t", false, "", 0});
    change(transaction);
    return transaction.error() ? transaction.error()->message() : std::string("none");
  };
  const std::string prefix = "nftables transaction: ";
  const Set map = endpoints_at_random();
  EXPECT_EQ(error([](auto&) {}), "none");
  EXPECT_EQ(error([](auto& t) {
              t.add(Table{TableFamily::kIp, "", false, "", 0});
            }),
            prefix + "table name \"\" must have 1 to 255 bytes");
  EXPECT_EQ(error([](auto& t) {
              t.add(Chain{TableFamily::kIp, "t", std::string(256, 'c'), {}, 0});
            }),
            prefix + "chain name \"" + std::string(32, 'c') + "\" must have 1 to 255 bytes");
  EXPECT_EQ(error([&](auto& t) {
              Element element = endpoint(0);
              element.key = Value::host32(1);
              t.add_element(map, element);
              t.add(Table{TableFamily::kIp, "", false, "", 0});
            }),
            prefix + "an element of set ep has a key of the wrong size");
  EXPECT_EQ(error([&](auto& t) {
              Element element = endpoint(0);
              element.data = Verdict::accept();
              t.add_element(map, element);
            }),
            prefix + "an element of set ep has data that does not fit");
  EXPECT_EQ(error([&](auto& t) {
              Set half = map;
              half.data = {DataType::kIpv4Addr, DataType::kInetService};
              t.add(half);
            }),
            prefix + "set ep must have typeof for all of its key and data or for none");
  EXPECT_EQ(error([&](auto& t) {
              Set set = map;
              set.timeout_ms = 1;
              t.add(set);
            }),
            prefix + "set ep has a default timeout but no timeouts");
  EXPECT_EQ(error([](auto& t) { t.replace(RuleBuilder(TableFamily::kIp, "t", "c").build()); }),
            prefix + "a rule of chain c is named by its handle, which is missing");
  EXPECT_EQ(error([](auto& t) {
              t.add(RuleBuilder(TableFamily::kIp, "t", "c").raw(Unknown{"quota"}).build());
            }),
            prefix + "a rule of chain c has an expression this program cannot write");
  EXPECT_EQ(error([](auto& t) {
              RuleBuilder rule(TableFamily::kIp, "t", "c");
              for (int i = 0; i < 129; ++i) rule.counter();
              t.add(rule.build());
            }),
            prefix + "a rule of chain c has more than 128 expressions");
  EXPECT_EQ(error([](auto& t) {
              t.add(RuleBuilder(TableFamily::kIp, "t", "c").comment(std::string(128, 'x')).build());
            }),
            prefix + "a rule of chain c has a comment over 127 bytes");
}

TEST(Transaction, ExplainsWhichObjectWasRefused) {
  Transaction transaction;
  transaction.add(Table{TableFamily::kIp, "t", false, "", 0});
  transaction.add(endpoints_at_random());
  transaction.add_element(endpoints_at_random(), endpoint(0));
  transaction.add_element(endpoints_at_random(), endpoint(1));
  transaction.finish();
  const auto explain = [&](std::optional<size_t> message, std::optional<uint32_t> offset) {
    return transaction.explain({Error::from_errno(ENOENT, "netlink"), message, offset}).message();
  };
  const std::string tail = ": netlink: No such file or directory";
  EXPECT_EQ(explain({}, {}), "nftables transaction" + tail);
  EXPECT_EQ(explain(1, {}), "add table ip t" + tail);
  EXPECT_EQ(explain(2, 4), "add set ip t ep" + tail);
  EXPECT_EQ(explain(3, {}), "add element ip t ep" + tail);
  // nlmsghdr, nfgenmsg, two names, the list's own head: elements of 44 bytes follow.
  EXPECT_EQ(explain(3, 40), "add element ip t ep { 10.0.0.1 . tcp . 80 . 0 }" + tail);
  EXPECT_EQ(explain(3, 40 + 44), "add element ip t ep { 10.0.0.1 . tcp . 80 . 1 }" + tail);
  EXPECT_EQ(explain(3, 1000000), "add element ip t ep" + tail);
  EXPECT_EQ(explain(99, {}), "nftables transaction" + tail);
}

TEST(SetParser, NumbersNftCannotHaveComposedGiveNoFields) {
  struct Case {
    const char* what;
    uint32_t number;
    std::vector<Field> fields;
  };
  const Case kCases[] = {
      {"none", 0, {}},
      {"one", 7, {DataType::kIpv4Addr}},
      {"two", 7 << 6 | 13, {DataType::kIpv4Addr, DataType::kInetService}},
      {"a hole at the end", 7 << 6, {}},
      {"a hole in the middle", 7 << 12 | 13, {}},
      {"more than five", 0x80000000, {}},
      {"five and a rest", 0x80000000 | 7 << 24 | 7 << 18 | 7 << 12 | 7 << 6 | 7, {}},
  };
  for (const Case& c : kCases) {
    MessageWriter writer;
    writer.put_string(NFTA_SET_TABLE, "t");
    writer.put_string(NFTA_SET_NAME, "s");
    writer.put_be32(NFTA_SET_KEY_TYPE, c.number);
    const auto set = parse_set_attributes(writer.bytes());
    ASSERT_TRUE(set.ok());
    EXPECT_EQ(set->key, c.fields) << c.what;
  }
}

TEST(Register, NumbersOfTheKernel) {
  for (uint8_t word = 0; word < 16; ++word) {
    const Register at{word};
    EXPECT_EQ(Register::from_netlink(at.to_netlink()), at);
    EXPECT_EQ(Register::from_netlink(NFT_REG32_00 + word), at);
  }
  EXPECT_EQ(Register{0}.to_netlink(), 1u);
  EXPECT_EQ(Register{1}.to_netlink(), 9u);
  EXPECT_EQ(Register{4}.to_netlink(), 2u);
  EXPECT_EQ(Register{15}.to_netlink(), 23u);
}

}  // namespace
}  // namespace fairlead::netlink::nft
