// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/proxy/cluster.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <set>

#include "proxy/kernel_release.h"
#include "proxy/table_reader.h"
#include "tests/support/paths.h"

namespace fairlead::proxy::test {

namespace {

bool wait_for(int fd, short events, int timeout_ms) {
  pollfd one{fd, events, 0};
  return poll(&one, 1, timeout_ms) > 0;
}

class Asking : public ObjectSink {
 public:
  explicit Asking(std::unique_ptr<ObjectSink> next) : next_(std::move(next)) {}
  void put(const kube::Service& service) override {
    kube::Service asking = service;
    asking.meta.annotations["stream.fairlead.io/mode"] = "userspace";
    next_->put(asking);
  }
  void put(const kube::EndpointSlice& slice) override { next_->put(slice); }
  void remove_service(const kube::ObjectKey& key) override { next_->remove_service(key); }
  void remove_slice(const kube::ObjectKey& key) override { next_->remove_slice(key); }
  void set_node(const kube::Node& node) override { next_->set_node(node); }
  void set_service_cidrs(std::vector<Cidr> cidrs) override {
    next_->set_service_cidrs(std::move(cidrs));
  }
  const ServiceMap& services() const override { return next_->services(); }
  void start() override { next_->start(); }

 private:
  const std::unique_ptr<ObjectSink> next_;
};

}  // namespace

std::unique_ptr<ObjectSink> asking_to_be_relayed(std::unique_ptr<ObjectSink> next) {
  return std::make_unique<Asking>(std::move(next));
}

HttpCall FakeHttp::send(HttpRequest, HttpHandlers handlers) {
  struct Call : HttpCall::Pending {
    Alarm alarm;
  };
  auto call = std::make_unique<Call>();
  call->alarm = clock_.after(std::chrono::milliseconds(1), [this, handlers = std::move(handlers)] {
    if (status == 0) return handlers.on_done(Error(ErrorCode::kUnavailable, "connection refused"));
    HttpResponseHead head;
    head.status = status;
    if (handlers.on_head) handlers.on_head(head);
    handlers.on_done(head);
  });
  return HttpCall(std::move(call));
}

std::string Outcome::to_string() const {
  if (!reached.empty()) return reached + " sees " + source;
  return refused ? "refused" : "dropped";
}

int new_udp_socket(int family) {
  constexpr unsigned kFirst = 10000, kPorts = 18000;
  static std::atomic<unsigned> used{0};
  const int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const Family ours = family == AF_INET ? Family::kIpv4 : Family::kIpv6;
  const auto port = static_cast<uint16_t>(kFirst + used++ % kPorts);
  sockaddr_storage storage{};
  const socklen_t length = SocketAddress{IpAddress::any(ours), port}.to_sockaddr(storage);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&storage), length), 0) << strerror(errno);
  return fd;
}

Outcome ask(int type, const std::string& to, int timeout_ms) {
  const SocketAddress target = SocketAddress::parse(to).value();
  sockaddr_storage storage{};
  const socklen_t length = target.to_sockaddr(storage);
  const int fd = type == SOCK_DGRAM ? new_udp_socket(storage.ss_family)
                                    : socket(storage.ss_family, type | SOCK_CLOEXEC, 0);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  Outcome outcome;
  const auto failed = [&](int reason) {
    outcome.refused = reason == ECONNREFUSED;
    close(fd);
    return outcome;
  };
  if (connect(fd, reinterpret_cast<sockaddr*>(&storage), length) != 0 && errno != EINPROGRESS)
    return failed(errno);
  if (type == SOCK_STREAM) {
    if (!wait_for(fd, POLLOUT, timeout_ms)) return failed(ETIMEDOUT);
  } else {
    (void)!send(fd, "?", 1,
                0);  // a datagram refused on its way out gives EPERM here, the reason below
  }
  int reason = 0;
  socklen_t size = sizeof reason;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &reason, &size);
  if (reason != 0) return failed(reason);
  if (!wait_for(fd, POLLIN, timeout_ms)) return failed(ETIMEDOUT);
  char buffer[128];
  const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
  if (got <= 0) return failed(got < 0 ? errno : ETIMEDOUT);
  const std::string text(buffer, static_cast<size_t>(got));
  outcome.reached = text.substr(0, text.find(' '));
  outcome.source = text.substr(text.find(' ') + 1);
  close(fd);
  return outcome;
}

bool Cluster::run_until(const std::function<bool()>& done) {
  Timer tick(loop_);  // what is waited for need not be an event of this loop
  tick.start_every(std::chrono::milliseconds(5), [] {});
  return loop_.run_until(done, std::chrono::seconds(20));
}

