// The upstream side of an exchange: chooses a peer, sends the request, reads the response, and asks
// another peer when one has failed and nothing has reached the client yet. One per exchange that
// proxies; reused with it.
//
// Two halves run side by side, each from head to body to done: the request towards the peer and the
// response from it. An early response leaves the request half behind; a tunnel has both in `body`
// until one side closes.
//
// Where it is, is a row of proxy_states.h, and Enter the one door: no timer is armed and no reading
// of the peer changed but by Enter, and by Watch and UpdateReading for the row that is entered.
// What it holds belongs to a state, to an attempt or to the request, and each has one place that
// lets go of it: Enter, EndAttempt and Reset. Nothing may call back into an attempt that is over;
// quiet() says that nothing can. It ends in one direction: the attempt, the state, and then, as the
// last thing that is done, the exchange.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "conf/config.h"
#include "proto/http1/chunked.h"
#include "proto/http1/framing.h"
#include "proto/http1/response_parser.h"
#include "proto/websocket.h"
#include "worker/http/endless.h"
#include "worker/http/next_upstream.h"
#include "worker/http/proxy_states.h"
#include "worker/http/request_body.h"
#include "worker/http/spool_file.h"
#include "worker/net/output_queue.h"
#include "worker/net/splice_pipe.h"
#include "worker/net/transport.h"
#include "worker/sticky/session_hold.h"
#include "worker/upstream/peer_selection.h"
#include "worker/upstream/pool.h"
#include "worker/upstream/resolver.h"
#include "worker/upstream/upstream_group.h"

namespace limpet::worker {

class Exchange;
class UrlGroup;
struct PeerChoice;
struct UpstreamTarget;
class UpstreamRuntime;

class ProxyExchange final : public TransportHandler, public RequestBodySink {
 public:
  explicit ProxyExchange(Exchange& exchange);
  ~ProxyExchange();
  ProxyExchange(const ProxyExchange&) = delete;
  ProxyExchange& operator=(const ProxyExchange&) = delete;

  // Reads the body as the location says and sends the request; ends by the exchange's Finish,
  // Complete or Abandon.
  void Start(const conf::Location& location);
  // The exchange ends or goes elsewhere: nothing is heard of this attempt any more. The session is
  // held until Reset: the client may still be reading.
  void Stop();
  // What the client was sent has left our queue.
  void OnClientDrained();
  // The client has closed; true if the exchange is to be abandoned.
  bool OnClientGone();
  void Reset();        // with the exchange
  bool quiet() const;  // nothing is under way, and nothing is held

  // For variables and headers.
  const proto::ResponseHead* upstream_head() const {
    return answer_ != Answer::kNone ? &parser_.head() : nullptr;
  }
  const proto::HeaderList* upstream_trailers() const {
    return decoder_.done() ? &decoder_.trailers() : nullptr;
  }
  std::string_view proxy_host() const { return proxy_host_; }
  std::string_view proxy_port() const { return proxy_port_; }
  const StickyState& sticky_state() const { return session_.state(); }
  const Peer* peer() const { return peer_; }
  // The URL that is asked for, for error lines: of the peer, or of the group while none could be
  // had; "" before that.
  std::string LoggedUrl() const;

 private:
  // TransportHandler
  void OnReady(int errnum) override;
  void OnReadable() override;
  void OnWritable() override;
  // RequestBodySink
  void OnBodyReady() override;
  void OnBodyPiece(Slice piece) override;
  void OnBodyPause() override;

  // The doors.
  void Enter(ProxyState next);
  void Enter(Half* half, Half next);
  void LeaveState();
  void Watch();  // starts the deadline of what is awaited now
  ProxyClock Clock() const;
  void UpdateReading();  // anew: whether the client and the rate let us read
  void OnClientStaysBlocked();
  void OnTimer();
  uint64_t QueueTimeLeft() const;
  bool ClientIsFull() const;

