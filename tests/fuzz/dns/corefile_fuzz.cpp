// SPDX-License-Identifier: Apache-2.0
// Any bytes as a Corefile that may import itself: a tree or an error that names a place, in bounded
// time; what is read has zones and directives with names in every block; and every plugin reads its
// directives, or says where they are wrong.
#include <cstdlib>

#include "dns/config.h"
#include "dns/corefile/corefile.h"

namespace {

using namespace fairlead;
using namespace fairlead::dns::corefile;

class OneFile : public Files {
 public:
  explicit OneFile(std::string text) : text_(std::move(text)) {}
  Result<std::string> read(const std::string& path) override {
    if (path.size() > 4 && path.substr(path.size() - 4) == "none")
      return Error(ErrorCode::kNotFound, path);
    return text_;
  }
  std::vector<std::string> glob(const std::string&) override { return {"/a", "/b"}; }

 private:
  std::string text_;
};

void require(bool condition) {
  if (!condition) std::abort();
}

size_t count(const std::vector<Directive>& directives) {
  size_t sum = 0;
  for (const Directive& directive : directives) {
    require(!directive.name.opens() && !directive.name.closes());
    sum += 1 + directive.arguments.size();
    if (directive.block) sum += count(*directive.block);
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  OneFile files(std::string(reinterpret_cast<const char*>(data), size));
  const auto corefile =
      parse_corefile("/Corefile", files,
                     {[](const std::string& name) { return name == "UP" ? "1.1.1.1" : nullptr; }});
  if (!corefile.ok()) {
    require(corefile.error().message().front() == '/');
    return 0;
  }
  for (const ServerBlock& block : corefile->blocks) {
    require(!block.keys.empty());
    require(count(block.directives) <= kMaxWords);
  }
  const auto config = fairlead::dns::read_config(
      *corefile, files, "/", [](const std::string&) { return std::vector<IpAddress>(); });
  if (!config.ok()) require(config.error().message().front() == '/');
  return 0;
}
