#include "worker/http/client/http2_connection.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <utility>

#include "base/bits.h"
#include "worker/http/client/client_closed.h"
#include "worker/http/client/connection_set.h"
#include "worker/http/client/http2_callbacks.h"
#include "worker/http/client/http2_memory.h"
#include "worker/http/exchange/file_cut.h"
#include "worker/http/log/connection_log.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kToldMs = 1000;           // for a client's answer, once it is told that we leave
constexpr uint64_t kMostFramed = 64 * 1024;  // bytes of frames that wait for the socket
constexpr int32_t kLargestWindow = 0x7fffffff;
constexpr size_t kMostAcks = 256;         // of PING and SETTINGS, that wait for the socket
constexpr size_t kLargestHead = 1 << 20;  // of a response: proxy_buffer_size is the real limit

struct Options {
  Options() {
    nghttp2_option_new(&value);
    nghttp2_option_set_no_auto_window_update(value, 1);
    nghttp2_option_set_no_http_messaging(value, 1);  // proto/http2 judges heads
    nghttp2_option_set_no_closed_streams(value, 1);
    nghttp2_option_set_max_outbound_ack(value, kMostAcks);
    nghttp2_option_set_max_send_header_block_length(value, kLargestHead);
    // nghttp2 tells of types that it knows, and of these: each frame is to be counted.
    for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; ++type) {
      if (type != NGHTTP2_PRIORITY_UPDATE)
        nghttp2_option_set_user_recv_extension_type(value, static_cast<uint8_t>(type));
    }
    nghttp2_option_set_builtin_recv_extension_type(value, NGHTTP2_PRIORITY_UPDATE);
  }
  ~Options() { nghttp2_option_del(value); }
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;
  nghttp2_option* value = nullptr;
};

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

Preface MatchPreface(std::string_view bytes) {
  const size_t n = std::min(bytes.size(), kPreface.size());
  if (bytes.substr(0, n) != kPreface.substr(0, n)) return Preface::kNo;
  return n == kPreface.size() ? Preface::kYes : Preface::kMaybe;
}

bool SpeaksHttp2InPlain(const ClientInfo& client) {
  if (client.ssl || client.plain_on_tls) return false;  // ALPN decides
  return client.listen->SpeaksHttp2(*client.listen->default_server);
}

// --- State ---

struct Http2Connection::StateRow {
  State state;
  std::string_view name;
  uint8_t follows;  // bits of the states it may come after
  bool gives_way;   // its place may be taken by another connection
  ClientConnection::Gauge gauge;
  uint64_t (Http2Connection::*deadline_ms)() const;  // from entering on; null, 0: none
};

const Http2Connection::StateRow Http2Connection::kStates[] = {
    {State::kIdle, "idle", BitsOf(State::kIdle, State::kHead, State::kBusy), true,
     &shm::WorkerCounters::waiting, &Http2Connection::IdleMs},
    {State::kHead, "reading head", BitsOf(State::kIdle, State::kBusy), false,
     &shm::WorkerCounters::reading, &Http2Connection::HeadMs},
    {State::kBusy, "busy", BitsOf(State::kIdle, State::kHead, State::kBusy), false,
     &shm::WorkerCounters::writing, &Http2Connection::BusyMs},
    {State::kLinger, "lingering", BitsOf(State::kIdle, State::kHead, State::kBusy), true, nullptr,
     &Http2Connection::LingerMs},
    {State::kClosed, "closed", 0xFF, false, nullptr, nullptr},
};

void Http2Connection::Enter(State next) {
  const StateRow& row = kStates[static_cast<size_t>(next)];
  assert(row.state == next && (row.follows & BitsOf(state_)) != 0);
  connection_.MoveGauge(kStates[static_cast<size_t>(state_)].gauge, row.gauge);
  state_ = next;
  if (runtime_.logs_debug) connection_.LogState("http2", row.name);
  connection_.transport().SetIdle(row.gives_way);
  const uint64_t deadline_ms = row.deadline_ms != nullptr ? (this->*row.deadline_ms)() : 0;
  deadline_ms > 0 ? connection_.timer().Arm(deadline_ms) : connection_.timer().Disarm();
}

void Http2Connection::UpdateState() {
  if (state_ == State::kLinger || state_ == State::kClosed) return;
  const State next = head_of_ != 0 ? State::kHead : streams_.empty() ? State::kIdle : State::kBusy;
  if (next != state_) Enter(next);
}

const conf::Server& Http2Connection::server() const {
  return info_.tls_server != nullptr ? *info_.tls_server : *info_.listen->default_server;
}

uint64_t Http2Connection::HeadMs() const { return Ms(server().head.client_header_timeout); }

