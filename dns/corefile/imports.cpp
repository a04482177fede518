// SPDX-License-Identifier: Apache-2.0
#include "dns/corefile/imports.h"

#include <iterator>
#include <map>
#include <span>

namespace fairlead::dns::corefile {
namespace {

using Words = std::span<const Word>;

bool is_pattern(const std::string& path) {
  return path.find_first_of("*?[") != std::string::npos;
}

// "(name)" alone in front of a brace.
bool is_snippet(Words rest) {
  const std::string& text = rest[0].text;
  return rest.size() >= 2 && rest[0].starts_line && !rest[0].quoted && text.size() >= 2 &&
         text.front() == '(' && text.back() == ')' && rest[1].opens();
}

class Expander {
 public:
  Expander(Files& files, const Environment& environment)
      : files_(files), environment_(environment) {}

  Result<void> file(const std::string& path, size_t depth);
  Expanded take() { return std::move(out_); }

 private:
  Result<void> words(Words rest, size_t depth);
  Result<Words> define(Words rest);
  Result<void> import(const Word& word, Words arguments, size_t depth);

  Files& files_;
  const Environment& environment_;
  std::map<std::string, std::vector<Word>> snippets_;
  Expanded out_;
  std::vector<Place> open_;  // braces not closed yet
  size_t imports_ = 0;
};

Result<void> Expander::file(const std::string& path, size_t depth) {
  out_.files.insert(path);
  const Result<std::string> text = files_.read(path);
  if (!text.ok()) return text.error();
  if (text->size() > kMaxFileSize)
    return Error(ErrorCode::kInvalid, path + ": over " + std::to_string(kMaxFileSize) + " bytes");
  const Result<std::vector<Word>> read = read_words(*text, path, environment_);
  if (!read.ok()) return read.error();
  return words(*read, depth);
}

// What is imported closes the braces that it opens, and no other. The server block that the
// Corefile itself leaves open is the parser's to judge.
Result<void> Expander::words(Words rest, size_t depth) {
  const size_t before = open_.size();
  while (!rest.empty()) {
    const Word& word = rest.front();
    // In a server block a directive may begin behind the brace; what is in a directive's own block
    // begins on a line.
    const bool begins = word.starts_line || (open_.size() == 1 && out_.words.back().opens());
    if (open_.empty() && is_snippet(rest)) {
      const Result<Words> behind = define(rest);
      if (!behind.ok()) return behind.error();
      rest = *behind;
    } else if (begins && !word.quoted && word.text == "import") {
      size_t end = 1;
      while (end < rest.size() && !rest[end].starts_line) ++end;
      const Result<void> imported = import(word, rest.subspan(1, end - 1), depth);
      if (!imported.ok()) return imported;
      rest = rest.subspan(end);
    } else {
      if (out_.words.size() == kMaxWords)
        return word.place.error("over " + std::to_string(kMaxWords) + " words, imports included");
      if (word.opens()) open_.push_back(word.place);
      if (word.closes()) {
        if (open_.size() == before) return word.place.error("a '}' without a '{'");
        open_.pop_back();
      }
      out_.words.push_back(word);
      rest = rest.subspan(1);
    }
  }
  if (open_.size() > before + (depth == 0 ? 1 : 0))
    return open_.back().error("this '{' has no '}'");
  return ok();
}

// Keeps the words between the braces as they are: what they import is looked up where they are
// used. Returns what comes behind.
Result<Words> Expander::define(Words rest) {
  const Word& head = rest[0];
  const std::string name = head.text.substr(1, head.text.size() - 2);
  if (name.empty()) return head.place.error("a snippet without a name");
  if (snippets_.contains(name))
    return head.place.error("there is a snippet '" + name + "' already");
  size_t depth = 0;
  for (size_t i = 1; i < rest.size(); ++i) {
    if (rest[i].opens()) ++depth;
    if (!rest[i].closes() || --depth > 0) continue;
    if (i + 1 < rest.size() && !rest[i + 1].starts_line)
      return rest[i + 1].place.error("nothing may follow '}' on its line");
    const Words body = rest.subspan(2, i - 2);
    std::vector<Word>& kept = snippets_[name] = {body.begin(), body.end()};
    // Behind whatever it is imported: a directive begins here.
    if (!kept.empty()) kept.front().starts_line = true;
    return rest.subspan(i + 1);
  }
  return rest[1].place.error("the '{' of snippet '" + name + "' has no '}'");
}

Result<void> Expander::import(const Word& word, Words arguments, size_t depth) {
  if (arguments.size() != 1 || arguments[0].text.empty())
    return word.place.error("import takes one argument: a snippet, a file or a pattern");
  if (depth == kMaxImportDepth)
    return word.place.error("imports within imports, " + std::to_string(kMaxImportDepth) +
                            " deep: does something import itself?");
  if (++imports_ > kMaxImports)
    return word.place.error("over " + std::to_string(kMaxImports) + " imports");
  const std::string& what = arguments[0].text;
  const auto snippet = snippets_.find(what);
  if (snippet != snippets_.end()) return words(snippet->second, depth + 1);

  std::string path = what;
  const size_t folder = word.place.file->rfind('/');
  if (path.front() != '/' && folder != std::string::npos)
    path = word.place.file->substr(0, folder + 1) + path;
  if (is_pattern(path)) {
    out_.files.insert(path);
    for (const std::string& match : files_.glob(path)) {
      const Result<void> read = file(match, depth + 1);
      if (!read.ok()) return read;
    }
    return ok();
  }
  const Result<std::string> readable = files_.read(path);
  if (readable.ok()) return file(path, depth + 1);
  std::vector<std::string> names;
  for (const auto& [name, body] : snippets_) names.push_back(name);
  const std::string hint = did_you_mean(what, names);
  return word.place.error("there is no snippet '" + what + "'" + hint +
                          (hint.empty() ? "; as a file: " : " As a file: ") +
                          readable.error().message());
}

}  // namespace

Result<Expanded> read_expanded(const std::string& path, Files& files,
                               const Environment& environment) {
  Expander expander(files, environment);
  const Result<void> read = expander.file(path, 0);
  if (!read.ok()) return read.error();
  return expander.take();
}

}  // namespace fairlead::dns::corefile
