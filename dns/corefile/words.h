// SPDX-License-Identifier: Apache-2.0
// A Corefile as words: blanks part them, quotes keep them together, '#' begins a comment. Pure.
//
//   .:53 {                       five words on two lines
//       forward . {$UPSTREAM}    {$NAME} and {%NAME%} are the environment's; unset: nothing
//       template "a b"           one word; \" is a quote in it, other backslashes stay
//
// NodeLocal DNSCache's manifest leaves two places to its program (kubernetes/dns, cmd/node-cache),
// which are filled in here, too: __PILLAR__CLUSTER__DNS__ is the address of Service
// kube-dns-upstream as the environment names it (KUBE_DNS_UPSTREAM_SERVICE_HOST),
// __PILLAR__UPSTREAM__SERVERS__ is /etc/resolv.conf.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fairlead::dns::corefile {

// Where a word stands; errors begin with it.
struct Place {
  std::shared_ptr<const std::string> file;
  uint32_t line = 0;
  // "file:line: what"
  Error error(const std::string& what) const;
};

struct Word {
  std::string text;
  Place place;
  bool quoted = false;       // then a brace is just a character
  bool starts_line = false;  // the first of its line

  bool opens() const { return !quoted && text == "{"; }
  bool closes() const { return !quoted && text == "}"; }
};

// The value of an environment variable, or nullptr.
using Environment = std::function<const char*(const std::string& name)>;

// Fails on a quote that does not end, on a byte 0, and on a place of such a manifest that nothing
// is known for. Values are not split into words.
Result<std::vector<Word>> read_words(std::string_view text, const std::string& file,
                                     const Environment& environment);

// ", did you mean 'forward'?" if one of the candidates is nearly the word, else "".
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace fairlead::dns::corefile
