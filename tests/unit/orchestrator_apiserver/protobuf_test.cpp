// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/schema/protobuf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "orchestrator/apiserver/kind.h"
#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/protobuf_wire.h"
#include "tests/support/seed.h"
#include "tests/unit/orchestrator_apiserver/protobuf_writer.h"

namespace fairlead::orchestrator::apiserver {
namespace {

using protobuf::bytes;
using protobuf::number;
using protobuf::varint;
using schema::decode_protobuf;
using schema::Field;
using schema::open_protobuf;
using schema::Shape;
using schema::Type;
using schema::Types;
using testing::HasSubstr;

const char* const kShapes = R"(
T
  text string #1
  textp string #2*
  flag bool #3
  flagp bool #4*
  small int32 #5
  smallp int32 #6*
  large int64 #7*
  amount quantity #8
  port intstr #9
  time time #10
  micro microtime #11
  data map[string]bytes #12
  words map[string]string #13
  numbers []int64 #14
  names []string #15
  one U #16
  many []U #17
  raw any #18
  inner string #19.1
  innerp int32 #19.2*
  amounts map[string]quantity #20
  flags []bool #21
  kind string #-
U
  a string #1
  b int32 #2*
  again U #3
)";

const Types& shapes() {
  static const auto kTypes = Types::parse({kShapes});
  return **kTypes;
}
const Type& shape_type() {
  return *shapes().find("T");
}

struct GoodMessage {
  const char* what;
  std::string message;
  const char* json;
};
const GoodMessage kGoodMessages[] = {
    {"nothing", "", "{}"},
    {"text", bytes(1, "a\xc3\xa9"), "{\"text\":\"a\xc3\xa9\"}"},
    {"a zero of what is no pointer", bytes(1, "") + number(3, 0) + number(5, 0), "{}"},
    {"a zero behind a pointer", bytes(2, "") + number(4, 0) + number(6, 0) + number(7, 0),
     R"({"textp":"","flagp":false,"smallp":0,"large":0})"},
    {"flags", number(3, 1) + number(4, 2), R"({"flag":true,"flagp":true})"},
    {"the least numbers", number(5, INT32_MIN) + number(7, INT64_MIN),
     R"({"small":-2147483648,"large":-9223372036854775808})"},
    {"the greatest numbers", number(5, INT32_MAX) + number(7, INT64_MAX),
     R"({"small":2147483647,"large":9223372036854775807})"},
    {"low bits of a small number", number(5, (int64_t{1} << 32) + 7), R"({"small":7})"},
    {"a number in more bytes than it needs", std::string("\x28\x85\x80\x00", 4), R"({"small":5})"},
    {"quantity", bytes(8, bytes(1, "1.5Gi")), R"({"amount":"1.5Gi"})"},
    {"quantity, empty", bytes(8, ""), R"({"amount":"0"})"},
    {"port as a number", bytes(9, number(1, 0) + number(2, 80) + bytes(3, "")), R"({"port":80})"},
    {"port as a negative number", bytes(9, number(2, -1)), R"({"port":-1})"},
    {"port as a word", bytes(9, number(1, 1) + number(2, 0) + bytes(3, "web")),
     R"({"port":"web"})"},
    {"port, empty", bytes(9, ""), R"({"port":0})"},
    {"no time", bytes(10, "") + bytes(11, ""), "{}"},
    {"Go's zero time", bytes(10, number(1, -62135596800) + number(2, 0)), "{}"},
    {"time, its fraction dropped", bytes(10, number(1, 1767323045) + number(2, -1)),
     R"({"time":"2026-01-02T03:04:05Z"})"},
    {"time before 1970", bytes(10, number(1, -1)), R"({"time":"1969-12-31T23:59:59Z"})"},
    {"time at 1970", bytes(10, number(1, 0) + number(2, 0)), R"({"time":"1970-01-01T00:00:00Z"})"},
    {"the first second after zero", bytes(10, number(1, -62135596799)),
     R"({"time":"0001-01-01T00:00:01Z"})"},
    {"the last second", bytes(10, number(1, 253402300799)), R"({"time":"9999-12-31T23:59:59Z"})"},
    {"microtime", bytes(11, number(1, 1767323045) + number(2, 6999)),
     R"({"micro":"2026-01-02T03:04:05.000006Z"})"},
    {"bytes", bytes(12, bytes(1, "k") + bytes(2, "\x01\xff")), R"({"data":{"k":"Af8="}})"},
    {"bytes, empty", bytes(12, bytes(1, "k")), R"({"data":{"k":""}})"},
    {"map", bytes(13, bytes(1, "k") + bytes(2, "v")) + bytes(13, bytes(2, "w") + bytes(1, "l")),
     R"({"words":{"k":"v","l":"w"}})"},
    {"map without a key, without a value", bytes(13, bytes(2, "v")) + bytes(13, bytes(1, "k")),
     R"({"words":{"":"v","k":""}})"},
    {"map, a key again", bytes(13, bytes(1, "k") + bytes(2, "v")) + bytes(13, bytes(1, "k")),
     R"({"words":{"k":""}})"},
    {"map, more in an entry", bytes(13, number(7, 7) + bytes(1, "k") + bytes(2, "v")),
     R"({"words":{"k":"v"}})"},
    {"quantities", bytes(20, bytes(1, "cpu") + bytes(2, bytes(1, "1"))) + bytes(20, bytes(1, "m")),
     R"({"amounts":{"cpu":"1","m":"0"}})"},
    {"numbers one by one", number(14, 1) + number(14, -1) + number(14, 0),
     R"({"numbers":[1,-1,0]})"},
    {"numbers packed", bytes(14, varint(1) + varint(300)) + number(14, 2),
     R"({"numbers":[1,300,2]})"},
    {"flags packed", bytes(21, varint(1) + varint(0)), R"({"flags":[true,false]})"},
    {"texts", bytes(15, "a") + bytes(15, ""), R"({"names":["a",""]})"},
    {"message", bytes(16, bytes(1, "x")), R"({"one":{"a":"x"}})"},
    {"message, empty", bytes(16, ""), R"({"one":{}})"},
    {"message in two parts", bytes(16, bytes(1, "x") + number(2, 1)) + bytes(16, number(2, 2)),
     R"({"one":{"a":"x","b":2}})"},
    {"messages", bytes(17, "") + bytes(17, number(2, 0)), R"({"many":[{},{"b":0}]})"},
    {"the last text counts", bytes(1, "a") + bytes(1, "b"), R"({"text":"b"})"},
    {"the last text counts, empty too", bytes(1, "a") + bytes(1, ""), "{}"},
    {"raw JSON", bytes(18, bytes(1, R"({"f:a":{}})")), R"({"raw":{"f:a":{}}})"},
    {"raw JSON, none", bytes(18, ""), "{}"},
    {"what Go embeds", bytes(19, bytes(1, "x") + number(2, 0)), R"({"inner":"x","innerp":0})"},
    {"what Go embeds, in two parts", bytes(19, bytes(1, "x")) + bytes(19, number(2, 1)),
     R"({"inner":"x","innerp":1})"},
    {"fields that are not known",
     number(99, 1) + bytes(98, "x") + std::string("\xc1\x05") + std::string(8, 'x') +
         std::string("\xc5\x05") + std::string(4, 'x') + bytes(19, number(9, 1)) + bytes(1, "a"),
     R"({"text":"a"})"},
};

TEST(Protobuf, BecomesTheJsonOfTheSameClient) {
  for (const GoodMessage& c : kGoodMessages) {
    const auto json = decode_protobuf(shape_type(), c.message);
    ASSERT_TRUE(json.ok()) << c.what << ": " << json.error().message();
    EXPECT_EQ(*json, Json::parse(c.json)) << c.what;
  }
}

struct BadMessage {
  const char* what;
  std::string message;
  const char* says;
};
const BadMessage kBadMessages[] = {
    {"a number for a text", number(1, 1), "protobuf: text: wire type 0 instead of 2"},
    {"a text for a number", bytes(5, "x"), "protobuf: small: wire type 2 instead of 0"},
    {"a fixed number", std::string("\x2d") + std::string(4, '\0'), "small: wire type 5 instead"},
    {"a number for a message", number(16, 1), "one: wire type 0"},
    {"a number for an entry", number(13, 1), "words: wire type 0"},
    {"a number for a quantity", number(8, 1), "amount: wire type 0"},
    {"a number for what Go embeds", number(19, 1), "wire type 0"},
    {"a text for seconds", bytes(10, bytes(1, "x")), "time: wire type 2 instead of 0"},
    {"in a list", bytes(17, "") + bytes(17, number(1, 1)), "protobuf: many[1].a: wire type 0"},
    {"below", bytes(16, bytes(3, number(1, 1))), "protobuf: one.again.a: wire type 0"},
    {"not UTF-8", bytes(1, "\xff"), "text: the text is not UTF-8"},
    {"a key that is not UTF-8", bytes(13, bytes(1, "\xc3")), "words: the text is not UTF-8"},
    {"a quantity that is not UTF-8", bytes(8, bytes(1, "\xff")), "amount: the quantity is not"},
    {"raw JSON that is none", bytes(18, bytes(1, "{")), "raw: unexpected end of JSON input"},
    {"a group", std::string("\x0b\x0c"), "field 1 has wire type 3"},
    {"a wire type that is none", std::string("\x0f"), "field 1 has wire type 7"},
    {"number 0", std::string("\x00\x00", 2), "number 0"},
    {"a number too great", varint(uint64_t{1} << 32) + "x", "number 536870912"},
    {"a varint without an end", std::string(1, '\x28') + std::string(11, '\x80'),
     "more than 10 bytes"},
    {"a tag without an end", std::string(11, '\x80'), "more than 10 bytes"},
    {"cut in a varint", std::string("\x28\x80"), "ends in the middle"},
    {"cut in a text", std::string("\x0a\x05x"), "5 bytes are announced and 1 left"},
    {"a size beyond all", std::string("\x0a") + varint(UINT64_MAX), "ends in the middle"},
    {"packed numbers, cut", bytes(14, "\x80"), "numbers[0]: the message ends"},
    {"an IntOrString that is neither", bytes(9, number(1, 2)), "port: an IntOrString of type 2"},
    {"after the last time", bytes(10, number(1, 253402300800)), "time: 253402300800 seconds"},
    {"before the first time", bytes(11, number(1, INT64_MIN)), "micro: -9223372036854775808"},
    {"no fraction of a second", bytes(11, number(1, 1) + number(2, 1000000000)),
     "no time from year 1"},
};

TEST(Protobuf, WhatIsWrongIsNamed) {
  for (const BadMessage& c : kBadMessages) {
    const auto json = decode_protobuf(shape_type(), c.message);
    ASSERT_FALSE(json.ok()) << c.what << ": " << dump(*json);
    EXPECT_THAT(json.error().message(), HasSubstr(c.says)) << c.what;
  }
}

TEST(Protobuf, DepthIsLimited) {
  std::string message;
  for (size_t i = 0; i + 1 < kMaxJsonDepth; ++i) message = bytes(i == 0 ? 1 : 3, message);
  EXPECT_TRUE(decode_protobuf(*shapes().find("U"), message).ok());
  for (int i = 0; i < 100'000 && message.size() < 300'000; ++i) message = bytes(3, message);
  const auto json = decode_protobuf(*shapes().find("U"), message);
  ASSERT_FALSE(json.ok());
  EXPECT_THAT(json.error().message(), HasSubstr("nested deeper than 64 levels"));
}

const std::string kMagic("k8s\0", 4);
const BadMessage kBadBodies[] = {
    {"nothing", "", "does not begin with the four bytes"},
    {"JSON", "{}", "does not begin with the four bytes"},
    {"three bytes of four", "k8s", "does not begin with the four bytes"},
    {"cut", kMagic + "\x0a\x05", "runtime.Unknown: the message ends"},
    {"raw as a number", kMagic + number(2, 1), "runtime.Unknown: wire type 0"},
    {"type as a number", kMagic + number(1, 1), "runtime.Unknown: wire type 0"},
    {"kind not UTF-8", kMagic + bytes(1, bytes(2, "\xff")), "not UTF-8"},
    {"encoded", kMagic + bytes(3, "gzip"), "contentEncoding"},
    {"JSON inside", kMagic + bytes(2, "{}") + bytes(4, "application/json"), "contentType"},
};

TEST(Protobuf, AnEnvelopeSaysWhatIsInside) {
  const std::string body = protobuf::body("apps/v1", "Deployment", "x");
  const auto open = open_protobuf(body);
  ASSERT_TRUE(open.ok()) << open.error().message();
  EXPECT_EQ(open->api_version, "apps/v1");
  EXPECT_EQ(open->kind, "Deployment");
  EXPECT_EQ(open->message, "x");
  EXPECT_TRUE(open_protobuf(kMagic).ok());
  EXPECT_TRUE(open_protobuf(kMagic + bytes(4, "application/vnd.kubernetes.protobuf")).ok());
  for (const BadMessage& c : kBadBodies) {
    const auto refused = open_protobuf(c.message);
    ASSERT_FALSE(refused.ok()) << c.what;
    EXPECT_THAT(refused.error().message(), HasSubstr(c.says)) << c.what;
  }
}

// Random values in normal form, of any type.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t below(uint64_t limit) { return engine_() % limit; }

