// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/values/quantity.h"

#include <charconv>
#include <limits>
#include <optional>

namespace fairlead::orchestrator {
namespace {

constexpr int64_t kMaxValue = std::numeric_limits<int64_t>::max();
constexpr std::string_view kMaxDigits = "9223372036854775807";
constexpr int64_t kNano = -9;

struct Suffix {
  std::string_view text;
  int power;  // of ten, or of 1024
};
constexpr Suffix kDecimal[] = {{"n", -9}, {"u", -6}, {"m", -3}, {"", 0},   {"k", 3},
                               {"M", 6},  {"G", 9},  {"T", 12}, {"P", 15}, {"E", 18}};
constexpr Suffix kBinary[] = {{"Ki", 1}, {"Mi", 2}, {"Gi", 3}, {"Ti", 4}, {"Pi", 5}, {"Ei", 6}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

Error wrong_format() {
  return Error(ErrorCode::kInvalid,
               "quantities must match the regular expression "
               "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}
Error wrong_suffix() {
  return Error(ErrorCode::kInvalid, "unable to parse quantity's suffix");
}

// Letters of suffixes, a sign, digits: what Kubernetes looks at before it looks the suffix up.
bool looks_like_suffix(std::string_view text) {
  const size_t letters = std::min(text.find_first_not_of("eEinumkKMGTP"), text.size());
  text.remove_prefix(letters);
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) text.remove_prefix(1);
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

struct Scale {
  Quantity::Format format;
  int32_t power;  // of 1024 for kBinary, else of ten
};

std::optional<Scale> read_suffix(std::string_view text) {
  for (const Suffix& one : kDecimal)
    if (one.text == text) return Scale{Quantity::Format::kDecimal, one.power};
  for (const Suffix& one : kBinary)
    if (one.text == text) return Scale{Quantity::Format::kBinary, one.power};
  if (text.size() < 2 || (text.front() != 'e' && text.front() != 'E')) return std::nullopt;
  text.remove_prefix(1);
  if (text.front() == '+') {
    text.remove_prefix(1);
    if (text.empty() || !is_digit(text.front())) return std::nullopt;
  }
  Scale scale{Quantity::Format::kExponent, 0};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), scale.power);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return scale;
}

// digits * factor, in decimal digits.
std::string multiplied(const std::string& digits, unsigned factor) {
  std::string product;
  unsigned carry = 0;
  for (auto it = digits.rbegin(); it != digits.rend(); ++it) {
    carry += static_cast<unsigned>(*it - '0') * factor;
    product += static_cast<char>('0' + carry % 10);
    carry /= 10;
  }
  for (; carry > 0; carry /= 10) product += static_cast<char>('0' + carry % 10);
  return {product.rbegin(), product.rend()};
}

std::string increased(std::string digits) {
  size_t at = digits.size();
  while (at > 0 && digits[at - 1] == '9') digits[--at] = '0';
  if (at == 0) return "1" + digits;
  ++digits[at - 1];
  return digits;
}

}  // namespace

Result<Quantity> Quantity::parse(std::string_view text) {
  if (text.empty() || text.size() > kMaxLength) return wrong_format();
  Quantity quantity;
  if (text.front() == '+' || text.front() == '-') {
    quantity.negative_ = text.front() == '-';
    text.remove_prefix(1);
  }
  size_t end = 0;
  bool point = false;
  for (; end < text.size() && (is_digit(text[end]) || (text[end] == '.' && !point)); ++end) {
    if (text[end] == '.') {
      point = true;
      continue;
    }
    quantity.digits_ += text[end];
    if (point) --quantity.exponent_;
  }
  const std::string_view suffix = text.substr(end);
  if (quantity.digits_.empty() || !looks_like_suffix(suffix)) return wrong_format();
  const auto scale = read_suffix(suffix);
  if (!scale) return wrong_suffix();
  quantity.format_ = scale->format;
  if (scale->format == Format::kBinary) {
    for (int i = 0; i < scale->power; ++i) quantity.digits_ = multiplied(quantity.digits_, 1024);
  } else {
    quantity.exponent_ += scale->power;
  }
  quantity.drop_zeros();
  quantity.round_up(kNano);
  if (scale->format == Format::kBinary) quantity.cap_binary();
  return quantity;
}

void Quantity::drop_zeros() {
  digits_.erase(0, std::min(digits_.find_first_not_of('0'), digits_.size()));
  const size_t kept = digits_.find_last_not_of('0') + 1;  // npos + 1 is 0
  exponent_ += static_cast<int64_t>(digits_.size() - kept);
  digits_.resize(kept);
  if (digits_.empty()) exponent_ = 0, negative_ = false;
}

// Away from zero to a multiple of 10^power.
void Quantity::round_up(int64_t power) {
  if (exponent_ >= power || digits_.empty()) return;
  const auto dropped = std::min<size_t>(static_cast<size_t>(power - exponent_), digits_.size());
  digits_ = increased(digits_.substr(0, digits_.size() - dropped));
  exponent_ = power;
  drop_zeros();
}

void Quantity::cap_binary() {
  Quantity limit;
  limit.digits_ = kMaxDigits;
  limit.negative_ = negative_;
  if (negative_ ? *this < limit : *this > limit) {
    digits_ = limit.digits_;
    exponent_ = 0;
  }
}

std::string Quantity::canonical() const {
  if (digits_.empty()) return "0";
  if (format_ == Format::kBinary && exponent_ >= 0)
    if (const int64_t whole = value(); whole >= 1024 || whole <= -1024) return canonical_binary();
  std::string text = negative_ ? "-" + digits_ : digits_;
  const int64_t zeros = (exponent_ % 3 + 3) % 3;
  const int64_t power = exponent_ - zeros;
  text.append(static_cast<size_t>(zeros), '0');
  if (format_ != Format::kExponent)
    for (const Suffix& one : kDecimal)
      if (one.power == power) return text.append(one.text);
  return power == 0 ? text : text + "e" + std::to_string(power);
}

std::string Quantity::canonical_binary() const {
  int64_t left = value();
  int power = 0;
  while (power < 6 && left % 1024 == 0) left /= 1024, ++power;
  return std::to_string(left).append(power == 0 ? "" : kBinary[power - 1].text);
}

int64_t Quantity::scaled(int64_t power) const {
  Quantity rounded = *this;
  rounded.round_up(power);
  if (rounded.digits_.empty()) return 0;
  const int64_t limit = negative_ ? std::numeric_limits<int64_t>::min() : kMaxValue;
  const int64_t zeros = rounded.exponent_ - power;
  if (static_cast<int64_t>(rounded.digits_.size()) + zeros >
      static_cast<int64_t>(kMaxDigits.size()))
    return limit;
  const std::string text =
      (negative_ ? "-" : "") + rounded.digits_ + std::string(static_cast<size_t>(zeros), '0');
  int64_t result = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), result);
  return failure == std::errc() && end == text.data() + text.size() ? result : limit;
}

std::strong_ordering Quantity::operator<=>(const Quantity& other) const {
  const auto sign = [](const Quantity& one) {
    return one.digits_.empty() ? 0 : one.negative_ ? -1 : 1;
  };
  if (sign(*this) != sign(other)) return sign(*this) <=> sign(other);
  const Quantity& left = negative_ ? other : *this;
  const Quantity& right = negative_ ? *this : other;
  const auto size = [](const Quantity& one) {
    return static_cast<int64_t>(one.digits_.size()) + one.exponent_;
  };
  if (size(left) != size(right)) return size(left) <=> size(right);
  return left.digits_.compare(right.digits_) <=> 0;
}

}  // namespace fairlead::orchestrator
