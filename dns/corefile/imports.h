// SPDX-License-Identifier: Apache-2.0
// Puts in place what a Corefile imports: snippets and other files. Pure but for the files it is
// given.
//
//   (common) {            a snippet, outside of all blocks and before its use
//       errors
//   }
//   .:53 {
//       import common     a snippet goes before a file of the same name
//       import *.override files, in order of their names; a pattern that matches none is no error
//   }
//
// `import` counts where it begins a line. A path is relative to the file that names it. Bounded: 50
// imports deep, 10,000 imports, 100,000 words, 1 MiB a file.
#pragma once

#include <set>

#include "dns/corefile/words.h"

namespace fairlead::dns::corefile {

constexpr size_t kMaxImportDepth = 50;
constexpr size_t kMaxImports = 10'000;
constexpr size_t kMaxWords = 100'000;
constexpr size_t kMaxFileSize = 1 << 20;

// Where files come from: the disk, or a test.
class Files {
 public:
  virtual ~Files() = default;
  virtual Result<std::string> read(const std::string& path) = 0;
  // What a plugin follows by itself as it changes: no reason to read the Corefile again.
  virtual Result<std::string> read_followed(const std::string& path) { return read(path); }
  // Sorted; empty when nothing matches. '*', '?' and '[...]' as in glob(7).
  virtual std::vector<std::string> glob(const std::string& pattern) = 0;
};

struct Expanded {
  std::vector<Word> words;      // without imports and snippets
  std::set<std::string> files;  // that were read, and patterns: what to watch for changes
};

// The words of the file at `path` and of all it imports.
Result<Expanded> read_expanded(const std::string& path, Files& files,
                               const Environment& environment);

}  // namespace fairlead::dns::corefile