Cluster::Cluster() : http_(std::make_unique<FakeHttp>(loop_.clock())) {
  namespaces_["node"] = std::make_unique<NetNamespace>();
  at("node").set_sysctl("net.ipv6.conf.default.accept_dad", "0");
  addresses_["node"] = {"192.0.2.1", "2001:db8::1"};
  add_host("outside", 0, "192.0.2", "2001:db8");
  add_host("client", 1, "10.244.1", "fd00:244:1");
  add_host("web-1", 2, "10.244.2", "fd00:244:2");
  add_host("web-2", 3, "10.244.3", "fd00:244:3");
  add_host("web-3", 4, "10.245.4", "fd00:244:4");
  // Nodes have a way to service addresses before they are translated: their default route.
  at("node").must("ip route add default via 192.0.2.2");
  at("node").must("ip -6 route add default via 2001:db8::2");
  at("node").set_sysctl("net.ipv4.ip_forward", "1");
  // Closed connections are many here; two minutes of them fill the table. Where connection tracking
  // is a module, the question loads it.
  at("node").must("conntrack -C");
  at("node").set_sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "5");
  at("node").set_sysctl("net.ipv6.conf.all.forwarding", "1");
  for (const auto& [name, ns] : namespaces_) answers_.add(*ns, name);
  answers_.start();
}

void Cluster::add_host(const std::string& name, int number, const std::string& prefix4,
                       const std::string& prefix6) {
  namespaces_[name] = std::make_unique<NetNamespace>();
  at(name).set_sysctl("net.ipv6.conf.default.accept_dad", "0");
  addresses_[name] = {prefix4 + ".2", prefix6 + "::2"};
  const std::string link = "veth" + std::to_string(number);
  fairlead::test::connect(at("node"), link, prefix4 + ".1/24", at(name), "eth0", prefix4 + ".2/24");
  at("node").must("ip address add " + prefix6 + "::1/64 dev " + link + " nodad");
  at(name).must("ip address add " + prefix6 + "::2/64 dev eth0 nodad");
  at(name).must("ip route add default via " + prefix4 + ".1");
  at(name).must("ip -6 route add default via " + prefix6 + "::1");
}

std::string Cluster::address(const std::string& name, Family family) const {
  const auto& [v4, v6] = addresses_.at(name);
  return family == Family::kIpv4 ? v4 : v6;
}

void Cluster::start_proxy(const std::function<void(Config&)>& adjust) {
  Settings settings;
  settings.node_name = "node";
  settings.local_dns_ready_url = "http://127.0.0.1/ready";
  settings.count_bytes = count_bytes;
  Config v4;
  v4.cluster_cidrs = {cidr("10.244.0.0/15")};
  v4.service_cidrs = {cidr("10.96.0.0/16")};
  Config v6;
  v6.family = Family::kIpv6;
  v6.cluster_cidrs = {cidr("fd00:244::/32")};
  v6.service_cidrs = {cidr("fd00:96::/112")};
  for (Config* config : {&v4, &v6}) {
    config->node_port_cidrs = {Cidr(IpAddress::any(config->family), 0)};
    config->repeat_lookups = lookups_may_miss(kernel_release());  // as the program decides
    if (adjust) adjust(*config);
    configs_[config->family] = *config;
    settings.families.push_back(*config);
  }
  at("node").run([&] {
    auto opened = Proxy::open(loop_, *http_, metrics_, std::move(settings));
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    proxy_ = std::move(*opened);
  });
  if (!relay && !opt_in) return;
  inside_ = std::make_unique<NetNamespace::Enter>(at("node"));
  stream::PlaneSettings plane;
  plane.node_name = "node";
  for (const auto& [family, config] : configs_) plane.families.push_back(config);
  auto beside = std::make_unique<stream::OptIn>(loop_, *proxy_, std::move(plane));
  opt_in_ = beside.get();
  sink_ = std::move(beside);
  if (relay) sink_ = asking_to_be_relayed(std::move(sink_));
}

void Cluster::stop_proxy() {
  opt_in_ = nullptr;
  sink_.reset();
  inside_.reset();
  proxy_.reset();
}

void Cluster::settle() {
  const auto idle = [this] { return proxy_->idle() && (opt_in_ == nullptr || opt_in_->idle()); };
  EXPECT_TRUE(run_until(idle)) << "the proxy never comes to rest";
  if (opt_in_ != nullptr) run_for(std::chrono::milliseconds(20));  // for its workers
}

void Cluster::run_for(Duration span) {
  loop_.run_until([] { return false; }, span);
}

Outcome Cluster::tcp(const std::string& from, const std::string& to) {
  const auto inside = at(from).enter();
  return ask(SOCK_STREAM, to, kDropMs);
}

