// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>

namespace fairlead::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

const char* name_of(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
  }
  return "";
}

std::shared_ptr<spdlog::logger> make_logger(std::string_view program, Format format) {
  auto logger = std::make_shared<spdlog::logger>(
      std::string(program), std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>());
  logger->set_pattern(format == Format::kJson ? "%v" : "%Y-%m-%dT%H:%M:%S.%eZ %^%-5l%$ %n: %v",
                      spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::debug);  // enabled() decides
  logger->flush_on(spdlog::level::debug);
  return logger;
}

Level least = Level::kInfo;
Format lines = Format::kText;
std::atomic<int> debugging{0};

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = make_logger("fairlead", Format::kText);
  return instance;
}

}  // namespace

void init(std::string_view program, Level level, Format format) {
  least = level;
  lines = format;
  logger() = make_logger(program, format);
}

std::string json_line(std::string_view program, Level level, std::string_view text,
                      std::chrono::system_clock::time_point now) {
  const std::chrono::duration<double, std::milli> since = now.time_since_epoch();
  const std::string message = nlohmann::json(std::string(text))
                                  .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return fmt::format(R"({{"ts":{:.3f},"level":"{}","logger":"{}","msg":{}}})", since.count(),
                     name_of(level), program, message);
}

Result<Level> parse_level(std::string_view text) {
  if (text == "debug") return Level::kDebug;
  if (text == "info") return Level::kInfo;
  if (text == "warn") return Level::kWarn;
  if (text == "error") return Level::kError;
  return Error(ErrorCode::kInvalid,
               "log level '" + std::string(text) + "' is not one of debug, info, warn, error");
}

Debugging::Debugging() {
  debugging.fetch_add(1, std::memory_order_relaxed);
}
Debugging::~Debugging() {
  debugging.fetch_sub(1, std::memory_order_relaxed);
}

bool enabled(Level level) {
  return level >= least || debugging.load(std::memory_order_relaxed) > 0;
}
void write(Level level, std::string_view text) {
  if (!enabled(level)) return;
  if (lines == Format::kText) return logger()->log(to_spdlog(level), text);
  logger()->log(to_spdlog(level),
                json_line(logger()->name(), level, text, std::chrono::system_clock::now()));
}

}  // namespace fairlead::log
