#include "worker/http/http1_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "worker/http/browsers.h"
#include "worker/http/connection_log.h"
#include "worker/http/connection_set.h"
#include "worker/http/response_writer.h"
#include "worker/http/server_names.h"

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

// What a connection without a whole head was doing, for error lines.
std::string_view WhileReading(std::string_view head) {
  if (head.empty()) return " while waiting for request";
  return head.find('\n') == std::string_view::npos ? " while reading client request line"
                                                   : " while reading client request headers";
}

// The client has closed between two requests or within a head.
void LogClosed(const Runtime& runtime, const ClientInfo& info, std::string_view head) {
  if (head.empty() && info.requests > 0) {
    const Log& log = ConnectionLog(runtime, info);
    if (!log.Enabled(LogLevel::kInfo)) return;
    return log.Write(LogLevel::kInfo, info.number,
                     fmt::format("client {} closed keepalive connection", info.remote_host));
  }
  LogConnection(runtime, info, LogLevel::kInfo,
                fmt::format("client {}closed connection{}", head.empty() ? "" : "prematurely ",
                            WhileReading(head)));
}

}  // namespace

Http1Connection::Http1Connection(ConnectionSet& set, Runtime& runtime,
                                 std::unique_ptr<Transport> transport, ClientInfo info)
    : set_(set),
      runtime_(runtime),
      transport_(std::move(transport)),
      info_(std::move(info)),
      timer_(runtime.loop, Callback::To<&Http1Connection::OnTimer>(this)),
      send_timer_(runtime.loop, Callback::To<&Http1Connection::OnSendTimeout>(this)),
      rate_timer_(runtime.loop, Callback::To<&Http1Connection::OnRateTimer>(this)),
      process_(runtime.loop, Callback::To<&Http1Connection::ProcessInput>(this)),
      out_(runtime.blocks) {
  transport_->set_handler(this);
  if (transport_->is_tls()) static_cast<TlsTransport&>(*transport_).set_certificate_giver(this);
}

Http1Connection::~Http1Connection() = default;

void Http1Connection::Start() {
  ++runtime_.own_counters.active;
  const int status = transport_->Start();
  if (status == EINPROGRESS) {
    transport_->SetIdle(true);
    timer_.Arm(info_.listen->default_server->head.client_header_timeout);
    return;
  }
  OnReady(status);
}

void Http1Connection::OnReady(int errnum) {
  if (errnum != 0 && !ContinueInPlain()) {
    LogConnection(runtime_, info_, LogLevel::kInfo,
                  transport_->ErrorText() + " while SSL handshaking");
    return Close(false);
  }
  if (info_.ssl) NoteTlsServer();
  Enter(State::kIdle);
  timer_.Arm(info_.listen->default_server->head.client_header_timeout);
  transport_->WantRead(true);
}

// --- State ---

