// The peers of a proxied exchange: the first, the next when one has failed, and waiting for one.
#include "worker/http/exchange/exchange.h"
#include "worker/http/proxy/peer_choice.h"
#include "worker/http/proxy/proxy_exchange.h"
#include "worker/http/proxy/proxy_headers.h"

namespace limpet::worker {

void ProxyExchange::FirstPeer() {
  UpstreamGroup& group = upstream_->group;
  const UpstreamTarget target = Target();
  target_.request_uri = UpstreamUri(exchange_.request(), target, exchange_.arena());
  const std::string_view written = pass().has_variables ? pass().url.source() : pass().uri;
  const std::string_view path = target_.request_uri.substr(0, target_.request_uri.find('?'));
  if (!target.uri.empty() && exchange_.IsUnsafe(path, written)) return Answer(404);
  std::string_view key;
  if (group.needs_key()) key = exchange_.Evaluate(group.conf().hash_key);
  group.Begin(selection_, key, exchange_.request().remote);
  first_started_ms_ = exchange_.runtime().loop.NowMs();  // a slow body takes no time from it
  selection_.LimitTries(location_->proxy.next_upstream_tries);
  session_.Find(upstream_->sticky.get());
  if (FailsMatch()) return;
  if (session_.waiting()) return Enter(ProxyState::kAsking);
  UseSession();
}

// Its answer may come while the body is read. The session has been looked for among the present
// peers, which may be others than those that the exchange began with.
void ProxyExchange::OnSessionKnown() {
  upstream_->group.Hold(selection_);
  if (state_ == ProxyState::kAsking) return UseSession();
  if (state_ != ProxyState::kConfirming) return;
  Enter(ProxyState::kTalking);
  StartBody();
  if (state_ == ProxyState::kTalking && request_.half() != Half::kDone) FlushRequest();
}

void ProxyExchange::UseSession() {
  if (BringsNoSession())
    session_.known()->leader = upstream_->first.Find(exchange_.client().number, *selection_.set,
                                                     exchange_.runtime().loop.NowMs());
  queued_ms_ = 0;
  // Requests already queued go first.
  if (upstream_->queue.size() > 0) upstream_->queue.GiveTurns();
  NextPeer();
}

bool ProxyExchange::BringsNoSession() const {
  return upstream_->first.on() && sticky_state().bound == nullptr;
}

void ProxyExchange::NextPeer() {
  Enter(ProxyState::kChoosing);
  request_.BeginAttempt();
  response_.BeginAttempt();
  RequestBody& body = exchange_.body();
  if (body.mode() == RequestBody::Mode::kStreamed) body.Pause(true);  // nobody takes it now
  const uint64_t now = exchange_.runtime().loop.NowMs();
  BeginAttempt(Choose(now), now);
}

PeerChoice ProxyExchange::Choose(uint64_t now) {
  if (StickyState* const session = session_.known())
    return ChoosePeer(*upstream_, selection_, *session, now);
  StickyState none;
  return ChoosePeer(*upstream_, selection_, none, now);
}

void ProxyExchange::BeginAttempt(const PeerChoice& choice, uint64_t now) {
  attempt_.Begin(choice.peer, now);
  switch (choice.kind) {
    case PeerChoice::Kind::kPeer:
      return UsePeer(*choice.peer);
    case PeerChoice::Kind::kWait:
      return WaitForPeer();
    case PeerChoice::Kind::kRefuse:
      return RefusePeers(choice.code, choice.by_policy);
  }
}

void ProxyExchange::UsePeer(Peer& peer) {
  session_.OnChosen(peer);
  if (BringsNoSession()) {
    if (first_ == nullptr) first_ = std::make_unique<FirstRequests::Member>();
    upstream_->first.Join(*first_, exchange_.client().number, peer, attempt_.started_ms());
  }
  exchange_.upstream_trace().Begin(peer.name).sticky = StickyWord();
  Connect();
}

// A request that has waited, and whose next attempt must wait, has what is left of its time.
void ProxyExchange::WaitForPeer() {
  const conf::Queue& queue = upstream_->group.conf().queue;
  if (queue.limit == 0) return RefusePeers(502, false);
  if (queued_ms_ == 0) queued_ms_ = attempt_.started_ms();
  if (QueueTimeLeft() == 0) return FailQueued("upstream queue timed out");
  queue_ticket_ = upstream_->queue.Join(Callback::To<&ProxyExchange::OnQueueTurn>(this));
  if (queue_ticket_ == 0) return FailQueued("upstream queue is full");
  upstream_->TellQueue();
  Enter(ProxyState::kQueued);
}

uint64_t ProxyExchange::QueueTimeLeft() const {
  const uint64_t until = queued_ms_ + Ms(upstream_->group.conf().queue.timeout);
  const uint64_t now = exchange_.runtime().loop.NowMs();
  return until > now ? until - now : 0;
}

void ProxyExchange::OnQueueTurn() {
  const uint64_t now = exchange_.runtime().loop.NowMs();
  const PeerChoice choice = Choose(now);
  if (choice.kind == PeerChoice::Kind::kWait) return;
  Enter(ProxyState::kChoosing);
  BeginAttempt(choice, now);
}

void ProxyExchange::FailQueued(std::string_view why) {
  LogUpstream(LogLevel::kError, fmt::format("{} while connecting to upstream", why), 0);
  UpstreamAttempt& attempt = exchange_.upstream_trace().Begin(upstream_->group.conf().name);
  attempt.status = 502;
  attempt.response_ms = 0;
  attempt.sticky = StickyWord();
  Answer(502);
}

void ProxyExchange::RefusePeers(int code, bool by_policy) {
  UpstreamAttempt& attempt = exchange_.upstream_trace().Begin(upstream_->group.conf().name);
  attempt.status = code;
  attempt.response_ms = 0;
  attempt.sticky = StickyWord();
  if (by_policy) {
    LogUpstream(LogLevel::kError,
                fmt::format("the session's server cannot take the request ({}) while connecting "
                            "to upstream",
                            Name(sticky_state().status)),
                0);
  } else {
    LogUpstream(LogLevel::kError, "no live upstreams while connecting to upstream", 0);
    const Runtime& runtime = exchange_.runtime();
    upstream_->OnNoLivePeers(runtime.counters, runtime.loop.NowMs());
  }
  Answer(code);
}

// Of this attempt, in the words of $upstream_sticky_status.
std::string_view ProxyExchange::StickyWord() const {
  if (upstream_->sticky == nullptr) return "";
  const StickyState& sticky = sticky_state();
  if (sticky.bound == nullptr) {
    const bool names_nobody = !sticky.id.empty() && !sticky.has_key;
    return names_nobody ? "MISS" : "NEW";
  }
  const Peer* const peer = attempt_.peer();
  return peer != nullptr && peer->server_id == sticky.bound->server_id ? "HIT" : "MISS";
}

}  // namespace limpet::worker
