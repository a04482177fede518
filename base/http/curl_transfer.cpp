// SPDX-License-Identifier: Apache-2.0
#include "base/http/curl_transfer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace fairlead::internal {
namespace {

struct UrlHandle {
  UrlHandle() : url(curl_url()) {}
  ~UrlHandle() { curl_url_cleanup(url); }
  UrlHandle(const UrlHandle&) = delete;
  UrlHandle& operator=(const UrlHandle&) = delete;

  std::string get(CURLUPart part, unsigned flags = 0) const {
    char* text = nullptr;
    if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
    std::string copy(text);
    curl_free(text);
    return copy;
  }
  CURLU* url;
};

// The URL without what may be secret (user, password, query).
std::string shown_url(const std::string& text) {
  const UrlHandle parsed;
  if (curl_url_set(parsed.url, CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
    return "'" + text + "'";
  for (const CURLUPart part :
       {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT})
    curl_url_set(parsed.url, part, nullptr, 0);
  return parsed.get(CURLUPART_URL);
}

bool is_field_value(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

ErrorCode code_of_curl(CURLcode code) {
  if (code == CURLE_OPERATION_TIMEDOUT) return ErrorCode::kTimeout;
  if (code == CURLE_PEER_FAILED_VERIFICATION) return ErrorCode::kPermission;
  if (code == CURLE_OUT_OF_MEMORY) return ErrorCode::kResourceExhausted;
  if (code == CURLE_URL_MALFORMAT || code == CURLE_SSL_CERTPROBLEM ||
      code == CURLE_SSL_CACERT_BADFILE)
    return ErrorCode::kInvalid;
  return ErrorCode::kUnavailable;
}

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

long to_millis(Duration duration) {
  return static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

void set_blob(CURL* easy, CURLoption option, const std::string& pem) {
  curl_blob blob{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_NOCOPY};
  curl_easy_setopt(easy, option, &blob);
}

// CURLOPT_TCP_KEEPCNT came with curl 8.9. What is sent and never acknowledged is bounded as well.
int limit_keepalive(void*, curl_socket_t socket, curlsocktype) {
  const int probes = 3;
  const unsigned unacknowledged_ms = 60'000;
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
  return CURL_SOCKOPT_OK;
}

}  // namespace

CurlTransfer::CurlTransfer(HttpRequest request, HttpHandlers handlers)
    : request_(std::move(request)),
      handlers_(std::move(handlers)),
      label_(request_.method + " " + shown_url(request_.url)) {}

CurlTransfer::~CurlTransfer() {
  curl_slist_free_all(header_list_);
  curl_slist_free_all(connect_to_);
}

Error CurlTransfer::failed(ErrorCode code, std::string_view cause) const {
  return Error(code, label_ + ": " + std::string(cause));
}

Result<void> CurlTransfer::check() const {
  if (!is_token(request_.method)) return failed(ErrorCode::kInvalid, "the method is not a token");
  if (request_.url.find('\0') != std::string::npos)
    return failed(ErrorCode::kInvalid, "the URL contains a NUL byte");
  const UrlHandle parsed;
  if (const CURLUcode code = curl_url_set(parsed.url, CURLUPART_URL, request_.url.c_str(), 0);
      code != CURLUE_OK)
    return failed(ErrorCode::kInvalid, curl_url_strerror(code));
  const std::string scheme = parsed.get(CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https")
    return failed(ErrorCode::kInvalid, "only http:// and https:// URLs are supported");
  for (const auto& [name, value] : request_.headers) {
    if (!is_token(name) || !is_field_value(value))
      return failed(ErrorCode::kInvalid,
                    "header '" + name + "' has bytes that headers cannot carry");
  }
  return ok();
}

Result<void> CurlTransfer::apply_to(CURL* easy, const TlsClientConfig& tls) {
  easy_ = easy;
  if (const auto url = set_url(easy, tls.server_name); !url.ok()) return url;
  set_method_and_body(easy);
  set_headers(easy);
  set_tls(easy, tls);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text_.data());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  // Cancelling must not wait for the resolver's thread: that would stop the loop.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  // A dead peer is found within a minute: probes after 30 s of silence, three of them.
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &limit_keepalive);
  if (request_.connect_timeout > Duration::zero())
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, to_millis(request_.connect_timeout));
  if (request_.total_timeout > Duration::zero())
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, to_millis(request_.total_timeout));
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_HEADERFUNCTION, +[](char* data, size_t one, size_t n, void* self) {
        return static_cast<CurlTransfer*>(self)->take_header_line({data, one * n});
      });
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_WRITEFUNCTION, +[](char* data, size_t one, size_t n, void* self) {
        return static_cast<CurlTransfer*>(self)->take_body({data, one * n});
      });
  return ok();
}

