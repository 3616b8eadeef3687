#include "worker/http/proxy_exchange.h"

#include <cerrno>

#include "base/text.h"
#include "proto/escape.h"
#include "worker/http/exchange.h"
#include "worker/http/features.h"
#include "worker/http/limit_rate.h"
#include "worker/http/proxy_headers.h"
#include "worker/http/response_writer.h"
#include "worker/http/upstream_lookup.h"
#include "worker/http/upstream_runtime.h"
#include "worker/http/upstream_tls.h"

namespace limpet::worker {
namespace {

constexpr size_t kClientHighWater = 64 * 1024;   // bytes in memory for a slow client before the peer has to wait
constexpr uint64_t kPatienceMs = 50;
constexpr size_t kUpstreamHighWater = 64 * 1024;  // and for a slow peer before the client has to

Milliseconds Elapsed(uint64_t from_ms, uint64_t to_ms) { return Milliseconds(to_ms - from_ms); }

}  // namespace

ProxyExchange::ProxyExchange(Exchange& exchange)
    : exchange_(exchange),
      out_(exchange.runtime().blocks),
      deadline_(exchange.runtime().loop, Callback::To<&ProxyExchange::OnTimer>(this)),
      touch_(exchange.runtime().loop, Callback::To<&ProxyExchange::OnTouchTimer>(this)),
      rate_(exchange.runtime().loop, Callback::To<&ProxyExchange::UpdateReading>(this)),
      patience_(exchange.runtime().loop, Callback::To<&ProxyExchange::OnClientStaysBlocked>(this)) {}

ProxyExchange::~ProxyExchange() { Stop(); }

void ProxyExchange::Start(const conf::Location& location) {
  location_ = &location;
  request_half_ = response_half_ = Half::kHead;
  body_dropped_ = false;
  has_head_ = false;
  sticky_ = {};
  sticky_cookie_ = {};
  evaluated_uri_ = {};
  buffering_ = location.proxy.buffering;
  if (!FindUpstream()) return;
  first_started_ms_ = exchange_.runtime().loop.NowMs();

  const Request& request = exchange_.request();
  RequestBody& body = exchange_.body();
  const bool has_body = request.framing.kind != proto::BodyKind::kNone;
  streamed_ = has_body && !location.proxy.request_buffering && location.proxy.pass_request_body &&
              !location.proxy.set_body && body.mode() == RequestBody::Mode::kIdle;
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
  upstream_ = FindUpstreamByUrl(runtime, url);
  if (upstream_ == nullptr) {
    exchange_.Log(LogLevel::kError, fmt::format("no resolver defined to resolve {}", url.host));
    FailWithoutPeer(502);
    return false;
  }
  return true;
}

void ProxyExchange::FailWithoutPeer(int status) {
  state_ = State::kIdle;
  exchange_.Finish(status);
}

void ProxyExchange::OnBodyReady() {
  if (state_ == State::kReadingBody) return FirstPeer();
  if (!streamed_ || body_complete_) return;
  body_complete_ = true;  // streamed: the client has sent all
  if (chunk_body_) {
    QueueChunk();
    out_.Append("0\r\n\r\n");
  }
  if (state_ == State::kTalking) FlushRequest();
}

void ProxyExchange::QueuePiece(const Slice& piece) {
  out_.AppendBlock(piece.block, static_cast<size_t>(piece.bytes.data() - piece.block.data()), piece.bytes.size());
}

void ProxyExchange::QueueChunk() {
  uint64_t size = 0;
  for (const Slice& piece : pieces_) size += piece.bytes.size();
  if (size == 0) return;
  char header[proto::kMaxChunkHeader];
  out_.Append({header, proto::ChunkHeader(header, size)});
  for (const Slice& piece : pieces_) QueuePiece(piece);
  out_.Append("\r\n");
  pieces_.clear();
}

void ProxyExchange::OnBodyPause() {
  QueueChunk();
  if (state_ == State::kTalking || state_ == State::kTunnel) FlushRequest();
}

void ProxyExchange::OnBodyPiece(Slice piece) {
  if (state_ == State::kIdle) return;  // answered early: the rest is of no use
  if (chunk_body_ && state_ != State::kTunnel) {
    pieces_.push_back(std::move(piece));
  } else {
    QueuePiece(piece);
  }
}

void ProxyExchange::FirstPeer() {
  UpstreamGroup& group = upstream_->group;
  std::string_view key;
  if (group.needs_key()) key = exchange_.Evaluate(group.conf().hash_key);
  group.Begin(selection_, key, &exchange_.request().remote);
  selection_.LimitTries(location_->proxy.next_upstream_tries);
  if (upstream_->sticky != nullptr) upstream_->sticky->Find(exchange_, sticky_);
  NextPeer();
}

void ProxyExchange::NextPeer() {
  state_ = State::kConnecting;
  request_half_ = response_half_ = Half::kHead;
  has_head_ = false;
  attempt_started_ms_ = exchange_.runtime().loop.NowMs();
  peer_ = upstream_->group.Choose(selection_, sticky_.bound, attempt_started_ms_);
  if (peer_ == nullptr) {
    exchange_.upstream_trace().Begin(upstream_->group.conf().name).status = 502;
    exchange_.upstream_trace().last().response_ms = 0;
    LogUpstream(LogLevel::kError, "no live upstreams while connecting to upstream", 0);
    return FailWithoutPeer(502);
  }
  if (upstream_->sticky != nullptr) sticky_cookie_ = upstream_->sticky->OnChosen(exchange_, sticky_, *peer_);
  exchange_.upstream_trace().Begin(peer_->name);
  Connect(false);
}

void ProxyExchange::Connect(bool fresh) {
  Runtime& runtime = exchange_.runtime();
  TlsTarget tls;
  if (https_) {
    tls = MakeTlsTarget(exchange_, proxy_host_, *peer_);
    if (tls.context == nullptr) return FailWithoutPeer(500);
  }
  connection_ = fresh ? PooledConnection{} : upstream_->pool.Take(*peer_, location_, tls.scope);
  from_pool_ = connection_.transport != nullptr;
  out_before_ = out_.sent();
  if (from_pool_) {
    connection_.transport->set_handler(this);
    return OnConnected();
  }
  ConnectOptions options;
  options.keepalive = location_->proxy.socket_keepalive;
  SocketAddress bind_address;
  if (!ChooseBindAddress(exchange_, location_->proxy, &bind_address, &options)) return FailWithoutPeer(500);
  const auto await = [&](auto connecting) {
    if (connecting.transport == nullptr) {
      return Fail(kConnectionFailed, fmt::format("{} failed", connecting.what), connecting.errnum);
    }
    connection_.transport = std::move(connecting.transport);
    connection_.created_ms = runtime.loop.NowMs();
    if (connecting.errnum == 0) return OnConnected();
    deadline_.Arm(static_cast<uint64_t>(location_->proxy.connect_timeout.count()));
  };
  if (!https_) return await(PlainTransport::Connect(runtime.loop, peer_->address, options, this));
  connection_.scope = tls.scope;
  await(TlsTransport::Connect(runtime.loop, peer_->address, options, std::move(tls), this));
}

void ProxyExchange::OnReady(int errnum) {
  if (state_ != State::kConnecting) return;
  if (errnum != 0 && https_) {
    return Fail(kConnectionFailed, static_cast<TlsTransport&>(*connection_.transport).SetupError(errnum), 0);
  }
  if (errnum != 0) return Fail(kConnectionFailed, "connect() failed", errnum);
  OnConnected();
}

void ProxyExchange::OnConnected() {
  state_ = State::kTalking;
  exchange_.upstream_trace().last().connect_ms = Elapsed(attempt_started_ms_, exchange_.runtime().loop.NowMs()).count();
  parser_.Reset();
  framing_ = {};
  received_ = 0;
  filled_ = 0;
  block_.Reset();
  head_block_.Reset();
  QueueRequest();
  if (state_ != State::kTalking) return;  // the body that has come already was broken: the client has its answer
  connection_.transport->WantRead(true);
  FlushRequest();
}

void ProxyExchange::QueueRequest() {
  const Request& request = exchange_.request();
  RequestBody& body = exchange_.body();
  UpstreamTarget target{.host = proxy_host_, .uri = pass().has_variables ? evaluated_uri_ : std::string_view(pass().uri),
                        .uri_is_whole = pass().has_variables && !evaluated_uri_.empty()};
  UpstreamBody framing;
  const bool sends_body = location_->proxy.pass_request_body && !location_->proxy.set_body;
  if (streamed_) {
    framing.chunked = chunk_body_;
    if (!chunk_body_) framing.length = static_cast<int64_t>(request.framing.length);
  } else if (sends_body && (body.size() > 0 || request.framing.kind != proto::BodyKind::kNone)) {
    framing.length = static_cast<int64_t>(body.size());
  } else if (sends_body && request.headers().Has(proto::HeaderId::kContentLength)) {
    framing.length = 0;
  }
  keep_upstream_ = upstream_->group.conf().keepalive > 0 && location_->proxy.http_version >= 11;
  out_.Clear();
  pieces_.clear();
  body_complete_ = false;
  BuildUpstreamRequest(exchange_, target, framing, &out_);
  if (streamed_) {
    request_half_ = Half::kBody;
    if (exchange_.body().mode() == RequestBody::Mode::kIdle) exchange_.body().Start(RequestBody::Mode::kStreamed, this);
  } else {
    if (sends_body) body.AppendTo(&out_);
    body_complete_ = true;
    request_half_ = Half::kBody;
  }
}

void ProxyExchange::FlushRequest() {
  if (state_ != State::kTalking && state_ != State::kTunnel) return;
  Transport& transport = *connection_.transport;
  switch (out_.Flush(transport)) {
    case FlushResult::kDrained:
      if (streamed_ && out_.sent() > out_before_) body_dropped_ = true;
      if (state_ == State::kTunnel || !body_complete_) {
        exchange_.body().Pause(false);
      } else {
        request_half_ = Half::kDone;
      }
      break;
    case FlushResult::kBlocked:
      if (streamed_ && out_.sent() > out_before_) body_dropped_ = true;
      transport.WantWrite(true);
      if ((state_ == State::kTunnel || streamed_) && out_.size() >= kUpstreamHighWater) exchange_.body().Pause(true);
      break;
    case FlushResult::kError:
      // The peer may have answered before it closed: what it said is read first.
      if (transport.errnum() != EPIPE && transport.errnum() != ECONNRESET) {
        return Fail(kConnectionFailed, "writev() failed", transport.errnum());
      }
      out_.Clear();
      request_half_ = Half::kDone;
      keep_upstream_ = false;
      if (streamed_) exchange_.body().Pause(true);
      break;
  }
  ArmDeadline();
}

void ProxyExchange::OnWritable() { FlushRequest(); }

// One deadline at a time: sending while bytes wait for the peer, reading otherwise.
void ProxyExchange::ArmDeadline() {
  const conf::ProxySettings& proxy = location_->proxy;
  if (paused_) return deadline_.Disarm();
  const bool sending = !out_.empty();
  if (!sending && request_half_ != Half::kDone && state_ != State::kTunnel && response_half_ == Half::kHead) {
    return deadline_.Disarm();  // waiting for the client's body: its own deadline runs
  }
  deadline_.Arm(static_cast<uint64_t>((sending ? proxy.send_timeout : proxy.read_timeout).count()));
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
        LogUpstream(LogLevel::kError, "recv() failed while reading upstream", connection_.transport->errnum());
        BreakResponse({});
      }
      return false;
  }
  return false;
}

