#include "worker/http/client/http1_connection.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "base/bits.h"
#include "base/text.h"
#include "worker/http/client/client_closed.h"
#include "worker/http/client/connection_set.h"
#include "worker/http/client/http2_connection.h"
#include "worker/http/exchange/response_writer.h"
#include "worker/http/filter/browsers.h"
#include "worker/http/log/connection_log.h"
#include "worker/http/route/server_names.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kLastRequestMs = 1000;  // for one more request, in a worker that ends

// Browsers of old that do not survive a kept connection (keepalive_disable).
bool KeepAliveDisabled(const conf::ClientSettings& conf, const Request& request) {
  constexpr uint32_t kMsie6 = 1, kSafari = 2;
  if (conf.keepalive_disable == 0) return false;
  const proto::Header* agent = request.headers().Find(proto::HeaderId::kUserAgent);
  if (agent == nullptr) return false;
  const std::string_view text = agent->value;
  if ((conf.keepalive_disable & kMsie6) != 0 && request.method == proto::Method::kPost &&
      IsOldMsie(text))
    return true;
  return (conf.keepalive_disable & kSafari) != 0 &&
         text.find("Safari/") != std::string_view::npos &&
         text.find("Mac OS X") != std::string_view::npos &&
         text.find("Chrome/") == std::string_view::npos;
}

std::string_view UnparsedHead(const BlockRef& block, size_t begin, size_t end) {
  return block ? std::string_view(block.data() + begin, end - begin) : std::string_view();
}

}  // namespace

// --- State ---

struct Http1Connection::StateRow {
  State state;
  std::string_view name;
  uint8_t follows;  // bits of the states it may come after
  bool reads;       // in an exchange: while the body is wanted
  bool gives_way;   // its place may be taken by another connection
  ClientConnection::Gauge gauge;
  uint64_t (Http1Connection::*deadline_ms)() const;  // from entering on; null: none
};

const Http1Connection::StateRow Http1Connection::kStates[] = {
    {State::kKept, "kept", BitsOf(State::kAnswered, State::kDrain), true, false,
     &shm::WorkerCounters::waiting, &Http1Connection::KeptMs},
    {State::kIdle, "idle",
     BitsOf(State::kIdle, State::kKept, State::kHead, State::kAnswered, State::kDrain), true, true,
     &shm::WorkerCounters::waiting, &Http1Connection::IdleMs},
    {State::kHead, "reading head", BitsOf(State::kIdle, State::kKept), true, false,
     &shm::WorkerCounters::reading, &Http1Connection::HeadMs},
    {State::kExchange, "exchange", BitsOf(State::kIdle, State::kKept, State::kHead), false, false,
     &shm::WorkerCounters::writing, nullptr},
    {State::kAnswered, "answered", BitsOf(State::kExchange), false, false,
     &shm::WorkerCounters::writing, nullptr},
    {State::kDrain, "draining body", BitsOf(State::kAnswered), true, false, nullptr,
     &Http1Connection::LingerMs},
    {State::kLinger, "lingering", BitsOf(State::kAnswered), true, true, nullptr,
     &Http1Connection::LingerMs},
    {State::kClosed, "closed", 0xFF, false, false, nullptr, nullptr},
};

void Http1Connection::Enter(State next) {
  const StateRow& row = kStates[static_cast<size_t>(next)];
  assert(row.state == next && (row.follows & BitsOf(state_)) != 0);
  connection_.MoveGauge(kStates[static_cast<size_t>(state_)].gauge, row.gauge);
  const bool goes_on = next == State::kAnswered;  // with the body, as far as it is wanted
  state_ = next;
  if (runtime_.logs_debug) connection_.LogState("http1", row.name);
  transport_.SetIdle(row.gives_way);
  if (goes_on) return;
  if (transport_.wants_read() != row.reads) transport_.WantRead(row.reads);
  ArmDeadline();
}