uint64_t Http2Connection::IdleMs() const {
  if (leaving_ == Leaving::kTold) return ToldMs();
  return has_begun_ ? Ms(client_settings().keepalive_timeout) : HeadMs();
}

uint64_t Http2Connection::BusyMs() const { return leaving_ == Leaving::kTold ? ToldMs() : 0; }

// What is left of it: new streams do not make it longer.
uint64_t Http2Connection::ToldMs() const {
  const uint64_t now = runtime_.loop.NowMs();
  return told_until_ms_ > now ? told_until_ms_ - now : 1;
}

uint64_t Http2Connection::LingerMs() const { return linger_.NextMs(runtime_.loop.NowMs()); }

// --- Begin ---

Http2Connection::Http2Connection(ClientConnection& connection, Slice unread)
    : connection_(connection),
      runtime_(connection.runtime()),
      info_(connection.info()),
      unread_(std::move(unread)),
      send_timer_(runtime_.loop, Callback::To<&Http2Connection::OnSendTimeout>(this)),
      work_(runtime_.loop, Callback::To<&Http2Connection::Work>(this)),
      out_(runtime_.blocks),
      builder_(&runtime_.blocks.small()) {}

Http2Connection::~Http2Connection() = default;

void Http2Connection::Start() {
  static const Options options;
  info_.http2 = true;
  runtime_.own_counters.waiting.fetch_add(1, std::memory_order_relaxed);
  Enter(State::kIdle);
  guard_.Begin(server().http2.max_concurrent_streams, runtime_.loop.NowMs());
  nghttp2_session* session = nullptr;
  nghttp2_mem memory = Http2Memory(runtime_.blocks);
  nghttp2_session_server_new3(&session, Http2Callbacks::Table(), this, options.value, &memory);
  session_.reset(session);
  if (session == nullptr || !SubmitSettings()) return Close();
  connection_.transport().WantRead(true);
  ScheduleWork();
  if (unread_.bytes.empty()) return;
  feeding_ = std::exchange(unread_, {});
  Open(feeding_.bytes);
  feeding_ = {};
}

bool Http2Connection::SubmitSettings() {
  const conf::Http2Settings& conf = server().http2;
  std::array<nghttp2_settings_entry, 4> settings = {{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, UINT32_MAX},  // see AppendSettings
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<uint32_t>(conf.body_preread_size)},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
  }};
  const size_t count = settings.size() - (conf.websocket ? 0 : 1);
  // Streams hold clients back, each for itself: the connection's window never does.
  return nghttp2_submit_settings(session(), NGHTTP2_FLAG_NONE, settings.data(), count) == 0 &&
         nghttp2_session_set_local_window_size(session(), NGHTTP2_FLAG_NONE, 0, kLargestWindow) ==
             0;
}

// nghttp2 ends the connection of whoever opens a stream too many, where RFC 9113 5.1.2 has a reset
// for that stream alone. So it hears of no limit; the client does, and IsFull keeps it.
void Http2Connection::AppendSettings(std::string_view frame) {
  constexpr size_t kLimitAt = 9 + 2;  // behind the frame's head and the first setting's name
  std::string said(frame);
  const uint32_t most = server().http2.max_concurrent_streams;
  for (size_t i = 0; i < sizeof most; ++i)
    said[kLimitAt + i] = static_cast<char>(most >> (8 * (sizeof most - 1 - i)));
  out_.Append(said);
}

// --- Input ---

void Http2Connection::OnReadable() {
  if (state_ == State::kLinger) return ReadAndDrop();
  const std::span<char> room = input_.Room(runtime_.blocks, BlockSize::k16K);
  size_t n = 0;
  switch (connection_.transport().Read(room.data(), room.size(), &n)) {
    case Io::kOk:
      break;
    case Io::kWouldBlock:
      return input_.ReleaseUnlessUsed();
    case Io::kEof:
      client_has_ended_ = true;
      return LoseClient();
    case Io::kError:
      LogBrokenHttp2(runtime_, info_, connection_.transport());
      return LoseClient();
  }
  feeding_ = input_.Took(n);
  is_open_ ? Feed(feeding_.bytes) : Open(feeding_.bytes);
  feeding_ = {};
  input_.ReleaseUnlessUsed();
}