void ProxyExchange::ReadHead() {
  const size_t limit = location_->proxy.buffer_size;
  if (!block_) block_ = exchange_.runtime().blocks.Get(limit > 15000 ? BlockSize::k64K : BlockSize::k16K);
  size_t n = 0;
  if (!ReadMore(block_.capacity() - filled_, &n)) return;
  filled_ += n;
  ParseHead();
}

void ProxyExchange::ParseHead() {
  const size_t limit = location_->proxy.buffer_size;
  for (;;) {
    const size_t begin = head_start_;
    switch (parser_.Parse(block_.data() + begin, filled_ - begin, limit)) {
      case proto::HeadStatus::kIncomplete:
        if (filled_ < block_.capacity()) return ArmDeadline();
        return Fail(kBadResponse, "upstream sent too big header while reading response header from upstream", 0);
      case proto::HeadStatus::kError:
        if (parser_.no_status_line()) return AcceptHttp09();
        return Fail(kBadResponse, fmt::format("{} while reading response header from upstream", parser_.error().reason), 0);
      case proto::HeadStatus::kComplete:
        break;
    }
    if (!parser_.head().is_interim()) break;
    head_start_ += parser_.consumed();  // 100, 102, 103: the final one follows (RFC 9110 15.2)
    parser_.Reset();
    if (head_start_ == filled_) return ArmDeadline();
  }
  OnHead();
}