  Json value(const Type& type, bool zero) {
    switch (type.shape) {
      case Shape::kString:
        return text(zero ? 0 : 1);
      case Shape::kBool:
        return !zero || below(2) == 0;
      case Shape::kInt32:
        return zero && below(2) == 0 ? 0 : static_cast<int32_t>(engine_() | 1);
      case Shape::kInt64:
        return zero && below(2) == 0 ? 0 : static_cast<int64_t>(engine_() | 1);
      case Shape::kNumber:
        break;
      case Shape::kQuantity:
        return std::to_string(below(9)) + (below(2) == 0 ? "Gi" : "m");
      case Shape::kIntOrString:
        return below(2) == 0 ? Json(below(70'000)) : text(0);
      case Shape::kTime:
      case Shape::kMicroTime:
        return time(type.shape == Shape::kMicroTime);
      case Shape::kBytes:
        return schema::base64_encode(text(0).get<std::string>() + "\xff");
      case Shape::kAny:
        return {{"f:" + text(0).get<std::string>(), below(5)}};
      case Shape::kStruct:
        return object(type);
      case Shape::kMap: {
        Json map = {{text(0).get<std::string>(), value(*type.element, true)}};
        return map;
      }
      case Shape::kList: {
        Json list = Json::array();
        for (uint64_t i = 0; i <= below(2); ++i) list.push_back(value(*type.element, true));
        return list;
      }
    }
    return {};
  }

  Json object(const Type& type) {
    Json result = Json::object();
    for (const Field& field : type.fields)
      if (field.number && below(3) != 0)
        result[field.name] = value(*field.type, !field.zero_is_none());
    return result;
  }

 private:
  Json text(uint64_t least) {
    static const char* const kPieces[] = {"a", "-", "\xc3\xa9", "\xe2\x82\xac", "0", "."};
    std::string result;
    for (uint64_t i = below(4) + least; i > 0; --i) result += kPieces[below(std::size(kPieces))];
    return result;
  }
  Json time(bool micro) {
    const WallTime moment(std::chrono::microseconds(below(4'000'000'000'000'000)));
    return micro ? to_rfc3339_micro(moment) : to_rfc3339(moment);
  }

  std::mt19937_64 engine_;
};

TEST(Protobuf, RandomObjectsOfEveryTypeComeBack) {
  Random random(test::random_seed());
  for (const auto& [name, type] : Types::builtin().all()) {
    if (type->shape != Shape::kStruct) continue;
    for (int i = 0; i < 20; ++i) {
      const Json object = random.object(*type);
      const auto back = decode_protobuf(*type, protobuf::message(*type, object));
      ASSERT_TRUE(back.ok()) << name << ": " << back.error().message();
      ASSERT_EQ(*back, object) << name;
    }
  }
}

TEST(Protobuf, EveryFieldOfABuiltinTypeHasItsNumber) {
  size_t count = 0;
  for (const auto& [name, type] : Types::builtin().all())
    for (const Field& field : type->fields) {
      // Go's TypeMeta is in the envelope.
      const bool type_meta = field.name == "apiVersion" || field.name == "kind";
      EXPECT_TRUE(field.number.has_value() || type_meta) << name << "." << field.name;
      count += field.number.has_value();
    }
  EXPECT_GT(count, 700U);
  for (const Kind& kind : Kinds::builtin().all()) {
    const Field* metadata = kind.served_type->field("metadata");
    ASSERT_NE(metadata, nullptr) << kind.kind;
    EXPECT_EQ(metadata->number->number, 1) << kind.kind;
  }
}

// kubectl 1.33 create deployment d1 --image=nginx:1 --replicas=2 --port=80
const char* const kKubectlsDeployment =
    "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50ErYBCh0KAmQxEgAaACIAKgAyADgAQgBaCQoDYXBwEgJkMRKG"
    "AQgCEgsKCQoDYXBwEgJkMRptChsKABIAGgAiACoAMgA4AEIAWgkKA2FwcBICZDESThIwCgVuZ2lueBIHbmdp"
    "bng6MSoAMgoKABAAGFAiACoAQgBqAHIAgAEAiAEAkAEAogEAGgAyAEIASgBSAFgAYABoAIIBAIoBAJoBAMIB"
    "ACICCgAoADgAGgwIABAAGAAgACgAOAAaACIA";

TEST(Protobuf, ReadsWhatKubectlSends) {
  const std::string body = schema::base64_decode(kKubectlsDeployment);
  const auto open = open_protobuf(body);
  ASSERT_TRUE(open.ok()) << open.error().message();
  EXPECT_EQ(open->api_version + " " + open->kind, "apps/v1 Deployment");
  const auto json = decode_protobuf(*Types::builtin().find("Deployment"), open->message);
  ASSERT_TRUE(json.ok()) << json.error().message();
  // As kubectl 1.31 sends it in JSON, but for the null times.
  EXPECT_EQ(*json, Json::parse(R"({"metadata":{"labels":{"app":"d1"},"name":"d1"},"spec":
      {"replicas":2,"selector":{"matchLabels":{"app":"d1"}},"strategy":{},"template":{"metadata":
      {"labels":{"app":"d1"}},"spec":{"containers":[{"image":"nginx:1","name":"nginx",
      "ports":[{"containerPort":80}],"resources":{}}]}}},"status":{}})"));
}

TEST(Protobuf, NoPrefixOfABodyIsRead) {
  const std::string body = schema::base64_decode(kKubectlsDeployment);
  const Type& type = *Types::builtin().find("Deployment");
  const std::string message(open_protobuf(body)->message);
  int whole = 0;
  for (size_t size = 0; size < message.size(); ++size)
    whole += decode_protobuf(type, message.substr(0, size)).ok() ? 1 : 0;
  EXPECT_EQ(whole, 3);  // nothing, metadata, metadata and spec
  whole = 0;
  for (size_t size = 0; size < body.size(); ++size)
    whole += open_protobuf(std::string_view(body).substr(0, size)).ok() ? 1 : 0;
  EXPECT_EQ(whole, 4);  // nothing, typeMeta, raw, contentEncoding
}

TEST(Protobuf, RandomBytesAreReadOrRefused) {
  const std::string body = schema::base64_decode(kKubectlsDeployment);
  Random random(test::random_seed());
  for (int i = 0; i < 20'000; ++i) {
    std::string changed = body;
    for (uint64_t changes = random.below(4) + 1; changes > 0; --changes) {
      const size_t place = random.below(changed.size() - 4) + 4;
      if (random.below(3) == 0) changed.erase(place, random.below(4));
      if (random.below(3) == 0) changed.insert(place, 1, static_cast<char>(random.below(256)));
      if (place < changed.size()) changed[place] = static_cast<char>(random.below(256));
    }
    const auto open = open_protobuf(changed);
    if (!open) continue;
    for (const char* name : {"Deployment", "Pod", "Service", "EventsEvent", "DeleteOptions"}) {
      const auto json = decode_protobuf(*Types::builtin().find(name), open->message);
      if (json) ASSERT_EQ(*parse_json(dump(*json)), *json);
    }
  }
}

}  // namespace
}  // namespace fairlead::orchestrator::apiserver
