// SPDX-License-Identifier: Apache-2.0
// The node's own HTTPS: GET
// /containerLogs/NS/POD/CONTAINER?follow=&tailLines=&timestamps=&previous=
// &sinceSeconds=&sinceTime=&limitBytes= (the kubelet's URL), and the rotation of the files behind
// it.
//
// Threads: the loop's. Only the API server may read: it shows a certificate of the cluster's
// authority for kube-apiserver-kubelet-client, the name Kubernetes' own uses. A reader that follows
// is told of new bytes by inotify, across rotation, until the container ended or the reader left.
// Limits: 64 readers; a slow reader holds 1 MiB of buffer at most and is waited for.
// Rotation: every ten seconds; a file over 10 MiB becomes FILE.TIME, the runtime opens a new one;
// five files are kept.
#pragma once

#include <memory>
#include <string>

#include "base/http/server.h"
#include "base/tls/certificate.h"
#include "orchestrator/node/cri.h"
#include "orchestrator/node/log_reader.h"
#include "orchestrator/node/runner.h"

namespace fairlead::orchestrator {

struct LogServerOptions {
  SocketAddress bind;
  std::string client_ca_pem;  // who signs the API server's certificate; empty: nobody reads
  tls::CertificateAndKey certificate;  // empty: an authority of its own signs one
};

class LogServer {
 public:
  static constexpr int64_t kMaxFileBytes = 10 * 1024 * 1024;
  static constexpr size_t kMaxFiles = 5;
  static constexpr size_t kMaxReaders = 64;

  LogServer(Loop& loop, Cri& cri, Runner& runner, LogServerOptions options);
  ~LogServer();
  LogServer(const LogServer&) = delete;
  LogServer& operator=(const LogServer&) = delete;

  Result<void> start();

 private:
  void handle(const HttpServerRequest& request, std::shared_ptr<HttpResponder> responder);
  void rotate();

  Loop& loop_;
  Cri& cri_;
  Runner& runner_;
  LogServerOptions options_;
  std::unique_ptr<HttpServer> server_;
  std::map<uint64_t, std::unique_ptr<LogReader>> readers_;
  uint64_t next_reader_ = 0;
  Alarm rotate_;
};

// The query of a request; kInvalid names the parameter. Pure.
Result<LogQuery> parse_log_query(const HttpServerRequest& request, WallTime now);

}  // namespace fairlead::orchestrator