// libcurl verifies the certificate against the URL's host. To verify another name the URL gets that
// name, while the connection goes to, and the Host field names, the host that was asked for.
Result<void> CurlTransfer::set_url(CURL* easy, const std::string& server_name) {
  UrlHandle parsed;
  curl_url_set(parsed.url, CURLUPART_URL, request_.url.c_str(), 0);
  if (server_name.empty() || parsed.get(CURLUPART_SCHEME) != "https") {
    curl_easy_setopt(easy, CURLOPT_URL, request_.url.c_str());
    return ok();
  }
  const std::string host = parsed.get(CURLUPART_HOST);
  const std::string port = parsed.get(CURLUPART_PORT);
  if (curl_url_set(parsed.url, CURLUPART_HOST, server_name.c_str(), 0) != CURLUE_OK)
    return failed(ErrorCode::kInvalid, "'" + server_name + "' is not a TLS server name");
  connect_to_ = curl_slist_append(nullptr, ("::" + host + ":" + port).c_str());
  curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to_);
  curl_easy_setopt(easy, CURLOPT_URL, parsed.get(CURLUPART_URL).c_str());
  if (!request_.headers.get("Host"))
    request_.headers.add("Host", port.empty() ? host : host + ":" + port);
  return ok();
}

void CurlTransfer::set_method_and_body(CURL* easy) {
  const bool wants_length =
      request_.method == "POST" || request_.method == "PUT" || request_.method == "PATCH";
  if (request_.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (!request_.body.empty() || wants_length) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body.data());
  } else {
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  }
  if (request_.method != "HEAD")
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
}

void CurlTransfer::set_headers(CURL* easy) {
  const auto append = [this](const std::string& line) {
    header_list_ = curl_slist_append(header_list_, line.c_str());
  };
  for (const auto& [name, value] : request_.headers)
    append(value.empty() ? name + ";" : name + ": " + value);
  // What libcurl adds by itself and nobody asked for.
  append("Expect:");
  if (!request_.headers.get("Content-Type")) append("Content-Type:");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, header_list_);
}

void CurlTransfer::set_tls(CURL* easy, const TlsClientConfig& tls) {
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!tls.ca_pem.empty()) {
    set_blob(easy, CURLOPT_CAINFO_BLOB, tls.ca_pem);
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);  // that CA and no other
  }
  if (!tls.certificate_pem.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
    set_blob(easy, CURLOPT_SSLCERT_BLOB, tls.certificate_pem);
  }
  if (!tls.key_pem.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM");
    set_blob(easy, CURLOPT_SSLKEY_BLOB, tls.key_pem);
  }
  if (tls.insecure_skip_verify) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
}

// Any return value but the line's length makes libcurl give up the transfer.
size_t CurlTransfer::take_header_line(std::string_view line) {
  last_byte = std::chrono::steady_clock::now();
  if (cancelled_) return 0;
  if (head_complete_) return line.size();  // a trailer
  head_bytes_ += line.size();
  if (head_bytes_ > kMaxHeadBytes) {
    own_error_ =
        failed(ErrorCode::kResourceExhausted,
               "the response head is larger than " + std::to_string(kMaxHeadBytes) + " bytes");
    return 0;
  }
  if (line.starts_with("HTTP/")) {
    head_ = {};  // an interim 1xx response may have come before
  } else if (trim(line).empty()) {
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) return line.size();
    head_.status = static_cast<int>(status);
    head_complete_ = true;
    if (handlers_.on_head) handlers_.on_head(head_);
    if (cancelled_) return 0;
  } else if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
    head_.headers.add(std::string(line.substr(0, colon)),
                      std::string(trim(line.substr(colon + 1))));
  }
  return line.size();
}

// Of a paused transfer libcurl keeps the chunk, and reads no more, until it is told to go on.
size_t CurlTransfer::take_body(std::string_view chunk) {
  if (paused_ && !cancelled_) return CURL_WRITEFUNC_PAUSE;
  last_byte = std::chrono::steady_clock::now();
  if (cancelled_) return 0;
  if (handlers_.on_body && !chunk.empty()) handlers_.on_body(chunk);
  return cancelled_ ? 0 : chunk.size();
}

Result<HttpResponseHead> CurlTransfer::outcome(CURLcode code) {
  // libcurl takes a connection that ends inside the head for an answer.
  if (code == CURLE_OK && !head_complete_)
    return failed(ErrorCode::kUnavailable, "the connection ended inside the response head");
  if (code == CURLE_OK) return std::move(head_);
  if (own_error_) return *own_error_;
  long os_error = 0;
  curl_easy_getinfo(easy_, CURLINFO_OS_ERRNO, &os_error);
  const bool socket_failed =
      code == CURLE_COULDNT_CONNECT || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR;
  if (socket_failed && os_error != 0) return Error::from_errno(static_cast<int>(os_error), label_);
  return failed(code_of_curl(code),
                error_text_[0] != '\0' ? error_text_.data() : curl_easy_strerror(code));
}

void CurlTransfer::complete(Result<HttpResponseHead> result) {
  if (cancelled_) return;
  cancelled_ = true;
  const HttpHandlers handlers = std::move(handlers_);
  if (handlers.on_done) handlers.on_done(std::move(result));
}

}  // namespace fairlead::internal
