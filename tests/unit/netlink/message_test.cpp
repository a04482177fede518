// SPDX-License-Identifier: Apache-2.0
#include "netlink/message.h"

#include <gtest/gtest.h>

namespace fairlead::netlink {
namespace {

struct Header {
  uint8_t a = 1;
  uint8_t b = 2;
  uint16_t c = 3;
};

TEST(Message, WrittenBytesAreExact) {
  MessageWriter writer;
  writer.begin(0x10, NLM_F_CREATE, Header());
  writer.put_be16(1, 0x0102);
  const size_t nest = writer.open(2);
  writer.put_string(3, "abc");
  writer.put_u8(4, 7);
  writer.close(nest);
  writer.end();
  const std::vector<uint8_t> expected = {
      0x30, 0, 0, 0,    0x10, 0,   0x01, 0x04,
      0,    0, 0, 0,    0,    0,   0,    0,  // nlmsghdr: 48 bytes, request|create
      1,    2, 3, 0,                         // fixed part
      6,    0, 1, 0,    1,    2,   0,    0,  // be16, padded
      20,   0, 2, 0x80,                      // nest
      8,    0, 3, 0,    'a',  'b', 'c',  0,  // string with its zero
      5,    0, 4, 0,    7,    0,   0,    0,  // u8, padded
  };
  const Bytes written = writer.bytes();
  EXPECT_EQ(std::vector<uint8_t>(written.begin(), written.end()), expected);
}

TEST(Message, ReadsBackWhatItWrote) {
  MessageWriter writer;
  writer.begin(0x10, 0, Header());
  writer.put_be64(1, 0x1122334455667788);
  writer.put_u32(2, 5);
  writer.put_string(3, "name");
  writer.end();
  writer.begin(0x11, 0, Header());
  writer.end();

  Bytes rest = writer.bytes();
  MessageView message;
  ASSERT_TRUE(next_message(rest, message));
  EXPECT_EQ(message.type, 0x10);
  ASSERT_TRUE(message.header<Header>());
  EXPECT_EQ(message.header<Header>()->c, 3);
  const AttributeTable<3> table(message.attributes(sizeof(Header)));
  EXPECT_EQ(table[1].be64(), 0x1122334455667788u);
  EXPECT_EQ(table[2].u32(), 5u);
  EXPECT_EQ(table[3].text(), "name");
  ASSERT_TRUE(next_message(rest, message));
  EXPECT_EQ(message.type, 0x11);
  EXPECT_FALSE(next_message(rest, message));
}

TEST(Message, MalformedLengthsEndTheReading) {
  const std::vector<uint8_t> cases[] = {
      {},
      {1, 0, 0},                 // shorter than a header
      {3, 0, 1, 0},              // attribute shorter than its own header
      {9, 0, 1, 0, 1, 2, 3, 4},  // longer than what is there
      {0, 0, 0, 0},
  };
  for (const auto& bytes : cases) {
    Bytes rest(bytes);
    Attribute attribute;
    EXPECT_FALSE(next_attribute(rest, attribute));
    MessageView message;
    EXPECT_FALSE(next_message(rest, message));
  }
}

TEST(Message, LastAttributeMayLackItsPadding) {
  const std::vector<uint8_t> bytes = {5, 0, 1, 0, 9};
  Bytes rest(bytes);
  Attribute attribute;
  ASSERT_TRUE(next_attribute(rest, attribute));
  EXPECT_EQ(attribute.u8(), 9);
  EXPECT_FALSE(next_attribute(rest, attribute));
}

TEST(Message, ShortValuesReadAsZero) {
  const std::vector<uint8_t> bytes = {6, 0, 1, 0, 9, 9, 0, 0};
  Bytes rest(bytes);
  Attribute attribute;
  ASSERT_TRUE(next_attribute(rest, attribute));
  EXPECT_EQ(attribute.u32(), 0u);
  EXPECT_EQ(attribute.u16(), 0x0909);
}

}  // namespace
}  // namespace fairlead::netlink
