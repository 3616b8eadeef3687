// The response's way to the client on a stream of HTTP/2: frame by frame, as nghttp2 asks for them.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/text.h"
#include "worker/http/client/http2_connection.h"
#include "worker/http/client/http2_fields.h"
#include "worker/http/client/http2_stream.h"
#include "worker/http/filter/limit_rate.h"

namespace limpet::worker {
namespace {

constexpr std::chrono::milliseconds kWindowPatience{20};

}  // namespace

void Http2Stream::SendContinue() {
  if (!std::exchange(expects_continue_, false) || input_ended_ || body_received_ > 0) return;
  SendInterim(100, {});
}

void Http2Stream::SendInterim(int status, const proto::HeaderList& fields) {
  if (output_ != Output::kHead) return;
  SubmitInterim(connection_.session(), id_, status, fields);
  connection_.ScheduleWork();
}

// HTTP/2 has no 101; and to an extended CONNECT a 2xx says that the tunnel is open (RFC 8441 5).
bool Http2Stream::RefusesHead(const ResponseHead& head) const {
  return is_websocket_ ? head.status / 100 == 2 : head.status == 101;
}

// The exchange is not ended under whoever sends: OnWritten does it.
void Http2Stream::SendHead(const ResponseHead& head) {
  if (output_ != Output::kHead) return;
  if (RefusesHead(head)) {
    exchange_->Log(LogLevel::kError,
                   "the response to a client of HTTP/2 is no answer to its request");
    refused_ = true;
    exchange_->response().status = 502;  // for the log
    return connection_.ScheduleWork();
  }
  const bool switches = head.status == 101;
  const bool has_body = switches || !head.no_body;
  output_ = has_body ? Output::kBody : Output::kEnd;
  SubmitHead(connection_.session(), *this, head, has_body);
  connection_.ScheduleWork();
}

void Http2Stream::Write(BlockRef block, std::string_view bytes) {
  if (output_ != Output::kBody) return;
  if (!block) return body_out_.Append(bytes);
  const auto offset = static_cast<size_t>(bytes.data() - block.data());
  body_out_.AppendBlock(std::move(block), offset, bytes.size());
}

void Http2Stream::WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) {
  if (output_ == Output::kBody) body_out_.AppendFile(std::move(file), offset, size);
}

bool Http2Stream::can_splice() const {
  return output_ == Output::kBody && connection_.can_splice();
}

void Http2Stream::WritePipe(std::shared_ptr<const UniqueFd> read_end, uint64_t size) {
  if (output_ != Output::kBody) return;
  body_out_.AppendPipe(std::move(read_end), size);
  is_piped_ = true;
}

// Framed, but not sent.
bool Http2Stream::PipeIsOnItsWay() const { return framed_to_ > connection_.sent(); }

void Http2Stream::WriteEnd(const proto::HeaderList& trailers) {
  if (output_ != Output::kBody) return;
  output_ = Output::kEnd;
  trailers_ = trailers.empty() ? nullptr : &trailers;
}

void Http2Stream::Flush() {
  if (output_ != Output::kGone) connection_.ResumeData(*this);
}

uint64_t Http2Stream::SendBudget() {
  const uint64_t rate = is_tunnel_ ? 0 : ClientRate(*exchange_);
  if (rate == 0) return UINT64_MAX;
  const uint64_t elapsed_ms = connection_.runtime().loop.NowMs() - exchange_->request().started_ms;
  return RateAllowance(rate, ClientRateAfter(*exchange_), elapsed_ms, bytes_sent_);
}

// Of files as in nginx. Longer ones are cheaper: a frame of what is in a pipe costs two system
// calls whatever its length, and with its head it may fill a record of TLS. None is longer than the
// client takes.
uint64_t Http2Stream::ChunkSize() const {
  constexpr uint64_t kUsual = 8 * 1024, kLong = 16 * 1024;
  const uint64_t set = exchange_->location().http2_chunk_size;
  if (set > 0) {
    return std::min<uint64_t>(set, nghttp2_session_get_remote_settings(
                                       connection_.session(), NGHTTP2_SETTINGS_MAX_FRAME_SIZE));
  }
  if (is_piped_) return kLong;
  return body_out_.memory() > kUsual ? kLong - kFrameHead : kUsual;
}

int64_t Http2Stream::Window() const {
  nghttp2_session* const session = connection_.session();
  return std::min(nghttp2_session_get_stream_remote_window_size(session, id_),
                  nghttp2_session_get_remote_window_size(session));
}