// A client begins with its preface and SETTINGS. nginx takes clients without the latter, and so do
// we: nghttp2 gets empty ones, which are not acknowledged.
void Http2Connection::Open(std::string_view bytes) {
  constexpr size_t kOpening = kPreface.size() + kFrameHead;
  const size_t taken = std::min(bytes.size(), kOpening - opening_.size());
  opening_.append(bytes.substr(0, taken));
  if (MatchPreface(opening_) == Preface::kNo) return Feed(std::exchange(opening_, {}));
  if (opening_.size() < kOpening) return;
  is_open_ = true;
  const std::string begin = std::exchange(opening_, {});
  const char type = begin[kPreface.size() + 3];
  const char flags = begin[kPreface.size() + 4];
  has_own_settings_ = type != NGHTTP2_SETTINGS || (flags & NGHTTP2_FLAG_ACK) != 0;
  constexpr std::string_view kEmptySettings("\0\0\0\4\0\0\0\0\0", kFrameHead);
  Feed(kPreface);
  if (has_own_settings_) Feed(kEmptySettings);
  Feed(std::string_view(begin).substr(kPreface.size()));
  // The rest is in the block that was read: bodies keep that, and none of a copy's bytes.
  if (taken < bytes.size()) Feed(bytes.substr(taken));
}

