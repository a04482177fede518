// SPDX-License-Identifier: Apache-2.0
#include "base/http/exchange.h"

#include <charconv>

namespace fairlead::internal {
namespace {

using Kind = ResponseFraming::Kind;

// RFC 9112 section 7.1.
std::string chunk_head(size_t length) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, length, 16).ptr;
  return std::string(digits, end) + "\r\n";
}

bool asks_to_close(const HttpHeaders& headers) {
  const auto connection = headers.get("Connection");
  return connection && equal_ignoring_case(*connection, "close");
}

}  // namespace

Exchange::Exchange(Connection& connection, const ParsedRequest& request)
    : connection_(&connection),
      is_head_(request.method == "HEAD"),
      http_1_0_(request.http_1_0),
      keep_alive_(request.keep_alive) {}

Exchange::~Exchange() {
  if (connection_ != nullptr) connection_->abandoned();
}

std::string Exchange::head(int status, const HttpHeaders& headers, ResponseFraming framing) {
  started_ = true;
  framing_ = framing;
  if (asks_to_close(headers) || connection_->host().draining || framing.kind == Kind::kUntilClose)
    keep_alive_ = false;
  return response_head(status, headers, framing, keep_alive_, http_1_0_,
                       connection_->host().date());
}

void Exchange::respond(int status, HttpHeaders headers, std::string body) {
  if (connection_ == nullptr || started_) return;
  const auto keep = shared_from_this();
  const bool bodyless = is_bodyless(status);
  Pieces pieces;
  pieces[0].owned = head(status, headers, {bodyless ? Kind::kNoBody : Kind::kLength, body.size()});
  if (!bodyless && !is_head_) pieces[1].owned = std::move(body);
  connection_->send(std::move(pieces));
  complete();
}

void Exchange::start(int status, HttpHeaders headers) {
  if (connection_ == nullptr || started_) return;
  Kind kind = http_1_0_ ? Kind::kUntilClose : Kind::kChunked;
  if (is_bodyless(status)) kind = Kind::kNoBody;
  Pieces pieces;
  pieces[0].owned = head(status, headers, {kind, 0});
  connection_->send(std::move(pieces));
}

bool Exchange::write(std::string_view chunk) {
  return write_piece({std::string(chunk), nullptr});
}

bool Exchange::write_shared(std::shared_ptr<const std::string> chunk) {
  return chunk == nullptr || write_piece({"", std::move(chunk)});
}

bool Exchange::write_piece(Piece piece) {
  if (connection_ == nullptr || !started_) return true;
  // An empty chunk would end the body.
  const size_t length = piece.view().size();
  if (length > 0 && !is_head_ && framing_.kind != Kind::kNoBody) {
    Pieces pieces;
    if (framing_.kind == Kind::kChunked) {
      pieces[0].owned = chunk_head(length);
      pieces[2].owned = "\r\n";
    }
    pieces[1] = std::move(piece);
    connection_->send(std::move(pieces));
  }
  const bool has_room = connection_->queued() <= connection_->host().options.max_buffered_bytes;
  wants_drained_ = wants_drained_ || !has_room;
  return has_room;
}

void Exchange::finish() {
  if (connection_ == nullptr || !started_) return;
  const auto keep = shared_from_this();
  if (framing_.kind == Kind::kChunked && !is_head_) {
    Pieces pieces;
    pieces[0].owned = "0\r\n\r\n";
    connection_->send(std::move(pieces));
  }
  complete();
}

// The callbacks go first: they often hold the responder itself.
void Exchange::complete() {
  on_drained_ = nullptr;
  on_closed_ = nullptr;
  std::exchange(connection_, nullptr)->answered(keep_alive_);
}

void Exchange::on_drained(std::function<void()> callback) {
  if (connection_ != nullptr) on_drained_ = std::move(callback);
}

void Exchange::on_closed(std::function<void()> callback) {
  if (connection_ != nullptr) on_closed_ = std::move(callback);
}

void Exchange::detach(bool notify) {
  connection_ = nullptr;
  on_drained_ = nullptr;
  const auto callback = std::exchange(on_closed_, nullptr);
  if (notify && callback) callback();
}

void Exchange::drained() {
  if (!std::exchange(wants_drained_, false)) return;
  const auto callback = on_drained_;  // it may replace itself
  if (callback) callback();
}

}  // namespace fairlead::internal
