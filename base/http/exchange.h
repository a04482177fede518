// SPDX-License-Identifier: Apache-2.0
// The answer to one request, between the handler that owns it and the Connection. Internal.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/http/connection.h"
#include "base/http/response.h"
#include "base/http/server.h"

namespace fairlead::internal {

class Exchange : public HttpResponder, public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(Connection& connection, const ParsedRequest& request);
  ~Exchange() override;

  void respond(int status, HttpHeaders headers, std::string body) override;
  void start(int status, HttpHeaders headers) override;
  bool write(std::string_view chunk) override;
  bool write_shared(std::shared_ptr<const std::string> chunk) override;
  void finish() override;
  bool closed() const override { return connection_ == nullptr; }
  void on_drained(std::function<void()> callback) override;
  void on_closed(std::function<void()> callback) override;

  // The connection's side: it has ended, or its queue has room again.
  void detach(bool notify);
  void drained();

 private:
  bool write_piece(Piece piece);
  std::string head(int status, const HttpHeaders& headers, ResponseFraming framing);
  void complete();

  Connection* connection_;
  const bool is_head_;
  const bool http_1_0_;
  bool keep_alive_;
  bool started_ = false;
  bool wants_drained_ = false;
  ResponseFraming framing_;
  std::function<void()> on_drained_;
  std::function<void()> on_closed_;
};

}  // namespace fairlead::internal
