// What nghttp2 tells a connection of HTTP/2: frames as they come and as they have been sent. Each
// is counted against floods before anything is done for it.
#include <fmt/core.h>

#include <algorithm>

#include "proto/http2/priority.h"
#include "worker/http/client/http2_connection.h"
#include "worker/http/log/connection_log.h"
#include "worker/http/route/server_names.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kRestMs = 1000;  // for what a client sends behind a response that is out
constexpr size_t kMostRests = 128;

}  // namespace

// Most often the one that was asked for last: a head comes field by field.
Http2Stream* Http2Connection::Find(int32_t id) {
  if (found_ == nullptr || found_->id() != id)
    found_ = static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session(), id));
  return found_;
}

// As in nginx a string has the size of a large buffer, all together that of all of them. Of a
// string it counts bytes as they were sent: Huffman's code has at least five bits for each of ours.
proto::Http2HeadRules Http2Connection::Rules() const {
  const conf::HeadSettings& head = server().head;
  proto::HeadLimits limits = names().LimitsOf(server());
  limits.max_line = head.large_buffers_size * 8 / 5;
  limits.max_total = head.large_buffers_size * static_cast<size_t>(head.large_buffers_count);
  return {.limits = limits, .websocket = server().http2.websocket};
}

const ServerNames& Http2Connection::names() const {
  return *runtime_.names[static_cast<size_t>(info_.listen - runtime_.http.listens.data())];
}

// The server of whom names the host, from that field on.
void Http2Connection::FollowServer(std::string_view name, std::string_view value) {
  if (name != ":authority" && name != "host") return;
  builder_.UseFieldRules(names().LimitsOf(names().OfHost(value, server())));
}

void Http2Connection::LogFault(std::string_view what) const {
  LogConnection(runtime_, info_, LogLevel::kInfo,
                fmt::format("{} while processing HTTP/2 connection", what));
}

// False from the guard: the connection ends, and what it has begun with it.
int Http2Connection::Judge(bool calm) {
  if (!calm && nghttp2_session_want_read(session()) != 0) {
    LogFault("client floods the connection");
    Terminate(NGHTTP2_ENHANCE_YOUR_CALM);
  }
  return 0;
}

void Http2Connection::NoteProvokedReset() {
  if (session_ == nullptr) return;  // the exchange has outlived the connection
  Judge(guard_.NoteProvokedReset(runtime_.loop.NowMs()));
}

int Http2Connection::OnBeforeSend(const nghttp2_frame& frame) {
  const bool is_ack = frame.hd.type == NGHTTP2_SETTINGS && (frame.hd.flags & NGHTTP2_FLAG_ACK) != 0;
  return is_ack && std::exchange(has_own_settings_, false) ? NGHTTP2_ERR_CANCEL : 0;
}

int Http2Connection::OnBeginFrame(const nghttp2_frame_hd& frame) {
  using proto::Chatter;
  const uint64_t now = runtime_.loop.NowMs();
  if (frame.type == NGHTTP2_PUSH_PROMISE || IsReused(frame)) {
    LogFault(
        fmt::format("client sent frame of type {} for stream {}", frame.type, frame.stream_id));
    Terminate(NGHTTP2_PROTOCOL_ERROR);
  }
  if (frame.type == NGHTTP2_DATA) data_left_ = frame.length;
  if (frame.type == NGHTTP2_HEADERS) head_length_ = 0;
  if (frame.type == NGHTTP2_HEADERS || frame.type == NGHTTP2_CONTINUATION)
    head_length_ += frame.length;
  if (frame.type == NGHTTP2_CONTINUATION) return Judge(guard_.Note(Chatter::kContinuation, now));
  const bool is_known = frame.type <= NGHTTP2_CONTINUATION || frame.type == NGHTTP2_PRIORITY_UPDATE;
  if (!is_known) return Judge(guard_.Note(Chatter::kUnknown, now));
  if (frame.type == NGHTTP2_PRIORITY || frame.type == NGHTTP2_PRIORITY_UPDATE)
    return Judge(guard_.Note(Chatter::kPriority, now));
  return 0;
}

