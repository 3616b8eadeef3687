// The upstream side of an exchange: chooses a peer, sends the request, reads the response, and asks
// another peer when one has failed and nothing has reached the client yet. One per exchange that
// proxies; reused with it.
//
// Two halves run side by side, each from head to body to done: the request towards the peer and the
// response from it. An early response leaves the request half behind. A tunnel ends when one side
// has ended its direction and the other has been given all of it; a reset of the peer's ends it at
// once. A peer is told of the client's end, and has a while to end, too.
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
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "conf/config.h"
#include "worker/http/exchange/request_body.h"
#include "worker/http/exchange/spool_file.h"
#include "worker/http/proxy/drain_end.h"
#include "worker/http/proxy/next_upstream.h"
#include "worker/http/proxy/proxy_attempt.h"
#include "worker/http/proxy/proxy_states.h"
#include "worker/http/proxy/response_pace.h"
#include "worker/http/proxy/upstream_request.h"
#include "worker/http/proxy/upstream_response.h"
#include "worker/net/splice_pipe.h"
#include "worker/net/transport.h"
#include "worker/sticky/first_requests.h"
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

// What proxy_pass says of one request.
struct ProxyTarget {
  std::string_view host, port;
  std::string_view request_uri;  // the request line's; "" before it is known
  proto::Method method = proto::Method::kGet;
  bool https = false;
};

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
  // It takes less than there is: what comes now may have to wait in a file.
  void OnClientBehind();
  // The client has closed; true if the exchange is to be abandoned.
  bool OnClientGone();
  void Reset();        // with the exchange
  bool quiet() const;  // nothing is under way, and nothing is held

  ProxyState state() const { return state_; }
  ProxyClock clock() const;  // which deadline runs

  // For variables and headers.
  const proto::ResponseHead* upstream_head() const {
    return response_.answer() != UpstreamResponse::Answer::kNone ? &response_.head() : nullptr;
  }
  const proto::HeaderList* upstream_trailers() const { return response_.trailers(); }
  std::string_view proxy_host() const { return target_.host; }
  std::string_view proxy_port() const { return target_.port; }
  const StickyState& sticky_state() const { return session_.state(); }
  const Peer* peer() const { return attempt_.peer(); }
  // The URL that is asked for, for error lines: of the peer, or of the group while none could be
  // had; "" before that.
  std::string LoggedUrl() const;

 private:
  // Of a URL with variables: what it says, the name it may have to look up, and whose peers this
  // exchange and its log line name.
  struct ByName {
    explicit ByName(ProxyExchange* proxy)
        : lookup(Callback::To<&ProxyExchange::OnResolved>(proxy)) {}

    std::string_view url;  // evaluated
    std::string_view uri;  // of it; "" if it has none
    Lookup lookup;
    std::vector<std::shared_ptr<UrlGroup>> held;
  };

  // TransportHandler
  void OnReady(int errnum) override;
  void OnReadable() override;
  void OnWritable() override;
  void OnPlaceNeeded() override;
  void Fetch() const override;
  // RequestBodySink
  void OnBodyReady() override;
  void OnBodyPiece(Slice piece) override;
  void OnBodyPause() override;

  // The doors.
  void Enter(ProxyState next);
  void LeaveState();
  void Watch();          // starts the deadline of what is awaited now
  void UpdateReading();  // anew: whether the client and the rate let us read
  void OnClientStaysBlocked();
  void OnTimer();
  uint64_t QueueTimeLeft() const;
  bool ClientIsFull() const;
  bool ClientIsBehind() const;

  const conf::ProxyPass& pass() const { return location_->proxy.pass; }
  void UseGroup(std::shared_ptr<UrlGroup> group);
  bool FindUpstream();  // false: the exchange has ended, or a name is being resolved
  bool Resolve(std::string_view host);
  ByName& NeedByName();
  void OnResolved();
  bool UseResolved();
  [[gnu::cold]] void FailResolving(std::string_view host, ResolveError error);
  void ReadBodyOrGo();
  UpstreamRequest::Body BodyPlan() const;
  void FindSessionEarly();
  [[gnu::cold]] void FailWithoutBody();
  void FirstPeer();
  void OnSessionKnown();
  void UseSession();
  bool BringsNoSession() const;  // and follows the first request of its connection
  void NextPeer();
  PeerChoice Choose(uint64_t now);
  void BeginAttempt(const PeerChoice& choice, uint64_t now);
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
  void QueueStreamedBody();
  bool PassesBody() const;  // the client's, and no other
  bool SendsBody() const;   // which has been read
  void RefuseRequest(std::string_view unfit);
  void FlushRequest();
  void ReadHead();
  size_t MostWithHead(size_t room) const;
  void ParseHead();
  size_t ReadInto(std::span<char> room);  // 0: nothing now, or the attempt has ended
  [[gnu::cold]] void OnReadError();
  void OnHead();
  void RefuseTunnel();
  bool TryOtherPeerForStatus();
  void KeepIfEmpty();
  void HeedAccelHeaders();
  bool FollowsAccelRedirect();
  void FollowAccelRedirect(std::string_view value);
  void KeepDeclaredLength();
  bool Intercept();
  void GiveStickyCookie();
  void EnterSession();
  bool AwaitsConfirmation();
  void StartTunnel();
  void StartBody();
  void ReadOn();
  bool IsStream() const;
  void WatchDrain(DrainEnd::Kind kind);
  void OnDrainOver();
  void EndTunnel();
  void LingerForPeer();
  void DropInput();
  void ReadBody();
  void PassOn();
  bool MaySpool() const;
  bool CanSpool() const;               // what a slow client does not take may wait in a file
  bool Spool(std::string_view bytes);  // false: not into the file
  bool MaySplice() const;
  bool SpliceBody();
  BlockSize BlockForBody() const;
  bool BothAreFast() const;
  uint64_t BodyReceived() const;  // bytes; only they count against proxy_limit_rate
  void OnExcess();
  void ReturnPipe();
  void OnBodyBytes(std::string_view bytes);
  std::optional<size_t> LastBytes(std::string_view bytes);
  void ForwardBody(std::string_view bytes);
  void OnPeerEof();
  void FinishResponse();
  [[gnu::cold]] void BreakResponse();  // the body cannot be completed any more
  void EndAttempt(Outcome outcome);
  void AccountFor(Outcome outcome);
  void End(Outcome outcome);  // of the attempt, and of all that is under way
  [[gnu::cold]] void Fail(const Failure& failure, std::string_view what, int errnum);
  [[gnu::cold]] void Answer(int status);  // no attempt is under way, and none follows
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

  // Where the request goes.
  ProxyTarget target_;
  std::unique_ptr<ByName> by_name_;  // null before the first URL with variables
  PeerSelection selection_;
  SessionHold session_;
  std::unique_ptr<FirstRequests::Member> first_;  // null before the first that others may follow
  uint64_t queue_ticket_ = 0;                     // our place in the upstream's queue; 0: none
  uint64_t queued_ms_ = 0;                        // since when
  uint64_t first_started_ms_ = 0;

  ProxyAttempt attempt_;
  UpstreamRequest request_;
  UpstreamResponse response_;

  // The response's body on its way to the client.
  SpoolFile spool_;
  std::unique_ptr<SplicePipe> pipe_;     // what is left of a long body goes through it
  std::unique_ptr<DrainEnd> drain_end_;  // null before the first of what has no end

  TimerGroup timers_;
  Timer deadline_;
  ResponsePace pace_;
  ProxyState state_ = ProxyState::kIdle;
  bool buffering_ = true;
  bool cannot_spool_ = false;  // the disk of spool_ has failed
};

}  // namespace limpet::worker
