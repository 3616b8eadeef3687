// The request body of an exchange: collected in memory up to client_body_buffer_size and in a
// temporary file beyond it, or handed on piece by piece, or thrown away. The client stream has
// taken the framing off already.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "worker/net/slice.h"

namespace limpet::worker {

class Exchange;
class OutputQueue;

class RequestBodySink {
 public:
  virtual ~RequestBodySink() = default;
  virtual void OnBodyReady() = 0;               // buffered: all of it is here
  virtual void OnBodyPiece(Slice /*piece*/) {}  // streamed
  virtual void OnBodyPause() {}                 // streamed: no more pieces are here at the moment
};

class RequestBody {
 public:
  enum class Mode : uint8_t { kIdle, kBuffered, kStreamed, kDiscarded };

  explicit RequestBody(Exchange& exchange) : exchange_(exchange) {}

  // Starts to read. With kBuffered and kStreamed the sink hears of it, maybe before this returns
  // (kBuffered: always, also for a request without a body).
  void Start(Mode mode, RequestBodySink* sink);
  void StartTunnel(RequestBodySink* sink);  // from now on all bytes of the client go to the sink
  // Becomes what `other` is, which has been read to its end; the bytes are shared.
  void Share(const RequestBody& other);
  void Pause(bool paused);  // streamed: the upstream takes no more now
  // The exchange has its answer: nobody is told of the body any more.
  void LetGo() { sink_ = nullptr; }
  bool quiet() const { return sink_ == nullptr; }

  // From the client stream, by way of the exchange.
  void OnData(Slice data);
  void OnPause() {
    if (mode_ == Mode::kStreamed && !complete_ && sink_ != nullptr) sink_->OnBodyPause();
  }
  void OnEnd();

  // It broke off, was malformed or is too long: no more of it is read, and what has come is of no
  // use.
  void Fail();
  // It is too large: none of it is taken. Whoever answers in our place (error_page) finds an empty
  // one, as in nginx.
  void Refuse();

  // False: bytes have been passed on or thrown away that nobody can send again.
  bool whole() const { return !lost_; }
  bool complete() const { return complete_; }  // all of it has come from the client
  Mode mode() const { return mode_; }
  uint64_t size() const { return size_; }  // bytes so far; the whole size once complete
  bool in_file() const { return kept_ != nullptr && kept_->file != nullptr; }
  // Gone from its folder unless client_body_in_file_only.
  std::string_view file_path() const {
    return kept_ != nullptr ? std::string_view(kept_->path) : std::string_view();
  }
  std::span<const Slice> pieces() const {
    return kept_ != nullptr ? std::span<const Slice>(kept_->pieces) : std::span<const Slice>();
  }

  // Queues the whole buffered body; may be called again for another peer.
  void AppendTo(OutputQueue* queue) const;
  // The body as one view that lives as long as the exchange: in its arena, or in place once nothing
  // moves it any more. "" if it is in a file.
  std::string_view InMemory();
  // Throws the bytes away and frees the file. For X-Accel-Redirect and error pages the body stays.
  void Reset();

 private:
  struct Kept {
    uint64_t memory = 0;     // bytes in `pieces`
    uint64_t file_size = 0;  // and in the file
    std::vector<Slice> pieces;
    SliceJoiner joiner;
    std::shared_ptr<const UniqueFd> file;
    std::string path;
    bool remove_file = false;
    std::string_view joined;
  };
  Kept& NeedKept();
  void ForgetPieces();
  void KeepForVariables(Slice data);
  void Keep(Slice data);
  bool Spool();  // moves what is in memory to the file; false after an error (the exchange has been
                 // ended)
  bool WriteFile(std::string_view bytes);
  bool OpenFile();
  void RemoveFile();

  Exchange& exchange_;
  RequestBodySink* sink_ = nullptr;
  Mode mode_ = Mode::kIdle;
  bool complete_ = false;
  bool lost_ = false;
  uint64_t size_ = 0;
  std::unique_ptr<Kept> kept_;  // null before the first request with a body
};

}  // namespace limpet::worker
