// SPDX-License-Identifier: Apache-2.0
// Our client against our server, over real loopback sockets, plain and TLS.
#include <gtest/gtest.h>

#include <set>

#include "base/http/server.h"
#include "base/tls/certificate.h"
#include "tests/support/ports.h"
#include "tests/support/raw_client.h"
#include "tests/unit/base/http_client_fixture.h"

namespace fairlead {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::fetch_now;
using test::get;
using test::kLoopback;

// Echoes what it got; remembers from where requests came.
struct EchoServer {
  explicit EchoServer(Loop& loop, HttpServerOptions options = {})
      : server(loop, std::move(options), [this](HttpServerRequest request, auto responder) {
          peers.insert(request.peer.port);
          last = request;
          responder->respond(200, {{"X-Method", request.method}, {"Content-Type", "text/plain"}},
                             request.path + "|" + request.body);
        }) {
    auto bound = server.listen(kLoopback);
    EXPECT_TRUE(bound.ok());
    if (bound.ok()) address = *bound;
  }
  std::string url(const std::string& path) const { return "http://" + address.to_string() + path; }
  std::string https(const std::string& path) const {
    return "https://" + address.to_string() + path;
  }
  HttpServerRequest last;
  std::set<uint16_t> peers;
  SocketAddress address;
  HttpServer server;
};

TEST(HttpExchange, EveryMethodCarriesItsBody) {
  struct Case {
    const char* method;
    std::string body;
  };
  const Case cases[] = {{"GET", ""},
                        {"POST", "x"},
                        {"POST", ""},
                        {"PUT", "put"},
                        {"PATCH", "{}"},
                        {"PATCH", ""},
                        {"DELETE", ""},
                        {"DELETE", "options"},
                        {"OPTIONS", ""},
                        {"GET", "odd"},
                        {"POST", std::string(2'000'000, 'b')}};
  Loop loop;
  EchoServer echo(loop);
  HttpClient client(loop);
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.method) + " " + std::to_string(c.body.size()));
    HttpRequest request = get(echo.url("/a%20b?x=1&y=%2F"));
    request.method = c.method;
    request.body = c.body;
    request.headers.add("X-Empty", "");
    const auto response = fetch_now(loop, client, request, 3'000'000);
    ASSERT_TRUE(response.ok()) << response.error().message();
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "/a b|" + c.body);
    EXPECT_EQ(response->headers.get("x-method"), c.method);
    EXPECT_EQ(echo.last.query_value("y"), "/");
    EXPECT_EQ(echo.last.target, "/a%20b?x=1&y=%2F");
    EXPECT_EQ(echo.last.headers.get("X-Empty"), "");
    EXPECT_FALSE(echo.last.headers.get("Expect"));
    EXPECT_FALSE(echo.last.headers.get("Content-Type"));
    EXPECT_FALSE(echo.last.client);
  }
  EXPECT_EQ(echo.peers.size(), 1u) << "one connection is kept alive and reused";
}

TEST(HttpExchange, HeadHasALengthAndNoBody) {
  Loop loop;
  EchoServer echo(loop);
  HttpClient client(loop);
  HttpRequest request = get(echo.url("/head"));
  request.method = "HEAD";
  const auto response = fetch_now(loop, client, request);
  ASSERT_TRUE(response.ok()) << response.error().message();
  EXPECT_EQ(response->headers.get("Content-Length"), "6");
  EXPECT_EQ(response->body, "");
  EXPECT_TRUE(fetch_now(loop, client, get(echo.url("/after"))).ok());
  EXPECT_EQ(echo.peers.size(), 1u);
}

