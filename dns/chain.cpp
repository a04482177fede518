// SPDX-License-Identifier: Apache-2.0
#include "dns/chain.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace fairlead::dns {
namespace {

// What this server does for no name at all. The rest of the classes and types is the plugins'.
bool refuse(const Query& query, Reply& reply) {
  switch (query.klass) {
    case Class::kIn:
      break;
    case Class::kChaos:
      reply.set_rcode(Rcode::kRefused);
      return true;
    case Class::kHesiod:
    case Class::kNone:
    case Class::kAny:
    default:  // any number may come over the wire
      reply.set_rcode(Rcode::kRefused);
      reply.set_error(Ede::kNotSupported, "only class IN is served");
      return true;
  }
  if (query.type != Type::kAxfr && query.type != Type::kIxfr) return false;
  reply.set_rcode(Rcode::kRefused);
  reply.set_error(Ede::kProhibited, "zone transfers are not offered");
  return true;
}

class InternalPath : public ReplyPath {
 public:
  explicit InternalPath(SendLater on_reply) : on_reply_(std::move(on_reply)) {}
  SendLater later() override { return std::move(on_reply_); }
  SendLater on_reply_;
};

}  // namespace

std::unique_ptr<Deferred> Request::defer() {
  return std::make_unique<Deferred>(*this, path_.later(), *chain_, position_);
}

Deferred::Deferred(const Request& request, SendLater send, Chain& chain, size_t position)
    : packet_(request.query().packet.begin(), request.query().packet.end()),
      client_(request.client()),
      send_(std::move(send)),
      chain_(&chain),
      position_(position) {
  parse_query(packet_, query_);
  const size_t size = const_cast<Request&>(request).reply().limit();
  buffer_.reset(new uint8_t[size]);
  reply_ = const_cast<Request&>(request).reply().moved_to({buffer_.get(), size});
}

void Deferred::finish() {
  chain_->replied(position_, query_, reply_);
  const SendLater send = std::move(send_);
  send(reply_.finish());
}

Result<void> Chain::assemble(Loop& loop, Published::Reader& reader, const ChainConfig& config) {
  const auto registry = plugin_registry();
  for (const auto& [name, options] : config) {
    const auto known = [&name = name](const PluginKind& kind) { return kind.name == name; };
    if (std::none_of(registry.begin(), registry.end(), known))
      return Error(ErrorCode::kInvalid, "there is no plugin '" + name + "'");
  }
  config_ = config;
  const PluginContext context{loop, reader, *this};
  for (const PluginKind& kind : registry) {
    const auto at = config_.find(std::string(kind.name));
    if (at != config_.end()) plugins_.push_back(kind.make(context, *at->second));
  }
  return ok();
}

Step Chain::serve(Request& request) {
  if (refuse(request.query_, request.reply_)) return Step::kAnswered;
  request.chain_ = this;
  for (size_t i = 0; i < plugins_.size(); ++i) {
    request.position_ = i;
    switch (plugins_[i]->serve(request)) {
      case Step::kNext:
        break;
      case Step::kPending:
        return Step::kPending;
      case Step::kAnswered:
        request.answered_by_ = plugins_[i]->name();
        replied(i, request.query_, request.reply_);
        return Step::kAnswered;
    }
  }
  request.reply_.set_rcode(Rcode::kRefused);
  request.reply_.set_error(Ede::kProhibited, "this server does not serve that name");
  return Step::kAnswered;
}

void Chain::replied(size_t position, const Query& query, Reply& reply) {
  for (size_t i = position; i-- > 0;) plugins_[i]->on_reply(query, reply);
}

void Chain::ask(const Name& name, Type type, const Client& client, SendLater on_reply) {
  // Header with RD, the question, and an OPT record so that upstream may say much over UDP.
  uint8_t packet[kHeaderSize + kMaxNameSize + 4 + 11] = {};
  packet[2] = kFlagRecursionDesired >> 8;
  packet[5] = 1;
  packet[11] = 1;
  uint8_t* at = packet + kHeaderSize;
  std::memcpy(at, name.wire().data(), name.size());
  at += name.size();
  write_u16(at, static_cast<uint16_t>(type));
  write_u16(at + 2, static_cast<uint16_t>(Class::kIn));
  write_u16(at + 5, static_cast<uint16_t>(Type::kOpt));
  write_u16(at + 7, kEdnsUdpSize);
  at += 4 + 11;

  Query query;
  [[maybe_unused]] const Parsed parsed =
      parse_query({packet, static_cast<size_t>(at - packet)}, query);
  assert(parsed.verdict == Verdict::kAnswer);
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[kMaxMessage]);
  Reply reply({buffer.get(), kMaxMessage});
  reply.begin(query, kMaxMessage);
  const Client internal{client.address, Transport::kInternal};
  InternalPath path(std::move(on_reply));
  Request request(query, internal, reply, path);
  if (serve(request) == Step::kAnswered) path.on_reply_(reply.finish());
}

}  // namespace fairlead::dns
