// A client connection that speaks HTTP/1: reads heads and bodies, runs one exchange at a time,
// writes responses, keeps the connection or closes it gently. Requests that came pipelined wait in
// the block until the one before has been answered.
//
// Life: made on accept, owned by the worker's connection set, gone through Loop::DeleteLater.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "proto/http1/framing.h"
#include "worker/http/client_stream.h"
#include "worker/http/exchange.h"
#include "worker/net/output_queue.h"
#include "worker/net/transport.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {

class ConnectionSet;
struct RequestReader;

class Http1Connection final : public ClientStream,
                              public TransportHandler,
                              public CertificateGiver,
                              public Deletable {
 public:
  Http1Connection(ConnectionSet& set, Runtime& runtime, std::unique_ptr<Transport> transport,
                  ClientInfo info);
  ~Http1Connection() override;

  void Start();
  // Graceful stop: an idle connection closes now, a busy one after its response.
  void CloseWhenIdle();
  // worker_shutdown_timeout has passed.
  void CloseNow();

  // ClientStream
  const ClientInfo& client() const override { return info_; }
  void WantBody(bool wanted) override;
  void SendInterim(std::string_view head) override;
  void SendContinue() override;
  bool DropBufferedBody() override;
  OutputQueue& output() override { return out_; }
  bool can_splice() const override { return transport_->can_splice(); }
  bool blocked() const override { return blocked_; }
  void SetNoDelay(bool on) override { transport_->SetNoDelay(on); }
  void Flush() override;
  void CloseAfterResponse() override { keep_alive_ = false; }
  bool keep_alive() const override;
  void FinishResponse() override;
  void Abort(bool reset) override;
  uint64_t bytes_sent() const override { return out_.sent() - sent_before_; }
  const TlsTransport* tls() const override;
  bool TcpInfo(tcp_info* out) const override;
  void StartTunnel() override;

 private:
  friend class ConnectionSet;
  enum class State : uint8_t {
    kSetup,     // TLS handshake
    kIdle,      // between requests, nothing of the next one has come
    kHead,      // reading a request head
    kExchange,  // a request is being served; its body may be read
    kDrain,     // answered; the rest of the body is read and thrown away, then the next request
    kLinger,  // answered for the last time: what the client still sends is thrown away for a while
              // (RFC 9112 9.6)
    kClosed,
  };

  // TransportHandler
  void OnReady(int errnum) override;
  void OnReadable() override;
  void OnWritable() override;
  void OnHangup() override;
  void OnPlaceNeeded() override;

  // CertificateGiver
  bool GiveCertificates(TlsTransport& transport, const TlsContext& context) override;

  bool ContinueInPlain();
  void CloseIdle();
  bool IsSafe() const;
  uint64_t SafeMs() const;
  bool GoesOnIdle();
  void NoteTlsServer();
  void BeginHead();
  void ReadHead();
  bool GrowBlock();
  void ProcessInput();
  bool ParseHead();
  void StartExchange();
  [[gnu::cold]] void RefuseHead(const proto::HeadError& error, bool silent = false);
  void ReadBody();
  BlockSize BodyBlock() const;
  void TakeBody(Slice read);
  void DeliverBuffered();
  size_t ConsumeBody(const BlockRef& block, std::string_view bytes);
  size_t ConsumeChunked(const BlockRef& block, std::string_view bytes);
  bool Hand(const BlockRef& block, std::string_view bytes);
  void BodyEnded();
  void UpdateReading();
  void CountState(State from, State to);
  void Enter(State next);
  void OnWriteError();
  void EndExchange();
  void NextRequest();
  void Drain();
  size_t DropBody(std::string_view bytes);
  void Linger();
  void ReadAndDrop();
  uint64_t SendBudget();
  void OnTimer();
  void OnRateTimer();
  void OnSendTimeout();
  void Close(bool reset);
  size_t buffered() const { return end_ - begin_; }
  const conf::ClientSettings& settings() const;

  ConnectionSet& set_;
  Runtime& runtime_;
  std::unique_ptr<Transport> transport_;
  ClientInfo info_;
  State state_ = State::kSetup;
  Timer timer_;       // head, body, idle, linger
  Timer send_timer_;  // the client takes nothing
  Timer rate_timer_;
  Deferred process_;

  BlockRef
      block_;  // unparsed bytes: [begin_, end_); views of the running exchange's head point into it
  size_t begin_ = 0;
  size_t end_ = 0;
  BlockRef next_block_;  // the start of a pipelined request that came behind a chunked body,
                         // [next_begin_, next_end_)
  size_t next_begin_ = 0;
  size_t next_end_ = 0;
  std::unique_ptr<RequestReader> reader_;  // from the first byte of a head to the end of the body
  OutputQueue out_;
  std::unique_ptr<Exchange> exchange_;
  uint64_t sent_before_ = 0;
  bool keep_alive_ = false;
  bool blocked_ = false;
  bool finished_ = false;       // the exchange has queued everything
  bool pipelined_ = false;      // the next request came together with the one before it
  uint64_t idle_since_ms_ = 0;  // the end of the last exchange
  bool stopping_ = false;
  bool promised_ = false;  // the response under way said keep-alive before the worker was to end
  bool tunnel_ = false;

  // Request body.
  ReadBlock body_block_;
  bool body_comes_fast_ = false;
  proto::Framing framing_;
  uint64_t body_remaining_ = 0;
  uint64_t body_received_ = 0;
  bool body_done_ = true;
  bool body_wanted_ = false;
  bool delivering_ = false;
  bool expects_continue_ = false;
  bool continue_sent_ = false;
  uint64_t linger_until_ms_ = 0;
  const conf::ClientSettings* last_settings_ = nullptr;  // of the location that answered last
};

}  // namespace limpet::worker
