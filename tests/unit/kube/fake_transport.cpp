// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/kube/fake_transport.h"

#include <algorithm>

namespace fairlead::kube {
namespace {

struct Cancel : HttpCall::Pending {
  explicit Cancel(bool* flag, std::shared_ptr<Exchange> exchange)
      : open(flag), keep(std::move(exchange)) {}
  ~Cancel() override { *open = false; }
  bool* open;
  std::shared_ptr<Exchange> keep;
};

}  // namespace

Exchange::Exchange(HttpRequest request, HttpHandlers handlers)
    : request_(std::move(request)), handlers_(std::move(handlers)) {
  const size_t mark = request_.url.find('?');
  if (mark == std::string::npos) return;
  const auto parameters = parse_query(request_.url.substr(mark + 1));
  for (const auto& [name, value] : parameters.value()) query_[name] = value;
}

std::string Exchange::path() const {
  const size_t host = request_.url.find("://") + 3;
  const size_t slash = request_.url.find('/', host);
  return request_.url.substr(slash, request_.url.find('?') - slash);
}

std::string Exchange::query(const std::string& name) const {
  const auto it = query_.find(name);
  return it == query_.end() ? "" : it->second;
}

std::string Exchange::header(std::string_view name) const {
  return std::string(request_.headers.get(name).value_or(""));
}

void Exchange::head(int status, HttpHeaders headers) {
  head_ = {status, std::move(headers)};
  if (open_ && handlers_.on_head) handlers_.on_head(head_);
}

// A copy of its own, gone right after the call: a handler that keeps the view is caught by ASan.
void Exchange::body(std::string_view chunk) {
  const auto copy = std::make_unique<std::string>(chunk);
  if (open_ && handlers_.on_body) handlers_.on_body(*copy);
}

void Exchange::done() {
  if (!std::exchange(open_, false)) return;
  handlers_.on_done(head_);
}

void Exchange::fail(Error error) {
  if (!std::exchange(open_, false)) return;
  handlers_.on_done(std::move(error));
}

void Exchange::respond(int status, std::string_view text, HttpHeaders headers) {
  head(status, std::move(headers));
  body(text);
  done();
}

HttpCall FakeTransport::send(HttpRequest request, HttpHandlers handlers) {
  auto exchange = std::make_shared<Exchange>(std::move(request), std::move(handlers));
  exchanges_.push_back(exchange);
  return HttpCall(std::make_unique<Cancel>(&exchange->open_, exchange));
}

size_t FakeTransport::open_count() const {
  return static_cast<size_t>(std::count_if(exchanges_.begin(), exchanges_.end(),
                                           [](const auto& exchange) { return exchange->open(); }));
}

void FakeTransport::forget_closed() {
  std::erase_if(exchanges_, [](const auto& exchange) { return !exchange->open(); });
}

}  // namespace fairlead::kube
