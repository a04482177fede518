// SPDX-License-Identifier: Apache-2.0
// Ends the program when its own questions come back to it, as they do when an upstream server of
// `forward` is this server, or asks it: such a loop would eat all there is.
//
//   loop
//
// After the start a HINFO question is sent to the server itself, for a name below the block's zone
// that nobody can guess. It takes the way of every question, upstream too. Seen once it is ours;
// more than twice within 30 seconds, it comes back. Once it has been answered without that, or the
// time is over, the plugin does nothing any more.
#include <sys/random.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/log.h"
#include "dns/host.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kTick = milliseconds(100);
constexpr Duration kWatched = seconds(30);
constexpr Duration kRetry = seconds(5);  // an upstream server may have been silent as long
constexpr Duration kAfterReply = seconds(2);
constexpr int kMostSeen = 2;

struct Probe {
  Name name;
  std::atomic<int> seen{0};
};

struct LoopOptions : PluginOptions {
  Name zone;
  uint16_t port = 53;
  std::vector<IpAddress> bound;
  // One for each question; constant but for the counts, which workers raise.
  std::array<Probe, 6> probes;
  std::atomic<bool> watching{true};
};

bool make_name(const Name& zone, Name& name) {
  uint8_t secret[16];
  while (getrandom(secret, sizeof secret, 0) != static_cast<ssize_t>(sizeof secret)) {
  }
  std::string label;
  for (const uint8_t byte : secret) label += fmt::format("{:02x}", byte);
  name.clear();
  return name.append(label) && name.append(zone);
}

class LoopPlugin : public Plugin {
 public:
  explicit LoopPlugin(LoopOptions& options) : options_(options) {}

  Step serve(Request& request) override {
    const Query& query = request.query();
    if (query.type != Type::kHinfo || !options_.watching.load(std::memory_order_relaxed))
      return Step::kNext;
    for (Probe& probe : options_.probes) {
      if (query.name != probe.name) continue;
      if (probe.seen.fetch_add(1, std::memory_order_relaxed) < kMostSeen) return Step::kNext;
      request.reply().set_rcode(Rcode::kNxDomain);  // that is enough
      return Step::kAnswered;
    }
    return Step::kNext;
  }

 private:
  LoopOptions& options_;
};

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const corefile::Directive& directive = directives.front();
  if (const auto right = expect_arguments(directive, 0, 0); !right.ok()) return right.error();
  if (const auto right = expect_no_block(directive); !right.ok()) return right.error();
  auto options = std::make_shared<LoopOptions>();
  options->zone = block.zones.front();
  options->port = block.port;
  for (const corefile::Word& word : block.bind)
    if (const auto address = IpAddress::parse(word.text); address.ok())
      options->bound.push_back(*address);
  for (Probe& probe : options->probes)
    if (!make_name(options->zone, probe.name))
      return directive.name.place.error("loop: no name fits below " + options->zone.to_text());
  return std::shared_ptr<PluginOptions>(std::move(options));
}

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions& options) {
  // Shared by all workers, who count in it.
  return std::make_unique<LoopPlugin>(
      const_cast<LoopOptions&>(dynamic_cast<const LoopOptions&>(options)));
}

// Asks, and looks what came of it.
class Prober : public Service {
 public:
  Prober(Host& host, LoopOptions& options)
      : host_(host),
        listening_(host.listening()),
        options_(options),
        timer_(host.loop()),
        begun_(host.loop().clock().now()),
        next_(begun_) {
    timer_.start_every(kTick, [this] { tick(); });
  }
  ~Prober() override { options_.watching = false; }
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

 private:
  void tick();
  void ask();
  void on_readable();
  SocketAddress server() const;
  void finish() {
    options_.watching = false;
    timer_.stop();
    poll_.reset();
  }
  Error explanation(const Probe& probe) const;