void Http1Connection::ArmDeadline() {
  const StateRow& row = kStates[static_cast<size_t>(state_)];
  if (row.deadline_ms == nullptr) return connection_.timer().Disarm();
  connection_.timer().Arm((this->*row.deadline_ms)());
}

uint64_t Http1Connection::HeadMs() const {
  return Ms(info_.listen->default_server->head.client_header_timeout);
}

// keepalive_min_timeout: so long a connection is kept, whoever needs its place.
uint64_t Http1Connection::SafeMs() const {
  if (last_settings_ == nullptr) return 0;
  return std::min(Ms(last_settings_->keepalive_min_timeout), Ms(last_settings_->keepalive_timeout));
}

uint64_t Http1Connection::KeptMs() const { return SafeMs(); }

// What is left: the time begins with the end of the last exchange.
uint64_t Http1Connection::IdleMs() const {
  if (info_.requests == 0) return HeadMs();
  uint64_t wait_ms = Ms(last_settings_->keepalive_timeout);
  if (connection_.stopping()) wait_ms = std::min(wait_ms, std::max(kLastRequestMs, SafeMs()));
  const uint64_t idle_ms = runtime_.loop.NowMs() - idle_since_ms_;
  return wait_ms > idle_ms ? wait_ms - idle_ms : 1;
}

uint64_t Http1Connection::LingerMs() const { return linger_.NextMs(runtime_.loop.NowMs()); }

const conf::ClientSettings& Http1Connection::settings() const {
  return exchange_ != nullptr ? exchange_->location().client
                              : info_.listen->default_server->root->client;
}

Http1Connection::Http1Connection(ClientConnection& connection)
    : connection_(connection),
      runtime_(connection.runtime()),
      transport_(connection.transport()),
      info_(connection.info()),
      process_(runtime_.loop, Callback::To<&Http1Connection::ProcessInput>(this)) {}

Http1Connection::~Http1Connection() = default;

void Http1Connection::Start() {
  runtime_.own_counters.waiting.fetch_add(1, std::memory_order_relaxed);
  Enter(State::kIdle);
}

void Http1Connection::OnPlaceNeeded() {
  if (state_ == State::kIdle && transport_.HasUnread()) return;  // its request has come
  Close(false);
}

// A client that has just been answered may be sending its next request: closing now would fail it.
// So a busy connection gets a moment for one more, which is answered with `Connection: close`.
void Http1Connection::CloseWhenIdle() {
  promised_ = IsServing() && exchange_->writer().head_sent();
  if (!IsIdle() || info_.requests == 0 || buffered() > 0) return;
  const uint64_t idle_ms = runtime_.loop.NowMs() - idle_since_ms_;
  if (idle_ms > std::max(kLastRequestMs, SafeMs())) return CloseIdle();
  ArmDeadline();
}

// What has come since the loop last looked is answered, too.
void Http1Connection::CloseIdle() {
  ReadHead();
  if (IsIdle() && buffered() == 0) Close(false);
}

void Http1Connection::CloseNow() {
  if (state_ == State::kExchange) exchange_->Abandon(499);
  Close(false);  // an answer that the client does not take is over for the exchange
}

// The transport is closed at once; the rest goes when no frame of ours is on the stack.
void Http1Connection::Close(bool reset) {
  if (state_ == State::kClosed) return;
  Enter(State::kClosed);
  DisarmSending();
  if (exchange_ != nullptr) connection_.KeepForLog();
  connection_.Close(reset);
  process_.Schedule();
}

// --- Heads ---

void Http1Connection::OnReadable() {
  switch (state_) {
    case State::kKept:
    case State::kIdle:
    case State::kHead:
      return ReadHead();
    case State::kExchange:
    case State::kAnswered:
      return ReadBody();
    case State::kDrain:
    case State::kLinger:
      return ReadAndDrop();
    case State::kClosed:
      return;
  }
}

