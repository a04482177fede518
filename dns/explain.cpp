// SPDX-License-Identifier: Apache-2.0
#include "dns/explain.h"

#include <fmt/format.h>

#include <cstdio>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "dns/mnemonics.h"
#include "dns/record_print.h"
#include "dns/rehearsal.h"
#include "dns/trace.h"

namespace fairlead::dns {
namespace {

constexpr Duration kReadyLimit = std::chrono::seconds(30);
constexpr Duration kAnswerLimit = std::chrono::seconds(15);

// Writes the steps as they come, what a plugin says behind what it did.
class Printer : public Trace {
 public:
  void begin(const Query& query) override {
    // Deeper ones are questions of a plugin, which may have said why.
    flush();
    if (depth_++ > 0)
      line(depth_ - 1,
           fmt::format("asks for {} {}", query.name.to_text(), type_to_text(query.type)));
  }
  void end() override {
    --depth_;
    flush();
  }
  void say(const std::string& text) override { said_.push_back(text); }
  void step(std::string_view plugin, std::string_view did) override {
    const std::vector<std::string> said = std::move(said_);
    said_.clear();
    std::string text = fmt::format("{:<13} {}", plugin, did);
    for (size_t i = 0; i < said.size(); ++i) text += (i == 0 ? ": " : "; ") + said[i];
    line(depth_, text);
  }
  // What comes of it later nobody waits for.
  void close() {
    flush();
    closed_ = true;
  }
  // What came with no step: of a plugin that waited.
  void flush() {
    for (const std::string& text : said_) line(depth_ + 1, text);
    said_.clear();
  }

 private:
  void line(size_t depth, const std::string& text) const {
    if (closed_) return;
    std::printf("%*s%s\n", static_cast<int>(2 * depth), "", text.c_str());
  }
  size_t depth_ = 0;
  bool closed_ = false;
  std::vector<std::string> said_;
};

// The extended error of a message, RFC 8914 section 2: its code and text.
std::string extended_error(const EditRecord& opt) {
  std::span<const uint8_t> rest = opt.rdata;
  while (rest.size() >= 4) {
    const size_t size = read_u16(&rest[2]);
    if (rest.size() < 4 + size) break;
    if (read_u16(rest.data()) == static_cast<uint16_t>(EdnsOption::kExtendedError) && size >= 2)
      return fmt::format("extended error {}: {}", read_u16(&rest[4]),
                         std::string(rest.begin() + 6, rest.begin() + 4 + static_cast<long>(size)));
    rest = rest.subspan(4 + size);
  }
  return "";
}

void print_answer(std::span<const uint8_t> message) {
  static constexpr const char* kSections[] = {"", "authority", "additional"};
  const auto decoded = decode(message);
  if (!decoded) return (void)std::printf("the answer is malformed\n");
  const auto rcode = static_cast<Rcode>(decoded->flags & 15);
  std::printf("\n%s, %s\n", rcode_to_text(rcode).c_str(), flags_to_text(decoded->flags).c_str());
  for (size_t section = 0; section < 3; ++section)
    for (const EditRecord& record : decoded->sections[section]) {
      const std::string note = record.type == Type::kOpt ? extended_error(record)
                               : section == 0
                                   ? record_to_text(record)
                                   : record_to_text(record) + "  ; " + kSections[section];
      if (!note.empty()) std::printf("%s\n", note.c_str());
    }
}

// At one place; at none the client is refused.
void explain_at(Rehearsal& asked, const Rehearsal::Place& place, const Options& options,
                Printer& printer) {
  const auto& question = *options.explain;
  const IpAddress local = place.route != nullptr && !place.address.address.is_unspecified()
                              ? place.address.address
                              : IpAddress::any(question.from.family());
  const Client client{{question.from, 53000},
                      Transport::kUdp,
                      asked.loop().clock().now(),
                      {local, place.route != nullptr ? place.address.port : options.port},
                      &printer};
  if (place.route == nullptr)
    std::printf("no server block serves that name\n");
  else
    std::printf("block %s, zone %s\n", place.block.c_str(), place.route->zone.to_text().c_str());
  const auto answer = std::make_shared<std::optional<std::vector<uint8_t>>>();
  asked.ask(place, question_packet(question.name, question.type), client,
            [answer](std::span<const uint8_t> message) {
              answer->emplace(message.begin(), message.end());
            });
  const bool answered = asked.loop().run_until([&] { return answer->has_value(); }, kAnswerLimit);
  printer.close();
  if (answered) {
    print_answer(**answer);
  } else {
    std::printf("\nno answer: the client gets none\n");
  }
}

}  // namespace

Result<void> explain(const Options& options) {
  std::deque<Printer> printers;  // as long as anything may still be asked
  auto rehearsal = Rehearsal::open(options);
  if (!rehearsal.ok()) return rehearsal.error();
  Rehearsal& asked = **rehearsal;
  if (const auto ready = asked.wait_ready(kReadyLimit); !ready.ok())
    std::printf("%s\n", ready.error().message().c_str());
  const auto& question = *options.explain;
  std::printf("%s %s from %s\n", question.name.to_text().c_str(),
              type_to_text(question.type).c_str(), question.from.to_string().c_str());
  std::vector<Rehearsal::Place> places = asked.places_of(question.name, question.type);
  if (places.empty()) places.emplace_back();
  for (size_t i = 0; i < places.size(); ++i) {
    if (i > 0) std::printf("\n");
    explain_at(asked, places[i], options, printers.emplace_back());
  }
  return ok();
}

}  // namespace fairlead::dns
