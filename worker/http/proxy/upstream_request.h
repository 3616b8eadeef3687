// The request of a proxied exchange on its way to a peer: what waits to be sent, and how far it has
// come. It knows neither the exchange nor the peer.
//
//   Plan(body)                        once per exchange
//   BeginAttempt() … head()           the head is written to head(), for each peer anew
//   BeginBody() … AppendWhole | Take, EndOfPieces, Close
//   Flush(transport)                  as often as there is something to send
//   EndAttempt()                      what has not left is forgotten
//
// A tunnel is a stream that begins with BecomeTunnel, behind whatever there was of a body.
//
// Always: half() is kHead until BeginBody, and kDone only when nothing more of HTTP will be sent.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "worker/http/exchange/request_body.h"
#include "worker/http/proxy/proxy_states.h"
#include "worker/net/output_queue.h"
#include "worker/net/slice.h"

namespace limpet::worker {

class UpstreamRequest {
 public:
  enum class Body : uint8_t {
    kWhole,     // it has been read, or there is none
    kStreamed,  // passed on as it comes
    kChunked,   // the same, of unknown length
    kTunnel     // bytes both ways, without HTTP
  };
  enum class Sent : uint8_t {
    kAll,      // and nothing more will follow
    kSoFar,    // all that is here, and more is to come
    kBlocked,  // the peer takes no more now
    kFull,     // the same, and so much waits that the client has to wait, too
    kClosed,   // the peer takes nothing any more: it may have answered before
    kFailed    // the transport's errnum says why
  };

  explicit UpstreamRequest(BlockPool& blocks) : blocks_(blocks), out_(blocks) {}

  void Plan(Body body);
  void BeginAttempt();
  void EndAttempt();
  void Reset();  // with the exchange, after EndAttempt

  OutputQueue& head() { return out_; }
  void BeginBody() { Enter(Half::kBody); }
  void AppendWhole(const RequestBody& body);  // may be done again for another peer
  void Take(Slice piece);                     // of a body that comes in pieces
  void EndOfPieces();                         // that are here now
  void Close();                               // no more will come
  void BecomeTunnel() {
    body_ = Body::kTunnel;
    closed_ = false;
  }

  // Does nothing but write: what follows from it is the caller's.
  Sent Flush(Transport& transport);

  Half half() const { return half_; }
  bool streams() const { return body_ != Body::kWhole; }
  bool chunked() const { return body_ == Body::kChunked; }
  bool closed() const { return closed_; }
  bool sending() const { return !out_.empty(); }
  bool all_sent() const { return half_ == Half::kDone && closed_ && out_.empty(); }
  uint64_t bytes_sent() const { return out_.sent() - sent_before_; }  // to this peer
  bool quiet() const { return out_.empty() && (chunk_ == nullptr || chunk_->pieces.empty()); }

 private:
  // Pieces of a body in chunks: they become one.
  struct Chunk {
    std::vector<Slice> pieces;
    SliceJoiner joiner;
  };

  void Enter(Half next);
  void Finish();
  void Queue(const Slice& piece);
  void QueueChunk();

  BlockPool& blocks_;
  OutputQueue out_;
  std::unique_ptr<Chunk> chunk_;  // null before the first body in chunks
  uint64_t sent_before_ = 0;
  Body body_ = Body::kWhole;
  Half half_ = Half::kHead;
  bool closed_ = false;
};

}  // namespace limpet::worker