Outcome Cluster::udp(const std::string& from, const std::string& to) {
  const auto inside = at(from).enter();
  return ask(SOCK_DGRAM, to, kDropMs);
}

std::string Cluster::program() {
  return fairlead::test::program_path("fairlead-proxy");
}

CommandResult Cluster::run(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {program()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto inside = at("node").enter();
  return fairlead::test::run_command(argv, {}, 20);
}

std::string Cluster::traced(const std::string& from, const std::string& to) {
  const Family family = to[0] == '[' ? Family::kIpv6 : Family::kIpv4;
  const CommandResult result = run({"trace", "--from", address(from, family), "--to", to});
  EXPECT_EQ(result.status, 0) << result.errors;
  const size_t end = result.output.find_last_not_of('\n');
  const size_t begin = result.output.rfind('\n', end);
  return result.output.substr(begin + 1, end - begin);
}

std::string Cluster::kernel_state(const Config& config, Fit fit) {
  return test::kernel_state(loop_, at("node"), config,
                            proxy_->programmer(config.family).programmed().parameters(),
                            proxy_->services(), fit);
}

std::string Cluster::wanted_state(Family family) const {
  return test::wanted_state(configs_.at(family),
                            proxy_->programmer(family).programmed().parameters(),
                            proxy_->services());
}

namespace {

// What cleaning up will do: for those that diff() leaves where they go. (Of its endpoints it may be
// of another mind: the kernel does not say of which Service one on this node is.)
void fit_all(Ruleset& ruleset, const ServiceMap& services) {
  const auto moves = [](const Operation& operation) { return holds_services(operation.set); };
  for (const Frontend& frontend : services.frontends(ruleset.config().family)) {
    const std::optional<Target> wanted = services.find(frontend);
    const std::vector<Operation> left = diff(ruleset, frontend, wanted);
    if (std::any_of(left.begin(), left.end(), moves)) continue;
    std::vector<Operation> operations;
    fit(ruleset, frontend, wanted, operations);
    for (const Operation& operation : operations)
      if (moves(operation)) ruleset.apply(operation);
  }
}

}  // namespace

std::string kernel_state(Loop& loop, const NetNamespace& ns, const Config& config,
                         const Parameters& parameters, const ServiceMap& services, Fit fit) {
  const auto inside = ns.enter();
  auto connection = netlink::Connection::open(loop, netlink::Protocol::kNetfilter);
  if (!connection.ok()) return connection.error().message();
  TableReader reader(**connection, config, services);
  std::optional<Result<TableReader::Content>> content;
  reader.read(parameters,
              [&](Result<TableReader::Content> result) { content = std::move(result); });
  if (!(*connection)->wait([&] { return content.has_value(); }, std::chrono::seconds(20)))
    return "no answer";
  if (!content->ok()) return content->error().message();
  if (!(**content).has_value()) return "no table";
  auto& [ruleset, repairs] = ***content;
  if (fit == Fit::kAsCleanedUp) fit_all(ruleset, services);
  return (repairs.empty() ? "" : "needs repairs\n") + state_text(ruleset);
}

std::string wanted_state(const Config& config, const Parameters& parameters,
                         const ServiceMap& services) {
  Ruleset fresh(config, parameters);
  settle(fresh, services);
  return state_text(fresh);
}

std::string state_text(const Ruleset& ruleset) {
  std::map<Frontend, std::string> services;
  for (const auto& [frontend, service] : ruleset.services()) {
    const auto sorted = [&](const Backends& backends) {
      std::multiset<std::string> texts;
      for (const Backend& backend : backends.list())
        texts.insert(backend.to_string() +
                     (ruleset.has_hairpin(frontend, backend) ? " hairpin" : ""));
      std::string line;
      for (const std::string& text : texts) line += " " + text;
      return line;
    };
    const Treatment treatment = service.choice ? service.choice->treatment : Treatment::kRefuse;
    std::string& line = services[frontend];
    line = frontend.to_string() + ": " +
           (!service.choice                 ? "no way"
            : treatment == Treatment::kDrop ? "drop"
                                            : service.choice->name());
    if (service.learn) line += " " + service.learn->name();
    if (ruleset.has_cluster_ip(frontend.address)) line += " vip";
    line += sorted(service.backends);
    if (!service.inside.empty()) line += " inside" + sorted(service.inside);
  }
  std::string text;
  for (const auto& [frontend, line] : services) text += line + "\n";
  for (const Operation& dns : ruleset.elements(SetId::kLocalDns))
    text += dns.frontend.to_string() + "\n";
  return text;
}

}  // namespace fairlead::proxy::test
