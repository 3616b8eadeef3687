#include "worker/http/proxy/proxy_exchange.h"

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "base/prefetch.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/response_writer.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/net/failure_text.h"

namespace limpet::worker {
namespace {

// An error page is asked for by GET: what was sent with the request is of no use to it.
bool MayGoWithoutBody(const Request& request) {
  return request.method == proto::Method::kGet || request.method == proto::Method::kHead;
}

// nginx: what a network does is an error, all else (no such Unix socket, no right to it) is worse.
LogLevel LevelOf(int errnum) {
  switch (errnum) {
    case 0:
    case EAGAIN:
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENOTCONN:
    case EPIPE:
    case EPROTO:  // of TLS
    case ETIMEDOUT:
      return LogLevel::kError;
    default:
      return LogLevel::kCrit;
  }
}

// What has come of a request at an upstream, once its last attempt there is over. `peer`: of that
// attempt, or null. The time is that of all attempts there; of a tunnel it says nothing.
void CountRequest(Exchange& exchange, const UpstreamRuntime* upstream, const Peer* peer,
                  StickyStatus sticky) {
  if (upstream == nullptr || upstream->traffic == nullptr) return;
  const auto attempts = exchange.upstream_trace().attempts();
  if (attempts.empty()) return;
  // Else there has been none here: those of another group have been counted.
  const char* const asked =
      peer != nullptr ? peer->name.data() : upstream->group.conf().name.data();
  if (attempts.back().peer.data() != asked) return;
  const int status = attempts.back().status;
  int64_t took_ms = 0;
  for (size_t i = attempts.size(); i-- > 0;) {
    took_ms += std::max<int64_t>(attempts[i].response_ms, 0);
    if (attempts[i].after_redirect) break;
  }
  upstream->traffic->Add(static_cast<size_t>(sticky), status, status == 101 ? -1 : took_ms);
}

}  // namespace

ProxyExchange::ProxyExchange(Exchange& exchange)
    : exchange_(exchange),
      session_(exchange.runtime().loop, exchange,
               Callback::To<&ProxyExchange::OnSessionKnown>(this)),
      request_(exchange.runtime().blocks),
      response_(exchange.runtime().response_parsers),
      deadline_(exchange.runtime().loop, timers_, Callback::To<&ProxyExchange::OnTimer>(this)),
      pace_(exchange.runtime().loop, timers_, Callback::To<&ProxyExchange::UpdateReading>(this),
            Callback::To<&ProxyExchange::OnClientStaysBlocked>(this)) {}

ProxyExchange::~ProxyExchange() { Stop(); }

void ProxyExchange::Start(const conf::Location& location) {
  CountRequest(exchange_, upstream_, attempt_.peer(), sticky_state().status);
  attempt_.Forget();  // that of another location, which has sent the request here
  location_ = &location;
  Enter(ProxyState::kFinding);
  response_.BeginOther();
  session_.End();
  target_ = {};
  buffering_ = location.proxy.buffering;
  if (FindUpstream()) ReadBodyOrGo();
}

void ProxyExchange::ReadBodyOrGo() {
  const Request& request = exchange_.request();
  RequestBody& body = exchange_.body();
  if (!body.whole() && !MayGoWithoutBody(request)) return FailWithoutBody();
  request_.Plan(BodyPlan());
  Enter(ProxyState::kReadingBody);
  if (request_.streams() || !body.whole()) return FirstPeer();
  const bool has_body = request.framing.kind != proto::BodyKind::kNone;
  if (has_body && !body.complete()) FindSessionEarly();
  body.Start(RequestBody::Mode::kBuffered, this);
}

UpstreamRequest::Body ProxyExchange::BodyPlan() const {
  const conf::ProxySettings& proxy = location_->proxy;
  const proto::BodyKind kind = exchange_.request().framing.kind;
  const bool streams = kind != proto::BodyKind::kNone && !proxy.request_buffering && PassesBody() &&
                       exchange_.body().mode() == RequestBody::Mode::kIdle;
  if (!streams) return UpstreamRequest::Body::kWhole;
  if (kind != proto::BodyKind::kChunked) return UpstreamRequest::Body::kStreamed;
  // HTTP/1.0 has no chunks: the length must be known before the request goes out.
  return proxy.http_version >= 11 ? UpstreamRequest::Body::kChunked : UpstreamRequest::Body::kWhole;
}

// Another location has passed the body on already, and this one is to answer instead.
void ProxyExchange::FailWithoutBody() {
  const int error = exchange_.error_status();
  exchange_.Log(LogLevel::kError, "the request body is gone and cannot be sent to upstream");
  if (error <= 0) return Answer(502);
  Enter(ProxyState::kIdle);
  GiveStickyCookie();
  exchange_.FinishWithOwnPage(error);  // its page cannot be had: to ask again ends the same way
}

// A body may take longer than its session would live without it. What reads the body is evaluated
// anew when it is here.
void ProxyExchange::FindSessionEarly() {
  if (upstream_->sticky == nullptr) return;
  upstream_->group.Begin(selection_, {}, exchange_.request().remote);  // keeps its peers
  VariableCache& variables = exchange_.variables();
  const size_t known = variables.count();
  session_.Find(upstream_->sticky.get());
  variables.ForgetSince(known);
}

void ProxyExchange::Answer(int status) {
  Enter(ProxyState::kIdle);
  GiveStickyCookie();
  exchange_.Finish(status);
}

bool ProxyExchange::FailsMatch() {
  if (!exchange_.match_failed()) return false;
  End(Outcome::kOk);
  return exchange_.AnswersFailedMatch();
}

void ProxyExchange::OnWritable() { FlushRequest(); }

void ProxyExchange::Fetch() const {
  Prefetch(this);
  Prefetch(&exchange_);
}

void ProxyExchange::OnReadable() {
  if (RowOf(state_).drops_peer()) return DropInput();
  if (!RowOf(state_).reads_peer()) return;
  if (response_.half() == Half::kHead) return ReadHead();
  ReadBody();
}

size_t ProxyExchange::ReadInto(std::span<char> room) {
  Transport& transport = *attempt_.transport();
  size_t n = 0;
  switch (transport.Read(room.data(), room.size(), &n)) {
    case Io::kOk:
      exchange_.upstream_trace().last().bytes_received += n;
      return n;
    case Io::kWouldBlock:
      break;
    case Io::kEof:
      OnPeerEof();
      break;
    case Io::kError:
      OnReadError();
      break;
  }
  return 0;
}

void ProxyExchange::OnReadError() {
  const std::string what = ReadFailure(*attempt_.transport());
  if (response_.half() == Half::kHead) return Fail(kConnectionFailed, what, 0);
  LogUpstream(LogLevel::kError, fmt::format("{}{}", what, Doing()), 0);
  BreakResponse();
}

bool ProxyExchange::OnClientGone() {
  // Nobody empties it any more. What the client may still take of it, its queue holds.
  pipe_.reset();
  if (RowOf(state_).drops_peer()) return false;  // it has ended before
  return RowOf(state_).ends_with_client() || !location_->proxy.ignore_client_abort;
}

void ProxyExchange::EndAttempt(Outcome outcome) {
  if (first_ != nullptr) first_->Leave();
  if (selection_.current != nullptr) AccountFor(outcome);
  attempt_.End(upstream_ != nullptr ? &upstream_->pool : nullptr, location_);
  request_.EndAttempt();
}

void ProxyExchange::AccountFor(Outcome outcome) {
  if (response_.answer() == UpstreamResponse::Answer::kUsed) {
    response_.EndAttempt();
    session_.OnResponseEnd(*attempt_.peer());
  }
  const uint64_t now = exchange_.runtime().loop.NowMs();
  UpstreamAttempt& attempt = exchange_.upstream_trace().last();
  attempt.response_ms = ElapsedMs();
  attempt.bytes_sent = request_.bytes_sent();
  upstream_->queue.Wake();
  const AttemptResult result{.header_ms = attempt.header_ms,
                             .response_ms = attempt.response_ms,
                             .status = attempt.header_ms >= 0 ? attempt.status : 0,
                             .sent = attempt.bytes_sent,
                             .received = attempt.bytes_received};
  if (upstream_->group.Done(selection_, outcome, now, result)) {
    LogUpstream(LogLevel::kWarn, fmt::format("upstream server temporarily disabled{}", Doing()), 0);
  }
}

void ProxyExchange::End(Outcome outcome) {
  EndAttempt(outcome);
  Enter(ProxyState::kIdle);
}

AttemptFacts ProxyExchange::Facts() const {
  const conf::ProxySettings& proxy = location_->proxy;
  const uint64_t elapsed = exchange_.runtime().loop.NowMs() - first_started_ms_;
  AttemptFacts facts;
  facts.request_sent = request_.bytes_sent() > 0;
  facts.body_dropped = request_.streams() && !exchange_.body().whole();
  facts.response_started = exchange_.writer().head_sent();
  facts.idempotent = IsIdempotent(exchange_.request().method);
  facts.tries_left = selection_.tries;
  facts.time_left = proxy.next_upstream_timeout.count() == 0 ||
                    elapsed < static_cast<uint64_t>(proxy.next_upstream_timeout.count());
  return facts;
}

void ProxyExchange::Fail(const Failure& failure, std::string_view what, int errnum) {
  const bool says_when = what.find(" while ") != std::string_view::npos;
  const std::string line = fmt::format("{}{}", what, says_when ? "" : Doing());
  // nginx tells of a timeout after what followed from it, of all else before.
  const bool timed_out = failure.condition == conf::kNextTimeout;
  if (!timed_out) LogUpstream(LevelOf(errnum), line, errnum);
  exchange_.upstream_trace().last().status = failure.status;
  // A kept connection that was closed before it answered says nothing about the peer: once more,
  // over a new one, there first of all where the session lives.
  const bool stale = attempt_.from_pool() && failure.condition == conf::kNextError &&
                     response_.half() == Half::kHead && response_.received() == 0;
  const AttemptFacts before = Facts();
  EndAttempt(stale ? Outcome::kStale : Outcome::kFailed);
  if (stale && before.request_sent) attempt_.DistrustKept();
  if (timed_out) LogUpstream(LogLevel::kError, line, errnum);
  AttemptFacts facts = before;
  facts.tries_left = selection_.tries;
  if (MayTryNext(failure.condition, facts, location_->proxy.next_upstream)) return NextPeer();
  Answer(failure.status);
}

void ProxyExchange::Stop() {
  if (state_ != ProxyState::kIdle) End(Outcome::kOk);
}

void ProxyExchange::Reset() {
  Stop();
  CountRequest(exchange_, upstream_, attempt_.peer(), sticky_state().status);
  session_.End();
  attempt_.Forget();
  upstream_ = nullptr;
  selection_.LetGo();
  if (by_name_ != nullptr) by_name_->held.clear();
  target_ = {};  // views of this exchange's memory
  request_.Reset();
  response_.Reset();
  spool_.Reset();
  cannot_spool_ = false;
  ReturnPipe();
  assert(quiet());
}

bool ProxyExchange::quiet() const {
  const bool is_named =
      by_name_ != nullptr && (by_name_->lookup.waiting() || !by_name_->held.empty());
  const bool watches_drain = drain_end_ != nullptr && drain_end_->watching();
  return state_ == ProxyState::kIdle && !timers_.armed() && !watches_drain && session_.quiet() &&
         !is_named && queue_ticket_ == 0 && attempt_.transport() == nullptr &&
         selection_.current == nullptr && !selection_.set &&
         (first_ == nullptr || !first_->joined()) && pipe_ == nullptr && request_.quiet();
}

int64_t ProxyExchange::ElapsedMs() const {
  return attempt_.ElapsedMs(exchange_.runtime().loop.NowMs());
}

std::string_view ProxyExchange::Doing() const {
  if (state_ == ProxyState::kTunnel) return " while proxying upgraded connection";
  if (state_ != ProxyState::kTalking) return " while connecting to upstream";
  if (response_.half() == Half::kBody) return " while reading upstream";
  return request_.half() != Half::kDone ? " while sending request to upstream"
                                        : " while reading response header from upstream";
}

std::string ProxyExchange::LoggedUrl() const {
  if (upstream_ == nullptr || target_.request_uri.empty()) return {};
  const Peer* const peer = attempt_.peer();
  const std::string& name = peer != nullptr ? peer->name : upstream_->group.conf().name;
  const std::string_view separator = name.starts_with("unix:") ? ":" : "";
  return fmt::format("{}://{}{}{}", target_.https ? "https" : "http", name, separator,
                     target_.request_uri);
}

void ProxyExchange::LogUpstream(LogLevel level, std::string_view what, int errnum) const {
  if (!exchange_.LogEnabled(level)) return;
  if (errnum == 0) return exchange_.Log(level, what);
  const size_t when = std::min(what.find(" while "), what.size());
  exchange_.Log(level,
                fmt::format("{}{}{}", what.substr(0, when), ErrnoText(errnum), what.substr(when)));
}

}  // namespace limpet::worker
