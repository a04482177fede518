// SPDX-License-Identifier: Apache-2.0
#include "proxy/stat_command.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "base/address.h"
#include "base/http/client.h"
#include "proxy/config.h"

namespace fairlead::proxy {

namespace {

constexpr Duration kAnswerLimit = std::chrono::seconds(10);
constexpr size_t kMaxDocument = 64 << 20;  // bytes
constexpr const char* kHome = "\x1b[H";    // to the upper left corner
constexpr const char* kEraseRest = "\x1b[J";
constexpr const char* kEraseLine = "\x1b[K";

Error wrong(const std::string& what) {
  return Error(ErrorCode::kInvalid, what);
}

struct Screen {
  bool terminal = false;
  size_t width = 0, height = 0;  // 0: not known
};

Screen screen() {
  Screen result;
  result.terminal = isatty(STDOUT_FILENO) == 1;
  winsize size{};
  if (!result.terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return result;
  result.width = size.ws_col;
  result.height = size.ws_row;
  return result;
}

class Watcher {
 public:
  Watcher(Loop& loop, const StatOptions& options)
      : loop_(loop),
        options_(options),
        client_(loop),
        terminate_(loop, SIGTERM, [this] { stopping_ = true; }),
        interrupt_(loop, SIGINT, [this] { stopping_ = true; }) {}

  Result<void> run() {
    Result<StatDocument> before = ask();
    if (stopping_) return ok();
    if (!before.ok()) return before.error();
    if (!options_.once && screen().terminal) show(*before, std::nullopt);
    while (!stopping_) {
      loop_.run_until([this] { return stopping_; }, options_.interval);
      if (stopping_) break;
      Result<StatDocument> after = ask();
      if (stopping_) break;
      if (after.ok()) {
        show(*after, rates_between(*before, *after));
        before = std::move(after);
      } else {
        if (options_.once) return after.error();
        std::fprintf(stderr, "fairlead-proxy: %s\n", after.error().message().c_str());
      }
      if (options_.once) break;
    }
    return ok();
  }

 private:
  Result<StatDocument> ask() {
    HttpRequest request;
    request.url = "http://" + options_.address + "/stat";
    request.total_timeout = kAnswerLimit;
    std::optional<Result<HttpResponse>> answer;
    const HttpCall call = fetch(client_, request, kMaxDocument, [&](Result<HttpResponse> response) {
      answer = std::move(response);
    });
    loop_.run_until([&] { return answer.has_value() || stopping_; }, kAnswerLimit * 2);
    if (!answer) return Error(ErrorCode::kCancelled, "ended by a signal");
    if (!answer->ok())
      return answer->error().with_context(
          "asking the proxy at " + options_.address +
          " (does it run? --address is its --metrics-bind-address)");
    if ((*answer)->status != 200)
      return Error(ErrorCode::kUnsupported, "what answers at " + options_.address +
                                                " has no /stat (status " +
                                                std::to_string((*answer)->status) +
                                                "): not a fairlead-proxy, or an older one");
    Result<StatDocument> document = parse_stat((*answer)->body);
    if (!document.ok()) return document.error().with_context(options_.address);
    return document;
  }

  void show(const StatDocument& document, const std::optional<AllRates>& rates) {
    const Screen where = screen();
    const bool redraw = where.terminal && !options_.once && !options_.json;
    StatDocument shown = document;
    shown.rows = busiest(document, rates, options_.sort, options_.top);
    std::string text = options_.json ? to_json(shown, rates) : stat_text(shown, rates, where.width);
    if (redraw) text = in_place(text, where.height);
    if (!options_.json && !redraw && !options_.once) text += "\n";
    if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) stopping_ = true;
  }

  // As many lines as fit, each over what was there before.
  static std::string in_place(const std::string& text, size_t height) {
    std::string result = kHome;
    size_t lines = 0;
    for (const char c : text) {
      if (c == '\n' && height != 0 && ++lines >= height) break;
      if (c == '\n') result += kEraseLine;
      result += c;
    }
    return result + kEraseRest;
  }

  Loop& loop_;
  const StatOptions& options_;
  HttpClient client_;
  bool stopping_ = false;
  SignalWatch terminate_, interrupt_;
};

}  // namespace

Result<StatOptions> parse_stat_options(const std::vector<std::string>& arguments) {
  StatOptions options;
  std::string interval = "2s", output = "table", sort = "rate";
  CLI::App app("Shows what the Services of this node do, the busiest first.",
               "fairlead-proxy stat");
  app.add_option("--address", options.address,
                 "the proxy's --metrics-bind-address (127.0.0.1:10249)");
  app.add_option("--interval", interval, "between two looks, at least 1s (2s)");
  app.add_option("--top", options.top, "how many service ports; 0: all that had traffic (20)");
  app.add_option("--sort", sort, "rate, connections, refused, bytes or name (rate)");
  app.add_option("--output", output, "table or json (table)");
  app.add_flag("--once", options.once, "one table, of one interval, and end");
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    options.print = app.help();
    return options;
  } catch (const CLI::ParseError& error) {
    return wrong(error.what());
  }
  const Result<SocketAddress> address = SocketAddress::parse(options.address);
  if (!address.ok() || address->port == 0)
    return wrong("--address: \"" + options.address + "\" is not IP:PORT such as 127.0.0.1:10249");
  const Result<Duration> parsed = parse_duration(interval);
  if (!parsed.ok() || *parsed < std::chrono::seconds(1) || *parsed > std::chrono::hours(24))
    return wrong("--interval: \"" + interval + "\" is not a time from 1s to 24h, such as 5s");
  options.interval = *parsed;
  const auto order = parse_stat_sort(sort);
  if (!order)
    return wrong("--sort: \"" + sort + "\" is none of rate, connections, refused, bytes, name");
  options.sort = *order;
  if (output != "table" && output != "json")
    return wrong("--output: \"" + output + "\" is neither table nor json");
  options.json = output == "json";
  return options;
}

Result<void> run_stat(Loop& loop, const StatOptions& options) {
  return Watcher(loop, options).run();
}

}  // namespace fairlead::proxy
