#include "worker/http/proxy_exchange.h"

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "worker/http/exchange.h"
#include "worker/http/response_writer.h"
#include "worker/http/upstream_lookup.h"
#include "worker/http/upstream_runtime.h"
#include "worker/http/upstream_tls.h"

namespace limpet::worker {
namespace {

// An error page is asked for by GET: what was sent with the request is of no use to it.
bool MayGoWithoutBody(const Request& request) {
  return request.method == proto::Method::kGet || request.method == proto::Method::kHead;
}

}  // namespace

ProxyExchange::ProxyExchange(Exchange& exchange)
    : exchange_(exchange),
      lookup_(Callback::To<&ProxyExchange::OnResolved>(this)),
      session_(exchange.runtime().loop, exchange),
      out_(exchange.runtime().blocks),
      deadline_(exchange.runtime().loop, attempt_timers_,
                Callback::To<&ProxyExchange::OnTimer>(this)),
      rate_(exchange.runtime().loop, attempt_timers_,
            Callback::To<&ProxyExchange::UpdateReading>(this)),
      patience_(exchange.runtime().loop, attempt_timers_,
                Callback::To<&ProxyExchange::OnClientStaysBlocked>(this)),
      endless_(Callback::To<&ProxyExchange::OnDrainOver>(this)) {}

ProxyExchange::~ProxyExchange() { Stop(); }

void ProxyExchange::Start(const conf::Location& location) {
  location_ = &location;
  Enter(ProxyState::kFinding);
  Enter(&request_half_, Half::kHead);
  Enter(&response_half_, Half::kHead);
  body_dropped_ = false;
  answer_ = Answer::kNone;
  decoder_.Reset();
  session_.End();
  sticky_cookie_ = {};
  evaluated_uri_ = request_uri_ = {};
  buffering_ = location.proxy.buffering;
  if (FindUpstream()) ReadBodyOrGo();
}

void ProxyExchange::ReadBodyOrGo() {
  const conf::Location& location = *location_;
  first_started_ms_ = exchange_.runtime().loop.NowMs();

  const Request& request = exchange_.request();
  RequestBody& body = exchange_.body();
  if (!body.whole() && !MayGoWithoutBody(request)) return FailWithoutBody();
  const bool has_body = request.framing.kind != proto::BodyKind::kNone;
  streamed_ = has_body && !location.proxy.request_buffering && location.proxy.pass_request_body &&
              !location.proxy.set_body && body.mode() == RequestBody::Mode::kIdle;
  // HTTP/1.0 has no chunks: the length must be known before the request goes out.
  if (request.framing.kind == proto::BodyKind::kChunked && location.proxy.http_version < 11)
    streamed_ = false;
  chunk_body_ = streamed_ && request.framing.kind == proto::BodyKind::kChunked;
  Enter(ProxyState::kReadingBody);
  if (streamed_ || !body.whole()) return FirstPeer();
  if (has_body && !body.complete()) FindSessionEarly();
  body.Start(RequestBody::Mode::kBuffered, this);
}

// Another location has passed the body on already, and this one is to answer instead.
void ProxyExchange::FailWithoutBody() {
  const int error = exchange_.error_status();
  exchange_.Log(LogLevel::kError, "the request body is gone and cannot be sent to upstream");
  FailWithoutPeer(error > 0 ? error : 502);
}

// A body may take longer than its session would live without it. What reads the body is evaluated
// anew when it is here.
void ProxyExchange::FindSessionEarly() {
  if (upstream_->sticky == nullptr) return;
  upstream_->group.Begin(selection_, {},
                         &exchange_.request().remote);  // keeps the peers that are looked at
  VariableCache& variables = exchange_.variables();
  const size_t known = variables.count();
  session_.Find(upstream_->sticky.get());
  variables.ForgetSince(known);
}

bool ProxyExchange::FindUpstream() {
  const conf::ProxyPass& pass = location_->proxy.pass;
  Runtime& runtime = exchange_.runtime();
  if (!pass.has_variables) {
    upstream_ = runtime.upstreams[static_cast<size_t>(pass.upstream)].get();
    proxy_host_ = pass.host_header;
    proxy_port_ = pass.port;
    https_ = pass.https;
    return true;
  }
  target_storage_ = exchange_.Evaluate(pass.url);
  if (FailsMatch()) return false;
  ProxyUrl url;
  if (!ParseProxyUrl(target_storage_, &url)) {
    exchange_.Log(LogLevel::kError, fmt::format("invalid URL prefix in \"{}\"", target_storage_));
    FailWithoutPeer(500);
    return false;
  }
  proxy_host_ = url.host_header;
  proxy_port_ = url.port;
  https_ = url.https;
  evaluated_uri_ = url.uri;
  upstream_ = FindUpstreamBlock(runtime, url);
  if (upstream_ != nullptr) return true;
  if (auto group = FindAddressGroup(runtime, url)) {
    UseGroup(std::move(group));
    return true;
  }
  if (PortOf(url)) return Resolve(url.host);
  exchange_.Log(LogLevel::kError, fmt::format("invalid port in upstream \"{}\"", url.host_header));
  FailWithoutPeer(500);
  return false;
}

bool ProxyExchange::Resolve(std::string_view host) {
  Resolver* const resolver = FindResolver(exchange_.runtime(), *location_);
  if (resolver == nullptr) {
    exchange_.Log(LogLevel::kError, fmt::format("no resolver defined to resolve {}", host));
    FailWithoutPeer(502);
    return false;
  }
  if (lookup_.Start(*resolver, host)) return UseResolved();
  Enter(ProxyState::kResolving);
  return false;
}

void ProxyExchange::OnResolved() {
  if (UseResolved()) ReadBodyOrGo();
}

bool ProxyExchange::UseResolved() {
  ProxyUrl url;
  ParseProxyUrl(target_storage_, &url);
  const ResolveAnswer& answer = lookup_.answer();
  if (answer.error != ResolveError::kNone) {
    FailResolving(url.host, answer.error);
    return false;
  }
  UseGroup(FindResolvedGroup(exchange_.runtime(), url, answer));
  return true;
}

void ProxyExchange::UseGroup(std::shared_ptr<UrlGroup> group) {
  upstream_ = &group->upstream();
  held_.push_back(std::move(group));
}

void ProxyExchange::FailResolving(std::string_view host, ResolveError error) {
  exchange_.Log(LogLevel::kError, fmt::format("{} could not be resolved ({}: {})", host,
                                              static_cast<int>(error), Name(error)));
  FailWithoutPeer(502);
}

void ProxyExchange::FailWithoutPeer(int status) {
  Enter(ProxyState::kIdle);
  GiveStickyCookie();
  exchange_.Finish(status);
}

bool ProxyExchange::FailsMatch() {
  if (!exchange_.match_failed()) return false;
  End(Outcome::kOk);
  return exchange_.AnswersFailedMatch();
}

void ProxyExchange::Connect() {
  Runtime& runtime = exchange_.runtime();
  TlsTarget tls;
  if (https_) {
    tls = MakeTlsTarget(exchange_, proxy_host_, *peer_);
    if (tls.context == nullptr) return FailAtHome();
  }
  connection_ = upstream_->pool.Take(*peer_, location_, tls.scope);
  from_pool_ = connection_.transport != nullptr;
  out_before_ = out_.sent();
  if (from_pool_) {
    connection_.transport->set_handler(this);
    return OnConnected();
  }
  if (!runtime.loop.places().MakeRoom()) return RefuseConnection();
  ConnectOptions options;
  options.keepalive = location_->proxy.socket_keepalive;
  SocketAddress bind_address;
  if (!ChooseBindAddress(exchange_, location_->proxy, &bind_address, &options)) return FailAtHome();
  const auto await = [&](auto connecting) {
    if (connecting.transport == nullptr) {
      const std::string what = fmt::format("{} failed", connecting.what);
      if (!connecting.ours) return Fail(kConnectionFailed, what, connecting.errnum);
      LogUpstream(LogLevel::kAlert, fmt::format("{}{}", what, Doing()), connecting.errnum);
      return FailAtHome();
    }
    connection_.transport = std::move(connecting.transport);
    connection_.created_ms = runtime.loop.NowMs();
    connecting.errnum == 0 ? OnConnected() : Enter(ProxyState::kConnecting);
  };
  if (!https_) return await(PlainTransport::Connect(runtime.loop, peer_->address, options, this));
  if (!ChooseClientCertificate(exchange_, &tls)) return FailAtHome();
  connection_.scope = tls.scope;
  await(TlsTransport::Connect(runtime.loop, peer_->address, options, std::move(tls), this));
}

void ProxyExchange::RefuseConnection() {
  exchange_.Log(LogLevel::kAlert,
                fmt::format("{} worker_connections are not enough while connecting to upstream",
                            exchange_.runtime().config.worker_connections));
  FailAtHome();
}

// The peer is not to blame, and another one would do no better.
void ProxyExchange::FailAtHome() {
  EndAttempt(Outcome::kStale);
  FailWithoutPeer(500);
}

void ProxyExchange::OnReady(int errnum) {
  if (state_ != ProxyState::kConnecting) return;
  if (errnum != 0 && https_) {
    return Fail(kConnectionFailed,
                static_cast<TlsTransport&>(*connection_.transport).SetupError(errnum), 0);
  }
  if (errnum != 0) return Fail(kConnectionFailed, "connect() failed", errnum);
  OnConnected();
}

void ProxyExchange::OnConnected() {
  exchange_.upstream_trace().last().connect_ms = ElapsedMs();
  parser_.Reset();
  framing_ = {};
  received_ = 0;
  filled_ = 0;
  block_.Reset();
  head_block_.Reset();
  if (!QueueHead()) return;
  Enter(ProxyState::kTalking);
  QueueBody();
  FlushRequest();
}

void ProxyExchange::OnWritable() { FlushRequest(); }

void ProxyExchange::OnReadable() {
  if (!RowOf(state_).reads_peer()) return;
  if (response_half_ == Half::kHead) return ReadHead();
  ReadBody();
}

bool ProxyExchange::ReadMore(size_t limit, size_t* n) {
  switch (connection_.transport->Read(block_.data() + filled_, limit, n)) {
    case Io::kOk:
      received_ += *n;
      exchange_.upstream_trace().last().bytes_received += *n;
      if (response_half_ == Half::kBody && state_ != ProxyState::kTunnel)
        exchange_.upstream_trace().last().response_length += *n;
      return true;
    case Io::kWouldBlock:
      return false;
    case Io::kEof:
      OnPeerEof();
      return false;
    case Io::kError:
      if (response_half_ == Half::kHead) {
        Fail(kConnectionFailed, "recv() failed", connection_.transport->errnum());
      } else {
        LogUpstream(LogLevel::kError, "recv() failed while reading upstream",
                    connection_.transport->errnum());
        BreakResponse({});
      }
      return false;
  }
  return false;
}

bool ProxyExchange::OnClientGone() {
  return RowOf(state_).ends_with_client() || !location_->proxy.ignore_client_abort;
}

void ProxyExchange::EndAttempt(Outcome outcome, bool keep) {
  if (selection_.current != nullptr) AccountFor(outcome);
  if (keep) {
    ++connection_.requests;
    upstream_->pool.Put(*peer_, std::move(connection_), location_);
  }
  Transport::Discard(std::move(connection_.transport));
  connection_ = {};
  out_.Clear();
  pieces_.clear();
  head_start_ = 0;
}

void ProxyExchange::AccountFor(Outcome outcome) {
  if (answer_ == Answer::kUsed) {
    answer_ = Answer::kHead;
    session_.OnResponseEnd(*peer_);
  }
  const uint64_t now = exchange_.runtime().loop.NowMs();
  UpstreamAttempt& attempt = exchange_.upstream_trace().last();
  attempt.response_ms = ElapsedMs();
  attempt.bytes_sent = out_.sent() - out_before_;
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

void ProxyExchange::End(Outcome outcome, bool keep) {
  EndAttempt(outcome, keep);
  Enter(ProxyState::kIdle);
}

AttemptFacts ProxyExchange::Facts() const {
  const conf::ProxySettings& proxy = location_->proxy;
  const uint64_t elapsed = exchange_.runtime().loop.NowMs() - first_started_ms_;
  AttemptFacts facts;
  facts.request_sent = out_.sent() > out_before_;
  facts.body_dropped = body_dropped_;
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
  if (!timed_out) LogUpstream(LogLevel::kError, line, errnum);
  exchange_.upstream_trace().last().status = failure.status;
  // A kept connection that was closed before it answered says nothing about the peer: once more,
  // there first of all where the session lives.
  const bool stale = from_pool_ && failure.condition == conf::kNextError &&
                     response_half_ == Half::kHead && received_ == 0;
  const AttemptFacts before = Facts();
  EndAttempt(stale ? Outcome::kStale : Outcome::kFailed);
  if (timed_out) LogUpstream(LogLevel::kError, line, errnum);
  AttemptFacts facts = before;
  facts.tries_left = selection_.tries;
  if (MayTryNext(failure.condition, facts, location_->proxy.next_upstream)) return NextPeer();
  FailWithoutPeer(failure.status);
}

void ProxyExchange::Stop() {
  if (state_ != ProxyState::kIdle) End(Outcome::kOk);
}

void ProxyExchange::Reset() {
  Stop();
  session_.End();
  sticky_cookie_ = {};
  peer_ = nullptr;
  upstream_ = nullptr;
  selection_.LetGo();
  held_.clear();
  block_.Reset();
  head_block_.Reset();
  joiner_.Reset();
  filled_ = 0;
  spool_.Reset();
  ReturnPipe();
  answer_ = Answer::kNone;
  decoder_.Reset();  // its trailers were of the response that has ended
  streamed_ = chunk_body_ = body_dropped_ = body_complete_ = false;
  assert(quiet());
}

bool ProxyExchange::quiet() const {
  return state_ == ProxyState::kIdle && !attempt_timers_.armed() && !endless_.joined() &&
         session_.quiet() && !lookup_.waiting() && queue_ticket_ == 0 &&
         connection_.transport == nullptr && selection_.current == nullptr && !selection_.set &&
         held_.empty() && pipe_ == nullptr && out_.empty();
}

int64_t ProxyExchange::ElapsedMs() const {
  return static_cast<int64_t>(exchange_.runtime().loop.NowMs() - attempt_started_ms_);
}

std::string_view ProxyExchange::Doing() const {
  if (state_ != ProxyState::kTalking) return " while connecting to upstream";
  return request_half_ != Half::kDone ? " while sending request to upstream"
                                      : " while reading response header from upstream";
}

std::string ProxyExchange::LoggedUrl() const {
  if (upstream_ == nullptr || request_uri_.empty()) return {};
  const std::string& name = peer_ != nullptr ? peer_->name : upstream_->group.conf().name;
  const std::string_view separator = name.starts_with("unix:") ? ":" : "";
  return fmt::format("{}://{}{}{}", https_ ? "https" : "http", name, separator, request_uri_);
}

void ProxyExchange::LogUpstream(LogLevel level, std::string_view what, int errnum) const {
  if (!exchange_.LogEnabled(level)) return;
  if (errnum == 0) return exchange_.Log(level, what);
  const size_t when = std::min(what.find(" while "), what.size());
  exchange_.Log(level,
                fmt::format("{}{}{}", what.substr(0, when), ErrnoText(errnum), what.substr(when)));
}

}  // namespace limpet::worker
