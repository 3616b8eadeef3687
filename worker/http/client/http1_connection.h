// HTTP/1 on a client's connection: reads heads and bodies, runs one exchange at a time, writes
// responses, keeps the connection or closes it gently. Requests that came pipelined wait in the
// block until the one before has been answered.
//
// Each state has a row in http1_connection.cc: what it may follow, whether it reads, how it is
// counted, whether it gives way to others, and its deadline. Enter() is the only door.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "proto/http1/framing.h"
#include "worker/http/client/client_connection.h"
#include "worker/http/client/http1_turn.h"
#include "worker/http/client/linger.h"
#include "worker/http/exchange/client_stream.h"
#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

class ServerNames;

class Http1Connection final : public ClientSession, public ClientStream {
 public:
  explicit Http1Connection(ClientConnection& connection);
  ~Http1Connection() override;

  // ClientSession
  void Start() override;
  void CloseWhenIdle() override;
  void CloseNow() override;
  void OnTimer() override;

  // ClientStream
  const ClientInfo& client() const override { return info_; }
  void WantBody(bool wanted) override;
  bool DropBufferedBody() override;
  void SendContinue() override;
  void SendInterim(int status, const proto::HeaderList& fields) override;
  void SendHead(const ResponseHead& head) override;
  void Write(BlockRef block, std::string_view bytes) override;
  void WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) override;
  bool can_splice() const override { return !lost_ && transport_.can_splice(); }
  void WritePipe(std::shared_ptr<const UniqueFd> read_end, uint64_t size) override {
    turn_->out.AppendPipe(std::move(read_end), size);
  }
  void WriteEnd(const proto::HeaderList& trailers) override;
  bool has_unsent() const override { return turn_ != nullptr && !turn_->out.empty(); }
  uint64_t unsent_memory() const override { return turn_->out.memory(); }
  bool blocked() const override { return blocked_; }
  void SetNoDelay(bool on) override { transport_.SetNoDelay(on); }
  void Flush() override;
  void LastForClient() override { keep_alive_ = false; }
  bool keep_alive() const override;
  void FinishResponse() override;
  void BreakResponse() override;
  void Abort(bool reset) override;
  uint64_t bytes_sent() const override;
  uint64_t head_bytes() const override { return turn_->head_bytes; }
  bool sent_all() const override { return !lost_ && !has_unsent(); }
  const TlsTransport* tls() const override { return connection_.tls(); }
  bool TcpInfo(tcp_info* out) const override { return connection_.TcpInfo(out); }
  void Fetch() const override;  // as a stream, and as a handler
  void StartTunnel() override;

 private:
  enum class State : uint8_t {
    kKept,      // between requests, and no place for others yet (keepalive_min_timeout)
    kIdle,      // between requests: nothing of the next one has come
    kHead,      // reading a request head
    kExchange,  // a request is being served; its body may be read
    kAnswered,  // its response is queued to the end
    kDrain,     // sent; the rest of the body is read and thrown away, then the next request
    kLinger,  // answered for the last time: what the client still sends is thrown away for a while
              // (RFC 9112 9.6)
    kClosed,
  };
  struct StateRow;
  static const StateRow kStates[];
  struct SendTimers;

  // Of the request body: what of it is to come.
  enum class Body : uint8_t { kDone, kHeld, kWanted };
  enum class Continue : uint8_t { kNotAsked, kAsked, kSent };
  // What has come at once: never more than a short head, or once more than that.
  enum class Input : uint8_t { kUnknown, kShort, kLong };

  // TransportHandler
  void OnReadable() override;
  void OnWritable() override;
  void OnHangup() override;
  void OnPlaceNeeded() override;

  void Enter(State next);
  void ArmDeadline();
  uint64_t HeadMs() const;
  uint64_t KeptMs() const;
  uint64_t IdleMs() const;
  uint64_t LingerMs() const;
  bool IsIdle() const { return state_ == State::kIdle || state_ == State::kKept; }
  bool IsServing() const { return state_ == State::kExchange || state_ == State::kAnswered; }
  bool IsTunnel() const { return turn_->framing.kind == proto::BodyKind::kTunnel; }
  uint64_t SafeMs() const;

  void CloseIdle();
  void BeginHead();
  void ReadHead();
  bool GrowBlock();
  void LearnInput();
  void ProcessInput();
  bool SwitchesProtocol();
  void BeginParser();
  bool ParseHead();
  proto::HeadStatus FollowServer(const ServerNames& names);
  void StartExchange();
  [[gnu::cold]] void GiveUpHead(const proto::HeadError& error, bool silent);
  [[gnu::cold]] void RefuseHead(const proto::HeadError& error, bool silent = false);
  void BeginResponse();
  [[gnu::cold]] void LoseClient();

  void ReadBody();
  BlockSize BodyBlock() const;
  void TakeBody(Slice read);
  void DeliverBuffered();
  size_t ConsumeBody(const BlockRef& block, std::string_view bytes);
  size_t ConsumeChunked(const BlockRef& block, std::string_view bytes);
  bool RefusesBody(uint64_t more);
  bool Hand(const BlockRef& block, std::string_view bytes);
  void BodyEnded();
  void UpdateReading();

  void OnWriteError();
  void WaitForRate();
  SendTimers& TimersForSending();
  void DisarmSending();
  void EndExchange();
  void NextRequest();
  void Drain();
  size_t DropBody(std::string_view bytes);
  bool MustLinger() const;
  void Linger();
  void ReadAndDrop();
  uint64_t SendBudget();
  void NoteTimeout();
  void OnSendTimeout();
  void Close(bool reset);
  size_t buffered() const { return end_ - begin_; }
  const conf::ClientSettings& settings() const;

  ClientConnection& connection_;
  Runtime& runtime_;
  Transport& transport_;
  ClientInfo& info_;
  State state_ = State::kIdle;
  Input input_ = Input::kUnknown;
  std::unique_ptr<SendTimers> send_timers_;  // null before the client takes less than it is sent
  Deferred process_;

  // Unparsed bytes: [begin_, end_); views of the running exchange's head point into it.
  BlockRef block_;
  size_t begin_ = 0;
  size_t end_ = 0;
  std::unique_ptr<Http1Turn> turn_;  // from the first byte of a head on; null between requests
  std::unique_ptr<Exchange> exchange_;

  // Of the response.
  bool chunks_ = false;  // its body goes out in chunks
  bool keep_alive_ = false;
  bool blocked_ = false;
  bool lost_ = false;      // some of it could not be written
  bool promised_ = false;  // it said keep-alive before the worker was to end

  // Of the request body.
  Body body_ = Body::kDone;
  Continue continue_ = Continue::kNotAsked;
  bool body_comes_fast_ = false;
  bool delivering_ = false;

  bool pipelined_ = false;  // the next request came together with the one before it
  uint64_t idle_since_ms_ = 0;
  LingerClock linger_;
  const conf::ClientSettings* last_settings_ = nullptr;  // of the location that answered last
};

struct Http1Connection::SendTimers {
  explicit SendTimers(Http1Connection& connection)
      : send(connection.runtime_.loop, Callback::To<&Http1Connection::OnSendTimeout>(&connection)),
        rate(connection.runtime_.loop, Callback::To<&Http1Connection::OnWritable>(&connection)) {}

  Timer send;  // the client takes nothing
  Timer rate;  // it may not have more yet
};

}  // namespace limpet::worker
