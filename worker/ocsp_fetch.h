// One request to a responder of OCSP and the response to it, which ends with the connection.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/socket_address.h"
#include "worker/net/loop.h"
#include "worker/net/transport.h"

namespace limpet::worker {

class OcspFetch final : public TransportHandler {
 public:
  static constexpr size_t kLongest = size_t{64} * 1024;  // head and body

  // `done` is called from the loop, never from within Start; how long to wait is the caller's.
  OcspFetch(Loop& loop, Callback done);
  ~OcspFetch();
  OcspFetch(const OcspFetch&) = delete;
  OcspFetch& operator=(const OcspFetch&) = delete;

  void Start(const SocketAddress& address, std::string request);
  void Cancel();
  bool running() const { return running_; }

  // In `done`, of the last one.
  const std::string& failed() const { return failed_; }  // "": there is a body
  std::string_view body() const { return body_; }

 private:
  void OnReady(int errnum) override;
  void OnReadable() override;
  void OnWritable() override;
  void OnEnd();
  void Finish(std::string failed);
  void Tell() { done_(); }

  Loop& loop_;
  Callback done_;
  Deferred tell_;
  std::unique_ptr<Transport> transport_;
  std::string request_, response_, failed_;
  size_t sent_ = 0;
  std::string_view body_;
  bool running_ = false;
};

}  // namespace limpet::worker
