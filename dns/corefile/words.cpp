// SPDX-License-Identifier: Apache-2.0
#include "dns/corefile/words.h"

#include <algorithm>
#include <numeric>

namespace fairlead::dns::corefile {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr size_t kMaxTypos = 2;
constexpr size_t kMaxGuess = 64;  // longer words are no slips of the finger

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

// Replaces each `open`NAME`close`. A value is not looked at again.
std::string replace_variables(const std::string& text, std::string_view open,
                              std::string_view close, const Environment& environment) {
  std::string out;
  size_t at = 0;
  for (;;) {
    const size_t start = text.find(open, at);
    const size_t end = start == std::string::npos ? start : text.find(close, start + open.size());
    if (end == std::string::npos) return out + text.substr(at);
    out += text.substr(at, start - at);
    const char* value = environment(text.substr(start + open.size(), end - start - open.size()));
    if (value != nullptr) out += value;
    at = end + close.size();
  }
}

constexpr std::string_view kPillar = "__PILLAR__";
constexpr const char* kUpstreamService = "KUBE_DNS_UPSTREAM_SERVICE_HOST";

// As it is where there is nothing to fill in.
Result<std::string> fill_pillar(const Word& word, const Environment& environment) {
  if (word.quoted || word.text.find(kPillar) == std::string::npos) return word.text;
  if (word.text == "__PILLAR__UPSTREAM__SERVERS__") return std::string("/etc/resolv.conf");
  if (word.text != "__PILLAR__CLUSTER__DNS__")
    return word.place.error("'" + word.text +
                            "' of NodeLocal DNSCache's manifest has to be filled in");
  const char* address = environment(kUpstreamService);
  if (address != nullptr && *address != '\0') return std::string(address);
  return word.place.error(word.text + " is the address of Service kube-dns-upstream, but " +
                          kUpstreamService + " is not set: there is no such Service in the pod's " +
                          "namespace, it is newer than the pod, or the pod has enableServiceLinks: "
                          "false");
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& file, const Environment& environment)
      : text_(text.substr(text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0)),
        file_(std::make_shared<std::string>(file)),
        environment_(environment) {}

  Result<std::vector<Word>> run() {
    while (skip_blanks()) {
      Word word;
      word.place = {file_, line_};
      word.starts_line = std::exchange(new_line_, false);
      word.quoted = text_[at_] == '"';
      const Result<void> read = word.quoted ? read_quoted(word) : read_plain(word);
      if (!read.ok()) return read.error();
      word.text = replace_variables(word.text, "{%", "%}", environment_);
      word.text = replace_variables(word.text, "{$", "}", environment_);
      Result<std::string> filled = fill_pillar(word, environment_);
      if (!filled.ok()) return filled.error();
      word.text = *std::move(filled);
      words_.push_back(std::move(word));
    }
    return std::move(words_);
  }

 private:
  // To the next word; false at the end.
  bool skip_blanks() {
    bool comment = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') {
        ++line_;
        comment = false;
        new_line_ = true;
      } else if (c == '#') {
        comment = true;
      } else if (!comment && !is_blank(c)) {
        return true;
      }
    }
    return false;
  }

  Result<void> read_plain(Word& word) {
    for (; at_ < text_.size() && !is_blank(text_[at_]) && text_[at_] != '#'; ++at_) {
      if (text_[at_] == '\0') return word.place.error("a byte 0");
      word.text += text_[at_];
    }
    return ok();
  }

  Result<void> read_quoted(Word& word) {
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') return ++at_, ok();
      if (c == '\0') return word.place.error("a byte 0");
      if (c == '\n') ++line_;
      const bool escaped = c == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] == '"';
      if (escaped) ++at_;
      word.text += text_[at_];
    }
    return word.place.error("the quote that begins here does not end");
  }

  std::string_view text_;
  std::shared_ptr<const std::string> file_;
  const Environment& environment_;
  size_t at_ = 0;
  uint32_t line_ = 1;
  bool new_line_ = true;
  std::vector<Word> words_;
};

// How many letters must be put in, taken out, replaced or swapped with the next (optimal string
// alignment).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before;  // the row before the last
  std::vector<size_t> last;
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i;
    for (size_t k = 1; k <= b.size(); ++k) {
      const bool same = a[i - 1] == b[k - 1];
      row[k] = std::min({last[k] + 1, row[k - 1] + 1, last[k - 1] + (same ? 0 : 1)});
      if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
        row[k] = std::min(row[k], before[k - 2] + 1);
    }
  }
  return row.back();
}

}  // namespace

Error Place::error(const std::string& what) const {
  return Error(ErrorCode::kInvalid, *file + ":" + std::to_string(line) + ": " + what);
}

Result<std::vector<Word>> read_words(std::string_view text, const std::string& file,
                                     const Environment& environment) {
  return Reader(text, file, environment).run();
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.size() > kMaxGuess) return "";
  const std::string* best = nullptr;
  size_t best_distance = std::min(kMaxTypos, word.size() / 2) + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kMaxGuess) continue;
    const size_t d = distance(word, candidate);
    if (d >= best_distance) continue;
    best = &candidate;
    best_distance = d;
  }
  return best != nullptr ? ", did you mean '" + *best + "'?" : "";
}

}  // namespace fairlead::dns::corefile
