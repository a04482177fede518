// SPDX-License-Identifier: Apache-2.0
#include "dns/edit.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/dns/packets.h"
#include "tests/unit/dns/support.h"

namespace fairlead::dns::test {
namespace {

using Random = std::mt19937_64;

size_t below(Random& random, size_t bound) {
  return random() % bound;
}

Name random_name(Random& random) {
  static const char* const kLabels[] = {"a", "B", "www", "example", "Example", "test", "x-y"};
  Name name;
  for (size_t i = below(random, 6); i > 0; --i) name.append(kLabels[below(random, 7)]);
  return name;
}

EditRecord random_record(Random& random) {
  static const uint16_t kTypes[] = {1, 2, 5, 6, 12, 15, 16, 17, 26, 28, 33, 35, 39, 65, 257};
  EditRecord record{random_name(random),
                    static_cast<Type>(kTypes[below(random, std::size(kTypes))]),
                    Class::kIn,
                    static_cast<uint32_t>(random()),
                    {}};
  const auto bytes = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) record.rdata.push_back(static_cast<uint8_t>(random()));
  };
  const auto names = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const Name name = random_name(random);
      record.rdata.insert(record.rdata.end(), name.wire().begin(), name.wire().end());
    }
  };
  switch (static_cast<uint16_t>(record.type)) {
    case 2:
    case 5:
    case 12:
    case 39:
      names(1);
      break;
    case 6:
      names(2);
      bytes(20);
      break;
    case 15:
      bytes(2);
      names(1);
      break;
    case 17:
      names(2);
      break;
    case 26:
      bytes(2);
      names(2);
      break;
    case 33:
      bytes(6);
      names(1);
      break;
    case 35:
      bytes(4);
      for (int i = 0; i < 3; ++i) {
        const size_t size = below(random, 10);
        record.rdata.push_back(static_cast<uint8_t>(size));
        bytes(size);
      }
      names(1);
      break;
    case 64:
    case 65:
      bytes(2);
      names(1);
      bytes(below(random, 20));
      break;
    default:
      bytes(below(random, 40));
  }
  return record;
}

EditMessage random_message(Random& random) {
  EditMessage message;
  message.id = static_cast<uint16_t>(random());
  message.flags = static_cast<uint16_t>(random()) & 0xfdff;
  message.has_question = below(random, 8) != 0;
  if (message.has_question) {
    message.name = random_name(random);
    message.type = Type::kA;
  }
  for (auto& section : message.sections)
    for (size_t i = below(random, 6); i > 0; --i) section.push_back(random_record(random));
  return message;
}

bool same_name(const Name& a, const Name& b) {
  return std::ranges::equal(a.wire(), b.wire());
}

void expect_same(const EditMessage& a, const EditMessage& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.flags, b.flags);
  EXPECT_EQ(a.has_question, b.has_question);
  EXPECT_TRUE(same_name(a.name, b.name));
  EXPECT_EQ(a.type, b.type);
  for (size_t section = 0; section < 3; ++section) {
    ASSERT_EQ(a.sections[section].size(), b.sections[section].size());
    for (size_t i = 0; i < a.sections[section].size(); ++i) {
      const EditRecord& x = a.sections[section][i];
      const EditRecord& y = b.sections[section][i];
      EXPECT_TRUE(same_name(x.owner, y.owner));
      EXPECT_EQ(x.type, y.type);
      EXPECT_EQ(x.klass, y.klass);
      EXPECT_EQ(x.ttl, y.ttl);
      EXPECT_EQ(x.rdata, y.rdata);
    }
  }
}

TEST(Edit, DecodingUndoesEncoding) {
  const uint64_t seed = test_seed();
  SCOPED_TRACE("FAIRLEAD_SEED=" + std::to_string(seed));
  Random random(seed);
  for (int i = 0; i < 2000; ++i) {
    const EditMessage message = random_message(random);
    const auto bytes = encode(message);
    const auto again = decode(bytes);
    ASSERT_TRUE(again);
    expect_same(message, *again);
    EXPECT_EQ(encode(*again), bytes);
  }
}

TEST(Edit, BytesThatAreBroken) {
  const uint64_t seed = test_seed();
  SCOPED_TRACE("FAIRLEAD_SEED=" + std::to_string(seed));
  Random random(seed);
  for (int i = 0; i < 5000; ++i) {
    auto bytes = encode(random_message(random));
    for (size_t n = below(random, 8); n > 0; --n)
      bytes[below(random, bytes.size())] = static_cast<uint8_t>(random());
    bytes.resize(below(random, bytes.size() + 1));
    if (const auto message = decode(bytes)) (void)decode(encode(*message));
  }
  for (int i = 0; i < 5000; ++i) {
    std::vector<uint8_t> bytes(below(random, 200));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    (void)decode(bytes);
  }
}