TEST(HttpExchange, ManyAtOnce) {
  Loop loop;
  EchoServer echo(loop);
  HttpClient client(loop);
  int done = 0;
  std::vector<HttpCall> calls;
  for (int i = 0; i < 200; ++i) {
    calls.push_back(
        fetch(client, get(echo.url("/" + std::to_string(i))), 1000, [&, i](Result<HttpResponse> r) {
          ASSERT_TRUE(r.ok()) << r.error().message();
          EXPECT_EQ(r->body, "/" + std::to_string(i) + "|");
          ++done;
        }));
  }
  EXPECT_TRUE(loop.run_until([&] { return done == 200; }, seconds(20)));
  EXPECT_LE(echo.peers.size(), 64u);
}

TEST(HttpExchange, ErrorsNameMethodUrlAndCause) {
  Loop loop;
  HttpClient client(loop);
  const std::string port = std::to_string(test::free_port());
  struct Case {
    HttpRequest request;
    ErrorCode code;
    std::string message;
  };
  HttpRequest bad_header = get("http://127.0.0.1/");
  bad_header.headers.add("X", "a\r\nY: b");
  HttpRequest bad_method = get("http://127.0.0.1/");
  bad_method.method = "GET /";
  const Case cases[] = {
      {get("http://u:secret@127.0.0.1:" + port + "/api?token=secret"), ErrorCode::kUnavailable,
       "GET http://127.0.0.1:" + port + "/api: Connection refused"},
      {get("ftp://127.0.0.1/"), ErrorCode::kInvalid,
       "GET ftp://127.0.0.1/: only http:// and https:// URLs are supported"},
      {get("no url"), ErrorCode::kInvalid, "GET 'no url': "},
      {bad_header, ErrorCode::kInvalid,
       "GET http://127.0.0.1/: header 'X' has bytes that headers cannot carry"},
      {bad_method, ErrorCode::kInvalid, "GET / http://127.0.0.1/: the method is not a token"},
  };
  for (const Case& c : cases) {
    const auto response = fetch_now(loop, client, c.request);
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.error().code(), c.code);
    EXPECT_TRUE(response.error().message().starts_with(c.message)) << response.error().message();
  }
}

TEST(HttpExchange, TooLargeABodyEndsTheFetch) {
  Loop loop;
  EchoServer echo(loop);
  HttpClient client(loop);
  HttpRequest request = get(echo.url("/"));
  request.body = std::string(5000, 'x');
  const auto response = fetch_now(loop, client, request, 4000);
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_TRUE(fetch_now(loop, client, get(echo.url("/next"))).ok());
}

// A server that keeps its responders and answers when told.
struct HeldServer {
  explicit HeldServer(Loop& loop, HttpServerOptions options = {})
      : server(loop, std::move(options), [this](HttpServerRequest request, auto responder) {
          requests.push_back(std::move(request));
          held.push_back(std::move(responder));
        }) {
    auto bound = server.listen(kLoopback);
    EXPECT_TRUE(bound.ok());
    if (bound.ok()) address = *bound;
  }
  std::string url(const std::string& path = "/") const {
    return "http://" + address.to_string() + path;
  }
  std::vector<HttpServerRequest> requests;
  std::vector<std::shared_ptr<HttpResponder>> held;
  SocketAddress address;
  HttpServer server;
};

TEST(HttpExchange, StreamsChunksAsTheyCome) {
  Loop loop;
  HeldServer held(loop);
  HttpClient client(loop);
  int status = 0;
  std::string body;
  std::optional<Result<HttpResponseHead>> done;
  const HttpCall call =
      client.send(get(held.url("/watch")),
                  {
                      .on_head = [&](const HttpResponseHead& head) { status = head.status; },
                      .on_body = [&](std::string_view chunk) { body += chunk; },
                      .on_done = [&](Result<HttpResponseHead> result) { done = std::move(result); },
                  });
  ASSERT_TRUE(loop.run_until([&] { return held.held.size() == 1; }, seconds(20)));
  const auto responder = held.held[0];
  responder->start(200, {{"Content-Type", "application/json"}});
  ASSERT_TRUE(loop.run_until([&] { return status == 200; }, seconds(20)));
  EXPECT_TRUE(responder->write("one"));
  ASSERT_TRUE(loop.run_until([&] { return body == "one"; }, seconds(20)));
  EXPECT_TRUE(responder->write(""));
  EXPECT_TRUE(responder->write_shared(std::make_shared<const std::string>("two")));
  ASSERT_TRUE(loop.run_until([&] { return body == "onetwo"; }, seconds(20)));
  EXPECT_FALSE(done);
  responder->finish();
  ASSERT_TRUE(loop.run_until([&] { return done.has_value(); }, seconds(20)));
  EXPECT_TRUE(done->ok());
  EXPECT_TRUE(responder->closed());
}

