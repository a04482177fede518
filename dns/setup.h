// SPDX-License-Identifier: Apache-2.0
// What plugins read their directives with: the block they stand in, and values in the forms that
// CoreDNS takes. Errors say "file:line: what". Reads nothing but the files it is given and the name
// of this host.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "dns/corefile/corefile.h"
#include "dns/server/tcp_limits.h"

namespace fairlead::dns {

// A server block while it is read: plugins read in the registry's order, and some only leave word
// here.
struct PluginOptions;

struct BlockSetup {
  std::vector<Name> zones;  // the block's
  uint16_t port = 53;
  corefile::Files* files = nullptr;  // to read from
  std::string folder;                // of the Corefile

  std::string root;                    // `root`
  std::vector<corefile::Word> bind;    // `bind`: addresses and interfaces; empty: all
  std::vector<corefile::Word> except;  // `bind`
  TcpLimits tcp;                       // `timeouts`
  std::vector<std::string> notes;      // what is accepted and has no effect; to be logged

  // What a plugin wants of another one in the block, which must be there: its options, once all are
  // read.
  struct Need {
    std::string plugin;
    corefile::Place place;  // of who needs it
    std::function<void(const std::shared_ptr<PluginOptions>&)> take;
  };
  std::vector<Need> needs;
  // True once a directive of the block asks for a label (dns/labels.h); `metadata`, which is read
  // before, keeps it.
  std::shared_ptr<bool> labels_asked = std::make_shared<bool>(false);
  // Which, of the directives read so far; "": some that are only known later. All that can ask come
  // before those that give them.
  std::set<std::string> labels;

  // A relative path is below the root, without one below the Corefile's folder.
  std::string path_of(const std::string& text) const;
  // The block's label in metrics: "dns://:53".
  std::string server_label() const;
};

// Whether a keyword may also be written in upper case: CoreDNS takes that in some places only.
enum class Letters : uint8_t { kAsWritten, kAnyCase };
bool same_word(std::string_view given, std::string_view keyword, Letters letters);

// A property of a directive's block: how many arguments it takes, and what is done with them.
struct Property {
  static constexpr size_t kAny = SIZE_MAX;
  std::string_view name;
  size_t least = 0;
  size_t most = 0;
  std::function<Result<void>(const corefile::Directive& property)> read;
};
// Unknown ones, wrong counts and blocks within are errors; of an unknown one it is said whether
// CoreDNS knows it.
Result<void> read_properties(const corefile::Directive& directive,
                             const std::vector<Property>& properties,
                             Letters letters = Letters::kAsWritten);

// Fails unless the directive has so many arguments.
Result<void> expect_arguments(const corefile::Directive& directive, size_t least, size_t most);
// This host's, for plugins that say who is there; "localhost" when it cannot be told.
std::string host_name();
// Fails when it has a block.
Result<void> expect_no_block(const corefile::Directive& directive);
// Fails when there is more than one: "plugin 'hosts' can be given once in a server block".
Result<void> expect_once(const std::vector<corefile::Directive>& directives);

// "5s", "1m30s", "100ms", "0" (Go's time.ParseDuration); not negative. `unit`: of a number without
// one, where CoreDNS takes such.
Result<Duration> read_duration(const corefile::Word& word, Duration unit = Duration::zero());
// A whole number within the bounds, both included.
Result<uint64_t> read_number(const corefile::Word& word, uint64_t least, uint64_t most);
// Which of the choices stands here. They are all that CoreDNS has: the error says so.
Result<size_t> read_choice(const corefile::Word& word, std::initializer_list<const char*> choices,
                           Letters letters = Letters::kAsWritten);
// Zones, prefixes as reverse zones; without words the fallback.
Result<std::vector<Name>> read_zones(std::span<const corefile::Word> words,
                                     const std::vector<Name>& fallback);
// "127.0.0.1:53", ":8080" and "8080" (any address).
Result<SocketAddress> read_listen_address(const corefile::Word& word);

// `fallthrough [ZONES...]`: from which names the next plugin is asked. Without the directive none.
class Fallthrough {
 public:
  Result<void> read(const corefile::Directive& directive);
  bool through(const Name& name) const {
    for (const Name& zone : zones_)
      if (name.ends_with(zone)) return true;
    return false;
  }

 private:
  std::vector<Name> zones_;
};

}  // namespace fairlead::dns
