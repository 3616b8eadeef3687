// A request over HTTP/2 and its response: one exchange on one stream of a connection.
//
// Life: made at the first frame of its head, owned by its connection, gone when both its exchange
// has ended and nothing is left to be sent. The client may be gone long before that
// (proxy_ignore_client_abort): then what is written goes nowhere.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <string_view>
#include <vector>

#include "base/prefetch.h"
#include "proto/http1/message.h"
#include "proto/http2/framing.h"
#include "proto/http2/head.h"
#include "worker/http/exchange/client_stream.h"
#include "worker/http/exchange/exchange.h"
#include "worker/net/output_queue.h"
#include "worker/net/slice.h"

namespace limpet::worker {

constexpr size_t kFrameHead = 9;  // bytes in front of what a frame carries (RFC 9113 4.1)

class Http2Connection;
class Http2Stream;

struct FreeHttp2Stream {
  void operator()(Http2Stream* stream) const;
};
using Http2StreamPtr = std::unique_ptr<Http2Stream, FreeHttp2Stream>;

class Http2Stream final : public ClientStream {
 public:
  static Http2StreamPtr Make(Http2Connection& connection, int32_t id);
  Http2Stream(Http2Connection& connection, int32_t id);
  ~Http2Stream() override;

  int32_t id() const { return id_; }
  std::pmr::memory_resource* memory() { return &memory_; }

  // --- From the connection ---
  // The head is there. `error`: it is refused with that.
  void Begin(proto::RequestHeadBuilder& builder, size_t head_length, bool end_stream);
  // The connection ends by what came of the head: a line in the log is all that is left to do.
  [[gnu::cold]] void GiveUp(proto::RequestHeadBuilder& builder, size_t head_length);
  // `most_left`: of the body, from these bytes on, with padding. True: OnPause is to follow.
  bool OnData(Slice data, uint64_t most_left);
  void OnPause();
  void OnInputEnd();
  void NoteReset(uint32_t error);  // by the client: OnGone follows
  // The stream is closed, by either side, or the connection is. Nothing reaches the client any
  // more.
  void OnGone();
  void OnFrameSent(const nghttp2_frame& frame);
  // For nghttp2: how many bytes of the body go into the next frame.
  ssize_t ReadData(size_t length, uint32_t* flags);
  void MoveData(size_t length, OutputQueue* out);
  void OnWindow();  // of the client's, the stream's or the connection's, that has grown
  // After what could be written: whether the client is behind, has taken all there was, or is gone.
  void OnWritten();
  bool TakeDeferred() { return std::exchange(deferred_, false); }
  bool begun() const { return exchange_ != nullptr; }
  bool answered() const { return output_ == Output::kSent; }     // to its end
  bool pays() const { return answered() && !body_is_refused_; }  // for a reset
  bool over() const { return over_; }
  bool gone() const { return output_ == Output::kGone; }  // nobody takes what it sends
  void Abandon(int status);
  void End();  // of the exchange, after over()

  // ClientStream
  const ClientInfo& client() const override;
  void WantBody(bool wanted) override;
  bool DropBufferedBody() override;
  void SendContinue() override;
  void SendInterim(int status, const proto::HeaderList& fields) override;
  void SendHead(const ResponseHead& head) override;
  void Write(BlockRef block, std::string_view bytes) override;
  void WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) override;
  bool can_splice() const override;
  void WritePipe(std::shared_ptr<const UniqueFd> read_end, uint64_t size) override;
  void WriteEnd(const proto::HeaderList& trailers) override;
  bool has_unsent() const override { return !body_out_.empty() || PipeIsOnItsWay(); }
  uint64_t unsent_memory() const override { return body_out_.memory(); }
  bool blocked() const override;
  void SetNoDelay(bool on) override;
  void Flush() override;
  void LastForClient() override {}  // other streams go on
  bool keep_alive() const override;
  void FinishResponse() override;
  void BreakResponse() override;
  void Abort(bool reset) override;
  uint64_t bytes_sent() const override { return bytes_sent_; }
  uint64_t head_bytes() const override { return head_bytes_; }
  bool sent_all() const override { return sent_all_; }
  const TlsTransport* tls() const override;
  bool TcpInfo(tcp_info* out) const override;
  void StartTunnel() override;
  void Fetch() const override { Prefetch(this); }

