// SPDX-License-Identifier: Apache-2.0
#include "dns/server/handler.h"

#include <memory>

namespace fairlead::dns {

// Counts a reply that comes later, and that it no longer waits, also when it never comes.
class Handler::CountedPath : public ReplyPath {
 public:
  CountedPath(Handler& handler, const Client& client, MonoTime start, ReplyPath& inner)
      : handler_(handler), client_(client), start_(start), inner_(inner) {}

  SendLater later() override {
    struct Waiting {
      explicit Waiting(Handler& h) : handler(h) { ++handler.waiting_; }
      ~Waiting() { --handler.waiting_; }
      Handler& handler;
    };
    return [waiting = std::make_shared<Waiting>(handler_), client = client_, start = start_,
            send = inner_.later()](std::span<const uint8_t> message) {
      Handler& handler = waiting->handler;
      const Duration took = handler.clock_.now() - start;
      handler.metrics_.count_response(client, "forward", static_cast<Rcode>(message[3] & 15),
                                      message.size(), static_cast<uint64_t>(took.count()));
      send(message);
    };
  }

 private:
  Handler& handler_;
  const Client& client_;
  const MonoTime start_;
  ReplyPath& inner_;
};

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

std::span<const uint8_t> Handler::handle(std::span<const uint8_t> packet, const Client& client,
                                         std::span<uint8_t> buffer, ReplyPath& path) {
  const MonoTime start = clock_.now();
  Query query;
  const Parsed parsed = parse_query(packet, query);
  if (parsed.verdict == Verdict::kDrop ||
      (parsed.verdict == Verdict::kReject && !may_answer_error())) {
    metrics_.dropped.add();
    return {};
  }
  metrics_.count_request(client, query.question_end != 0 ? query.type : Type{}, packet.size());
  if (query.trailing_bytes) metrics_.trailing_bytes.add();

  Reply reply(buffer);
  reply.begin(query, client.transport == Transport::kUdp ? udp_limit(query) : kMaxMessage);
  add_cookie(query, client, reply);
  std::string_view plugin;
  if (parsed.verdict == Verdict::kReject) {
    reply.set_rcode(parsed.rcode);
  } else {
    CountedPath counted(*this, client, start, path);
    Request request(query, client, reply, counted);
    if (chain_.serve(request) == Step::kPending) return {};
    plugin = request.answered_by();
  }
  const auto message = reply.finish();
  metrics_.count_response(client, plugin, reply.rcode(), message.size(),
                          static_cast<uint64_t>((clock_.now() - start).count()));
  return message;
}

}  // namespace fairlead::dns