  Host& host_;
  const std::vector<SocketAddress> listening_;  // the block's
  LoopOptions& options_;
  Timer timer_;
  const MonoTime begun_;
  MonoTime next_;
  size_t asked_ = 0;  // of the probes
  bool replied_ = false;
  MonoTime replied_at_{};
  Fd socket_;
  std::unique_ptr<Poll> poll_;
};

void Prober::tick() {
  const MonoTime now = host_.loop().clock().now();
  bool seen = false;
  for (const Probe& probe : options_.probes) {
    seen |= probe.seen > 0;
    if (probe.seen <= kMostSeen) continue;
    finish();
    return host_.fail(explanation(probe));
  }
  if (now - begun_ >= kWatched || (replied_ && seen && now - replied_at_ >= kAfterReply))
    return finish();
  // A reply to what this plugin has not seen: the configuration before this one gave it.
  if (now >= next_ && !(replied_ && seen) && asked_ < options_.probes.size()) ask();
}

SocketAddress Prober::server() const {
  SocketAddress chosen;
  bool found = false;
  for (const SocketAddress& each : listening_) {
    const bool bound = std::ranges::find(options_.bound, each.address) != options_.bound.end();
    if (each.port != options_.port || (found && !bound)) continue;
    chosen = each;
    found = true;
    if (bound) break;
  }
  if (chosen.address.is_unspecified())
    chosen.address =
        chosen.address.is_v4() ? IpAddress::v4(127, 0, 0, 1) : *IpAddress::parse("::1");
  return chosen;
}

void Prober::ask() {
  next_ = host_.loop().clock().now() + seconds(1);
  const SocketAddress to = server();
  if (to.port == 0) return;
  poll_.reset();
  socket_ = Fd(::socket(to.address.is_v4() ? AF_INET : AF_INET6,
                        SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_storage storage;
  const socklen_t length = to.to_sockaddr(storage);
  if (!socket_ || connect(socket_.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0)
    return;
  const Probe& probe = options_.probes[asked_];
  std::vector<uint8_t> packet(kHeaderSize);
  write_u16(&packet[2], kFlagRecursionDesired);
  write_u16(&packet[4], 1);
  packet.insert(packet.end(), probe.name.wire().begin(), probe.name.wire().end());
  packet.resize(packet.size() + 4);
  write_u16(&packet[packet.size() - 4], static_cast<uint16_t>(Type::kHinfo));
  write_u16(&packet[packet.size() - 2], static_cast<uint16_t>(Class::kIn));
  if (send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0) return;
  poll_ = std::make_unique<Poll>(host_.loop(), socket_.get());
  poll_->start(UV_READABLE, [this](int) { on_readable(); });
  next_ += kRetry - seconds(1);
  ++asked_;
}

// Nobody listens yet: the same question again, soon.
void Prober::on_readable() {
  uint8_t buffer[kPlainUdpSize];
  const ssize_t size = recv(socket_.get(), buffer, sizeof buffer, 0);
  const bool refused = size < 0 && errno != EAGAIN && errno != EINTR;
  if (size < 0 && !refused) return;
  poll_.reset();
  next_ = host_.loop().clock().now() + seconds(1);
  if (refused) {
    --asked_;
    return;
  }
  replied_ = true;
  replied_at_ = host_.loop().clock().now();
}

Error Prober::explanation(const Probe& probe) const {
  return Error(
      ErrorCode::kInvalid,
      fmt::format("loop: questions for zone {} come back: {} got \"HINFO {}\" more than {} times. "
                  "An upstream server of 'forward' leads here again, often because "
                  "/etc/resolv.conf names this machine (127.0.0.53, say); give 'forward' the "
                  "addresses of other servers",
                  options_.zone.to_text(), server().to_string(), probe.name.to_text(), kMostSeen));
}

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& options) {
  if (!host.serves()) return std::unique_ptr<Service>();
  return std::unique_ptr<Service>(
      std::make_unique<Prober>(host, dynamic_cast<LoopOptions&>(options)));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(loop) = {&parse, &make, &start};

}  // namespace fairlead::dns