bool Http1Connection::GrowBlock() {
  const size_t used = buffered();
  BlockSize next = input_ == Input::kShort ? BlockSize::k1K : BlockSize::k4K;
  if (block_) {
    input_ = Input::kLong;
    if (block_.size() == BlockSize::k256K) return false;
    next = Larger(block_.size());
  }
  BlockRef larger = runtime_.blocks.Get(next);
  if (used > 0) std::memcpy(larger.data(), block_.data() + begin_, used);
  block_ = std::move(larger);
  begin_ = 0;
  end_ = used;
  return true;
}

// What views of a head point into lives as long as its request: a short one in a small block. One
// copy tells what the connection brings, which is read into such a block from then on.
void Http1Connection::LearnInput() {
  constexpr size_t kRoom = 128;  // for the rest, if it is not all
  input_ = end_ + kRoom <= Bytes(BlockSize::k1K) ? Input::kShort : Input::kLong;
  if (input_ == Input::kLong) return;
  BlockRef smaller = runtime_.blocks.Get(BlockSize::k1K);
  std::memcpy(smaller.data(), block_.data(), end_);
  block_ = std::move(smaller);
}

void Http1Connection::ReadHead() {
  if ((!block_ || end_ == block_.capacity()) && !GrowBlock())
    return GiveUpHead({494, "client sent too long header", {}}, false);
  size_t n = 0;
  switch (transport_.Read(block_.data() + end_, block_.capacity() - end_, &n)) {
    case Io::kOk:
      end_ += n;
      if (input_ == Input::kUnknown) {
        LearnInput();
      } else if (end_ == block_.capacity()) {
        input_ = Input::kLong;
      }
      return ProcessInput();
    case Io::kWouldBlock:
      if (buffered() == 0) block_.Reset();
      // It was something, but no request: a part of a TLS record.
      if (state_ == State::kIdle) transport_.SetIdle(true);
      return;
    case Io::kEof:
    case Io::kError:
      if (state_ == State::kHead) return GiveUpHead({400, ClosedEarly(transport_), {}}, true);
      LogClosed(runtime_, info_, transport_, UnparsedHead(block_, begin_, end_));
      return Close(false);
  }
}

// Ends what has ended and starts what has come; also run from the loop, when an exchange has
// finished on its own.
void Http1Connection::ProcessInput() {
  for (;;) {
    if (state_ == State::kClosed) {
      if (exchange_ != nullptr) EndExchange();
      connection_.set().ReturnTurn(std::move(turn_));
      return connection_.End();
    }
    if (state_ == State::kExchange) return Flush();
    if (state_ == State::kAnswered) {
      if (!turn_->out.empty()) return;
      EndExchange();
      NextRequest();
      continue;
    }
    if ((!IsIdle() && state_ != State::kHead) || buffered() == 0) return;
    if (SwitchesProtocol() || !ParseHead()) return;
  }
}

// HTTP/2 with prior knowledge: what has come is its preface, or may become it (RFC 9113 3.3).
bool Http1Connection::SwitchesProtocol() {
  if (info_.requests > 0 || !SpeaksHttp2InPlain(info_)) return false;
  switch (MatchPreface({block_.data() + begin_, buffered()})) {
    case Preface::kNo:
      return false;
    case Preface::kMaybe:
      if (IsIdle()) Enter(State::kHead);
      return true;
    case Preface::kYes:
      break;
  }
  const std::string_view unread(block_.data() + begin_, buffered());
  Enter(State::kClosed);
  connection_.set().ReturnTurn(std::move(turn_));
  connection_.SpeakHttp2({std::move(block_), unread});
  return true;
}

void Http1Connection::BeginParser() {
  if (turn_ == nullptr) {
    turn_ = connection_.set().TakeTurn();
  } else {
    turn_->parser.Reset();
  }
  turn_->begun_ms = runtime_.loop.NowMs();
}