TEST(HttpExchange, ServerSeesTheClientCancel) {
  Loop loop;
  HeldServer held(loop);
  HttpClient client(loop);
  bool ran = false;
  HttpCall call = client.send(get(held.url()),
                              {.on_head = {}, .on_body = {}, .on_done = [&](auto) { ran = true; }});
  ASSERT_TRUE(loop.run_until([&] { return held.held.size() == 1; }, seconds(20)));
  bool closed = false;
  held.held[0]->start(200, {});
  held.held[0]->on_closed([&] { closed = true; });
  call.cancel();
  EXPECT_TRUE(loop.run_until([&] { return closed; }, seconds(20)));
  EXPECT_TRUE(held.held[0]->closed());
  EXPECT_TRUE(held.held[0]->write("into the void"));
  held.held[0]->finish();
  EXPECT_FALSE(ran);
}

TEST(HttpExchange, ServerDroppingTheAnswerIsAnError) {
  Loop loop;
  HeldServer held(loop);
  HttpClient client(loop);
  std::optional<Result<HttpResponse>> got;
  const HttpCall call = fetch(client, get(held.url()), 100, [&](auto r) { got = std::move(r); });
  ASSERT_TRUE(loop.run_until([&] { return held.held.size() == 1; }, seconds(20)));
  held.held[0]->start(200, {});
  held.held[0]->write("half");
  loop.run_until([] { return false; }, milliseconds(20));
  held.held.clear();
  ASSERT_TRUE(loop.run_until([&] { return got.has_value(); }, seconds(20)));
  ASSERT_FALSE(got->ok());
  EXPECT_EQ(got->error().code(), ErrorCode::kUnavailable);
}

TEST(HttpExchange, TimeOutsOfTheClient) {
  Loop loop;
  HeldServer held(loop);
  HttpClient client(loop);
  HttpRequest total = get(held.url());
  total.total_timeout = milliseconds(50);
  const auto first = fetch_now(loop, client, total);
  ASSERT_FALSE(first.ok());
  EXPECT_TRUE(first.error().is_timeout()) << first.error().message();
  HttpRequest idle = get(held.url());
  idle.idle_timeout = milliseconds(50);
  const auto second = fetch_now(loop, client, idle);
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(second.error().is_timeout());
  EXPECT_NE(second.error().message().find("no byte received for 50 ms"), std::string::npos);
}

TEST(HttpExchange, BytesKeepTheIdleTimeoutAway) {
  Loop loop;
  HeldServer held(loop);
  HttpClient client(loop);
  HttpRequest request = get(held.url());
  request.idle_timeout = seconds(2);
  std::optional<Result<HttpResponse>> got;
  const HttpCall call = fetch(client, request, 100, [&](auto r) { got = std::move(r); });
  ASSERT_TRUE(loop.run_until([&] { return held.held.size() == 1; }, seconds(20)));
  held.held[0]->start(200, {});
  Timer timer(loop);
  int ticks = 0;
  timer.start_every(milliseconds(500), [&] {
    held.held[0]->write("x");
    if (++ticks < 6) return;
    held.held[0]->finish();
    timer.stop();
  });
  ASSERT_TRUE(loop.run_until([&] { return got.has_value(); }, seconds(20)));
  ASSERT_TRUE(got->ok()) << got->error().message();
  EXPECT_EQ((*got)->body, "xxxxxx");
}

