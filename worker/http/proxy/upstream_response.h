// A peer's response in bytes: where it is read into, what its head says, and how its body is
// framed. It knows neither the exchange nor the client.
//
//   BeginAttempt()
//   RoomForHead, Took, ParseHead …       until kComplete; HoldHead()
//   BeginBody()
//   TakeBody(body_rest()), RoomForBody, Took, TakeBody …
//   EndAttempt()                         the head stays for variables, until Reset
//   BeginOther()                         and so does that of an earlier location
//
// Always: half() is kHead until BeginBody or BeginTunnel; only kBody takes bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "proto/http1/chunked.h"
#include "proto/http1/framing.h"
#include "proto/http1/response_parser.h"
#include "worker/http/proxy/proxy_states.h"
#include "worker/net/buffer.h"
#include "worker/net/spares.h"

namespace limpet::worker {

class UpstreamResponse {
 public:
  enum class Parsed : uint8_t { kMore, kInterim, kComplete, kTooBig, kError };
  enum class Taken : uint8_t {
    kMore,
    kDone,
    kDoneTooLong,  // more came than the framing allows: the connection is out of step
    kBroken        // no chunk
  };
  // What is known of its head.
  enum class Answer : uint8_t {
    kNone,
    kHead,
    kUsed  // it is the one to use: no other peer is asked
  };

  // `parsers` lends one from the first byte on until the exchange ends.
  explicit UpstreamResponse(Spares<proto::ResponseParser>& parsers);

  void BeginAttempt();
  void EndAttempt();
  // Another location answers instead: what variables have kept of the head stays.
  void BeginOther();
  void Reset();  // with the exchange

  // Where the next read goes to. `first`: a block for the first one; one that is full is replaced
  // by what the longest head needs.
  std::span<char> RoomForHead(BlockPool& pool, size_t max_head, BlockSize first = BlockSize::k16K);
  std::span<char> RoomForBody(BlockPool& pool, BlockSize size);
  std::string_view Took(size_t n);  // what the read gave
  // Nothing was there: who waits holds no empty block.
  void ReleaseUnlessHead();
  void ReleaseUnlessUsed();  // the same, of the body
  const BlockRef& block() const { return block_; }
  bool comes_fast() const { return comes_fast_; }  // the last read has filled its block

  // After kInterim head() is that one; again for the next. All of them together may be as long as
  // a head.
  Parsed ParseHead(size_t max_head);
  void HoldHead(const proto::Framing& framing);
  void Use() { answer_ = Answer::kUsed; }
  const proto::ResponseHead& head() const { return *head_; }  // empty before the first byte
  const proto::HeadError& error() const { return parser_->error(); }
  Answer answer() const { return answer_; }
  std::string_view body_rest() const;  // what came together with the head

  // RFC 9110 15.2.2: a tunnel that nobody asked for has no body.
  void ForgetBody() { framing_ = {}; }
  void BeginBody();
  // Of the framed body. pieces() are what is in it, until the next call.
  Taken TakeBody(std::string_view bytes);
  void Spliced(uint64_t n);  // bytes that went by on another way
  std::span<const std::string_view> pieces() const { return pieces_; }
  void End() { Enter(Half::kDone); }

  Half half() const { return half_; }
  proto::BodyKind kind() const { return framing_.kind; }
  uint64_t length() const { return framing_.length; }
  uint64_t remaining() const { return remaining_; }  // of a body with a length
  uint64_t received() const { return received_; }    // bytes of this attempt, the head included
  const proto::HeaderList* trailers() const;         // null: they have not come
  bool allows_next() const;  // after this response the peer may have another request

 private:
  void Enter(Half next);
  void TakeParser();
  void ResetHead();
  Taken TakeChunks(std::string_view bytes);

  Spares<proto::ResponseParser>& parsers_;
  std::unique_ptr<proto::ResponseParser> parser_;  // null before the first byte
  const proto::ResponseHead* head_;
  std::unique_ptr<proto::ChunkedDecoder> decoder_;  // null before the first body in chunks
  proto::Framing framing_;
  BlockRef block_;       // being read into
  BlockRef head_block_;  // holds the head's bytes while the exchange lives
  std::vector<BlockRef> earlier_heads_;
  uint32_t filled_ = 0;      // of block_
  uint32_t head_start_ = 0;  // behind interim heads
  uint32_t interim_ = 0;     // bytes of them
  bool comes_fast_ = false;
  Answer answer_ = Answer::kNone;
  Half half_ = Half::kHead;
  uint64_t remaining_ = 0;
  uint64_t received_ = 0;
  std::string_view piece_;
  std::span<const std::string_view> pieces_;
};

}  // namespace limpet::worker
