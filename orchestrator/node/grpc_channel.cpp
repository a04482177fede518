// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/grpc_channel.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>

#include <thread>
#include <unordered_map>

namespace fairlead::orchestrator {
namespace {

constexpr int kMaxGrpcMessage = 16 * 1024 * 1024;

ErrorCode code_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::FAILED_PRECONDITION:
      return ErrorCode::kInvalid;
    case grpc::StatusCode::NOT_FOUND:
      return ErrorCode::kNotFound;
    case grpc::StatusCode::ALREADY_EXISTS:
      return ErrorCode::kAlreadyExists;
    case grpc::StatusCode::ABORTED:
      return ErrorCode::kConflict;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return ErrorCode::kPermission;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return ErrorCode::kTimeout;
    case grpc::StatusCode::CANCELLED:
      return ErrorCode::kCancelled;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return ErrorCode::kResourceExhausted;
    case grpc::StatusCode::UNAVAILABLE:
      return ErrorCode::kUnavailable;
    case grpc::StatusCode::UNIMPLEMENTED:
      return ErrorCode::kUnsupported;
    default:  // UNKNOWN (containerd's usual), INTERNAL, DATA_LOSS and what later versions add
      return ErrorCode::kInternal;
  }
}

Error to_error(const grpc::Status& status) {
  return Error(code_of(status.error_code()), status.error_message());
}

grpc::ByteBuffer to_buffer(const std::string& bytes) {
  grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string to_string(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// One call or stream; its address is the tag of every operation it has in the queue.
class Operation {
 public:
  virtual ~Operation() = default;
  // An operation came back. False: nothing of it is left in the queue.
  virtual bool advance(bool success) = 0;
  // The owner lost interest: no callback runs any more.
  virtual void abandon() = 0;

 protected:
  grpc::ClientContext context_;
};

class UnaryCall : public Operation {
 public:
  UnaryCall(grpc::GenericStub& stub, grpc::CompletionQueue& queue, const std::string& method,
            const std::string& request, Duration deadline,
            std::function<void(Result<std::string>)> on_reply)
      : on_reply_(std::move(on_reply)) {
    context_.set_deadline(
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(deadline));
    reader_ = stub.PrepareUnaryCall(&context_, method, to_buffer(request), &queue);
    reader_->StartCall();
    reader_->Finish(&reply_, &status_, this);
  }
  bool advance(bool) override {
    if (!on_reply_) return false;
    const auto reply = std::exchange(on_reply_, nullptr);
    if (status_.ok())
      reply(to_string(reply_));
    else
      reply(to_error(status_));
    return false;
  }
  void abandon() override {
    on_reply_ = nullptr;
    context_.TryCancel();
  }

 private:
  std::function<void(Result<std::string>)> on_reply_;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader_;
  grpc::ByteBuffer reply_;
  grpc::Status status_;
};

// Start, write the request, half-close, read until a read fails, ask for the status: one operation
// is in the queue at any time.
class ServerStream : public Operation {
 public:
  ServerStream(grpc::GenericStub& stub, grpc::CompletionQueue& queue, const std::string& method,
               const std::string& request, std::function<void(std::string)> on_message,
               std::function<void(Error)> on_end)
      : request_(to_buffer(request)),
        on_message_(std::move(on_message)),
        on_end_(std::move(on_end)) {
    stream_ = stub.PrepareCall(&context_, method, &queue);
    stream_->StartCall(this);
  }
  bool advance(bool success) override {
    if (step_ == Step::kFinish) return end();
    if (!success) {
      step_ = Step::kFinish;
      stream_->Finish(&status_, this);
      return true;
    }
    switch (step_) {
      case Step::kStart:
        step_ = Step::kWrite;
        stream_->WriteLast(request_, grpc::WriteOptions(), this);
        return true;
      case Step::kWrite:
        step_ = Step::kRead;
        stream_->Read(&message_, this);
        return true;
      case Step::kRead: {
        const std::string message = to_string(message_);
        stream_->Read(&message_, this);
        const auto on_message = on_message_;  // which may cancel this stream
        if (on_message) on_message(message);
        return true;
      }
      case Step::kFinish:
        break;
    }
    return false;
  }
  void abandon() override {
    on_message_ = nullptr;
    on_end_ = nullptr;
    context_.TryCancel();
  }

 private:
  enum class Step { kStart, kWrite, kRead, kFinish };

  bool end() {
    if (!on_end_) return false;
    const auto on_end = std::exchange(on_end_, nullptr);
    on_message_ = nullptr;
    on_end(status_.ok() ? Error(ErrorCode::kUnavailable, "the server ended the stream")
                        : to_error(status_));
    return false;
  }

  grpc::ByteBuffer request_;
  std::function<void(std::string)> on_message_;
  std::function<void(Error)> on_end_;
  Step step_ = Step::kStart;
  grpc::ByteBuffer message_;
  grpc::Status status_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

std::shared_ptr<grpc::Channel> connect(const std::string& socket_path) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxGrpcMessage);
  arguments.SetMaxSendMessageSize(kMaxGrpcMessage);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // containerd refuses a socket path as authority.
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  return grpc::CreateCustomChannel("unix:" + socket_path, grpc::InsecureChannelCredentials(),
                                   arguments);
}

}  // namespace

