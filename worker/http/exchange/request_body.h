// The request body of an exchange: collected in memory up to client_body_buffer_size and in a
// temporary file beyond it, or handed on piece by piece, or thrown away. The client stream has
// taken the framing off already.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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

  // False: bytes have been passed on or thrown away that nobody can send again.
  bool whole() const { return !lost_; }
  bool complete() const { return complete_; }  // all of it has come from the client
  Mode mode() const { return mode_; }
  uint64_t size() const { return size_; }  // bytes so far; the whole size once complete
  bool in_file() const { return file_ != nullptr; }
  // Gone from its folder unless client_body_in_file_only.
  const std::string& file_path() const { return path_; }
  const std::vector<Slice>& pieces() const { return pieces_; }

  // Queues the whole buffered body; may be called again for another peer.
  void AppendTo(OutputQueue* queue) const;
  // The body as one view that lives as long as the exchange: in its arena, or in place once nothing
  // moves it any more. "" if it is in a file.
  std::string_view InMemory();
  // Throws the bytes away and frees the file. For X-Accel-Redirect and error pages the body stays.
  void Reset();

 private:
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
  uint64_t memory_ = 0;     // of size_: in pieces_
  uint64_t file_size_ = 0;  // and in the file
  std::vector<Slice> pieces_;
  SliceJoiner joiner_;
  std::shared_ptr<const UniqueFd> file_;
  std::string path_;
  bool remove_file_ = false;
  std::string_view joined_;
};

}  // namespace limpet::worker
