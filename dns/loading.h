// SPDX-License-Identifier: Apache-2.0
// From the command line to a configuration whose plugins run: what fairlead-dns does before it
// serves, and all it does when it is only asked what it would answer. Threads: the program's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dns/config.h"
#include "dns/corefile/disk.h"
#include "dns/host.h"
#include "dns/options.h"

namespace fairlead::dns {

// The disk, and the Corefile that the command line stands for. Remembers what it was asked for, to
// see whether that has changed. `options` outlive it.
class ConfigFiles : public corefile::DiskFiles {
 public:
  explicit ConfigFiles(const Options& options) : options_(options) {}
  Result<std::string> read(const std::string& path) override;
  Result<std::string> read_followed(const std::string& path) override {
    return DiskFiles::read(path);
  }
  std::vector<std::string> glob(const std::string& pattern) override;
  bool changed();
  // SHA-512 of what was read, in hex.
  std::string digest() const;
  static constexpr const char* kCommandLine = "command-line";
  static constexpr const char* kStandardInput = "stdin";  // as CoreDNS's -conf has it

 private:
  static Result<std::string> read_standard_input();
  Result<std::string> read_now(const std::string& path);
  std::reference_wrapper<const Options> options_;
  std::map<std::string, std::string> seen_;
  std::map<std::string, std::vector<std::string>> globbed_;
};

Result<Config> load_config(const Options& options, ConfigFiles& files);

// Starts what runs beside the chains, block by block in the order of the registry.
using Services = std::vector<std::unique_ptr<Service>>;
Result<Services> start_services(Host& host, const Config& config);

}  // namespace fairlead::dns