// Bytes that are no HTTP response at all: nginx hands them on as an answer of HTTP/0.9.
void ProxyExchange::AcceptHttp09() {
  LogUpstream(LogLevel::kError, "upstream sent no valid HTTP/1.0 header while reading response header from upstream", 0);
  if (location_->proxy.next_upstream & conf::kNextInvalidHeader) return Fail(kBadResponse, {}, 0);
  Fail(kBadResponse, {}, 0);
}

void ProxyExchange::OnHead() {
  const proto::ResponseHead& head = parser_.head();
  head_block_ = block_;
  has_head_ = true;
  UpstreamAttempt& attempt = exchange_.upstream_trace().last();
  attempt.status = head.status;
  attempt.header_ms = Elapsed(attempt_started_ms_, exchange_.runtime().loop.NowMs()).count();

  framing_ = proto::ResponseFraming(exchange_.request().method, head);
  if (!framing_.ok()) {
    return Fail(kBadResponse, fmt::format("{} while reading response header from upstream", framing_.reason), 0);
  }
  if (TryOtherPeerForStatus()) return;
  if (upstream_->sticky != nullptr) upstream_->sticky->OnResponseHead(exchange_, sticky_, *peer_);
  if (HandleAccelHeaders()) return;
  if (Intercept()) return;
  StartBody();
}

