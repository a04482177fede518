// SPDX-License-Identifier: Apache-2.0
// An HttpTransport whose other end is the test: every request is an Exchange that the test answers
// piece by piece. Nothing is called back from inside send(); a cancelled exchange swallows the
// rest.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http/client.h"

namespace fairlead::kube {

class Exchange {
 public:
  Exchange(HttpRequest request, HttpHandlers handlers);

  const HttpRequest& request() const { return request_; }
  std::string path() const;
  // "" when the query has no such parameter.
  std::string query(const std::string& name) const;
  bool has_query(const std::string& name) const { return query_.contains(name); }
  std::string header(std::string_view name) const;
  bool open() const { return open_; }

  void head(int status, HttpHeaders headers = {});
  void body(std::string_view chunk);
  void done();
  void fail(Error error);
  // All three at once.
  void respond(int status, std::string_view text, HttpHeaders headers = {});

 private:
  friend class FakeTransport;
  HttpRequest request_;
  HttpHandlers handlers_;
  std::map<std::string, std::string> query_;
  HttpResponseHead head_;
  bool open_ = true;
};

class FakeTransport : public HttpTransport {
 public:
  [[nodiscard]] HttpCall send(HttpRequest request, HttpHandlers handlers) override;

  const std::vector<std::shared_ptr<Exchange>>& exchanges() const { return exchanges_; }
  size_t count() const { return exchanges_.size(); }
  // The newest; holds it while it is being answered.
  std::shared_ptr<Exchange> last() const { return exchanges_.back(); }
  // Exchanges not answered and not cancelled.
  size_t open_count() const;
  void forget_closed();

 private:
  std::vector<std::shared_ptr<Exchange>> exchanges_;
};

}  // namespace fairlead::kube
