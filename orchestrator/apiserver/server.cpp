// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/server.h"

#include <cassert>
#include <condition_variable>
#include <thread>

#include "base/log.h"
#include "orchestrator/apiserver/bootstrap.h"
#include "orchestrator/apiserver/front/front.h"
#include "orchestrator/apiserver/in_process.h"
#include "orchestrator/apiserver/registry/codec.h"
#include "orchestrator/store/sqlite_store.h"

namespace fairlead::orchestrator {

using namespace apiserver;

namespace {

constexpr size_t kMaxEvents = 20'000;
constexpr Duration kEventLife = std::chrono::hours(1);

store::SqliteOptions store_options(const std::string& directory) {
  store::SqliteOptions options;
  options.directory = directory;
  options.volatile_keys = {{"core/events/", kEventLife, kMaxEvents},
                           {"coordination.k8s.io/leases/kube-node-lease/", {}, 0}};
  options.tombstone = tombstone_of;
  return options;
}

}  // namespace

// One thread, one loop, one HTTPS server.
class IoThread {
 public:
  using MakeFront = std::function<std::unique_ptr<Front>(Loop&)>;

  void start(HttpServerOptions http, SocketAddress bind, MakeFront make_front) {
    thread_ = std::thread([this, http = std::move(http), bind, make_front = std::move(make_front)] {
      run(http, bind, make_front);
    });
  }
  Result<SocketAddress> wait_until_listening() {
    std::unique_lock lock(mutex_);
    started_.wait(lock, [this] { return bound_.has_value(); });
    return *bound_;
  }
  // What is made lives on the thread until it stops.
  void keep(std::function<std::shared_ptr<void>(Loop&)> make_it) {
    loop_.post([this, make_it = std::move(make_it)] { kept_ = make_it(loop_); });
  }
  void stop() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run(const HttpServerOptions& http, const SocketAddress& bind, const MakeFront& make_front) {
    auto front = make_front(loop_);
    auto server = std::make_unique<HttpServer>(
        loop_, http, [&front](HttpServerRequest request, std::shared_ptr<HttpResponder> responder) {
          front->handle(std::move(request), std::move(responder));
        });
    Result<SocketAddress> bound = server->listen(bind);
    const bool listening = bound.ok();
    {
      std::lock_guard lock(mutex_);
      bound_ = std::move(bound);
    }
    started_.notify_all();
    if (listening) loop_.run();
    kept_.reset();
    server.reset();
    front.reset();
  }

  Loop loop_;  // outlives the thread: the store may still post to it
  std::mutex mutex_;
  std::condition_variable started_;
  std::optional<Result<SocketAddress>> bound_;  // under mutex_
  std::shared_ptr<void> kept_;                  // the thread's
  std::thread thread_;
};

class ApiServer::Impl {
 public:
  explicit Impl(ApiServerOptions options) : options_(std::move(options)) {}
  ~Impl() { stop(); }

  Result<void> start() {
    auto opened = store::SqliteStore::open(store_options(options_.data_dir));
    if (!opened) return opened.error();
    store_ = std::move(*opened);
    registry_ = std::make_unique<Registry>(
        *store_, RegistryOptions{options_.service_cidr,
                                 {options_.node_port_first, options_.node_port_last}});
    registry_->rebuild();
    auto authenticator = Authenticator::parse(options_.pki.token_file);
    if (!authenticator) return authenticator.error();
    authenticator_ = std::move(*authenticator);
    if (auto listening = listen(); !listening) return listening;
    const BootstrapOptions objects{options_.advertise, bound_.port,
                                   options_.pki.authority.certificate_pem};
    if (auto made = bootstrap(*registry_, bootstrap_loop_, objects); !made) return made;
    threads_.front()->keep([this, objects](Loop& loop) {
      return std::make_shared<BootstrapKeeper>(*registry_, loop, objects);
    });
    return ok();
  }

  void stop() {
    for (auto& thread : threads_) thread->stop();
    // The store ends before the loops it posts to.
    registry_.reset();
    store_.reset();
    threads_.clear();
  }

  SocketAddress bound_;
  std::unique_ptr<Registry> registry_;
  Metrics metrics_;

 private:
  Result<void> listen() {
    HttpServerOptions http;
    http.tls = TlsServerConfig{options_.pki.server.certificate_pem, options_.pki.server.key_pem,
                               options_.pki.authority.certificate_pem};
    http.reuse_port = options_.io_threads > 1;
    http.error_body = [](int status, const std::string& text) {
      return HttpErrorBody{"application/json",
                           apiserver::ApiError::from_http(status, text).to_json()};
    };
    SocketAddress bind = options_.bind;
    for (int i = 0; i < std::max(1, options_.io_threads); ++i) {
      threads_.push_back(std::make_unique<IoThread>());
      threads_.back()->start(http, bind, [this](Loop& loop) { return make_front(loop); });
      auto bound = threads_.back()->wait_until_listening();
      if (!bound) return bound.error().with_context("the API server cannot listen");
      bound_ = bind = *bound;
    }
    log::info("api: listening on {}", bound_.to_string());
    return ok();
  }

  std::unique_ptr<Front> make_front(Loop& loop) {
    FrontOptions front;
    front.server_address = SocketAddress{options_.advertise, options_.bind.port}.to_string();
    front.authenticator = &authenticator_;
    front.metrics = &metrics_;
    std::unique_ptr<PodLogSource> logs;
    if (options_.make_log_source) {
      logs = options_.make_log_source(loop);
    } else {
      TlsClientConfig tls;
      tls.ca_pem = options_.pki.authority.certificate_pem;
      tls.certificate_pem = options_.pki.node_client.certificate_pem;
      tls.key_pem = options_.pki.node_client.key_pem;
      logs = make_node_log_source(loop, std::move(tls), options_.node_api_port);
    }
    return std::make_unique<Front>(loop, *registry_, std::move(front), std::move(logs));
  }

  const ApiServerOptions options_;
  Loop bootstrap_loop_;
  std::unique_ptr<store::SqliteStore> store_;
  Authenticator authenticator_;
  std::vector<std::unique_ptr<IoThread>> threads_;
};

ApiServer::ApiServer(ApiServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
ApiServer::~ApiServer() = default;

Result<void> ApiServer::start() {
  auto started = impl_->start();
  if (!started) impl_->stop();
  return started;
}
void ApiServer::stop() {
  impl_->stop();
}
SocketAddress ApiServer::address() const {
  return impl_->bound_;
}
std::unique_ptr<Api> ApiServer::in_process(Loop& loop) {
  return make_in_process_api(*impl_->registry_, loop);
}
Metrics& ApiServer::metrics() {
  return impl_->metrics_;
}

}  // namespace fairlead::orchestrator