bool ProxyExchange::TryOtherPeerForStatus() {
  const int status = parser_.head().status;
  const uint32_t condition = ConditionOfStatus(status);
  if (condition == 0) return false;
  AttemptFacts facts = Facts();
  facts.tries_left -= 1;  // this attempt's own has not been taken yet
  if (!MayTryNext(condition, facts, location_->proxy.next_upstream)) return false;
  EndAttempt(condition == conf::kNext403 || condition == conf::kNext404 ? Outcome::kNext : Outcome::kFailed, false);
  NextPeer();
  return true;
}

bool ProxyExchange::HandleAccelHeaders() {
  using proto::HeaderId;
  const proto::HeaderList& headers = parser_.head().headers;
  const uint32_t ignored = location_->proxy.ignore_headers;
  if (const auto* rate = headers.Find(HeaderId::kXAccelLimitRate); rate && !(ignored & conf::kIgnoreXAccelLimitRate)) {
    if (const auto value = ParseDecimal(rate->value)) exchange_.set_limit_rate(*value);
  }
  if (const auto* flag = headers.Find(HeaderId::kXAccelBuffering); flag && !(ignored & conf::kIgnoreXAccelBuffering)) {
    if (EqualsIgnoreCase(flag->value, "no")) buffering_ = false;
    if (EqualsIgnoreCase(flag->value, "yes")) buffering_ = true;
  }
  const auto* redirect = headers.Find(HeaderId::kXAccelRedirect);
  if (redirect == nullptr || (ignored & conf::kIgnoreXAccelRedirect) != 0) return false;
  FollowAccelRedirect(redirect->value);
  return true;
}

// X-Accel-Redirect: the answer is made here, from another location; a few fields of the peer's head come along.
void ProxyExchange::FollowAccelRedirect(std::string_view value) {
  using proto::HeaderId;
  Arena& arena = exchange_.arena();
  const std::string_view target = arena.Copy(value);
  Response& response = exchange_.response();
  for (const proto::Header& header : parser_.head().headers) {
    switch (header.id) {
      case HeaderId::kSetCookie:
      case HeaderId::kContentDisposition:
      case HeaderId::kCacheControl:
      case HeaderId::kExpires:
      case HeaderId::kAcceptRanges:
        response.headers.Add(header.id, arena.Copy(header.name), arena.Copy(header.value));
        break;
      case HeaderId::kContentType:
        response.content_type = arena.Copy(header.value);
        break;
      default:
        break;
    }
  }
  EndAttempt(Outcome::kOk, false);
  Request& request = exchange_.request();
  if (target.starts_with('@')) return exchange_.GoToNamed(target);
  if (request.method != proto::Method::kHead) {
    request.method = proto::Method::kGet;
    request.method_name = "GET";
  }
  const size_t question = target.find('?');
  const std::string path = proto::Unescape(target.substr(0, question));
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos || path.find("/../") != std::string::npos) {
    exchange_.Log(LogLevel::kError, fmt::format("upstream sent unsafe X-Accel-Redirect \"{}\"", target));
    return exchange_.Finish(404);
  }
  exchange_.InternalRedirect(arena.Copy(path), question == std::string_view::npos ? "" : target.substr(question + 1));
}