// Half of a usual one, but of a window that is never large no more than half (RFC 9293 3.8.6.2.1).
uint64_t Http2Stream::LeastFrame() const {
  const uint64_t whole = nghttp2_session_get_remote_settings(connection_.session(),
                                                             NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
  return std::min(whole, ChunkSize()) / 2;
}

// A client that gives each frame back by itself gets frames as short as the ones before: a window
// that is cut into crumbs stays so. Hence none is left behind a frame, and where there is one, it
// waits a moment to grow: 0. Where that was in vain, the client gives windows back as a whole.
uint64_t Http2Stream::FrameSize(size_t length, uint64_t budget) const {
  const uint64_t wanted = std::min({ChunkSize(), body_out_.size(), budget});
  const uint64_t n = std::min<uint64_t>(wanted, length);
  if (n == body_out_.size()) return n;
  const uint64_t least = LeastFrame();
  if (n < wanted && n < least) return is_impatient_ ? n : 0;
  const auto window = static_cast<uint64_t>(std::max<int64_t>(Window(), 0));
  const bool leaves_crumb = n < window && window < n + least;
  return leaves_crumb && window >= 2 * least ? window - least : n;
}

ssize_t Http2Stream::DeferFor(std::chrono::milliseconds time) {
  Timer& timer = TimersToArm().rate;
  if (!timer.armed()) timer.Arm(time);
  deferred_ = true;
  return NGHTTP2_ERR_DEFERRED;
}

void Http2Stream::OnWindow() {
  if (std::exchange(awaits_window_, false)) Flush();
}

ssize_t Http2Stream::ReadData(size_t length, uint32_t* flags) {
  if (body_out_.empty() && output_ == Output::kBroken) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  if (body_out_.empty() && output_ == Output::kBody) {
    deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  const uint64_t budget = body_out_.empty() ? UINT64_MAX : SendBudget();
  if (budget == 0) {
    DisarmSending();
    return DeferFor(kRateLook);
  }
  const uint64_t n = FrameSize(length, budget);
  if (n == 0 && !body_out_.empty()) {
    awaits_window_ = true;
    connection_.NoteAwaitingWindow();
    return DeferFor(kWindowPatience);
  }
  if (n > 0) *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (n < body_out_.size() || output_ != Output::kEnd) return static_cast<ssize_t>(n);
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (trailers_ != nullptr) {
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    SubmitTrailers(connection_.session(), id_, *trailers_);
  }
  return static_cast<ssize_t>(n);
}

void Http2Stream::MoveData(size_t length, OutputQueue* out) {
  body_out_.MoveTo(*out, length);
  if (is_piped_) framed_to_ = out->sent() + out->size();
  moved_ = true;
  DisarmSending();
}

void Http2Stream::OnFrameSent(const nghttp2_frame& frame) {
  bytes_sent_ += frame.hd.length + kFrameHead;
  // As in nginx a body's bytes are what DATA carries.
  head_bytes_ += kFrameHead + (frame.hd.type == NGHTTP2_DATA ? 0 : frame.hd.length);
  if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 || output_ == Output::kGone) return;
  output_ = Output::kSent;
  sent_all_ = true;
  DisarmSending();
  // What is left of the request is of no use (RFC 9113 8.1). But there are clients that lose a
  // response by the reset behind it: where little is left, the end comes by itself.
  const bool is_awaited = !input_ended_ && RestIsOnItsWay() && connection_.AwaitRest(id_);
  if (!input_ended_ && !is_awaited) SubmitReset(NGHTTP2_NO_ERROR);
  CheckOver();
}

// The client may send it without hearing from us.
bool Http2Stream::RestIsOnItsWay() const {
  if (framing_.kind != proto::BodyKind::kLength || expects_continue_) return false;
  const int32_t window = nghttp2_session_get_stream_local_window_size(connection_.session(), id_);
  return window > 0 && counter_.left() <= static_cast<uint64_t>(window);
}

void Http2Stream::OnWritten() {
  if (refused_ && !finished_) return exchange_->Abandon(502);
  if (output_ == Output::kHead || output_ == Output::kSent) return;
  blocked_ = !body_out_.empty();
  if (blocked_) WatchSending();
  if (EndAwaitsWindow()) EndWithoutWindow();
  if (!moved_ || finished_ || body_out_.memory() > 0 || PipeIsOnItsWay()) return;
  moved_ = false;
  exchange_->OnOutputDrained();
}

bool Http2Stream::EndAwaitsWindow() const {
  const bool is_at_end = output_ == Output::kEnd || output_ == Output::kBroken;
  return is_at_end && body_out_.empty() && !connection_.blocked() && !HasWindow();
}

// The end has no bytes, but nghttp2 has no frame of the body without a window. What is not of the
// body needs none: trailers, be there some or not, or a reset. A tunnel has no trailers (RFC 9113
// 8.5).
void Http2Stream::EndWithoutWindow() {
  if (output_ == Output::kBroken) return Reset(NGHTTP2_INTERNAL_ERROR);
  if (is_tunnel_) return WatchSending();
  if (std::exchange(end_is_told_, true)) return;
  const proto::HeaderList none;
  SubmitTrailers(connection_.session(), id_, trailers_ != nullptr ? *trailers_ : none);
  connection_.ScheduleWork();
}

// A client that gives no window has send_timeout for it. One that gives one is waited for as long
// as the connection goes on: other streams may go first.
void Http2Stream::WatchSending() {
  Timers& timers = TimersToArm();
  if (timers.rate.armed() || (timers.send.armed() && !HasWindow())) return;
  timers.send.Arm(exchange_->location().client.send_timeout);
}

// What waits for the socket is not there to be filled up.
bool Http2Stream::blocked() const { return blocked_ || (connection_.blocked() && has_unsent()); }

void Http2Stream::OnRateTimer() {
  if (std::exchange(awaits_window_, false)) is_impatient_ = true;
  Flush();
}

void Http2Stream::OnSendTimeout() {
  abort_error_ = NGHTTP2_PROTOCOL_ERROR;
  exchange_->Log(LogLevel::kInfo, fmt::format("client timed out{}", ErrnoText(ETIMEDOUT)));
  Abandon(408);
}

void Http2Stream::Abandon(int status) {
  if (exchange_ == nullptr) return;
  if (!finished_) return exchange_->Abandon(status);
  Reset(NGHTTP2_PROTOCOL_ERROR);
}

}  // namespace limpet::worker