void Http1Connection::CountState(State from, State to) {
  auto& counters = runtime_.own_counters;
  const auto gauge = [&counters](State state) -> std::atomic<int64_t>* {
    switch (state) {
      case State::kIdle:
        return &counters.waiting;
      case State::kHead:
        return &counters.reading;
      case State::kExchange:
        return &counters.writing;
      default:
        return nullptr;
    }
  };
  // Only this worker writes these: no read-modify-write is needed.
  const auto add = [](std::atomic<int64_t>* value, int64_t change) {
    if (value != nullptr)
      value->store(value->load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
  };
  add(gauge(from), -1);
  add(gauge(to), 1);
}

void Http1Connection::Enter(State next) {
  CountState(state_, next);
  state_ = next;
  transport_->SetIdle((next == State::kIdle && !IsSafe()) || next == State::kLinger);
}

// keepalive_min_timeout: so long a connection is kept, whoever needs its place.
bool Http1Connection::IsSafe() const {
  return info_.requests > 0 && runtime_.loop.NowMs() - idle_since_ms_ < SafeMs();
}

uint64_t Http1Connection::SafeMs() const {
  return last_settings_ == nullptr ? 0 : Ms(last_settings_->keepalive_min_timeout);
}

// The safe time is over: from now on it may give way. False: all its time is.
bool Http1Connection::GoesOnIdle() {
  const uint64_t wait_ms = Ms(last_settings_->keepalive_timeout);
  if (transport_->is_idle() || SafeMs() >= wait_ms) return false;
  transport_->SetIdle(true);
  timer_.Arm(wait_ms - SafeMs());
  return true;
}

void Http1Connection::OnPlaceNeeded() {
  if (state_ == State::kIdle && transport_->HasUnread()) return;  // its request has come
  Close(false);
}

const conf::ClientSettings& Http1Connection::settings() const {
  return exchange_ != nullptr ? exchange_->location().client
                              : info_.listen->default_server->root->client;
}

// A client that has just been answered may be sending its next request: closing now would fail it.
// So a busy connection gets a moment for one more, which is answered with `Connection: close`.
void Http1Connection::CloseWhenIdle() {
  stopping_ = true;
  promised_ = state_ == State::kExchange && exchange_->writer().head_sent();
  if (state_ != State::kIdle) return;
  if (info_.requests == 0) return process_.Schedule();
  if (buffered() > 0) return;
  const uint64_t idle_ms = runtime_.loop.NowMs() - idle_since_ms_;
  const uint64_t last_ms = std::max(kLastRequestMs, SafeMs());
  if (idle_ms > last_ms) return CloseIdle();
  timer_.Arm(last_ms > kLastRequestMs ? last_ms - idle_ms : last_ms);
}

// What has come since the loop last looked is answered, too.
void Http1Connection::CloseIdle() {
  ReadHead();
  if (state_ == State::kIdle && buffered() == 0) Close(false);
}

void Http1Connection::CloseNow() {
  if (exchange_ != nullptr && state_ == State::kExchange) {
    exchange_->Abandon(499);
  } else {
    Close(false);
  }
}

void Http1Connection::Close(bool reset) {
  if (state_ == State::kClosed) return;
  Enter(State::kClosed);
  timer_.Disarm();
  send_timer_.Disarm();
  rate_timer_.Disarm();
  if (reset) transport_->SetReset();
  transport_->Close();
  --runtime_.own_counters.active;
  process_.Schedule();  // the rest goes when no frame of ours is on the stack
}

// --- Heads ---

void Http1Connection::OnReadable() {
  switch (state_) {
    case State::kIdle:
    case State::kHead:
      return ReadHead();
    case State::kExchange:
      return ReadBody();
    case State::kDrain:
    case State::kLinger:
      return ReadAndDrop();
    default:
      return;
  }
}

bool Http1Connection::GrowBlock() {
  const size_t used = buffered();
  BlockSize next = BlockSize::k4K;
  if (block_) {
    if (block_.capacity() >= Bytes(BlockSize::k256K) / 2) return false;
    next = block_.capacity() < 5000    ? BlockSize::k16K
           : block_.capacity() < 20000 ? BlockSize::k64K
                                       : BlockSize::k256K;
  }
  BlockRef larger = runtime_.blocks.Get(next);
  if (used > 0) std::memcpy(larger.data(), block_.data() + begin_, used);
  block_ = std::move(larger);
  begin_ = 0;
  end_ = used;
  return true;
}

void Http1Connection::ReadHead() {
  if ((!block_ || end_ == block_.capacity()) && !GrowBlock())
    return RefuseHead({494, "client sent too long header", {}});
  size_t n = 0;
  switch (transport_->Read(block_.data() + end_, block_.capacity() - end_, &n)) {
    case Io::kOk:
      end_ += n;
      return ProcessInput();
    case Io::kWouldBlock:
      if (buffered() == 0) block_.Reset();
      // It was something, but no request: a part of a TLS record.
      if (state_ == State::kIdle && !transport_->is_idle() && !IsSafe()) transport_->SetIdle(true);
      return;
    case Io::kEof:
    case Io::kError:
      if (state_ == State::kHead)
        return RefuseHead({400, "client prematurely closed connection", {}}, true);
      LogClosed(runtime_, info_, UnparsedHead(block_, begin_, end_));
      return Close(false);
  }
}

// Ends what has ended and starts what has come; also run from the loop, when an exchange has
// finished on its own.
void Http1Connection::ProcessInput() {
  for (;;) {
    if (state_ == State::kClosed) {
      if (exchange_ != nullptr) EndExchange();
      set_.ReturnReader(std::move(reader_));
      set_.Remove(this);
      return;
    }
    if (state_ == State::kExchange) {
      if (!finished_ || !out_.empty()) return;
      EndExchange();
      NextRequest();
      continue;
    }
    if ((state_ != State::kIdle && state_ != State::kHead) || buffered() == 0) return;
    if (!ParseHead()) return;
  }
}

// True if something was started or closed; false if more bytes are needed.
bool Http1Connection::ParseHead() {
  if (state_ == State::kIdle) {
    Enter(State::kHead);
    if (reader_ == nullptr) reader_ = set_.TakeReader();
    reader_->parser.Reset();
    timer_.Arm(info_.listen->default_server->head.client_header_timeout);
  }
  const auto index = static_cast<size_t>(info_.listen - runtime_.http.listens.data());
  const proto::HeadLimits& limits = runtime_.names[index]->head_limits();
  switch (reader_->parser.Parse(block_.data() + begin_, buffered(), limits)) {
    case proto::HeadStatus::kIncomplete:
      if (!reader_->parser.started()) {  // only empty lines so far
        Enter(State::kIdle);
      }
      return false;
    case proto::HeadStatus::kError:
      RefuseHead(reader_->parser.error());
      return true;
    case proto::HeadStatus::kComplete:
      StartExchange();
      return true;
  }
  return false;
}

// `silent`: the rest of the head will not come. Nobody is answered, but the log has its line.
void Http1Connection::RefuseHead(const proto::HeadError& error, bool silent) {
  if (reader_ == nullptr) reader_ = set_.TakeReader();
  if (silent) reader_->parser.GiveUp(block_.data() + begin_, buffered());
  timer_.Disarm();
  ++info_.requests;
  exchange_ = set_.TakeExchange();
  finished_ = false;
  body_done_ = true;
  keep_alive_ = false;
  sent_before_ = out_.sent();
  runtime_.own_counters.requests.fetch_add(1, std::memory_order_relaxed);
  Enter(State::kExchange);
  transport_->WantRead(false);
  exchange_->StartRefused(*this, reader_->parser.head(), error, silent);
}

void Http1Connection::StartExchange() {
  const proto::RequestHead& head = reader_->parser.head();
  timer_.Disarm();
  ++info_.requests;
  begin_ += reader_->parser.consumed();
  framing_ = proto::RequestFraming(head);
  body_remaining_ = framing_.length;
  body_received_ = 0;
  body_done_ = !framing_.ok() || framing_.kind == proto::BodyKind::kNone;
  body_wanted_ = continue_sent_ = finished_ = body_comes_fast_ = false;
  const proto::Header* expect = head.headers.Find(proto::HeaderId::kExpect);
  const bool announces_body = !body_done_ || head.headers.Has(proto::HeaderId::kContentLength);
  expects_continue_ = announces_body && head.is_http11() && expect != nullptr &&
                      EqualsIgnoreCase(expect->value, "100-continue");
  if (framing_.kind == proto::BodyKind::kChunked) reader_->decoder.Reset();
  keep_alive_ = head.keep_alive();
  sent_before_ = out_.sent();
  runtime_.own_counters.requests.fetch_add(1, std::memory_order_relaxed);
  if (reader_->parser.ignored_lines() != 0) {  // why a header did not get through: one line is told
    LogConnection(runtime_, info_, LogLevel::kInfo,
                  fmt::format("client sent invalid header line: \"{}\" while reading client "
                              "request headers",
                              reader_->parser.first_ignored_line()));
  }
  exchange_ = set_.TakeExchange();
  Enter(State::kExchange);
  transport_->WantRead(false);
  exchange_->request().pipelined = pipelined_;
  exchange_->Start(*this, head, reader_->parser.consumed() - reader_->parser.skipped());
}

bool Http1Connection::keep_alive() const {
  if (!keep_alive_ || tunnel_) return false;
  if ((stopping_ || runtime_.stopping) && !promised_) return false;
  if (expects_continue_ && !continue_sent_ && !body_done_)
    return false;  // whether the body comes is unknown
  const conf::ClientSettings& conf = settings();
  if (conf.keepalive_timeout.count() == 0 ||
      info_.requests >= static_cast<uint64_t>(conf.keepalive_requests))
    return false;
  if (KeepAliveDisabled(conf, exchange_->request())) return false;
  return runtime_.loop.NowMs() - info_.started_ms <= Ms(conf.keepalive_time);
}

// --- Ends ---

void Http1Connection::OnHangup() {
  if (state_ == State::kExchange && finished_ && !out_.empty())
    return Close(false);  // nobody reads what is left
  if (state_ == State::kExchange && !finished_) exchange_->OnClientGone();
  if (state_ == State::kDrain) Close(false);
}

void Http1Connection::EndExchange() {
  send_timer_.Disarm();
  rate_timer_.Disarm();
  if (state_ != State::kClosed) keep_alive_ = keep_alive();
  last_settings_ = &settings();
  body_block_.Release();
  exchange_->Reset();
  set_.ReturnExchange(std::move(exchange_));
}

// The response has gone out: goes on with the next request, or closes without losing its last
// bytes.
void Http1Connection::NextRequest() {
  finished_ = false;
  if (!keep_alive_) return Linger();
  if (!body_done_) return Drain();
  pipelined_ = buffered() > 0;
  BeginHead();
}

void Http1Connection::BeginHead() {
  if (next_block_) {
    block_ = std::exchange(next_block_, {});
    begin_ = next_begin_;
    end_ = next_end_;
  }
  const size_t left = buffered();
  if (left == 0) {
    begin_ = end_ = 0;
    block_.Reset();
    set_.ReturnReader(std::move(reader_));
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
  Enter(State::kIdle);
  promised_ = false;
  const uint64_t wait_ms = Ms(last_settings_->keepalive_timeout);
  const uint64_t safe_ms = std::min(SafeMs(), wait_ms);
  timer_.Arm(stopping_     ? std::min(std::max(kLastRequestMs, safe_ms), wait_ms)
             : safe_ms > 0 ? safe_ms
                           : wait_ms);
  transport_->WantRead(true);
}

void Http1Connection::OnTimer() {
  switch (state_) {
    case State::kExchange:
      exchange_->Log(LogLevel::kInfo, fmt::format("client timed out{}", ErrnoText(ETIMEDOUT)));
      return exchange_->OnBodyError(408);
    case State::kHead:
      if (info_.listen->default_server->root->client.reset_timedout_connection)
        transport_->SetReset();
      return RefuseHead({408, "client timed out (110: Connection timed out)", {}}, true);
    case State::kIdle:
      if (stopping_ && info_.requests > 0) return CloseIdle();
      if (info_.requests > 0 && GoesOnIdle()) return;
      if (info_.requests == 0) {
        LogConnection(runtime_, info_, LogLevel::kInfo,
                      fmt::format("client timed out{}{}", ErrnoText(ETIMEDOUT),
                                  WhileReading(UnparsedHead(block_, begin_, end_))));
      }
      return Close(false);
    default:
      return Close(false);
  }
}

}  // namespace limpet::worker