// A head for a stream that has ended (RFC 9113 5.1.1), unless we have cut it off: then what is on
// its way comes still.
bool Http2Connection::IsReused(const nghttp2_frame_hd& frame) {
  const int32_t id = frame.stream_id;
  if (frame.type != NGHTTP2_HEADERS || id > nghttp2_session_get_last_proc_stream_id(session()))
    return false;
  return nghttp2_session_find_stream(session(), id) == nullptr &&
         (cuts_ == nullptr || std::ranges::find(cuts_->ids, id) == cuts_->ids.end());
}

void Http2Connection::NoteCut(int32_t id) {
  if (cuts_ == nullptr) cuts_ = std::make_unique<Cuts>();
  cuts_->ids[cuts_->next++ % cuts_->ids.size()] = id;
}

Http2Connection::Rests::Rests(Http2Connection* connection)
    : timer(connection->runtime_.loop, Callback::To<&Http2Connection::OnRestTimer>(connection)) {}

bool Http2Connection::AwaitRest(int32_t id) {
  if (rests_ == nullptr) rests_ = std::make_unique<Rests>(this);
  if (rests_->awaited.size() >= kMostRests) return false;
  rests_->awaited.push_back({id, runtime_.loop.NowMs() + kRestMs});
  if (!rests_->timer.armed()) rests_->timer.Arm(kRestMs);
  return true;
}

// Those that have not ended by themselves.
void Http2Connection::OnRestTimer() {
  const uint64_t now = runtime_.loop.NowMs();
  const auto is_late = [&](const Rest& rest) { return rest.until_ms <= now; };
  for (const Rest& rest : rests_->awaited) {
    if (!is_late(rest)) continue;
    nghttp2_submit_rst_stream(session(), NGHTTP2_FLAG_NONE, rest.id, NGHTTP2_NO_ERROR);
    NoteCut(rest.id);
  }
  std::erase_if(rests_->awaited, is_late);
  if (!rests_->awaited.empty()) rests_->timer.Arm(rests_->awaited.front().until_ms - now);
  ScheduleWork();
}

// The stream ends by what the client does; what comes of it is decoded, and that is all.
int Http2Connection::Cut(int32_t id, uint32_t error) {
  nghttp2_submit_rst_stream(session(), NGHTTP2_FLAG_NONE, id, error);
  NoteCut(id);
  return Judge(guard_.NoteProvokedReset(runtime_.loop.NowMs()));
}

int Http2Connection::OnBeginHeaders(const nghttp2_frame& frame) {
  const int32_t id = frame.hd.stream_id;
  head_of_ = id;
  head_began_ms_ = runtime_.loop.NowMs();
  has_begun_ = true;
  UpdateState();  // at once: who serves a request does not give way to it
  const proto::Http2HeadRules rules = Rules();
  guard_.BeginHead(rules.limits.max_total * 4);
  if (frame.headers.cat != NGHTTP2_HCAT_REQUEST) {  // trailers end the stream (RFC 9113 8.1)
    if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) return 0;
    LogFault(fmt::format("client sent trailers without an end for stream {}", id));
    return Cut(id, NGHTTP2_PROTOCOL_ERROR);
  }
  if (IsFull()) {
    LogFault(fmt::format("concurrent streams exceeded {}", server().http2.max_concurrent_streams));
    return Cut(id, NGHTTP2_REFUSED_STREAM);
  }
  Http2Stream& stream = *streams_.emplace_back(Http2Stream::Make(*this, id));
  nghttp2_session_set_stream_user_data(session(), id, &stream);
  guard_.NoteRequest();
  builder_.Begin(rules, stream.memory());
  return 0;
}

