#include "worker/http/client/http2_stream.h"

#include <algorithm>
#include <cerrno>

#include "base/text.h"
#include "worker/http/client/client_closed.h"
#include "worker/http/client/connection_set.h"
#include "worker/http/client/http2_connection.h"
#include "worker/http/client/http2_fields.h"

namespace limpet::worker {

Http2Stream::Http2Stream(Http2Connection& connection, int32_t id)
    : connection_(connection),
      id_(id),
      memory_(first_memory_.data(), first_memory_.size(), &connection.runtime().blocks.small()),
      head_{.headers = proto::HeaderList(&connection.runtime().blocks.small())},
      body_out_(connection.runtime().blocks) {}

Http2Stream::~Http2Stream() = default;

Http2StreamPtr Http2Stream::Make(Http2Connection& connection, int32_t id) {
  std::pmr::polymorphic_allocator<> memory(&connection.runtime().blocks.small());
  return Http2StreamPtr(memory.new_object<Http2Stream>(connection, id));
}

void FreeHttp2Stream::operator()(Http2Stream* stream) const {
  std::pmr::polymorphic_allocator<> memory(&stream->connection_.runtime().blocks.small());
  memory.delete_object(stream);
}

// --- The request ---

void Http2Stream::TakeHead(proto::RequestHeadBuilder& builder, size_t head_length) {
  ClientConnection& connection = connection_.connection();
  head_ = std::move(builder.head());
  ++connection.info().requests;
  connection_.runtime().own_counters.requests.fetch_add(1, std::memory_order_relaxed);
  exchange_ = connection.set().TakeExchange();
  exchange_->request().head_length = head_length;
  exchange_->request().started_ms = connection_.head_began_ms();
}

void Http2Stream::GiveUp(proto::RequestHeadBuilder& builder, size_t head_length) {
  TakeHead(builder, head_length);
  const proto::HeadError& error = builder.error();
  exchange_->StartRefused(*this, head_, {0, error.reason, error.detail}, true);
}

void Http2Stream::Begin(proto::RequestHeadBuilder& builder, size_t head_length, bool end_stream) {
  TakeHead(builder, head_length);
  is_websocket_ = builder.is_websocket();
  if (is_websocket_) AddWebSocketKey(&head_, &memory_);
  framing_ =
      is_websocket_ ? proto::Framing{} : proto::StreamFraming(head_, builder.framing(), end_stream);
  counter_ = proto::BodyCounter(framing_);
  input_ended_ = end_stream;
  const bool has_body = framing_.ok() && framing_.kind != proto::BodyKind::kNone;
  body_ = has_body ? Body::kHeld : Body::kDone;
  const proto::Header* expect = head_.headers.Find(proto::HeaderId::kExpect);
  expects_continue_ =
      has_body && expect != nullptr && EqualsIgnoreCase(expect->value, "100-continue");
  if (builder.fault() == proto::HeadFault::kNone) {
    exchange_->Start(*this, head_, framing_, head_length);
  } else {
    exchange_->StartRefused(*this, head_, builder.error());
  }
}

bool Http2Stream::OnData(Slice data, uint64_t most_left) {
  const size_t size = data.bytes.size();
  const bool is_body = !is_tunnel_ && !is_websocket_;
  if (finished_ || body_is_refused_) return false;
  if (is_body && body_ == Body::kDone) {  // content-length: 0, or no more than was declared
    if (framing_.ok() && !counter_.Add(size))
      RefuseLength("client intended to send body data larger than declared");
    return false;
  }
  if (is_body && counter_.left() > most_left) {
    RefuseLength("client sent less of a body than declared");
    return false;
  }
  if (is_body && !counter_.Add(size)) {
    RefuseLength("client intended to send body data larger than declared");
    return false;
  }
  if (is_body) exchange_->request().body_received += size;
  if (body_ == Body::kWanted && HoldsNothing()) {
    delivering_ = true;
    Hand(std::move(data));
    delivering_ = false;
    if (body_ == Body::kWanted && !finished_) UpdateBodyTimer();
    return true;
  }
  if (held_ == nullptr) held_ = std::make_unique<Held>();
  std::vector<Slice>& slices = held_->slices;
  Slice* const last = slices.empty() ? nullptr : &slices.back();
  if (!held_->joiner.Join(connection_.runtime().blocks, last, &data))
    slices.push_back(std::move(data));
  return false;
}

void Http2Stream::OnPause() {
  if (!finished_ && body_ != Body::kDone) exchange_->OnBodyPause();
}

void Http2Stream::RefuseLength(std::string_view why) {
  exchange_->Log(LogLevel::kInfo, why);
  RefuseBody(400);
}

// What still comes is dropped. A request that was begun for nothing counts as a reset does.
void Http2Stream::RefuseBody(int status) {
  body_is_refused_ = true;
  body_ = Body::kDone;
  DisarmBody();
  connection_.NoteProvokedReset();
  exchange_->OnBodyError(status);
}

// The client may send more once the exchange has taken what was sent. It has to hear of that: until
// then nothing may come that would let us write.
void Http2Stream::Hand(Slice data) {
  const size_t size = data.bytes.size();
  if (output_ != Output::kGone) {
    nghttp2_session_consume_stream(connection_.session(), id_, size);
    connection_.ScheduleWork();
  }
  body_received_ += size;
  const uint64_t limit = exchange_->location().client.max_body_size;
  if (!is_tunnel_ && limit != 0 && body_received_ > limit) {
    exchange_->Log(LogLevel::kError,
                   fmt::format("client intended to send too large body: {} bytes", body_received_));
    return RefuseBody(413);
  }
  exchange_->OnBodyData(std::move(data));
}

// As far as it is wanted.
void Http2Stream::HandHeld() {
  delivering_ = true;
  std::vector<Slice> held = std::exchange(held_->slices, {});
  size_t next = 0;
  while (next < held.size() && body_ == Body::kWanted && !finished_) Hand(std::move(held[next++]));
  delivering_ = false;
  if (finished_) return;
  std::vector<Slice>& slices = held_->slices;
  slices.insert(slices.begin(),
                std::make_move_iterator(held.begin() + static_cast<ptrdiff_t>(next)),
                std::make_move_iterator(held.end()));
  if (slices.empty()) held_->joiner.Reset();
}

void Http2Stream::Deliver() {
  const bool any = !HoldsNothing();
  if (any) HandHeld();
  if (finished_) return;
  if (HoldsNothing() && input_ended_ && body_ == Body::kWanted) return EndInput();
  if (any && body_ != Body::kDone) exchange_->OnBodyPause();
}

void Http2Stream::OnInputEnd() {
  input_ended_ = true;
  if (finished_ || body_is_refused_) return;
  if (!is_websocket_ && !counter_.AtEnd())
    return RefuseLength("client sent less of a body than declared");
  if (body_ == Body::kWanted && HoldsNothing()) EndInput();
}

void Http2Stream::EndInput() {
  body_ = Body::kDone;
  DisarmBody();
  exchange_->OnBodyEnd();
}

void Http2Stream::WantBody(bool wanted) {
  if (body_ == Body::kDone) return;
  body_ = wanted ? Body::kWanted : Body::kHeld;
  if (wanted && !delivering_) {
    OpenWindow();
    Deliver();
  }
  if (!finished_) UpdateBodyTimer();
}

void Http2Stream::UpdateBodyTimer() {
  if (body_ == Body::kWanted && !input_ended_ && !is_tunnel_) {
    TimersToArm().body.Arm(exchange_->location().client.body_timeout);
  } else {
    DisarmBody();
  }
}

Http2Stream::Timers& Http2Stream::TimersToArm() {
  if (timers_ == nullptr) timers_ = std::make_unique<Timers>(connection_.runtime().loop, this);
  return *timers_;
}

void Http2Stream::DisarmBody() {
  if (timers_ != nullptr) timers_->body.Disarm();
}

void Http2Stream::DisarmSending() {
  if (timers_ != nullptr) timers_->send.Disarm();
}

// What is stored as it comes needs no window to hold the client back; what is passed on does.
void Http2Stream::OpenWindow() {
  if (std::exchange(window_is_open_, true) || output_ == Output::kGone) return;
  constexpr int64_t kLeast = 65536, kDefault = 65535, kLargest = 0x7fffffff;
  nghttp2_session* const session = connection_.session();
  // The client's acknowledgement of our SETTINGS may still raise it (RFC 9113 6.9.2), and no window
  // may pass the largest.
  const auto preread = static_cast<int64_t>(connection_.preread_size());
  const int64_t most = kLargest - std::max<int64_t>(0, preread - kDefault);
  const bool is_stored = exchange_->body().mode() == RequestBody::Mode::kBuffered;
  const int64_t now = nghttp2_session_get_stream_effective_local_window_size(session, id_);
  const int64_t wanted = is_stored && !is_websocket_ ? most : std::min(std::max(now, kLeast), most);
  if (wanted <= now) return;
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, id_,
                                        static_cast<int32_t>(wanted));
  connection_.ScheduleWork();
}