// Every handler may drop its call, another call, or the client.
enum class Where { kHead, kBody, kDone };
enum class What { kDropOwnCall, kDropOtherCall, kDropClient, kStartAnother, kChangeTls };

class HttpCallbacks : public testing::TestWithParam<std::tuple<Where, What>> {};

TEST_P(HttpCallbacks, MayDoAnything) {
  const auto [where, what] = GetParam();
  Loop loop;
  EchoServer echo(loop);
  auto client = std::make_unique<HttpClient>(loop);
  HttpCall own;
  HttpCall other;
  HttpCall another;
  bool acted = false;
  bool another_done = false;
  int own_done = 0;
  const auto act = [&, what = what] {
    if (std::exchange(acted, true)) return;
    switch (what) {
      case What::kDropOwnCall:
        own.cancel();
        break;
      case What::kDropOtherCall:
        other.cancel();
        break;
      case What::kDropClient:
        client.reset();
        break;
      case What::kStartAnother:
        another =
            fetch(*client, get(echo.url("/another")), 1000, [&](auto r) { another_done = r.ok(); });
        break;
      case What::kChangeTls:
        client->set_tls({});
        break;
    }
  };
  own = client->send(get(echo.url("/own")), {
                                                .on_head =
                                                    [&, where = where](const HttpResponseHead&) {
                                                      if (where == Where::kHead) act();
                                                    },
                                                .on_body =
                                                    [&, where = where](std::string_view) {
                                                      if (where == Where::kBody) act();
                                                    },
                                                .on_done =
                                                    [&, where = where](auto) {
                                                      ++own_done;
                                                      if (where == Where::kDone) act();
                                                    },
                                            });
  int other_done = 0;
  other = client->send(get(echo.url("/other")),
                       {.on_head = {}, .on_body = {}, .on_done = [&](auto) { ++other_done; }});
  ASSERT_TRUE(loop.run_until([&] { return acted; }, seconds(20)));
  if (what == What::kStartAnother) {
    EXPECT_TRUE(loop.run_until([&] { return another_done; }, seconds(20)));
  }
  loop.run_until([&] { return own_done == 1 && other_done == 1; }, milliseconds(100));
  EXPECT_LE(other_done, 1);
  const bool own_cancelled = what == What::kDropOwnCall || what == What::kDropClient;
  EXPECT_EQ(own_done, where != Where::kDone && own_cancelled ? 0 : 1);
}

INSTANTIATE_TEST_SUITE_P(All, HttpCallbacks,
                         testing::Combine(testing::Values(Where::kHead, Where::kBody, Where::kDone),
                                          testing::Values(What::kDropOwnCall, What::kDropOtherCall,
                                                          What::kDropClient, What::kStartAnother,
                                                          What::kChangeTls)));

TEST(HttpClient, NothingRunsAfterTheClientIsGone) {
  Loop loop;
  bool ran = false;
  HttpCall call;
  {
    HttpClient client(loop);
    call = client.send(get("no url"),
                       {.on_head = {}, .on_body = {}, .on_done = [&](auto) { ran = true; }});
  }
  loop.run_until([] { return false; }, milliseconds(20));
  EXPECT_FALSE(ran);
}

// ---- TLS ----

struct Pki {
  tls::CertificateAndKey ca, server, client;
};

tls::CertificateAndKey issue(const tls::CertificateAndKey& ca, tls::CertificateSpec spec) {
  spec.not_before = std::chrono::system_clock::now() - hours(1);
  spec.validity = hours(24);
  auto made = tls::issue_certificate(ca, spec);
  EXPECT_TRUE(made.ok());
  return made.ok() ? *made : tls::CertificateAndKey{};
}

