// SPDX-License-Identifier: Apache-2.0
#include "dns/corefile/corefile.h"

namespace fairlead::dns::corefile {
namespace {

class Parser {
 public:
  Parser(const std::vector<Word>& words, const ParseOptions& options)
      : words_(words), options_(options) {}

  Result<std::vector<ServerBlock>> run();

 private:
  Result<ServerBlock> server_block();
  Result<void> keys(ServerBlock& block);
  Result<std::vector<Directive>> directives(const Word* opening, size_t depth);
  Result<Directive> directive(size_t depth);
  Result<void> close(size_t depth);

  bool at_end() const { return at_ == words_.size(); }
  const Word& next() const { return words_[at_]; }

  const std::vector<Word>& words_;
  const ParseOptions& options_;
  size_t at_ = 0;
};

Result<std::vector<ServerBlock>> Parser::run() {
  std::vector<ServerBlock> blocks;
  while (!at_end()) {
    Result<ServerBlock> block = server_block();
    if (!block.ok()) return block.error();
    blocks.push_back(*std::move(block));
  }
  return blocks;
}

Result<ServerBlock> Parser::server_block() {
  ServerBlock block{next().place, {}, {}};
  const Result<void> read = keys(block);
  if (!read.ok()) return read.error();
  const Word* opening = nullptr;
  if (!at_end() && next().opens()) {
    opening = &next();
    ++at_;
  }
  auto inner = directives(opening, 1);
  if (!inner.ok()) return inner.error();
  block.directives = *std::move(inner);
  return block;
}

// Zones up to a brace, or to the end of a line that does not end in a comma.
Result<void> Parser::keys(ServerBlock& block) {
  bool more = true;  // a zone must follow
  while (!at_end() && !next().opens() && (more || !next().starts_line)) {
    const Word& word = words_[at_++];
    if (word.closes()) return word.place.error("a '}' without a '{'");
    size_t start = 0;
    while (start <= word.text.size()) {
      const size_t end = std::min(word.text.find(',', start), word.text.size());
      if (start < end) {
        const auto parsed = parse_zone_key(std::string_view(word.text).substr(start, end - start),
                                           options_.default_port);
        if (!parsed.ok()) return word.place.error(parsed.error().message());
        block.keys.insert(block.keys.end(), parsed->begin(), parsed->end());
      }
      start = end + 1;
    }
    more = !word.text.empty() && word.text.back() == ',';
  }
  if (block.keys.empty()) return block.place.error("a server block without a zone");
  if (more) return words_[at_ - 1].place.error("a zone must follow the comma");
  return ok();
}

// Up to the '}' of `opening`, or without one to the end. As in CoreDNS the last '}' of the file may
// be a directive's and the server block's in one (caddyfile/parse.go, closeCurlyBrace).
Result<std::vector<Directive>> Parser::directives(const Word* opening, size_t depth) {
  std::vector<Directive> out;
  while (!at_end()) {
    if (next().closes()) {
      if (opening == nullptr) return next().place.error("a '}' without a '{'");
      const Result<void> closed = close(depth);
      if (!closed.ok()) return closed.error();
      return out;
    }
    Result<Directive> read = directive(depth);
    if (!read.ok()) return read.error();
    out.push_back(*std::move(read));
  }
  if (opening != nullptr && (depth > 1 || !words_.back().closes()))
    return opening->place.error("this '{' has no '}'");
  return out;
}

// As in CoreDNS only a directive's block may be on one line, and one of nothing.
Result<void> Parser::close(size_t depth) {
  const Word& brace = words_[at_++];
  const bool empty = words_[at_ - 2].opens();
  if (!brace.starts_line && !empty && depth == 1)
    return brace.place.error("'}' must stand on a line of its own");
  if (!at_end() && !next().starts_line && !next().closes())
    return next().place.error("nothing may follow '}' on its line");
  return ok();
}

Result<Directive> Parser::directive(size_t depth) {
  Directive out{.name = words_[at_++], .arguments = {}, .block = {}};
  if (out.name.opens()) return out.name.place.error("a '{' without a directive in front of it");
  while (!at_end() && !next().starts_line) {
    if (next().closes() && depth > 1) break;
    const Word& word = words_[at_++];
    if (word.closes()) return word.place.error("'}' must stand on a line of its own");
    if (!word.opens()) {
      out.arguments.push_back(word);
      continue;
    }
    if (depth == kMaxNesting)
      return word.place.error("blocks within blocks, " + std::to_string(kMaxNesting) + " deep");
    auto inner = directives(&word, depth + 1);
    if (!inner.ok()) return inner.error();
    out.block = *std::move(inner);
  }
  return out;
}

}  // namespace

Result<Corefile> parse_corefile(const std::string& path, Files& files,
                                const ParseOptions& options) {
  Result<Expanded> expanded = read_expanded(path, files, options.environment);
  if (!expanded.ok()) return expanded.error();
  Result<std::vector<ServerBlock>> blocks = Parser(expanded->words, options).run();
  if (!blocks.ok()) return blocks.error();
  return Corefile{*std::move(blocks), std::move(expanded->files)};
}

}  // namespace fairlead::dns::corefile