bool Http2Stream::DropBufferedBody() {
  if (body_ == Body::kHeld && held_ != nullptr) held_->slices.clear();
  return true;
}

void Http2Stream::OnBodyTimeout() {
  abort_error_ = NGHTTP2_PROTOCOL_ERROR;
  exchange_->Log(LogLevel::kInfo, fmt::format("client timed out{}", ErrnoText(ETIMEDOUT)));
  exchange_->OnBodyError(408);
}

void Http2Stream::StartTunnel() {
  is_tunnel_ = true;
  body_ = Body::kHeld;
}

// --- The end ---

bool Http2Stream::keep_alive() const { return !connection_.connection().stopping(); }

void Http2Stream::FinishResponse() {
  finished_ = true;
  DisarmBody();
  // A tunnel ends as it is; a filter that could not end its body has said so by silence.
  if (output_ == Output::kBody) output_ = is_tunnel_ ? Output::kEnd : Output::kBroken;
  if (output_ == Output::kHead) return Reset(NGHTTP2_INTERNAL_ERROR);
  Flush();
  CheckOver();
}

void Http2Stream::BreakResponse() {
  finished_ = true;
  DisarmBody();
  if (output_ == Output::kHead) return Reset(NGHTTP2_INTERNAL_ERROR);
  if (output_ == Output::kBody) output_ = Output::kBroken;
  Flush();
  CheckOver();
}