// Exchanges that outlive their streams count twice as high.
bool Http2Connection::IsFull() const {
  const size_t most = server().http2.max_concurrent_streams;
  if (streams_.size() < most) return false;
  const auto is_open = [](const Http2StreamPtr& stream) { return !stream->gone(); };
  return streams_.size() >= 2 * most ||
         static_cast<size_t>(std::ranges::count_if(streams_, is_open)) >= most;
}

// The connection ends, but the request that is to blame has its line in the log.
void Http2Connection::EndByHead(Http2Stream& stream, uint32_t error) {
  if (stream.begun()) return;  // that has been
  builder_.Finish();
  Terminate(error);
  stream.GiveUp(builder_, head_length_);
}

int Http2Connection::OnHeader(const nghttp2_frame& frame, std::string_view name,
                              std::string_view value) {
  if (!guard_.NoteInflated(name.size() + value.size())) return Judge(false);
  Http2Stream* const stream = Find(frame.hd.stream_id);
  if (stream == nullptr) return 0;
  if (frame.headers.cat != NGHTTP2_HCAT_REQUEST) {
    const std::string_view fault = proto::TrailerFault(name, value);
    if (fault.empty()) return 0;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  switch (builder_.Add(name, value)) {
    case proto::HeadFault::kCalm:
      EndByHead(*stream, NGHTTP2_ENHANCE_YOUR_CALM);
      break;
    case proto::HeadFault::kProtocol:
      EndByHead(*stream, NGHTTP2_PROTOCOL_ERROR);
      break;
    case proto::HeadFault::kNone:
      if (names().fields_differ()) FollowServer(name, value);
      break;
    case proto::HeadFault::kAnswer:
      break;
  }
  return 0;
}

int Http2Connection::OnFrame(const nghttp2_frame& frame) {
  using proto::Chatter;
  const uint64_t now = runtime_.loop.NowMs();
  const bool is_ack = (frame.hd.flags & NGHTTP2_FLAG_ACK) != 0;
  const bool end_stream = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_SETTINGS:
      settings_known_ |= is_ack;
      return is_ack ? 0 : Judge(guard_.Note(Chatter::kSettings, now));
    case NGHTTP2_PING:
      if (!is_ack) return Judge(guard_.Note(Chatter::kPing, now));
      if (leaving_ == Leaving::kTold) LeaveNow();
      return 0;
    case NGHTTP2_WINDOW_UPDATE:
      OnWindow(frame.hd.stream_id);
      return Judge(guard_.Note(Chatter::kWindowUpdate, now));
    case NGHTTP2_RST_STREAM:
      OnReset(frame.hd.stream_id, frame.rst_stream.error_code);
      return 0;
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
      break;
    default:
      return 0;
  }
  Http2Stream* const stream = Find(frame.hd.stream_id);
  if (frame.hd.type == NGHTTP2_HEADERS) {
    head_of_ = 0;
    if (stream != nullptr && frame.headers.cat == NGHTTP2_HCAT_REQUEST)
      OnRequest(*stream, end_stream);
    else if (stream != nullptr && end_stream)
      stream->OnInputEnd();
    return 0;
  }
  if (frame.hd.length == 0 && !end_stream) return Judge(guard_.Note(Chatter::kEmptyData, now));
  if (end_stream && stream != nullptr && stream->begun()) stream->OnInputEnd();
  return 0;
}

