// SPDX-License-Identifier: Apache-2.0
#include "dns/chain.h"

#include <algorithm>
#include <cassert>

#include "dns/registry.h"
#include "dns/trace.h"

namespace fairlead::dns {
namespace {

// What this server does for no name at all. The rest of the classes and types is the plugins'.
bool refuse(const Query& query, Reply& reply) {
  switch (query.klass) {
    case Class::kIn:
    case Class::kChaos:
      break;
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

const char* text_of(Step step) {
  switch (step) {
    case Step::kAnswered:
      return "answers";
    case Step::kNext:
      return "passes on";
    case Step::kPending:
      return "answers later";
  }
  return "";
}

}  // namespace

void Client::tell(const std::string& text) const {
  trace->say(text);
}

std::unique_ptr<Deferred> Request::defer() {
  return std::make_unique<Deferred>(*this, path_.later(chain_->links_[position_].id));
}

Deferred::Deferred(Request& request, SendLater send)
    : packet_(request.query().packet.begin(), request.query().packet.end()),
      client_(request.client()),
      send_(std::move(send)),
      chain_(request.chain_),
      first_(request.first_),
      position_(request.position_) {
  ++chain_->waiting_;
  parse_query(packet_, query_);
  const size_t size = request.reply().capacity();
  buffer_.reset(new uint8_t[size]);
  reply_ = request.reply().moved_to({buffer_.get(), size});
}

Deferred::~Deferred() {
  --chain_->waiting_;
}

void Deferred::adopt(std::span<const uint8_t> message, Rcode rcode,
                     std::span<const uint8_t> options) {
  constexpr size_t kOptRoom = 512;  // more than our own options take
  const size_t needed = std::min(message.size() + options.size() + kOptRoom, kMaxMessage);
  if (needed > reply_.capacity()) {
    std::unique_ptr<uint8_t[]> larger(new uint8_t[needed]);
    reply_ = reply_.moved_to({larger.get(), needed});
    buffer_ = std::move(larger);
  }
  reply_.adopt(message, rcode, options);
}

void Request::ask_next(std::span<const uint8_t> packet, SendLater on_reply) const {
  Client client = *client_;
  client.until.reset();
  chain_->ask_from(position_ + 1, client, packet, std::move(on_reply));
}

void Deferred::ask_next(std::span<const uint8_t> packet, SendLater on_reply) {
  chain_->ask_from(position_ + 1, client_, packet, std::move(on_reply));
}

void Chain::ask_from(size_t position, const Client& client, std::span<const uint8_t> packet,
                     SendLater on_reply) {
  Query query;
  const Parsed parsed = parse_query(packet, query);
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[kMaxMessage]);
  Reply reply({buffer.get(), kMaxMessage});
  reply.begin(query, kMaxMessage);
  if (parsed.verdict != Verdict::kAnswer) {
    reply.set_rcode(parsed.rcode);
    note_outcome(reply);
    return on_reply(reply.finish());
  }
  InternalPath path(std::move(on_reply));
  Request request(query, client, reply, path);
  if (serve_from(position, request) != Step::kAnswered) return;
  note_outcome(reply);
  path.send(reply.finish());
}

void Chain::note_outcome(const Reply& reply) {
  const bool failed = reply.rcode() == Rcode::kServFail || reply.rcode() == Rcode::kRefused;
  outcome_.own = reply.own();
  outcome_.code = failed ? reply.error_code() : Ede::kNone;
  outcome_.text = failed ? reply.error_text() : std::string_view();
}

void Deferred::adopt_outcome() {
  if (chain_->own_outcome()) reply_.set_own();
  if (!reply_.error_text().empty()) return;
  failure_text_ = chain_->outcome_.text;
  if (!failure_text_.empty()) reply_.note_error(chain_->outcome_.code, failure_text_);
}

void Deferred::finish() {
  chain_->replied(first_, position_, query_, client_, reply_);
  chain_->note_outcome(reply_);
  const SendLater send = std::move(send_);
  send(reply_.finish());
}

Result<void> Chain::assemble(const PluginContext& context, const ChainConfig& config) {
  for (const auto& [name, options] : config)
    if (registered(name) == nullptr)
      return Error(ErrorCode::kInvalid, "there is no plugin '" + name + "'");
  PluginId id = 0;
  for (const Registered& each : registry()) {
    ++id;
    const auto at = config.find(each.name);
    if (at != config.end() && each.kind->make != nullptr)
      append(each.kind->make(context, *at->second), id);
  }
  return ok();
}

void Chain::append(std::unique_ptr<Plugin> plugin, PluginId id) {
  const bool chaos = plugin->serves_chaos();
  links_.push_back({std::move(plugin), id, chaos});
}

std::string_view Chain::name_of(size_t position) const {
  const PluginId id = links_[position].id;
  return id != 0 ? registry()[id - 1u].name : "a plugin";
}

Step Chain::serve_from(size_t position, Request& request) {
  Trace* const trace = request.client_->trace;
  if (trace == nullptr) return ask_plugins(position, request);
  trace->begin(request.query_);
  const Step step = ask_plugins(position, request);
  trace->end();
  return step;
}

Step Chain::ask_plugins(size_t position, Request& request) {
  Trace* const trace = request.client_->trace;
  if (refuse(request.query_, request.reply_)) {
    replied(position, links_.size(), request.query_, *request.client_, request.reply_);
    return Step::kAnswered;
  }
  const bool chaos = request.query_.klass == Class::kChaos;
  request.chain_ = this;
  request.first_ = position;
  for (size_t i = position; i < links_.size(); ++i) {
    if (chaos && !links_[i].chaos) continue;
    request.position_ = i;
    const Step step = links_[i].plugin->serve(request);
    if (trace != nullptr) trace->step(name_of(i), text_of(step));
    switch (step) {
      case Step::kNext:
        break;
      case Step::kPending:
        return Step::kPending;
      case Step::kAnswered:
        request.answered_by_ = links_[i].id;
        replied(position, i, request.query_, *request.client_, request.reply_);
        return Step::kAnswered;
    }
  }
  if (chaos)
    request.reply_.set_rcode(Rcode::kRefused);
  else
    refuse_name(request.reply_);
  if (trace != nullptr) trace->say("no plugin has an answer");
  replied(position, links_.size(), request.query_, *request.client_, request.reply_);
  return Step::kAnswered;
}

std::optional<std::string> Chain::label(std::string_view name, const Query& query,
                                        const Client& client) const {
  for (const Link& link : links_)
    if (auto value = link.plugin->label(name, query, client)) return value;
  return std::nullopt;
}

void Chain::replied(size_t first, size_t position, const Query& query, const Client& client,
                    Reply& reply) {
  for (size_t i = position; i-- > first;) {
    if (client.trace != nullptr) {
      const auto message = reply.message();
      const std::vector<uint8_t> before(message.begin(), message.end());
      links_[i].plugin->on_reply(query, client, reply);
      if (!std::ranges::equal(before, reply.message()))
        client.trace->step(name_of(i), "changes the answer");
      continue;
    }
    links_[i].plugin->on_reply(query, client, reply);
  }
}

void refuse_name(Reply& reply) {
  reply.set_rcode(Rcode::kRefused);
  reply.set_error(Ede::kProhibited, "this server does not serve that name");
}

}  // namespace fairlead::dns