TEST(Edit, NamesAreCompressed) {
  EditMessage message;
  message.flags = kFlagResponse;
  message.has_question = true;
  message.name = dns_name("www.Example.org");
  message.type = Type::kA;
  const Name target = dns_name("web.Example.org");
  EditRecord cname{message.name, Type::kCname, Class::kIn, 60, {}};
  cname.rdata.assign(target.wire().begin(), target.wire().end());
  message[Section::kAnswer] = {cname, {target, Type::kA, Class::kIn, 60, {192, 0, 2, 1}}};
  const auto bytes = encode(message);
  EXPECT_EQ(bytes.size(), 12u + 17 + 4 + 12 + 6 + 12 + 4);
  EXPECT_EQ(to_text(bytes),
            "NOERROR qd=1\nanswer www.Example.org. 60 CNAME web.Example.org.\n"
            "answer web.Example.org. 60 A 192.0.2.1\n");
}

TEST(Edit, NamesInData) {
  EditRecord record{Name(), Type::kMx, Class::kIn, 0, {0, 10, 1, 'a', 0}};
  ASSERT_EQ(rdata_names(record).size(), 1u);
  EXPECT_EQ(rdata_names(record)[0], dns_name("a"));
  EXPECT_TRUE(set_rdata_name(record, 0, dns_name("b.c")));
  EXPECT_EQ(record.rdata, (std::vector<uint8_t>{0, 10, 1, 'b', 1, 'c', 0}));
  EXPECT_FALSE(set_rdata_name(record, 1, dns_name("b.c")));
  record.rdata.push_back(0);
  EXPECT_TRUE(rdata_names(record).empty());
  record.type = Type::kTxt;
  EXPECT_TRUE(rdata_names(record).empty());

  // Behind strings, and before what is left.
  EditRecord naptr{Name(),
                   static_cast<Type>(35),
                   Class::kIn,
                   0,
                   {0, 1, 0, 2, 1, 'S', 2, 'a', '1', 0, 1, 'b', 0}};
  ASSERT_EQ(rdata_names(naptr), std::vector<Name>{dns_name("b")});
  EXPECT_TRUE(set_rdata_name(naptr, 0, dns_name("c")));
  EXPECT_EQ(naptr.rdata, (std::vector<uint8_t>{0, 1, 0, 2, 1, 'S', 2, 'a', '1', 0, 1, 'c', 0}));
  naptr.rdata[4] = 200;
  EXPECT_TRUE(rdata_names(naptr).empty()) << "a string that is longer than the data";
  EditRecord svcb{Name(), Type::kHttps, Class::kIn, 0, {0, 1, 1, 'b', 0, 0, 1, 0, 3, 2, 'h', '2'}};
  ASSERT_EQ(rdata_names(svcb), std::vector<Name>{dns_name("b")});
  EXPECT_TRUE(set_rdata_name(svcb, 0, dns_name("cc")));
  EXPECT_EQ(svcb.rdata, (std::vector<uint8_t>{0, 1, 2, 'c', 'c', 0, 0, 1, 0, 3, 2, 'h', '2'}));
}

TEST(Edit, DataThatIsNotAsItsTypeHasItIsMalformed) {
  EditMessage message;
  message.flags = kFlagResponse;
  for (const Type type : {Type::kHttps, static_cast<Type>(35), Type::kSrv, Type::kMx}) {
    message[Section::kAnswer] = {{dns_name("a"), type, Class::kIn, 60, {0}}};
    EXPECT_FALSE(decode(encode(message))) << static_cast<int>(type);
  }
}

TEST(Edit, WhatIsTooLongIsCut) {
  EditMessage message;
  const EditRecord record{dns_name("a.test"), Type::kTxt, Class::kIn, 0,
                          std::vector<uint8_t>(30000)};
  message[Section::kAnswer] = {record, record, record};
  const auto cut = decode(encode(message));
  ASSERT_TRUE(cut);
  EXPECT_EQ((*cut)[Section::kAnswer].size(), 2u);
  EXPECT_NE(cut->flags & kFlagTruncated, 0);
  message.sections = {};
  message[Section::kAdditional] = {record, record, record};
  const auto additional = decode(encode(message));
  ASSERT_TRUE(additional);
  EXPECT_EQ((*additional)[Section::kAdditional].size(), 2u);
  EXPECT_EQ(additional->flags & kFlagTruncated, 0);
}

}  // namespace
}  // namespace fairlead::dns::test