// proxy_intercept_errors: an error_page takes the place of the peer's own.
bool ProxyExchange::Intercept() {
  const int status = parser_.head().status;
  if (!location_->proxy.intercept_errors || status < 300) return false;
  bool has_page = false;
  for (const conf::ErrorPage& page : location_->response.error_pages) {
    for (const int code : page.codes) has_page = has_page || code == status;
  }
  if (!has_page) return false;
  if (status == 401) {
    for (const proto::Header& header : parser_.head().headers) {
      if (header.id != proto::HeaderId::kWwwAuthenticate) continue;
      exchange_.response().headers.Add(header.id, "WWW-Authenticate", exchange_.arena().Copy(header.value));
    }
  }
  EndAttempt(Outcome::kOk, false);
  exchange_.Finish(status);
  return true;
}

void ProxyExchange::StartBody() {
  Response& response = exchange_.response();
  const proto::ResponseHead& head = parser_.head();
  FilterUpstreamHead(exchange_, head);
  response.from_upstream = true;
  switch (framing_.kind) {
    case proto::BodyKind::kLength:
      response.content_length = static_cast<int64_t>(framing_.length);
      break;
    case proto::BodyKind::kNone:
      KeepDeclaredLength();
      break;
    default:
      response.content_length = -1;
      break;
  }
  if (!sticky_cookie_.empty()) response.headers.Add("Set-Cookie", sticky_cookie_);
  if (framing_.kind == proto::BodyKind::kTunnel) return StartTunnel();
  if (!exchange_.writer().SendHead()) return;
  response_half_ = Half::kBody;
  remaining_ = framing_.length;
  limit_rate_ = EvaluateSize(exchange_, location_->proxy.limit_rate);
  if (limit_rate_ > 0) body_started_ms_ = exchange_.runtime().loop.NowMs();
  if (framing_.kind == proto::BodyKind::kChunked) decoder_.Reset();
  const std::string_view rest(block_.data() + head_start_ + parser_.consumed(), filled_ - head_start_ - parser_.consumed());
  if (framing_.kind == proto::BodyKind::kNone) {
    if (!rest.empty()) keep_upstream_ = false;  // bytes nobody asked for: this connection is out of step
    return FinishResponse();
  }
  if (!rest.empty()) {
    OnBodyBytes(rest);
  }
  if (state_ == State::kTalking && response_half_ == Half::kBody) {
    constexpr uint64_t kWorthAPipe = 64 * 1024;
    const bool splices = framing_.kind == proto::BodyKind::kLength && remaining_ >= kWorthAPipe && limit_rate_ == 0 &&
                         exchange_.writer().CanSplice() && connection_.transport->can_splice();
    if (splices) pipe_ = exchange_.runtime().pipes.Take();
    exchange_.stream().Flush();
    UpdateReading();
    StartTouching();
  }
}

// A response to HEAD and a 304 may say how long the body would be.
void ProxyExchange::KeepDeclaredLength() {
  Response& response = exchange_.response();
  const proto::Header* declared = parser_.head().headers.Find(proto::HeaderId::kContentLength);
  uint64_t length = 0;
  const bool bodiless = exchange_.request().method == proto::Method::kHead || parser_.head().status == 304;
  response.content_length = bodiless ? -1 : 0;
  if (declared != nullptr && proto::ParseContentLength(declared->value, &length)) {
    response.content_length = static_cast<int64_t>(length);
  }
}

