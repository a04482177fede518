// SPDX-License-Identifier: Apache-2.0
#include "base/http/parser.h"

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cassert>
#include <limits>

namespace fairlead::internal {

namespace http = boost::beast::http;
namespace {

std::string_view view(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

size_t count_fields(const HttpHeaders& headers, std::string_view name) {
  size_t count = 0;
  for (const auto& field : headers) count += equal_ignoring_case(field.first, name) ? 1 : 0;
  return count;
}

// An absolute-form target (RFC 9112 section 3.2.2) names scheme and authority before the path.
std::string_view origin_form(std::string_view target) {
  const size_t scheme = target.find("://");
  if (target.starts_with('/') || scheme == std::string_view::npos) return target;
  const size_t path = target.find_first_of("/?", scheme + 3);
  return path == std::string_view::npos ? "/" : target.substr(path);
}

int status_of(const boost::beast::error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  return 400;
}

}  // namespace

struct HttpRequestParser::Impl {
  explicit Impl(Limits l) : limits(l) {
    const size_t cap = std::numeric_limits<uint32_t>::max();
    beast.header_limit(static_cast<uint32_t>(std::min(limits.header_bytes, cap)));
    beast.body_limit(limits.body_bytes);
  }

  void fail(int status, std::string text) {
    state = State::kFailed;
    error_status = status;
    error_text = std::move(text);
  }
  bool waits_for_chunk(std::string_view bytes) const;
  void check_head_bytes(std::string_view bytes);
  void check_head();
  void check_framing();
  void set_target();

  Limits limits;
  http::request_parser<http::string_body> beast;
  State state = State::kHead;
  size_t head_bytes = 0;
  bool expects_continue = false;
  ParsedRequest request;
  int error_status = 0;
  std::string error_text;
};

HttpRequestParser::HttpRequestParser(Limits limits) : impl_(std::make_unique<Impl>(limits)) {}
HttpRequestParser::~HttpRequestParser() = default;

HttpRequestParser::State HttpRequestParser::state() const {
  return impl_->state;
}
int HttpRequestParser::error_status() const {
  return impl_->error_status;
}
const std::string& HttpRequestParser::error_text() const {
  return impl_->error_text;
}
bool HttpRequestParser::take_expectation() {
  return std::exchange(impl_->expects_continue, false);
}

size_t HttpRequestParser::feed(std::string_view bytes) {
  Impl& impl = *impl_;
  size_t used = 0;
  while (impl.state == State::kHead || impl.state == State::kBody) {
    const std::string_view rest = bytes.substr(used);
    if (rest.empty() || impl.waits_for_chunk(rest)) break;
    boost::beast::error_code error;
    const size_t step = impl.beast.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    used += step;
    if (impl.state == State::kHead) impl.check_head_bytes(rest.substr(0, step));
    if (impl.state == State::kFailed) break;
    if (error == http::error::need_more) {
      // Beast bounds neither the head as a whole nor the line of a chunk's size.
      const size_t head_bytes = impl.state == State::kHead ? impl.head_bytes : 0;
      if (head_bytes + rest.size() - step > impl.limits.header_bytes)
        impl.fail(431, "the header is too long");
      break;
    }
    if (error) {
      impl.fail(status_of(error), error.message());
      break;
    }
    if (impl.state == State::kHead && impl.beast.is_header_done()) impl.check_head();
    if (impl.state == State::kBody && impl.beast.is_done()) {
      impl.request.body = std::move(impl.beast.get().body());
      impl.state = State::kDone;
    }
  }
  return used;
}

// A chunked body never ends in fewer bytes than "0\r\n\r\n". Beast, given "0\r\n" and then a fourth
// byte, asserts that there are five.
bool HttpRequestParser::Impl::waits_for_chunk(std::string_view bytes) const {
  return state == State::kBody && beast.chunked() && bytes.size() < 5;
}

// Beast uses the head up field by field; a folded field in one piece.
void HttpRequestParser::Impl::check_head_bytes(std::string_view bytes) {
  head_bytes += bytes.size();
  if (head_bytes > limits.header_bytes) return fail(431, "the header is too long");
  // RFC 9112 section 5.2: a folded line is refused.
  if (bytes.find("\r\n ") != std::string_view::npos ||
      bytes.find("\r\n\t") != std::string_view::npos)
    fail(400, "a header field is folded over several lines");
}

// Takes the head out before the body is read: a trailer never becomes a header.
void HttpRequestParser::Impl::check_head() {
  const auto& message = beast.get();
  state = State::kBody;
  request.method = std::string(view(message.method_string()));
  request.target = std::string(view(message.target()));
  request.http_1_0 = message.version() == 10;
  request.keep_alive = beast.keep_alive();
  for (const auto& field : message)
    request.headers.add(std::string(view(field.name_string())), std::string(view(field.value())));
  if (message.version() != 10 && message.version() != 11)
    return fail(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  check_framing();
  if (state != State::kFailed) set_target();
}

void HttpRequestParser::Impl::check_framing() {
  // RFC 9112 section 3.2.
  const size_t hosts = count_fields(request.headers, "Host");
  if (hosts > 1 || (hosts == 0 && !request.http_1_0))
    return fail(400, "one Host header is required");
  // RFC 9112 section 6.1: refused rather than guessed, against request smuggling.
  if (const auto coding = request.headers.get("Transfer-Encoding")) {
    if (request.http_1_0) return fail(400, "HTTP/1.0 has no transfer codings");
    if (request.headers.get("Content-Length"))
      return fail(400, "Content-Length and Transfer-Encoding exclude each other");
    if (count_fields(request.headers, "Transfer-Encoding") > 1 ||
        !equal_ignoring_case(*coding, "chunked"))
      return fail(501, "the only transfer coding understood is chunked");
  }
  if (const auto expect = request.headers.get("Expect"); expect && !request.http_1_0) {
    if (!equal_ignoring_case(*expect, "100-continue"))
      return fail(417, "the only expectation understood is 100-continue");
    expects_continue = true;
  }
}

void HttpRequestParser::Impl::set_target() {
  const std::string_view target = origin_form(request.target);
  if (!target.starts_with('/') && !target.starts_with('?') && target != "*")
    return fail(400, "the request target is not a path");
  const size_t question = target.find('?');
  auto path = percent_decode(target.substr(0, question), false);
  auto query = parse_query(question == std::string_view::npos ? "" : target.substr(question + 1));
  if (!path || !query || path->find('\0') != std::string::npos)
    return fail(400, "the request target has a malformed escape");
  request.path = path->empty() ? "/" : std::move(*path);
  request.query = std::move(*query);
}

ParsedRequest HttpRequestParser::take() {
  assert(impl_->state == State::kDone);
  return std::move(impl_->request);
}

}  // namespace fairlead::internal