const Pki& pki() {
  static const Pki made = [] {
    Pki p;
    auto ca =
        tls::make_authority("test CA", std::chrono::system_clock::now() - hours(1), hours(48));
    EXPECT_TRUE(ca.ok());
    p.ca = *ca;
    tls::CertificateSpec server;
    server.common_name = "server";
    server.dns_names = {"kubernetes"};
    server.ip_addresses = {IpAddress::v4(127, 0, 0, 1)};
    server.server_auth = true;
    p.server = issue(p.ca, server);
    tls::CertificateSpec client;
    client.common_name = "admin";
    client.organizations = {"system:masters", "dev"};
    client.client_auth = true;
    p.client = issue(p.ca, client);
    return p;
  }();
  return made;
}

HttpServerOptions tls_options() {
  HttpServerOptions options;
  options.tls =
      TlsServerConfig{pki().server.certificate_pem, pki().server.key_pem, pki().ca.certificate_pem};
  return options;
}

TlsClientConfig trusting() {
  TlsClientConfig config;
  config.ca_pem = pki().ca.certificate_pem;
  return config;
}

TEST(HttpTls, RoundTripsWithAndWithoutAClientCertificate) {
  Loop loop;
  EchoServer echo(loop, tls_options());
  HttpClient anonymous(loop, trusting());
  HttpRequest request = get(echo.https("/x"));
  request.method = "POST";
  request.body = std::string(1'000'000, 'y');
  const auto response = fetch_now(loop, anonymous, request, 2'000'000);
  ASSERT_TRUE(response.ok()) << response.error().message();
  EXPECT_EQ(response->body.size(), 1'000'003u);
  EXPECT_FALSE(echo.last.client);
  ASSERT_TRUE(fetch_now(loop, anonymous, get(echo.https("/y"))).ok());
  EXPECT_EQ(echo.peers.size(), 1u);

  TlsClientConfig with = trusting();
  with.certificate_pem = pki().client.certificate_pem;
  with.key_pem = pki().client.key_pem;
  anonymous.set_tls(with);
  ASSERT_TRUE(fetch_now(loop, anonymous, get(echo.https("/z"))).ok());
  EXPECT_EQ(echo.peers.size(), 2u) << "new credentials need a new connection";
  ASSERT_TRUE(echo.last.client);
  EXPECT_EQ(echo.last.client->common_name, "admin");
  EXPECT_EQ(echo.last.client->organizations, (std::vector<std::string>{"system:masters", "dev"}));
}

TEST(HttpTls, WhoIsNotTrusted) {
  auto other_ca =
      tls::make_authority("other CA", std::chrono::system_clock::now() - hours(1), hours(48));
  ASSERT_TRUE(other_ca.ok());
  tls::CertificateSpec spec;
  spec.common_name = "admin";
  spec.client_auth = true;
  const auto forged = issue(*other_ca, spec);
  tls::CertificateSpec server_only;
  server_only.common_name = "admin";
  server_only.server_auth = true;
  const auto wrong_use = issue(pki().ca, server_only);

  Loop loop;
  EchoServer echo(loop, tls_options());
  struct Case {
    const char* name;
    TlsClientConfig tls;
    bool works;
    std::optional<ErrorCode> code;
  };
  std::vector<Case> cases;
  const auto add = [&](const char* name, bool works,
                       std::optional<ErrorCode> code) -> TlsClientConfig& {
    return cases.emplace_back(Case{name, trusting(), works, code}).tls;
  };
  add("right", true, {});
  add("another authority", false, ErrorCode::kPermission).ca_pem = other_ca->certificate_pem;
  add("no authority of ours: the system's", false, ErrorCode::kPermission).ca_pem = "";
  add("garbage as authority", false, {}).ca_pem = "garbage";
  {
    auto& tls = add("skip verification", true, {});
    tls.ca_pem = "";
    tls.insecure_skip_verify = true;
  }
  add("server name in the certificate", true, {}).server_name = "kubernetes";
  add("server name not in it", false, ErrorCode::kPermission).server_name = "elsewhere";
  {
    auto& tls = add("client certificate of another authority", false, {});
    tls.certificate_pem = forged.certificate_pem;
    tls.key_pem = forged.key_pem;
  }
  {
    auto& tls = add("client certificate for servers only", false, {});
    tls.certificate_pem = wrong_use.certificate_pem;
    tls.key_pem = wrong_use.key_pem;
  }
  {
    auto& tls = add("key of another certificate", false, ErrorCode::kInvalid);
    tls.certificate_pem = pki().client.certificate_pem;
    tls.key_pem = forged.key_pem;
  }
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    HttpClient client(loop, c.tls);
    const auto response = fetch_now(loop, client, get(echo.https("/")));
    EXPECT_EQ(response.ok(), c.works) << (response.ok() ? "" : response.error().message());
    if (!response.ok() && c.code) {
      EXPECT_EQ(response.error().code(), *c.code) << response.error().message();
    }
    if (c.works) {
      EXPECT_EQ(echo.last.headers.get("Host"), echo.address.to_string());
    }
  }
}

