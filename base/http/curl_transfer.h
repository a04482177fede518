// SPDX-License-Identifier: Apache-2.0
// One outgoing request as libcurl sees it: options in, callbacks out, errors named. Internal to
// HttpClient.
//
// libcurl forbids calls into it from its own callbacks, so cancelling inside one only marks the
// transfer; the engine removes it once libcurl has returned.
#pragma once

#include <curl/curl.h>

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "base/http/client.h"

namespace fairlead::internal {

class CurlEngine;

class CurlTransfer {
 public:
  static constexpr size_t kMaxHeadBytes = 256 * 1024;

  CurlTransfer(HttpRequest request, HttpHandlers handlers);
  ~CurlTransfer();
  CurlTransfer(const CurlTransfer&) = delete;
  CurlTransfer& operator=(const CurlTransfer&) = delete;

  // What is wrong with the request before any byte is sent.
  Result<void> check() const;
  // Sets every option on a fresh or reset handle. `tls` must outlive the transfer.
  Result<void> apply_to(CURL* easy, const TlsClientConfig& tls);

  // The outcome of the transfer, given libcurl's result.
  Result<HttpResponseHead> outcome(CURLcode code);
  // Runs on_done unless cancelled; at most once.
  void complete(Result<HttpResponseHead> result);
  void fail(ErrorCode code, std::string_view cause) { complete(failed(code, cause)); }
  // From now on no handler runs.
  void cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }
  void set_paused(bool paused) { paused_ = paused; }
  bool paused() const { return paused_; }

  const HttpRequest& request() const { return request_; }
  CURL* easy() const { return easy_; }
  void forget_easy() { easy_ = nullptr; }
  MonoTime last_byte = {};
  std::unique_ptr<Timer> idle_timer;
  std::weak_ptr<CurlEngine> engine;

 private:
  size_t take_header_line(std::string_view line);
  size_t take_body(std::string_view chunk);
  Result<void> set_url(CURL* easy, const std::string& server_name);
  void set_method_and_body(CURL* easy);
  void set_headers(CURL* easy);
  void set_tls(CURL* easy, const TlsClientConfig& tls);
  Error failed(ErrorCode code, std::string_view cause) const;

  HttpRequest request_;
  HttpHandlers handlers_;
  std::string label_;  // "GET https://host/path": no query, no credentials
  HttpResponseHead head_;
  size_t head_bytes_ = 0;
  bool head_complete_ = false;
  bool cancelled_ = false;
  bool paused_ = false;
  std::optional<Error> own_error_;  // why a callback of ours stopped the transfer
  CURL* easy_ = nullptr;
  curl_slist* header_list_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
};

}  // namespace fairlead::internal