  const conf::ProxyPass& pass() const { return location_->proxy.pass; }
  void UseGroup(std::shared_ptr<UrlGroup> group);
  bool FindUpstream();  // false: the exchange has ended, or a name is being resolved
  bool Resolve(std::string_view host);
  void OnResolved();
  bool UseResolved();
  [[gnu::cold]] void FailResolving(std::string_view host, ResolveError error);
  void ReadBodyOrGo();
  void FindSessionEarly();
  [[gnu::cold]] void FailWithoutBody();
  void FirstPeer();
  void NextPeer();
  void BeginAttempt(const PeerChoice& choice);
  void UsePeer(Peer& peer);
  void WaitForPeer();
  void OnQueueTurn();
  [[gnu::cold]] void FailQueued(std::string_view why);
  void RefusePeers(int code, bool by_policy);
  std::string_view StickyWord() const;
  void Connect();
  [[gnu::cold]] void RefuseConnection();
  [[gnu::cold]] void FailAtHome();
  void OnConnected();
  bool QueueHead();  // false: the exchange has ended
  void QueueBody();
  bool SendsBody() const;  // which has been read
  void RefuseRequest(std::string_view unfit);
  void QueueChunk();
  void QueuePiece(const Slice& piece);
  void FlushRequest();
  void ReadHead();
  void ParseHead();
  bool ReadMore(
      size_t limit,
      size_t* n);  // into block_, behind filled_; false: nothing now, or the attempt has failed
  void OnHead();
  void RefuseTunnel();
  bool TryOtherPeerForStatus();
  bool HandleAccelHeaders();
  void FollowAccelRedirect(std::string_view value);
  void KeepDeclaredLength();
  uint64_t RateBudget();
  bool Intercept();
  void GiveStickyCookie();
  void EnterSession();
  void StartTunnel();
  void StartBody();
  bool IsStream() const;
  void OnDrainOver();
  bool LeaveTunnel(std::string_view bytes);
  void EndTunnel();
  void ReadBody();
  void MakeRoom(BlockSize size);
  void PassOn();
  bool CanSpool() const;  // what a slow client does not take may wait in a file
  bool SpliceBody();
  void ReturnPipe();
  void OnBodyBytes(std::string_view bytes);
  void ForwardBody(std::string_view bytes);
  void OnPeerEof();
  void FinishResponse();
  [[gnu::cold]] void BreakResponse(std::string_view why);  // the body cannot be completed any more
  void EndAttempt(Outcome outcome, bool keep = false);
  void AccountFor(Outcome outcome);
  void End(Outcome outcome, bool keep = false);  // of the attempt and of all: kIdle
  [[gnu::cold]] void Fail(const Failure& failure, std::string_view what, int errnum);
  [[gnu::cold]] void FailWithoutPeer(int status);
  bool FailsMatch();  // a regular expression has failed: nothing is sent, 500 is the answer
  AttemptFacts Facts() const;
  int64_t ElapsedMs() const;       // since this attempt began
  std::string_view Doing() const;  // for error lines: " while connecting to upstream" and so on
  UpstreamTarget Target() const;
  // `what` may say " while …"; the error's text goes before that.
  [[gnu::cold]] void LogUpstream(LogLevel level, std::string_view what, int errnum) const;

  Exchange& exchange_;
  const conf::Location* location_ = nullptr;
  UpstreamRuntime* upstream_ = nullptr;
  Lookup lookup_;
  std::vector<std::shared_ptr<UrlGroup>> held_;  // whose peers this exchange and its log line name
  ProxyState state_ = ProxyState::kIdle;
  Half request_half_ = Half::kHead;
  Half response_half_ = Half::kHead;

  // The peer and the connection to it.
  PeerSelection selection_;
  Peer* peer_ = nullptr;
  SessionHold session_;
  std::string_view sticky_cookie_;
  PooledConnection connection_;
  bool https_ = false;          // TLS to the peer
  bool from_pool_ = false;      // the connection was kept: it may have been closed under us
  bool keep_upstream_ = false;  // we asked the peer to keep it
  uint64_t queue_ticket_ = 0;   // our place in the upstream's queue; 0: none
  uint64_t queued_ms_ = 0;      // since when
  uint64_t attempt_started_ms_ = 0;
  uint64_t first_started_ms_ = 0;

  // Towards the peer.
  OutputQueue out_;
  std::vector<Slice> pieces_;  // streamed without a known length: they become one chunk
  SliceJoiner joiner_;
  bool streamed_ = false;       // the body is passed on as it comes
  bool chunk_body_ = false;     // streamed, without a known length
  bool body_dropped_ = false;   // streamed bytes are gone
  bool body_complete_ = false;  // nothing will be added to out_ any more
  uint64_t out_before_ = 0;
  std::string_view proxy_host_, proxy_port_, evaluated_uri_, request_uri_;
  proto::Method upstream_method_ = proto::Method::kGet;
  std::string target_storage_;

  // From the peer.
  proto::ResponseParser parser_;
  proto::ChunkedDecoder decoder_;
  proto::Framing framing_;
  BlockRef block_;  // being read into
  size_t filled_ = 0;
  size_t head_start_ = 0;  // behind interim heads
  BlockRef head_block_;    // holds the head's bytes while the exchange lives
  enum class Answer : uint8_t {
    kNone,
    kHead,  // it has a head
    kUsed   // which is the one to use: no other peer is asked
  } answer_ = Answer::kNone;
  uint64_t remaining_ = 0;  // of a body with a length
  uint64_t received_ = 0;   // bytes of this response, for proxy_limit_rate
  uint64_t limit_rate_ = 0;
  uint64_t body_started_ms_ = 0;
  bool paused_ = false;  // not reading: the client is slow, or the rate is limited
  bool buffering_ = true;
  SpoolFile spool_;
  std::unique_ptr<SplicePipe> pipe_;  // what is left of a long body goes through it
  TimerGroup attempt_timers_;
  Timer deadline_;
  Timer rate_;
  Timer patience_;  // how long the peer waits for a client that takes nothing, before its bytes are
                    // spooled
  bool client_is_slow_ = false;  // longer than that

  // Of a tunnel or stream.
  EndlessExchanges::Member endless_;
  proto::WebSocketFrames frames_;  // towards the client
  bool is_websocket_ = false;
  int looks_since_drained_ = 0;  // 0: the server's drain is not over
};

}  // namespace limpet::worker
