// SPDX-License-Identifier: Apache-2.0
#include "dns/server/handler.h"

#include <memory>

namespace fairlead::dns {

// Counts a reply that comes later, and that it no longer waits, also when it never comes.
class Handler::CountedPath : public ReplyPath {
 public:
  CountedPath(Handler& handler, BlockMetrics& metrics, const Client& client, MonoTime start,
              ReplyPath& inner)
      : handler_(handler), metrics_(metrics), client_(client), start_(start), inner_(inner) {}

  SendLater later(PluginId plugin) override {
    struct Waiting {
      explicit Waiting(Handler& h) : handler(h) { ++handler.waiting_; }
      ~Waiting() { --handler.waiting_; }
      Handler& handler;
    };
    return [waiting = std::make_shared<Waiting>(handler_), &metrics = metrics_, plugin,
            client = client_, start = start_,
            send = inner_.later(plugin)](std::span<const uint8_t> message) {
      Handler& handler = waiting->handler;
      const Duration took = handler.clock_.now() - start;
      metrics.count_response(client, plugin, static_cast<Rcode>(message[3] & 15), message.size(),
                             static_cast<uint64_t>(took.count()));
      send(message);
    };
  }

 private:
  Handler& handler_;
  BlockMetrics& metrics_;
  const Client& client_;
  const MonoTime start_;
  ReplyPath& inner_;
};

const Router Handler::kNobody;

std::string Handler::label_of(const SocketAddress& local) {
  return "dns://" +
         (local.address.is_unspecified() ? ":" + std::to_string(local.port) : local.to_string());
}

bool Handler::may_answer_error() {
  const MonoTime now = clock_.now();
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    errors_ = 0;
  }
  return ++errors_ <= kMaxErrorsPerSecond;
}

void Handler::add_cookie(const Query& query, const Client& client, Reply& reply) const {
  if (!query.edns || query.edns->cookie_size == 0) return;
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(clock_.wall_now().time_since_epoch());
  reply.set_cookie(
      cookies_.reply_to(std::span<const uint8_t>(query.edns->cookie).first(query.edns->cookie_size),
                        client.address.address, static_cast<uint32_t>(now.count())));
}

std::span<const uint8_t> Handler::handle(std::span<const uint8_t> packet, Client client,
                                         std::span<uint8_t> buffer, ReplyPath& path) {
  const MonoTime start = clock_.now();
  client.arrived = start;
  client.local = local_;
  Query query;
  const Parsed parsed = parse_query(packet, query);
  if (parsed.verdict == Verdict::kDrop ||
      (parsed.rcode == Rcode::kFormErr && !may_answer_error())) {
    metrics_.dropped.add();
    return {};
  }
  const Router::Route* route =
      parsed.verdict == Verdict::kAnswer ? router_->find(query.name, query.type) : nullptr;
  BlockMetrics& metrics = route != nullptr ? *route->metrics : unrouted_;
  metrics.count_request(client, query.question_end != 0 ? query.type : Type{},
                        query.edns && query.edns->dnssec_ok, packet.size());
  if (query.trailing_bytes) metrics_.trailing_bytes.add();

  Reply reply(buffer);
  reply.begin(query, client.transport == Transport::kUdp ? udp_limit(query) : kMaxMessage);
  add_cookie(query, client, reply);
  PluginId plugin = 0;
  if (parsed.verdict == Verdict::kReject) {
    reply.set_rcode(parsed.rcode);
  } else if (route == nullptr) {
    refuse_name(reply);
  } else {
    CountedPath counted(*this, metrics, client, start, path);
    Request request(query, client, reply, counted);
    if (route->chain->serve(request) == Step::kPending) return {};
    plugin = request.answered_by();
  }
  const auto message = reply.finish();
  metrics.count_response(client, plugin, reply.rcode(), message.size(),
                         static_cast<uint64_t>((clock_.now() - start).count()));
  return message;
}

}  // namespace fairlead::dns