void Http2Connection::Feed(std::string_view bytes) {
  if (session_ == nullptr) return;
  const ssize_t n = nghttp2_session_mem_recv(
      session(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (n < 0) {
    LogFault(nghttp2_strerror(static_cast<int>(n)));
    n == NGHTTP2_ERR_FLOODED ? Terminate(NGHTTP2_ENHANCE_YOUR_CALM)
                             : Terminate(NGHTTP2_PROTOCOL_ERROR);
  }
  for (Http2Stream* stream : std::exchange(fed_, {})) stream->OnPause();
  UpdateState();
  ScheduleWork();
}

// --- Output ---

void Http2Connection::ResumeData(Http2Stream& stream) {
  if (stream.TakeDeferred()) nghttp2_session_resume_data(session(), stream.id());
  ScheduleWork();
}

void Http2Connection::NoteOver() {
  any_over_ = true;
  ScheduleWork();
}

void Http2Connection::Work() {
  if (state_ != State::kClosed && state_ != State::kLinger && !blocked_) Write();
  TellStreams();
  RemoveOver();
  if (state_ == State::kClosed && streams_.empty()) return connection_.End();
  UpdateState();
  CloseIfDone();
}

void Http2Connection::Write() {
  bool more = true;
  while (more) {
    if (!Fill()) return Close();
    if (out_.empty()) break;
    const bool was_full = out_.size() >= kMostFramed;
    switch (out_.Flush(connection_.transport())) {
      case FlushResult::kDrained:
        send_timer_.Disarm();
        more = was_full;
        break;
      case FlushResult::kBlocked:
        blocked_ = true;
        connection_.transport().WantWrite(true);
        send_timer_.Arm(client_settings().send_timeout);
        more = false;
        break;
      case FlushResult::kError:
        if (connection_.transport().errnum() == EIO)
          LogConnection(runtime_, info_, LogLevel::kError, fmt::format("{} over HTTP/2", kFileCut));
        return LoseClient();
    }
  }
}

bool Http2Connection::Fill() {
  while (out_.size() < kMostFramed) {
    const uint8_t* data = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session(), &data);
    if (n < 0) return false;
    if (n == 0) break;
    const std::string_view frame(reinterpret_cast<const char*>(data), static_cast<size_t>(n));
    std::exchange(has_said_settings_, true) ? out_.Append(frame) : AppendSettings(frame);
  }
  return true;
}

// A frame that had to wait for the socket may outlive its stream: that one has been reset.
int Http2Connection::SendData(int32_t id, std::string_view frame_head, size_t length) {
  if (out_.size() >= kMostFramed) return NGHTTP2_ERR_WOULDBLOCK;
  Http2Stream* const stream = Find(id);
  if (stream == nullptr || stream->gone()) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  out_.Append(frame_head);
  stream->MoveData(length, &out_);
  return 0;
}

void Http2Connection::OnWritable() {
  blocked_ = false;
  send_timer_.Disarm();
  Work();
}

// Streams may end, and others begin, while one after the other is told.
void Http2Connection::TellStreams() {
  told_.clear();
  for (const auto& stream : streams_) {
    if (stream->begun() && !stream->over()) told_.push_back(stream.get());
  }
  for (Http2Stream* stream : told_) stream->OnWritten();
}

void Http2Connection::OnSendTimeout() {
  LogConnection(runtime_, info_, LogLevel::kInfo,
                fmt::format("client timed out{} while sending over HTTP/2", ErrnoText(ETIMEDOUT)));
  if (client_settings().reset_timedout_connection) connection_.transport().SetReset();
  for (const auto& stream : streams_) stream->Abandon(408);
  Close();
}

// --- Ends ---

void Http2Connection::RemoveOver() {
  if (!std::exchange(any_over_, false)) return;
  const auto is_over = [](const auto& stream) { return stream->over(); };
  for (const auto& stream : streams_) {
    if (!stream->over()) continue;
    if (session_ != nullptr) nghttp2_session_set_stream_user_data(session(), stream->id(), nullptr);
    if (found_ == stream.get()) found_ = nullptr;
    stream->End();
  }
  std::erase_if(streams_, is_over);
  LeaveIfSpent();
}

// keepalive_requests and keepalive_time: the client is to begin anew.
void Http2Connection::LeaveIfSpent() {
  const conf::ClientSettings& conf = client_settings();
  const bool spent = conf.keepalive_timeout.count() == 0 ||
                     info_.requests >= static_cast<uint64_t>(conf.keepalive_requests) ||
                     runtime_.loop.NowMs() - info_.started_ms > Ms(conf.keepalive_time);
  if (spent) Leave();
}

// GOAWAY in two steps (RFC 9113 6.8): a notice, and when the client has it, as it answers the PING
// behind it, the last stream. So requests that were on their way are served. nginx has one step,
// for who has sent a request.
void Http2Connection::Leave() {
  if (leaving_ != Leaving::kNo || session_ == nullptr) return;
  if (runtime_.config.compatible_nginx && has_begun_) return LeaveNow();
  leaving_ = Leaving::kTold;
  told_until_ms_ = runtime_.loop.NowMs() + kToldMs;
  nghttp2_submit_shutdown_notice(session());
  if (state_ != State::kHead) Enter(state_);
  ScheduleWork();
}

// Streams that have begun are served. A client may send later ones again on another connection, as
// nothing of them has been done.
void Http2Connection::LeaveNow() {
  if (leaving_ == Leaving::kLast || session_ == nullptr) return;
  leaving_ = Leaving::kLast;
  nghttp2_submit_goaway(session(), NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session()), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  ScheduleWork();
}

void Http2Connection::Terminate(uint32_t error) {
  leaving_ = Leaving::kLast;
  nghttp2_session_terminate_session(session(), error);
  ScheduleWork();
}

void Http2Connection::CloseIfDone() {
  if (state_ == State::kClosed || state_ == State::kLinger || !out_.empty()) return;
  const bool ended = nghttp2_session_want_read(session()) == 0;  // an error, of whichever side
  const bool left = leaving_ == Leaving::kLast && streams_.empty();
  if ((ended || left) && nghttp2_session_want_write(session()) == 0) Linger();
}

// What the client has sent meanwhile must not make the system reset the connection before the
// client has read our last frame.
void Http2Connection::Linger() {
  rests_.reset();
  session_.reset();
  for (const auto& stream : streams_) stream->OnGone();
  linger_.Begin(client_settings(), runtime_.loop.NowMs());
  Enter(State::kLinger);
  connection_.transport().ShutdownWrite();
}

void Http2Connection::ReadAndDrop() {
  BlockRef block = runtime_.blocks.Get(BlockSize::k16K);
  size_t n = 0;
  const Io io = connection_.ReadUnseen(block.data(), block.capacity(), &n);
  if (io == Io::kWouldBlock) return;
  if (io != Io::kOk || linger_.over(runtime_.loop.NowMs())) return Close();
  connection_.timer().Arm(LingerMs());
}

void Http2Connection::CloseWhenIdle() { Leave(); }

void Http2Connection::CloseNow() {
  for (const auto& stream : streams_) stream->Abandon(499);
  Close();
}

void Http2Connection::OnPlaceNeeded() {
  if (state_ == State::kIdle && connection_.transport().HasUnread()) return;
  Close();
}

void Http2Connection::OnTimer() {
  switch (state_) {
    case State::kIdle:
    case State::kBusy:
      return LeaveNow();
    case State::kHead:
      LogConnection(runtime_, info_, LogLevel::kInfo,
                    fmt::format("client timed out{} while reading client request headers",
                                ErrnoText(ETIMEDOUT)));
      return DropHead();
    case State::kLinger:
    case State::kClosed:
      return Close();
  }
}

// The stream goes, the connection stays: what comes of the head is decoded, and that is all.
void Http2Connection::DropHead() {
  nghttp2_submit_rst_stream(session(), NGHTTP2_FLAG_NONE, head_of_, NGHTTP2_PROTOCOL_ERROR);
  NoteCut(head_of_);
  if (Http2Stream* const stream = Find(head_of_)) stream->OnGone();
  head_of_ = 0;
  ScheduleWork();
}

void Http2Connection::LoseClient() {
  has_lost_client_ = true;
  Close();
}

// The connection is gone; streams whose exchanges go on without it end in their time.
void Http2Connection::Close() {
  if (state_ == State::kClosed) return;
  Enter(State::kClosed);
  send_timer_.Disarm();
  if (!streams_.empty()) connection_.KeepForLog();
  rests_.reset();
  connection_.Close(false);
  session_.reset();
  for (const auto& stream : streams_) stream->OnGone();
  out_.Clear();
  ScheduleWork();
}

}  // namespace limpet::worker