void Http2Stream::Abort(bool) {
  finished_ = true;
  Reset(abort_error_);
}

// At once: what is queued is lost.
void Http2Stream::Reset(uint32_t error) {
  if (output_ != Output::kGone && output_ != Output::kSent) {
    SubmitReset(error);
  }
  OnGone();
}

void Http2Stream::SubmitReset(uint32_t error) {
  nghttp2_submit_rst_stream(connection_.session(), NGHTTP2_FLAG_NONE, id_, error);
  if (!input_ended_) connection_.NoteCut(id_);
  connection_.ScheduleWork();
}

void Http2Stream::NoteReset(uint32_t error) {
  is_reset_ = true;
  if (exchange_ == nullptr) return;
  if (error == NGHTTP2_CANCEL) {
    exchange_->Log(LogLevel::kInfo, fmt::format("client canceled stream {}", id_));
  } else if (error == NGHTTP2_INTERNAL_ERROR) {
    exchange_->Log(LogLevel::kInfo,
                   fmt::format("client terminated stream {} due to internal error", id_));
  } else {
    exchange_->Log(LogLevel::kInfo,
                   fmt::format("client terminated stream {} with status {}", id_, error));
  }
}

void Http2Stream::OnGone() {
  if (output_ == Output::kGone) return CheckOver();
  if (finished_ && output_ == Output::kEnd && !is_reset_ && connection_.has_lost_client())
    exchange_->Log(LogLevel::kInfo, kClientLeft);
  output_ = Output::kGone;
  body_out_.Clear();
  framed_to_ = 0;
  blocked_ = false;
  moved_ = true;  // who waits for the client need not any more
  timers_.reset();
  if (exchange_ != nullptr && !finished_ && !HasLastWords()) {
    const bool body_is_missing = body_ == Body::kWanted && !input_ended_ && !is_tunnel_;
    if (body_is_missing) {
      if (!is_reset_) exchange_->Log(LogLevel::kInfo, kClientLeft);
      exchange_->Abandon(499);
    } else {
      exchange_->OnClientGone();
    }
  }
  CheckOver();
}

// A tunnel's client that has ended the stream, and then the connection, has said all in order: the
// rest is on its way to the peer.
bool Http2Stream::HasLastWords() const {
  return is_tunnel_ && input_ended_ && connection_.client_has_ended();
}

void Http2Stream::CheckOver() {
  const bool is_idle = exchange_ == nullptr || finished_;
  const bool nothing_goes = output_ == Output::kGone || output_ == Output::kSent;
  if (over_ || !is_idle || !nothing_goes) return;
  over_ = true;
  connection_.NoteOver();
}

void Http2Stream::End() {
  timers_.reset();
  held_.reset();
  if (exchange_ == nullptr) return;
  exchange_->Reset();
  connection_.connection().set().ReturnExchange(std::move(exchange_));
}

// --- The connection's ---

const ClientInfo& Http2Stream::client() const { return connection_.connection().info(); }

const TlsTransport* Http2Stream::tls() const { return connection_.connection().tls(); }

void Http2Stream::SetNoDelay(bool on) { connection_.SetNoDelay(on); }

bool Http2Stream::TcpInfo(tcp_info* out) const { return connection_.connection().TcpInfo(out); }

}  // namespace limpet::worker