TEST(HttpTls, NewServerCertificateServesNewConnections) {
  Loop loop;
  EchoServer echo(loop, tls_options());
  auto other_ca =
      tls::make_authority("next CA", std::chrono::system_clock::now() - hours(1), hours(48));
  ASSERT_TRUE(other_ca.ok());
  tls::CertificateSpec spec;
  spec.common_name = "server";
  spec.ip_addresses = {IpAddress::v4(127, 0, 0, 1)};
  spec.server_auth = true;
  const auto next = issue(*other_ca, spec);
  ASSERT_TRUE(echo.server.set_tls({next.certificate_pem, next.key_pem, ""}).ok());
  HttpClient client(loop, {other_ca->certificate_pem, "", "", "", false});
  EXPECT_TRUE(fetch_now(loop, client, get(echo.https("/"))).ok());
  EXPECT_FALSE(echo.server.set_tls({"junk", next.key_pem, ""}).ok());
  EXPECT_FALSE(echo.server.set_tls({next.certificate_pem, pki().server.key_pem, ""}).ok());
  HttpClient still(loop, {other_ca->certificate_pem, "", "", "", false});
  EXPECT_TRUE(fetch_now(loop, still, get(echo.https("/"))).ok())
      << "a refused certificate changes nothing";
}

TEST(HttpTls, BadCertificateFailsListen) {
  Loop loop;
  HttpServerOptions options;
  options.tls = TlsServerConfig{"nonsense", "nonsense", ""};
  HttpServer server(loop, options, [](auto, auto) {});
  const auto bound = server.listen(kLoopback);
  ASSERT_FALSE(bound.ok());
  EXPECT_EQ(bound.error().code(), ErrorCode::kInvalid);
}

TEST(HttpTls, GarbageInsteadOfAHandshakeIsClosed) {
  Loop loop;
  EchoServer echo(loop, tls_options());
  test::RawClient raw(loop, echo.address);
  raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(raw.wait_for_end());
  EXPECT_EQ(raw.received().find("200 OK"), std::string::npos);
}

TEST(HttpTls, StreamsOverTls) {
  Loop loop;
  HeldServer held(loop, tls_options());
  HttpClient client(loop, trusting());
  std::string body;
  bool done = false;
  const HttpCall call = client.send(get("https://" + held.address.to_string() + "/"),
                                    {.on_head = {},
                                     .on_body = [&](std::string_view c) { body += c; },
                                     .on_done = [&](auto r) { done = r.ok(); }});
  ASSERT_TRUE(loop.run_until([&] { return held.held.size() == 1; }, seconds(20)));
  held.held[0]->start(200, {});
  const auto shared = std::make_shared<const std::string>(100'000, 's');
  for (int i = 0; i < 50; ++i) held.held[0]->write_shared(shared);
  held.held[0]->finish();
  ASSERT_TRUE(loop.run_until([&] { return done; }, seconds(20)));
  EXPECT_EQ(body, std::string(5'000'000, 's'));
}

}  // namespace
}  // namespace fairlead