class GrpcChannel::Impl : public std::enable_shared_from_this<GrpcChannel::Impl> {
 public:
  Impl(Loop& loop, const std::string& socket_path) : loop_(loop), stub_(connect(socket_path)) {}

  void start() {
    thread_ = std::thread([this, weak = weak_from_this()] {
      void* tag = nullptr;
      bool success = false;
      while (queue_.Next(&tag, &success)) {
        auto* operation = static_cast<Operation*>(tag);
        loop_.post([weak, operation, success] {
          if (const auto self = weak.lock()) self->advance(operation, success);
        });
      }
    });
  }

  // Cancelled operations come back through the queue; after the join gRPC refers to none of them.
  void shut_down() {
    for (auto& [operation, owned] : operations_) operation->abandon();
    queue_.Shutdown();
    shut_down_ = true;
    thread_.join();
  }

  std::weak_ptr<Operation> add(std::shared_ptr<Operation> operation) {
    operations_.emplace(operation.get(), operation);
    return operation;
  }

  grpc::GenericStub& stub() { return stub_; }
  grpc::CompletionQueue& queue() { return queue_; }

 private:
  void advance(Operation* operation, bool success) {
    const auto keep_alive = shared_from_this();  // a callback may destroy the channel
    if (!shut_down_ && !operation->advance(success)) operations_.erase(operation);
  }

  Loop& loop_;
  grpc::CompletionQueue queue_;
  grpc::GenericStub stub_;
  std::unordered_map<Operation*, std::shared_ptr<Operation>> operations_;
  bool shut_down_ = false;
  std::thread thread_;
};

GrpcChannel::GrpcChannel(Loop& loop, const std::string& socket_path)
    : impl_(std::make_shared<Impl>(loop, socket_path)) {
  impl_->start();
}
GrpcChannel::~GrpcChannel() {
  impl_->shut_down();
}

void GrpcChannel::call(const std::string& method, const std::string& request, Duration deadline,
                       std::function<void(Result<std::string>)> on_reply) {
  impl_->add(std::make_shared<UnaryCall>(impl_->stub(), impl_->queue(), method, request, deadline,
                                         std::move(on_reply)));
}

GrpcStream GrpcChannel::subscribe(const std::string& method, const std::string& request,
                                  std::function<void(std::string)> on_message,
                                  std::function<void(Error)> on_end) {
  // Not by its address, which may be the next operation's when this one has ended.
  struct Subscription : GrpcStream::Pending {
    std::weak_ptr<Operation> operation;
    ~Subscription() override {
      if (const auto alive = operation.lock()) alive->abandon();
    }
  };
  auto subscription = std::make_unique<Subscription>();
  subscription->operation = impl_->add(std::make_shared<ServerStream>(
      impl_->stub(), impl_->queue(), method, request, std::move(on_message), std::move(on_end)));
  return GrpcStream(std::move(subscription));
}

}  // namespace fairlead::orchestrator
