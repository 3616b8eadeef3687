#include "worker/http/exchange/request_body.h"

#include <fmt/core.h>
#include <unistd.h>

#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/spool_file.h"
#include "worker/net/output_queue.h"

namespace limpet::worker {

void RequestBody::Start(Mode mode, RequestBodySink* sink) {
  if (mode_ == Mode::kBuffered && complete_ &&
      mode == Mode::kBuffered) {  // read already, before an internal redirect
    sink->OnBodyReady();
    return;
  }
  if (mode == Mode::kDiscarded && complete_) return;
  mode_ = mode;
  sink_ = sink;
  if (mode != Mode::kDiscarded) exchange_.stream().SendContinue();
  if (exchange_.request().framing.kind == proto::BodyKind::kNone) complete_ = true;
  if (complete_) {
    if (sink_ != nullptr) sink_->OnBodyReady();
    return;
  }
  lost_ |= mode == Mode::kDiscarded;
  if (mode != Mode::kDiscarded)
    exchange_.stream().WantBody(true);  // what nobody wants is dropped after the response
}

void RequestBody::StartTunnel(RequestBodySink* sink) {
  sink_ = sink;
  mode_ = Mode::kStreamed;
  complete_ = false;
}

void RequestBody::Share(const RequestBody& other) {
  mode_ = Mode::kBuffered;
  complete_ = true;
  lost_ = other.lost_;
  size_ = other.size_;
  memory_ = other.memory_;
  file_size_ = other.file_size_;
  pieces_ = other.pieces_;
  file_ = other.file_;
  path_ = other.path_;
}

void RequestBody::Pause(bool paused) {
  if (!complete_) exchange_.stream().WantBody(!paused);
}

void RequestBody::OnData(Slice data) {
  size_ += data.bytes.size();
  if (mode_ == Mode::kDiscarded || sink_ == nullptr) {
    lost_ = true;
    return;
  }
  if (mode_ == Mode::kStreamed) {
    if (!exchange_.response().is_upgrade) KeepForVariables(data);  // a tunnel's bytes are no body
    sink_->OnBodyPiece(std::move(data));
    return;
  }
  if (file_ != nullptr) {
    WriteFile(data.bytes);
    return;
  }
  Keep(std::move(data));
  const conf::ClientSettings& settings = exchange_.location().client;
  const bool to_file = settings.body_in_file_only != conf::ClientSettings::InFileOnly::kOff;
  if (to_file || memory_ > settings.body_buffer_size) Spool();
}

// A streamed body is forgotten as it goes, but a small one stays: for $request_body, and for
// another peer.
void RequestBody::KeepForVariables(Slice data) {
  if (size_ <= exchange_.location().client.body_buffer_size) return Keep(std::move(data));
  pieces_.clear();
  joiner_.Reset();
  memory_ = 0;
  lost_ = true;
}

void RequestBody::Keep(Slice data) {
  memory_ += data.bytes.size();
  Slice* const last = pieces_.empty() ? nullptr : &pieces_.back();
  if (!joiner_.Join(exchange_.runtime().blocks, last, &data)) pieces_.push_back(std::move(data));
}

void RequestBody::OnEnd() {
  if (complete_) return;  // it has failed
  const bool to_file =
      exchange_.location().client.body_in_file_only != conf::ClientSettings::InFileOnly::kOff;
  if (mode_ == Mode::kBuffered && to_file && file_ == nullptr && !Spool()) return;  // an empty one
  complete_ = true;
  if (sink_ != nullptr) sink_->OnBodyReady();
}

void RequestBody::Fail() {
  sink_ = nullptr;
  mode_ = Mode::kBuffered;
  complete_ = lost_ = true;
  size_ = memory_ = file_size_ = 0;
  pieces_.clear();
  RemoveFile();
}

void RequestBody::RemoveFile() {
  if (remove_file_) ::unlink(path_.c_str());
  remove_file_ = false;
  file_.reset();
}

bool RequestBody::OpenFile() {
  const conf::ClientSettings& settings = exchange_.location().client;
  const bool named = settings.body_in_file_only != conf::ClientSettings::InFileOnly::kOff;
  auto fd = OpenTemporary(settings.body_temp_path, &path_);
  if (!fd) {
    exchange_.Log(LogLevel::kCrit, fd.error().message);
    exchange_.OnBodyError(500);
    return false;
  }
  if (!named) ::unlink(path_.c_str());  // $request_body_file still tells what it was called
  remove_file_ = settings.body_in_file_only == conf::ClientSettings::InFileOnly::kClean;
  file_ = std::make_shared<const UniqueFd>(std::move(*fd));
  if (!named)
    exchange_.Log(LogLevel::kWarn,
                  fmt::format("a client request body is buffered to a temporary file {}", path_));
  return true;
}

bool RequestBody::WriteFile(std::string_view bytes) {
  if (const Status written = WriteFully(file_->get(), bytes, file_size_); !written) {
    exchange_.Log(LogLevel::kCrit, written.error().message);
    exchange_.OnBodyError(500);
    return false;
  }
  file_size_ += bytes.size();
  return true;
}

bool RequestBody::Spool() {
  if (!OpenFile()) return false;
  for (const Slice& piece : pieces_) {
    if (!WriteFile(piece.bytes)) return false;
  }
  pieces_.clear();
  joiner_.Reset();
  memory_ = 0;
  return true;
}

void RequestBody::AppendTo(OutputQueue* queue) const {
  if (file_ != nullptr) return queue->AppendFile(file_, 0, file_size_);
  for (const Slice& piece : pieces_) {
    queue->AppendBlock(piece.block, static_cast<size_t>(piece.bytes.data() - piece.block.data()),
                       piece.bytes.size());
  }
}

std::string_view RequestBody::InMemory() {
  if (file_ != nullptr || pieces_.empty()) return {};
  // Until all of it is here, the pieces may go: to a file, or because they are too many.
  if (pieces_.size() == 1 && mode_ == Mode::kBuffered && complete_) return pieces_[0].bytes;
  if (joined_.size() == memory_) return joined_;
  char* out = exchange_.arena().Allocate(memory_);
  size_t at = 0;
  for (const Slice& piece : pieces_) {
    std::memcpy(out + at, piece.bytes.data(), piece.bytes.size());
    at += piece.bytes.size();
  }
  joined_ = {out, memory_};
  return joined_;
}

void RequestBody::Reset() {
  sink_ = nullptr;
  mode_ = Mode::kIdle;
  complete_ = lost_ = false;
  size_ = memory_ = file_size_ = 0;
  pieces_.clear();
  joiner_.Reset();
  RemoveFile();
  path_.clear();
  joined_ = {};
}

}  // namespace limpet::worker