void ProxyExchange::StartTunnel() {
  Response& response = exchange_.response();
  response.is_upgrade = true;
  response.content_length = -1;
  if (!exchange_.writer().SendHead()) return;
  state_ = State::kTunnel;
  response_half_ = Half::kBody;
  const std::string_view rest(block_.data() + head_start_ + parser_.consumed(), filled_ - head_start_ - parser_.consumed());
  exchange_.stream().StartTunnel();
  exchange_.body().StartTunnel(this);
  if (!rest.empty()) ForwardBody(rest);
  exchange_.stream().Flush();
  if (state_ != State::kTunnel) return;
  exchange_.stream().WantBody(true);
  if (state_ != State::kTunnel) return;
  UpdateReading();
  StartTouching();
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

// A long body that nobody looks into moves from socket to socket inside the kernel. False: read it.
bool ProxyExchange::SpliceBody() {
  if (pipe_ == nullptr || !exchange_.stream().output().empty()) return false;
  size_t n = 0;
  switch (connection_.transport->SpliceTo(pipe_->write_end.get(), std::min<uint64_t>(remaining_, SplicePipe::kCapacity), &n)) {
    case Io::kOk:
      break;
    case Io::kWouldBlock:
      return true;
    case Io::kEof:
    case Io::kError:
      OnPeerEof();
      return true;
  }
  UpstreamAttempt& attempt = exchange_.upstream_trace().last();
  received_ += n;
  attempt.bytes_received += n;
  attempt.response_length += n;
  remaining_ -= n;
  exchange_.writer().WriteBodyPipe(pipe_->read_end, n);
  if (remaining_ == 0) {
    FinishResponse();
    return true;
  }
  exchange_.stream().Flush();
  UpdateReading();
  return true;
}

void ProxyExchange::ReturnPipe() {
  if (pipe_ != nullptr) exchange_.runtime().pipes.Return(std::move(pipe_));
}

void ProxyExchange::ReadBody() {
  if (paused_) return;
  if (SpliceBody()) return;
  if (!block_ || !block_.unique() || block_ == head_block_ || block_.capacity() < 60000) {
    const bool small = framing_.kind == proto::BodyKind::kLength && remaining_ < 16000;
    block_ = exchange_.runtime().blocks.Get(small ? BlockSize::k16K : BlockSize::k64K);
  }
  filled_ = 0;
  size_t n = 0;
  size_t limit = block_.capacity();
  if (limit_rate_ > 0) limit = std::min<size_t>(limit, RateBudget());
  if (limit == 0 || !ReadMore(limit, &n)) return;
  filled_ = n;
  OnBodyBytes({block_.data(), n});
  if (state_ == State::kIdle || response_half_ != Half::kBody) return;
  exchange_.stream().Flush();
  UpdateReading();
}

void ProxyExchange::OnBodyBytes(std::string_view bytes) {
  switch (framing_.kind) {
    case proto::BodyKind::kLength: {
      if (bytes.size() > remaining_) {
        LogUpstream(LogLevel::kWarn, "upstream sent more data than specified in \"Content-Length\" header while reading upstream", 0);
        bytes = bytes.substr(0, remaining_);
        keep_upstream_ = false;
      }
      remaining_ -= bytes.size();
      ForwardBody(bytes);
      if (remaining_ == 0 && state_ != State::kIdle) FinishResponse();
      return;
    }
    case proto::BodyKind::kChunked: {
      const auto status = decoder_.Feed(bytes);
      for (const std::string_view piece : decoder_.pieces()) ForwardBody(piece);
      if (status == proto::ChunkedDecoder::Status::kError) {
        LogUpstream(LogLevel::kError, "upstream sent invalid chunked response while reading upstream", 0);
        return BreakResponse({});
      }
      if (status != proto::ChunkedDecoder::Status::kDone) return;
      if (decoder_.consumed() < bytes.size()) {
        LogUpstream(LogLevel::kWarn, "upstream sent data after final chunk while reading upstream", 0);
        keep_upstream_ = false;
      }
      FilterUpstreamTrailers(exchange_, decoder_.trailers());
      return FinishResponse();
    }
    default:
      return ForwardBody(bytes);
  }
}

// Towards the client; beyond the buffers into a temporary file, so that a slow client does not hold the peer.
void ProxyExchange::ForwardBody(std::string_view bytes) {
  exchange_.upstream_trace().last().response_length += bytes.size();
  ResponseWriter& writer = exchange_.writer();
  const conf::ProxySettings& proxy = location_->proxy;
  const bool may_spool = buffering_ && state_ != State::kTunnel && proxy.max_temp_file_size > 0 && !writer.gzip_active();
  const bool client_is_slow = spool_.size() > 0 || exchange_.stream().output().memory() + bytes.size() > proxy.buffers_size * static_cast<size_t>(proxy.buffers_count);
  if (may_spool && client_is_slow && exchange_.stream().blocked() && spool_.size() + bytes.size() <= proxy.max_temp_file_size) {
    if (spool_.size() == 0) {
      LogUpstream(LogLevel::kWarn, "an upstream response is buffered to a temporary file while reading upstream", 0);
    }
    const uint64_t at = spool_.size();
    if (const Status written = spool_.Append(proxy.temp_path, bytes); written) {
      return writer.WriteBodyFile(spool_.file(), static_cast<off_t>(at), bytes.size());
    } else {
      exchange_.Log(LogLevel::kCrit, written.error().message);
    }
  }
  writer.WriteBody(block_, bytes);
}

uint64_t ProxyExchange::RateBudget() {
  return RateAllowance(limit_rate_, 0, exchange_.runtime().loop.NowMs() - body_started_ms_, received_);
}

// Reads on, or not: a slow client and proxy_limit_rate hold the peer back.
void ProxyExchange::UpdateReading() {
  if (state_ != State::kTalking && state_ != State::kTunnel) return;
  if (response_half_ != Half::kBody) return;
  const bool can_spool = buffering_ && state_ == State::kTalking && !exchange_.writer().gzip_active() &&
                         spool_.size() + kClientHighWater <= location_->proxy.max_temp_file_size;
  const bool full = exchange_.stream().output().memory() >= (can_spool ? 4 * kClientHighWater : kClientHighWater);
  const bool rate_reached = limit_rate_ > 0 && RateBudget() == 0;
  // A client that is behind for a moment is waited for: its bytes stay where the processor has them at hand.
  const bool behind = exchange_.stream().blocked() && !client_is_slow_;
  if (behind && !patience_.armed()) patience_.Arm(kPatienceMs);
  paused_ = full || rate_reached || behind;
  if (rate_reached) rate_.Arm(100);
  connection_.transport->WantRead(!paused_);
  ArmDeadline();
}

void ProxyExchange::OnClientStaysBlocked() {
  client_is_slow_ = exchange_.stream().blocked();
  UpdateReading();
}

void ProxyExchange::OnClientDrained() {
  if (state_ == State::kIdle) return;
  client_is_slow_ = false;
  patience_.Disarm();
  UpdateReading();
}

bool ProxyExchange::OnClientGone() {
  if (state_ == State::kTunnel) return true;
  return !location_->proxy.ignore_client_abort;
}

void ProxyExchange::OnPeerEof() {
  if (response_half_ == Half::kHead) {
    return Fail(kConnectionFailed, "upstream prematurely closed connection while reading response header from upstream", 0);
  }
  if (state_ == State::kTunnel) {
    EndAttempt(Outcome::kOk, false);
    exchange_.stream().CloseAfterResponse();
    return exchange_.Complete();
  }
  if (framing_.kind == proto::BodyKind::kUntilClose) {
    keep_upstream_ = false;
    return FinishResponse();
  }
  LogUpstream(LogLevel::kError, "upstream prematurely closed connection while reading upstream", 0);
  BreakResponse({});
}

void ProxyExchange::FinishResponse() {
  response_half_ = Half::kDone;
  const bool request_done = request_half_ == Half::kDone && out_.empty() && body_complete_;
  const bool keep = keep_upstream_ && request_done && parser_.head().keep_alive() && framing_.kind != proto::BodyKind::kUntilClose;
  if (upstream_->sticky != nullptr) upstream_->sticky->OnResponseEnd(exchange_, sticky_, *peer_);
  EndAttempt(Outcome::kOk, keep);
  exchange_.writer().EndBody();
  exchange_.Complete();
}

void ProxyExchange::BreakResponse(std::string_view why) {
  response_half_ = Half::kDone;  // whoever reads must not go on: the connection is gone
  if (!why.empty()) LogUpstream(LogLevel::kError, why, 0);
  EndAttempt(Outcome::kOk, false);
  exchange_.stream().Flush();  // what came is passed on; the end is missing, and the client sees that
  exchange_.AbandonAfterFlush();
}

void ProxyExchange::EndAttempt(Outcome outcome, bool keep) {
  if (peer_ == nullptr) return;
  const uint64_t now = exchange_.runtime().loop.NowMs();
  UpstreamAttempt& attempt = exchange_.upstream_trace().last();
  attempt.response_ms = Elapsed(attempt_started_ms_, now).count();
  attempt.bytes_sent = out_.sent() - out_before_;
  deadline_.Disarm();
  rate_.Disarm();
  patience_.Disarm();
  paused_ = client_is_slow_ = false;
  Peer& peer = *peer_;
  if (upstream_->group.Done(selection_, outcome, now, {attempt.header_ms, attempt.response_ms})) {
    LogUpstream(LogLevel::kWarn, "upstream server temporarily disabled", 0);
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
  facts.time_left = proxy.next_upstream_timeout.count() == 0 || elapsed < static_cast<uint64_t>(proxy.next_upstream_timeout.count());
  return facts;
}

void ProxyExchange::Fail(const Failure& failure, std::string_view what, int errnum) {
  if (!what.empty()) {
    const std::string_view doing = state_ == State::kConnecting ? " while connecting to upstream"
                                   : request_half_ != Half::kDone ? " while sending request to upstream"
                                                                  : " while reading response header from upstream";
    const bool says_when = what.find(" while ") != std::string_view::npos;
    LogUpstream(LogLevel::kError, errnum != 0 ? fmt::format("{}{}{}", what, ErrnoText(errnum), says_when ? "" : doing)
                                              : fmt::format("{}{}", what, says_when ? "" : doing), 0);
  }
  exchange_.upstream_trace().last().status = failure.status;
  // A kept connection that was closed before it answered says nothing about the peer: once more, with a new one.
  const bool stale = from_pool_ && failure.condition == conf::kNextError && response_half_ == Half::kHead && received_ == 0;
  const AttemptFacts before = Facts();
  if (stale) ++selection_.tries;
  EndAttempt(stale ? Outcome::kNext : Outcome::kFailed, false);
  AttemptFacts facts = before;
  facts.tries_left = selection_.tries;
  if (MayTryNext(failure.condition, facts, location_->proxy.next_upstream)) return NextPeer();
  state_ = State::kIdle;
  exchange_.Finish(failure.status);
}

void ProxyExchange::OnTimer() {
  switch (state_) {
    case State::kConnecting:
      return Fail(kTimedOut, "upstream timed out", ETIMEDOUT);
    case State::kTalking:
      if (response_half_ == Half::kHead) return Fail(kTimedOut, "upstream timed out", ETIMEDOUT);
      LogUpstream(LogLevel::kError, "upstream timed out while reading upstream", ETIMEDOUT);
      return BreakResponse({});
    case State::kTunnel:
      LogUpstream(LogLevel::kInfo, "upstream timed out while proxying upgraded connection", ETIMEDOUT);
      EndAttempt(Outcome::kOk, false);
      exchange_.stream().CloseAfterResponse();
      return exchange_.Complete();
    default:
      return;
  }
}

void ProxyExchange::Stop() {
  if (state_ == State::kIdle && connection_.transport == nullptr && selection_.current == nullptr) return;
  if (selection_.current != nullptr) {
    if (state_ == State::kTunnel && upstream_->sticky != nullptr) upstream_->sticky->OnResponseEnd(exchange_, sticky_, *peer_);
    EndAttempt(Outcome::kOk, false);
  }
  state_ = State::kIdle;
  deadline_.Disarm();
  touch_.Disarm();
  rate_.Disarm();
}

void ProxyExchange::Reset() {
  Stop();
  peer_ = nullptr;
  upstream_ = nullptr;
  block_.Reset();
  head_block_.Reset();
  filled_ = head_start_ = 0;
  spool_.Reset();
  ReturnPipe();
  has_head_ = false;
  streamed_ = chunk_body_ = body_dropped_ = body_complete_ = false;
}

void ProxyExchange::LogUpstream(LogLevel level, std::string_view what, int errnum) const {
  if (!exchange_.LogEnabled(level)) return;
  exchange_.Log(level, errnum != 0 ? fmt::format("{}{}", what, ErrnoText(errnum)) : std::string(what));
}

}  // namespace limpet::worker