// True if something was started or closed; false if more bytes are needed. A head that has come
// whole begins its exchange at once.
bool Http1Connection::ParseHead() {
  if (turn_ == nullptr || IsIdle()) BeginParser();
  const auto index = static_cast<size_t>(info_.listen - runtime_.http.listens.data());
  const ServerNames& names = *runtime_.names[index];
  auto status = turn_->parser.Parse(block_.data() + begin_, buffered(), names.head_limits());
  if (status == proto::HeadStatus::kComplete && names.fields_differ()) status = FollowServer(names);
  switch (status) {
    case proto::HeadStatus::kIncomplete:
      if (IsIdle() && turn_->parser.started()) Enter(State::kHead);
      return false;
    case proto::HeadStatus::kError:
      RefuseHead(turn_->parser.error());
      return true;
    case proto::HeadStatus::kComplete:
      StartExchange();
      return true;
  }
  return false;
}

// The head has been read as the default server wants it, but is for another one.
proto::HeadStatus Http1Connection::FollowServer(const ServerNames& names) {
  const proto::RequestHead& head = turn_->parser.head();
  if (head.is_http09()) return proto::HeadStatus::kComplete;
  const conf::Server& first =
      info_.tls_server != nullptr ? *info_.tls_server : *info_.listen->default_server;
  const proto::HeadLimits limits = names.LimitsOf(names.OfHead(head, first));
  if (limits == names.head_limits()) return proto::HeadStatus::kComplete;  // it is read so already
  return turn_->parser.ReadFields(block_.data() + begin_, limits);
}

// The rest of the head will not come, or is not wanted. `silent`: nobody is answered, but the log
// has its line.
void Http1Connection::GiveUpHead(const proto::HeadError& error, bool silent) {
  if (turn_ == nullptr) BeginParser();
  turn_->parser.GiveUp(block_.data() + begin_, buffered());
  RefuseHead(error, silent);
}

void Http1Connection::RefuseHead(const proto::HeadError& error, bool silent) {
  ++info_.requests;
  exchange_ = connection_.set().TakeExchange();
  turn_->framing = {};
  body_ = Body::kDone;
  continue_ = Continue::kNotAsked;
  keep_alive_ = false;
  BeginResponse();
  runtime_.own_counters.requests.fetch_add(1, std::memory_order_relaxed);
  Enter(State::kExchange);
  exchange_->request().started_ms = turn_->begun_ms;
  exchange_->request().head_length = turn_->parser.good_size();
  exchange_->StartRefused(*this, turn_->parser.head(), error, silent);
}

void Http1Connection::StartExchange() {
  const proto::RequestHead& head = turn_->parser.head();
  ++info_.requests;
  begin_ += turn_->parser.consumed();
  turn_->framing = proto::RequestFraming(head);
  turn_->body_remaining = turn_->framing.length;
  turn_->body_received = 0;
  const bool has_body = turn_->framing.ok() && turn_->framing.kind != proto::BodyKind::kNone;
  body_ = has_body ? Body::kHeld : Body::kDone;
  body_comes_fast_ = false;
  const proto::Header* expect = head.headers.Find(proto::HeaderId::kExpect);
  const bool announces_body = has_body || head.headers.Has(proto::HeaderId::kContentLength);
  const bool asks = announces_body && head.is_http11() && expect != nullptr &&
                    EqualsIgnoreCase(expect->value, "100-continue");
  continue_ = asks ? Continue::kAsked : Continue::kNotAsked;
  if (turn_->framing.kind == proto::BodyKind::kChunked) {
    if (turn_->decoder == nullptr) turn_->decoder = std::make_unique<proto::ChunkedDecoder>();
    turn_->decoder->Reset();
  }
  keep_alive_ = head.keep_alive();
  BeginResponse();
  runtime_.own_counters.requests.fetch_add(1, std::memory_order_relaxed);
  if (turn_->parser.ignored_lines() != 0) {  // why a header did not get through: one line is told
    LogConnection(runtime_, info_, LogLevel::kInfo,
                  fmt::format("client sent invalid header line: \"{}\" while reading client "
                              "request headers",
                              turn_->parser.first_ignored_line()));
  }
  exchange_ = connection_.set().TakeExchange();
  Enter(State::kExchange);
  exchange_->request().started_ms = turn_->begun_ms;
  exchange_->request().pipelined = pipelined_;
  exchange_->Start(*this, head, turn_->framing, turn_->parser.consumed() - turn_->parser.skipped());
}