 private:
  // What of the request's body is to come for the exchange.
  enum class Body : uint8_t { kDone, kHeld, kWanted };
  // What of the response is to go.
  enum class Output : uint8_t {
    kHead,    // no head yet
    kBody,    // more of it may come
    kEnd,     // all is queued
    kBroken,  // likewise, but it has no end: the stream is reset behind it
    kSent,    // all of it has been framed
    kGone,    // nobody takes it
  };
  friend struct FreeHttp2Stream;
  struct Timers {
    Timers(Loop& loop, Http2Stream* stream)
        : body(loop, Callback::To<&Http2Stream::OnBodyTimeout>(stream)),
          send(loop, Callback::To<&Http2Stream::OnSendTimeout>(stream)),
          rate(loop, Callback::To<&Http2Stream::OnRateTimer>(stream)) {}

    Timer body;
    Timer send;
    Timer rate;
  };

  struct Held {
    std::vector<Slice> slices;  // no more than the window
    SliceJoiner joiner;
  };

  void TakeHead(proto::RequestHeadBuilder& builder, size_t head_length);
  bool HoldsNothing() const { return held_ == nullptr || held_->slices.empty(); }
  void Hand(Slice data);
  void HandHeld();
  void Deliver();
  [[gnu::cold]] void RefuseLength(std::string_view why);
  [[gnu::cold]] void RefuseBody(int status);
  void EndInput();
  bool PipeIsOnItsWay() const;
  bool HasLastWords() const;
  Timers& TimersToArm();
  void UpdateBodyTimer();
  void DisarmBody();
  void DisarmSending();
  void OpenWindow();
  void CheckOver();
  void WatchSending();
  int64_t Window() const;  // of the client's
  bool HasWindow() const { return Window() > 0; }
  uint64_t LeastFrame() const;
  uint64_t FrameSize(size_t length, uint64_t budget) const;
  ssize_t DeferFor(std::chrono::milliseconds time);
  bool EndAwaitsWindow() const;
  void EndWithoutWindow();
  bool RefusesHead(const ResponseHead& head) const;
  void Reset(uint32_t error);
  void SubmitReset(uint32_t error);
  bool RestIsOnItsWay() const;
  uint64_t SendBudget();
  uint64_t ChunkSize() const;
  void OnBodyTimeout();
  void OnSendTimeout();
  void OnRateTimer();

  Http2Connection& connection_;
  const int32_t id_;
  uint32_t abort_error_ = NGHTTP2_INTERNAL_ERROR;  // PROTOCOL_ERROR: the client was too slow
  std::array<char, 128> first_memory_;             // enough for a head of whoever sends little
  std::pmr::monotonic_buffer_resource memory_;
  proto::RequestHead head_;
  std::unique_ptr<Exchange> exchange_;

  // Of the request's body.
  proto::Framing framing_;
  proto::BodyCounter counter_;
  std::unique_ptr<Held> held_;  // null before anything has come that was not wanted yet
  uint64_t body_received_ = 0;
  Body body_ = Body::kDone;
  bool input_ended_ = false;
  bool delivering_ = false;
  bool window_is_open_ = false;
  bool expects_continue_ = false;
  bool body_is_refused_ = false;
  bool is_websocket_ = false;  // an extended CONNECT (RFC 8441)
  bool is_tunnel_ = false;

  // Of the response.
  OutputQueue body_out_;
  const proto::HeaderList* trailers_ = nullptr;
  Output output_ = Output::kHead;
  bool deferred_ = false;       // nghttp2 waits to hear of more
  bool awaits_window_ = false;  // for a moment
  bool is_impatient_ = false;   // has waited once in vain
  bool end_is_told_ = false;    // to nghttp2, beside the body
  bool is_piped_ = false;       // some of it has come through a pipe
  bool moved_ = false;          // some has been framed, or has nowhere to go, since OnWritten
  bool sent_all_ = false;       // to the END_STREAM
  bool refused_ = false;        // its head is none that this client may have
  bool is_reset_ = false;       // by the client
  bool blocked_ = false;
  bool finished_ = false;  // the exchange has nothing more to say
  bool over_ = false;
  uint64_t framed_to_ = 0;  // where its last frame ends in what the connection sends; if piped
  uint64_t bytes_sent_ = 0;
  uint64_t head_bytes_ = 0;

  std::unique_ptr<Timers> timers_;  // null before the first of them is armed: most never are
};

}  // namespace limpet::worker
