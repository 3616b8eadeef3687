#include "worker/http/proxy_exchange.h"

#include <algorithm>
#include <cerrno>

#include "worker/http/exchange.h"
#include "worker/http/response_writer.h"
#include "worker/http/upstream_lookup.h"
#include "worker/http/upstream_runtime.h"
#include "worker/http/upstream_tls.h"

namespace limpet::worker {

ProxyExchange::ProxyExchange(Exchange& exchange)
    : exchange_(exchange),
      lookup_(Callback::To<&ProxyExchange::OnResolved>(this)),
      out_(exchange.runtime().blocks),
      deadline_(exchange.runtime().loop, Callback::To<&ProxyExchange::OnTimer>(this)),
      touch_(exchange.runtime().loop, Callback::To<&ProxyExchange::OnTouchTimer>(this)),
      rate_(exchange.runtime().loop, Callback::To<&ProxyExchange::UpdateReading>(this)),
      patience_(exchange.runtime().loop, Callback::To<&ProxyExchange::OnClientStaysBlocked>(this)) {
}

ProxyExchange::~ProxyExchange() { Stop(); }

void ProxyExchange::Start(const conf::Location& location) {
  location_ = &location;
  request_half_ = response_half_ = Half::kHead;
  body_dropped_ = false;
  has_head_ = false;
  decoder_.Reset();
  sticky_ = {};
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
  const bool has_body = request.framing.kind != proto::BodyKind::kNone;
  streamed_ = has_body && !location.proxy.request_buffering && location.proxy.pass_request_body &&
              !location.proxy.set_body && body.mode() == RequestBody::Mode::kIdle;
  // HTTP/1.0 has no chunks: the length must be known before the request goes out.
  if (request.framing.kind == proto::BodyKind::kChunked && location.proxy.http_version < 11)
    streamed_ = false;
  chunk_body_ = streamed_ && request.framing.kind == proto::BodyKind::kChunked;
  state_ = State::kReadingBody;
  if (streamed_) return FirstPeer();
  body.Start(RequestBody::Mode::kBuffered, this);
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
  state_ = State::kResolving;
  deadline_.Arm(location_->resolver->timeout);
  return false;
}

void ProxyExchange::OnResolved() {
  deadline_.Disarm();
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
  state_ = State::kIdle;
  GiveStickyCookie();
  exchange_.Finish(status);
}

bool ProxyExchange::FailsMatch() {
  if (!exchange_.match_failed()) return false;
  state_ = State::kIdle;
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
    if (connecting.errnum == 0) return OnConnected();
    deadline_.Arm(location_->proxy.connect_timeout);
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
  EndAttempt(Outcome::kStale, false);
  FailWithoutPeer(500);
}

void ProxyExchange::OnReady(int errnum) {
  if (state_ != State::kConnecting) return;
  if (errnum != 0 && https_) {
    return Fail(kConnectionFailed,
                static_cast<TlsTransport&>(*connection_.transport).SetupError(errnum), 0);
  }
  if (errnum != 0) return Fail(kConnectionFailed, "connect() failed", errnum);
  OnConnected();
}

void ProxyExchange::OnConnected() {
  state_ = State::kTalking;
  exchange_.upstream_trace().last().connect_ms = ElapsedMs();
  parser_.Reset();
  framing_ = {};
  received_ = 0;
  filled_ = 0;
  block_.Reset();
  head_block_.Reset();
  QueueRequest();
  if (state_ != State::kTalking)
    return;  // the body that has come already was broken: the client has its answer
  connection_.transport->WantRead(true);
  FlushRequest();
}

void ProxyExchange::OnWritable() { FlushRequest(); }

// One deadline at a time: sending while bytes wait for the peer, reading otherwise.
void ProxyExchange::ArmDeadline() {
  const conf::ProxySettings& proxy = location_->proxy;
  if (paused_) return deadline_.Disarm();
  const bool sending = !out_.empty();
  if (!sending && request_half_ != Half::kDone && state_ != State::kTunnel &&
      response_half_ == Half::kHead) {
    return deadline_.Disarm();  // waiting for the client's body: its own deadline runs
  }
  deadline_.Arm(sending ? proxy.send_timeout : proxy.read_timeout);
}

void ProxyExchange::OnReadable() {
  if (state_ == State::kIdle || state_ == State::kConnecting) return;
  if (response_half_ == Half::kHead) return ReadHead();
  ReadBody();
}

bool ProxyExchange::ReadMore(size_t limit, size_t* n) {
  switch (connection_.transport->Read(block_.data() + filled_, limit, n)) {
    case Io::kOk:
      received_ += *n;
      exchange_.upstream_trace().last().bytes_received += *n;
      if (response_half_ == Half::kBody && state_ != State::kTunnel)
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

void ProxyExchange::StartTouching() {
  if (upstream_->sticky == nullptr || touch_.armed()) return;
  const uint64_t interval = upstream_->sticky->touch_interval_ms();
  if (interval == 0) return;
  // What has no foreseeable end (a tunnel, a stream of events) starts with a full life before it.
  if (framing_.kind != proto::BodyKind::kLength) upstream_->sticky->Touch(exchange_, sticky_);
  touch_.Arm(interval);
}

void ProxyExchange::OnTouchTimer() {
  if (upstream_ == nullptr || upstream_->sticky == nullptr || state_ == State::kIdle) return;
  upstream_->sticky->Touch(exchange_, sticky_);
  touch_.Arm(upstream_->sticky->touch_interval_ms());
}

bool ProxyExchange::OnClientGone() {
  if (state_ == State::kTunnel) return true;
  return !location_->proxy.ignore_client_abort;
}

void ProxyExchange::EndAttempt(Outcome outcome, bool keep) {
  if (peer_ == nullptr) return;
  const uint64_t now = exchange_.runtime().loop.NowMs();
  UpstreamAttempt& attempt = exchange_.upstream_trace().last();
  attempt.response_ms = ElapsedMs();
  attempt.bytes_sent = out_.sent() - out_before_;
  deadline_.Disarm();
  rate_.Disarm();
  patience_.Disarm();
  paused_ = client_is_slow_ = false;
  Peer& peer = *peer_;
  upstream_->queue.Wake();
  const AttemptResult result{.header_ms = attempt.header_ms,
                             .response_ms = attempt.response_ms,
                             .status = attempt.header_ms >= 0 ? attempt.status : 0,
                             .sent = attempt.bytes_sent,
                             .received = attempt.bytes_received};
  if (upstream_->group.Done(selection_, outcome, now, result)) {
    LogUpstream(LogLevel::kWarn, fmt::format("upstream server temporarily disabled{}", Doing()), 0);
  }
  out_.Clear();
  if (keep) {
    ++connection_.requests;
    upstream_->pool.Put(peer, std::move(connection_), location_);
  } else {
    Transport::Discard(std::move(connection_.transport));
  }
  connection_ = {};
  head_start_ = 0;
  state_ = State::kIdle;
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
  EndAttempt(stale ? Outcome::kStale : Outcome::kFailed, false);
  if (timed_out) LogUpstream(LogLevel::kError, line, errnum);
  AttemptFacts facts = before;
  facts.tries_left = selection_.tries;
  if (MayTryNext(failure.condition, facts, location_->proxy.next_upstream)) return NextPeer();
  state_ = State::kIdle;
  GiveStickyCookie();
  exchange_.Finish(failure.status);
}

void ProxyExchange::OnTimer() {
  switch (state_) {
    case State::kResolving: {
      lookup_.Cancel();
      ProxyUrl url;
      ParseProxyUrl(target_storage_, &url);
      return FailResolving(url.host, ResolveError::kTimeout);
    }
    case State::kQueued:
      return FailQueued("upstream queue timed out");
    case State::kConnecting:
      if (!https_) return Fail(kTimedOut, "upstream timed out", ETIMEDOUT);
      return Fail(kTimedOut,
                  static_cast<TlsTransport&>(*connection_.transport).SetupError(ETIMEDOUT), 0);
    case State::kTalking:
      if (response_half_ == Half::kHead) return Fail(kTimedOut, "upstream timed out", ETIMEDOUT);
      LogUpstream(LogLevel::kError, "upstream timed out while reading upstream", ETIMEDOUT);
      return BreakResponse({});
    case State::kTunnel:
      LogUpstream(LogLevel::kInfo, "upstream timed out while proxying upgraded connection",
                  ETIMEDOUT);
      EndAttempt(Outcome::kOk, false);
      exchange_.stream().CloseAfterResponse();
      return exchange_.Complete();
    default:
      return;
  }
}

void ProxyExchange::Stop() {
  if (state_ == State::kIdle && connection_.transport == nullptr && selection_.current == nullptr)
    return;
  if (selection_.current != nullptr) {
    if (state_ == State::kTunnel && upstream_->sticky != nullptr)
      upstream_->sticky->OnResponseEnd(exchange_, sticky_, *peer_);
    EndAttempt(Outcome::kOk, false);
  }
  state_ = State::kIdle;
  LeaveQueue();
  lookup_.Cancel();
  deadline_.Disarm();
  touch_.Disarm();
  rate_.Disarm();
}

void ProxyExchange::Reset() {
  Stop();
  peer_ = nullptr;
  upstream_ = nullptr;
  selection_.LetGo();
  held_.clear();
  block_.Reset();
  head_block_.Reset();
  joiner_.Reset();
  filled_ = head_start_ = 0;
  spool_.Reset();
  ReturnPipe();
  has_head_ = false;
  decoder_.Reset();  // its trailers were of the response that has ended
  streamed_ = chunk_body_ = body_dropped_ = body_complete_ = false;
}

int64_t ProxyExchange::ElapsedMs() const {
  return static_cast<int64_t>(exchange_.runtime().loop.NowMs() - attempt_started_ms_);
}

std::string_view ProxyExchange::Doing() const {
  if (state_ != State::kTalking) return " while connecting to upstream";
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
