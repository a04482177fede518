// SPDX-License-Identifier: Apache-2.0
// Golden bytes, written so that they can be checked against the kernel's headers by eye:
//
//   08 00 04 00  00 00 00 07  # NFTA_X 7     bytes in hexadecimal, and what they are
//   06 00 01 00  "t" 00 00 00                text as itself; its zero and padding are not implied
//
// Fixed parts and lengths are little-endian: the tests run on such machines, as the programs do.
#pragma once

#include <gtest/gtest.h>

#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "netlink/message.h"

namespace fairlead::netlink {

inline std::vector<uint8_t> golden(std::string_view text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '#') {
      while (i < text.size() && text[i] != '\n') ++i;
    } else if (text[i] == '"') {
      while (text[++i] != '"') bytes.push_back(static_cast<uint8_t>(text[i]));
      ++i;
    } else if (std::isxdigit(static_cast<unsigned char>(text[i])) != 0) {
      bytes.push_back(
          static_cast<uint8_t>(std::strtoul(std::string(text.substr(i, 2)).c_str(), nullptr, 16)));
      i += 2;
    } else {
      EXPECT_NE(std::isspace(static_cast<unsigned char>(text[i])), 0) << "golden text: " << text[i];
      ++i;
    }
  }
  return bytes;
}

// "08 00 04 00", a word a line, so that a difference shows where it is.
inline std::string words(Bytes bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const int nibble : {bytes[i] >> 4, bytes[i] & 15}) text += "0123456789abcdef"[nibble];
    text += i % 4 == 3 ? '\n' : ' ';
  }
  return text;
}

inline void expect_golden(Bytes written, std::string_view text) {
  EXPECT_EQ(words(written), words(golden(text)));
}

// What a parser makes of golden bytes: of what a builder wrote, which is what the kernel sends
// back.
using Reader = std::function<void(const char* text)>;
template <typename T>
Reader reads(Result<T> (*parse)(const MessageView&), T expected) {
  return [parse, expected](const char* text) {
    const std::vector<uint8_t> bytes = golden(text);
    Bytes rest(bytes);
    MessageView message;
    ASSERT_TRUE(next_message(rest, message));
    const Result<T> value = parse(message);
    ASSERT_TRUE(value.ok()) << value.error().message();
    EXPECT_EQ(*value, expected);
  };
}
inline void reads_nothing(const char*) {}  // nothing of ours parses it

}  // namespace fairlead::netlink
