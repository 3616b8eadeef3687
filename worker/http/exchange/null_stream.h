// A client stream that swallows a response: of requests of our own, and where there is no request.
#pragma once

#include "worker/http/exchange/client_stream.h"

namespace limpet::worker {

class NullStream : public ClientStream {
 public:
  void WantBody(bool) override {}
  bool DropBufferedBody() override { return true; }
  void SendContinue() override {}
  void SendHead(const ResponseHead&) override {}
  void Write(BlockRef, std::string_view) override {}
  void WriteFile(std::shared_ptr<const UniqueFd>, off_t, uint64_t) override {}
  void WriteEnd(const proto::HeaderList&) override {}
  bool has_unsent() const override { return false; }
  uint64_t unsent_memory() const override { return 0; }
  bool blocked() const override { return false; }
  void Flush() override {}
  void LastForClient() override {}
  bool keep_alive() const override { return false; }
  void FinishResponse() override {}
  void BreakResponse() override { FinishResponse(); }
  void Abort(bool) override {}
  uint64_t bytes_sent() const override { return 0; }
  uint64_t head_bytes() const override { return 0; }
  void StartTunnel() override {}
};

}  // namespace limpet::worker