void Http2Connection::OnRequest(Http2Stream& stream, bool end_stream) {
  if (stream.begun()) return;  // the connection ends by it
  builder_.Finish();
  if (nghttp2_session_want_read(session()) == 0) return;  // the connection ends
  // Until it knows our SETTINGS a client may send more than a small window allows.
  constexpr size_t kDefaultWindow = 65535;
  if (!settings_known_ && !end_stream && server().http2.body_preread_size < kDefaultWindow) {
    nghttp2_submit_rst_stream(session(), NGHTTP2_FLAG_NONE, stream.id(), NGHTTP2_REFUSED_STREAM);
    return stream.OnGone();
  }
  Prioritize(stream.id(), builder_.head().headers);
  if (builder_.ignored_fields() > 0) {  // why one did not get through: the first is told
    LogConnection(
        runtime_, info_, LogLevel::kInfo,
        fmt::format("client sent invalid header: \"{}\" while reading client request headers",
                    builder_.first_ignored_name()));
  }
  stream.Begin(builder_, head_length_, end_stream);
}

// RFC 9218: how urgent the client says that the response is, and whether parts of it are of use.
void Http2Connection::Prioritize(int32_t id, const proto::HeaderList& headers) {
  const proto::Header* const priority = headers.FindOther("priority");
  if (priority == nullptr) return;
  const proto::StreamPriority said = proto::ParsePriority(priority->value);
  const nghttp2_extpri extpri{.urgency = static_cast<uint32_t>(said.urgency),
                              .inc = said.incremental ? 1 : 0};
  nghttp2_session_change_extpri_stream_priority(session(), id, &extpri, 0);
}

void Http2Connection::OnReset(int32_t id, uint32_t error) {
  Http2Stream* const stream = Find(id);
  const bool answered = stream == nullptr || stream->answered();
  if (!answered) stream->NoteReset(error);
  if (!answered) Judge(guard_.NoteReset(runtime_.loop.NowMs()));
}

void Http2Connection::OnWindow(int32_t id) {
  if (id == 0) {
    if (!std::exchange(streams_await_window_, false)) return;
    for (const auto& stream : streams_) stream->OnWindow();
  } else if (Http2Stream* const stream = Find(id)) {
    stream->OnWindow();
  }
}

int Http2Connection::OnData(int32_t id, bool is_last, std::string_view bytes) {
  nghttp2_session_consume_connection(session(), bytes.size());
  Http2Stream* const stream = Find(id);
  const uint64_t last = is_last ? data_left_ : UINT64_MAX;
  data_left_ -= bytes.size();
  if (stream != nullptr && stream->begun() && stream->OnData({feeding_.block, bytes}, last))
    fed_.push_back(stream);
  return 0;
}

// An error that is not ours is one that nghttp2 has found.
void Http2Connection::OnGoawaySent(const nghttp2_goaway& goaway) {
  if (goaway.error_code != NGHTTP2_NO_ERROR && leaving_ != Leaving::kLast) {
    const std::string_view why(reinterpret_cast<const char*>(goaway.opaque_data),
                               goaway.opaque_data_len);
    LogFault(fmt::format("client sent what HTTP/2 does not allow ({}{}{})",
                         nghttp2_http2_strerror(goaway.error_code), why.empty() ? "" : ", ", why));
  } else if (leaving_ == Leaving::kTold) {
    nghttp2_submit_ping(session(), NGHTTP2_FLAG_NONE, nullptr);  // behind the notice
  }
}

void Http2Connection::OnFrameSent(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_GOAWAY) return OnGoawaySent(frame.goaway);
  if (frame.hd.type == NGHTTP2_DATA) guard_.NoteDataSent(frame.hd.length);
  if (frame.hd.type != NGHTTP2_DATA && frame.hd.type != NGHTTP2_HEADERS) return;
  Http2Stream* const stream = Find(frame.hd.stream_id);
  if (stream == nullptr) return;
  stream->OnFrameSent(frame);
  if (stream->pays()) guard_.NoteAnswered();
}

void Http2Connection::OnStreamClosed(int32_t id) {
  if (head_of_ == id) head_of_ = 0;
  if (rests_ != nullptr)
    std::erase_if(rests_->awaited, [=](const Rest& rest) { return rest.id == id; });
  if (Http2Stream* const stream = Find(id)) stream->OnGone();
  found_ = nullptr;
}

}  // namespace limpet::worker