bool Http1Connection::keep_alive() const {
  if (!keep_alive_ || IsTunnel()) return false;
  if (connection_.stopping() && !promised_) return false;
  if (continue_ == Continue::kAsked && body_ != Body::kDone)
    return false;  // whether the body comes is unknown
  const conf::ClientSettings& conf = settings();
  if (conf.keepalive_timeout.count() == 0 ||
      info_.requests >= static_cast<uint64_t>(conf.keepalive_requests))
    return false;
  if (KeepAliveDisabled(conf, exchange_->request())) return false;
  return runtime_.loop.NowMs() - info_.started_ms <= Ms(conf.keepalive_time);
}

// --- Ends ---

// In a tunnel the end of one direction is not that of the other: the rest is read when it is
// wanted, and the client still takes what it is sent.
void Http1Connection::OnHangup() {
  if (IsServing() && IsTunnel() && !transport_.is_reset()) return;
  if (state_ == State::kAnswered && has_unsent()) return LoseClient();
  if (state_ == State::kExchange) exchange_->OnClientGone();
  if (state_ == State::kDrain) Close(false);
}

void Http1Connection::EndExchange() {
  DisarmSending();
  if (state_ != State::kClosed) keep_alive_ = keep_alive();
  last_settings_ = &settings();
  turn_->body_block.Release();
  exchange_->Reset();
  connection_.set().ReturnExchange(std::move(exchange_));
}

// The response has gone out: goes on with the next request, or closes without losing its last
// bytes.
void Http1Connection::NextRequest() {
  if (!keep_alive_) return Linger();
  if (body_ != Body::kDone) return Drain();
  pipelined_ = buffered() > 0;
  BeginHead();
}

void Http1Connection::BeginHead() {
  if (turn_->next_block) {
    block_ = std::exchange(turn_->next_block, {});
    begin_ = turn_->next_begin;
    end_ = turn_->next_end;
  }
  const size_t left = buffered();
  if (left == 0) {
    begin_ = end_ = 0;
    block_.Reset();
    connection_.set().ReturnTurn(std::move(turn_));
  } else if (begin_ > 0) {
    if (!block_.unique()) {
      BlockRef fresh = runtime_.blocks.Get(left <= 4000    ? BlockSize::k4K
                                           : left <= 16000 ? BlockSize::k16K
                                           : left <= 65000 ? BlockSize::k64K
                                                           : BlockSize::k256K);
      std::memcpy(fresh.data(), block_.data() + begin_, left);
      block_ = std::move(fresh);
    } else {
      std::memmove(block_.data(), block_.data() + begin_, left);
    }
    begin_ = 0;
    end_ = left;
  }
  idle_since_ms_ = runtime_.loop.NowMs();
  promised_ = false;
  Enter(SafeMs() > 0 ? State::kKept : State::kIdle);
}

void Http1Connection::OnTimer() {
  switch (state_) {
    case State::kAnswered:  // the answer goes on, and has a timeout of its own
      break;
    case State::kExchange:
      NoteTimeout();
      return exchange_->OnBodyError(408);
    case State::kHead:
      if (settings().reset_timedout_connection) transport_.SetReset();
      return GiveUpHead({408, "client timed out (110: Connection timed out)", {}}, true);
    case State::kKept:
      return Enter(State::kIdle);
    case State::kIdle:
      if (connection_.stopping() && info_.requests > 0) return CloseIdle();
      if (info_.requests == 0) {
        LogConnection(runtime_, info_, LogLevel::kInfo,
                      fmt::format("client timed out{}{}", ErrnoText(ETIMEDOUT),
                                  WhileReading(UnparsedHead(block_, begin_, end_))));
      }
      return Close(false);
    case State::kDrain:
    case State::kLinger:
    case State::kClosed:
      return Close(false);
  }
}

}  // namespace limpet::worker
