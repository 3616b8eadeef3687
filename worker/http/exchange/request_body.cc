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
  if (other.kept_ == nullptr) return;
  Kept& kept = NeedKept();
  kept.memory = other.kept_->memory;
  kept.file_size = other.kept_->file_size;
  kept.pieces = other.kept_->pieces;
  kept.file = other.kept_->file;
  kept.path = other.kept_->path;
}

RequestBody::Kept& RequestBody::NeedKept() {
  if (kept_ == nullptr) kept_ = std::make_unique<Kept>();
  return *kept_;
}

void RequestBody::ForgetPieces() {
  kept_->pieces.clear();
  kept_->joiner.Reset();
  kept_->memory = 0;
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
  if (in_file()) {
    WriteFile(data.bytes);
    return;
  }
  Keep(std::move(data));
  const conf::ClientSettings& settings = exchange_.location().client;
  const bool to_file = settings.body_in_file_only != conf::ClientSettings::InFileOnly::kOff;
  if (to_file || kept_->memory > settings.body_buffer_size) Spool();
}

// A streamed body is forgotten as it goes, but a small one stays: for $request_body, and for
// another peer.
void RequestBody::KeepForVariables(Slice data) {
  if (size_ <= exchange_.location().client.body_buffer_size) return Keep(std::move(data));
  if (kept_ != nullptr) ForgetPieces();
  lost_ = true;
}

void RequestBody::Keep(Slice data) {
  Kept& kept = NeedKept();
  kept.memory += data.bytes.size();
  Slice* const last = kept.pieces.empty() ? nullptr : &kept.pieces.back();
  if (!kept.joiner.Join(exchange_.runtime().blocks, last, &data))
    kept.pieces.push_back(std::move(data));
}

void RequestBody::OnEnd() {
  if (complete_) return;  // it has failed
  const bool to_file =
      exchange_.location().client.body_in_file_only != conf::ClientSettings::InFileOnly::kOff;
  if (mode_ == Mode::kBuffered && to_file && !in_file() && !Spool()) return;  // an empty one
  complete_ = true;
  if (sink_ != nullptr) sink_->OnBodyReady();
}

void RequestBody::Fail() {
  sink_ = nullptr;
  mode_ = Mode::kBuffered;
  complete_ = lost_ = true;
  size_ = 0;
  if (kept_ == nullptr) return;
  ForgetPieces();
  RemoveFile();
}

void RequestBody::Refuse() {
  Fail();
  lost_ = false;
}

void RequestBody::RemoveFile() {
  if (kept_->remove_file) ::unlink(kept_->path.c_str());
  kept_->remove_file = false;
  kept_->file.reset();
  kept_->file_size = 0;
}

bool RequestBody::OpenFile() {
  const conf::ClientSettings& settings = exchange_.location().client;
  const bool named = settings.body_in_file_only != conf::ClientSettings::InFileOnly::kOff;
  Kept& kept = NeedKept();
  auto fd = OpenTemporary(settings.body_temp_path, &kept.path);
  if (!fd) {
    exchange_.Log(LogLevel::kCrit, fd.error().message);
    exchange_.OnBodyError(500);
    return false;
  }
  if (!named) ::unlink(kept.path.c_str());  // $request_body_file still tells what it was called
  kept.remove_file = settings.body_in_file_only == conf::ClientSettings::InFileOnly::kClean;
  kept.file = std::make_shared<const UniqueFd>(std::move(*fd));
  if (!named)
    exchange_.Log(
        LogLevel::kWarn,
        fmt::format("a client request body is buffered to a temporary file {}", kept.path));
  return true;
}

bool RequestBody::WriteFile(std::string_view bytes) {
  if (const Status written = WriteFully(kept_->file->get(), bytes, kept_->file_size); !written) {
    exchange_.Log(LogLevel::kCrit, written.error().message);
    exchange_.OnBodyError(500);
    return false;
  }
  kept_->file_size += bytes.size();
  return true;
}

bool RequestBody::Spool() {
  if (!OpenFile()) return false;
  for (const Slice& piece : kept_->pieces) {
    if (!WriteFile(piece.bytes)) return false;
  }
  ForgetPieces();
  return true;
}

void RequestBody::AppendTo(OutputQueue* queue) const {
  if (in_file()) return queue->AppendFile(kept_->file, 0, kept_->file_size);
  for (const Slice& piece : pieces()) {
    queue->AppendBlock(piece.block, static_cast<size_t>(piece.bytes.data() - piece.block.data()),
                       piece.bytes.size());
  }
}

std::string_view RequestBody::InMemory() {
  if (in_file() || pieces().empty()) return {};
  Kept& kept = *kept_;
  // Until all of it is here, the pieces may go: to a file, or because they are too many.
  if (kept.pieces.size() == 1 && mode_ == Mode::kBuffered && complete_) return kept.pieces[0].bytes;
  if (kept.joined.size() == kept.memory) return kept.joined;
  char* out = exchange_.arena().Allocate(kept.memory);
  size_t at = 0;
  for (const Slice& piece : kept.pieces) {
    std::memcpy(out + at, piece.bytes.data(), piece.bytes.size());
    at += piece.bytes.size();
  }
  kept.joined = {out, kept.memory};
  return kept.joined;
}

void RequestBody::Reset() {
  sink_ = nullptr;
  mode_ = Mode::kIdle;
  complete_ = lost_ = false;
  size_ = 0;
  if (kept_ == nullptr) return;
  ForgetPieces();
  RemoveFile();
  kept_->path.clear();
  kept_->joined = {};
}

}  // namespace limpet::worker
