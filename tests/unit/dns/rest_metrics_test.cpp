// SPDX-License-Identifier: Apache-2.0
// What is counted of requests to API servers, under CoreDNS's names.
#include "dns/plugins/kubernetes/rest_metrics.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/loop.h"

namespace fairlead::dns {
namespace {

// Keeps what is sent, for the test to answer.
class FakeTransport : public HttpTransport {
 public:
  HttpCall send(HttpRequest request, HttpHandlers handlers) override {
    urls.push_back(request.url);
    sent.push_back(std::move(handlers));
    return {};
  }
  std::vector<std::string> urls;
  std::vector<HttpHandlers> sent;
};

TEST(RestMetrics, CountsAsClientGoDoes) {
  Loop loop;
  FakeTransport inner;
  const auto metrics = std::make_shared<RestMetrics>();
  CountedTransport counted(inner, loop.clock(), metrics);
  int heads = 0;
  int ends = 0;
  const auto send = [&](const std::string& url) {
    HttpRequest request;
    request.url = url;
    HttpHandlers handlers;
    handlers.on_head = [&](const HttpResponseHead&) { ++heads; };
    handlers.on_done = [&](const Result<HttpResponseHead>&) { ++ends; };
    HttpCall call = counted.send(std::move(request), std::move(handlers));
  };
  send("https://10.96.0.1:443/api/v1/services?limit=500");
  send("https://10.96.0.1:443/api/v1/services?watch=true&resourceVersion=1");
  send("https://[fd00::1]:6443/api/v1/services");
  send("https://[fd00::1]:6443/api/v1/services?watch=true");
  HttpResponseHead head;
  head.status = 200;
  inner.sent[0].on_head(head);
  inner.sent[0].on_done(head);
  head.status = 410;
  inner.sent[1].on_head(head);
  inner.sent[1].on_done(head);
  for (const size_t i : {2u, 3u})
    inner.sent[i].on_done(Error(ErrorCode::kUnavailable, "nobody is there"));
  EXPECT_EQ(heads, 2);
  EXPECT_EQ(ends, 4);
  send("https://[fd00::1]:6443/api/v1/pods");  // silent, and given up
  inner.sent.clear();
  EXPECT_EQ(ends, 4);
  std::string out;
  metrics->render(out);
  const std::string requests = "coredns_kubernetes_rest_client_requests_total";
  const std::string durations = "coredns_kubernetes_rest_client_request_duration_seconds";
  for (const std::string& line :
       {requests + "{code=\"200\",method=\"GET\",host=\"10.96.0.1:443\"} 1\n",
        requests + "{code=\"410\",method=\"GET\",host=\"10.96.0.1:443\"} 1\n",
        requests + "{code=\"<error>\",method=\"GET\",host=\"[fd00::1]:6443\"} 3\n",
        durations + "_count{verb=\"GET\",host=\"10.96.0.1:443\"} 1\n",
        durations + "_count{verb=\"GET\",host=\"[fd00::1]:6443\"} 1\n",
        durations + "_bucket{verb=\"GET\",host=\"10.96.0.1:443\",le=\"0.005\"} 1\n",
        "# TYPE " + durations + " histogram\n"})
    EXPECT_NE(out.find(line), std::string::npos) << line << out;
}

}  // namespace
}  // namespace fairlead::dns
