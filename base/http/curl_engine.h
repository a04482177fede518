// SPDX-License-Identifier: Apache-2.0
// Drives one libcurl multi handle with a Loop: its sockets, its timer, its connection pool. One TLS
// configuration for its whole life. Internal to HttpClient.
#pragma once

#include <curl/curl.h>

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/http/client.h"
#include "base/http/curl_transfer.h"

namespace fairlead::internal {

class CurlEngine : public std::enable_shared_from_this<CurlEngine> {
 public:
  // Nothing is reported once `client` has expired.
  CurlEngine(Loop& loop, TlsClientConfig tls, std::weak_ptr<void> client);
  ~CurlEngine();
  CurlEngine(const CurlEngine&) = delete;
  CurlEngine& operator=(const CurlEngine&) = delete;

  void start(std::shared_ptr<CurlTransfer> transfer);
  void cancel(const std::shared_ptr<CurlTransfer>& transfer);
  // The transfer is not paused any more: goes on from the loop.
  void resume(const std::shared_ptr<CurlTransfer>& transfer);

  // Takes no more transfers; closes its connections once the running ones are done.
  void retire();
  // Cancels every transfer and closes every connection, at once or when libcurl returns.
  void close();
  bool is_closed() const { return multi_ == nullptr; }

 private:
  static int on_socket(CURL*, curl_socket_t fd, int what, void* engine, void*);
  static int on_timer(CURLM*, long timeout_ms, void* engine);
  static int close_socket(void* engine, curl_socket_t fd);

  void drive(curl_socket_t fd, int events);
  void settle();
  void add(const std::shared_ptr<CurlTransfer>& transfer);
  void detach(CurlTransfer& transfer);
  void fail_later(const std::shared_ptr<CurlTransfer>& transfer, Error error);
  void watch_idle(const std::shared_ptr<CurlTransfer>& transfer, Duration delay);
  void close_now();
  CURL* take_easy();

  Loop& loop_;
  const TlsClientConfig tls_;
  const std::weak_ptr<void> client_;
  CURLM* multi_;
  std::unique_ptr<Timer> timer_;
  std::map<curl_socket_t, std::unique_ptr<Poll>> polls_;
  std::unordered_map<CURL*, std::shared_ptr<CurlTransfer>> running_;
  std::vector<std::shared_ptr<CurlTransfer>> to_add_;     // asked for inside libcurl
  std::vector<std::shared_ptr<CurlTransfer>> to_remove_;  // cancelled inside libcurl
  std::vector<CURL*> spare_;                              // reset handles, ready for reuse
  bool in_curl_ = false;
  bool retiring_ = false;
  bool closing_ = false;
};

}  // namespace fairlead::internal
