// What is to be written to a transport, in order: copied bytes, ranges of blocks, static text and
// ranges of files. Small copied pieces share a block. Memory and files are released as their last
// byte is sent. No allocation per piece once the queue has grown to its usual length.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "worker/net/buffer.h"
#include "worker/net/transport.h"

namespace limpet::worker {

enum class FlushResult : uint8_t {
  kDrained,  // nothing is left
  kBlocked,  // the transport takes no more now: WantWrite(true) and flush again
  kError,    // transport.errnum() says why
};

class OutputQueue {
 public:
  explicit OutputQueue(BlockPool& pool) : pool_(pool), segments_(&pool.small()) {}

  void Append(std::string_view bytes);        // copies
  void AppendStatic(std::string_view bytes);  // refers: the bytes must outlive the queue's content
  void AppendBlock(BlockRef block, size_t offset, size_t size);  // small pieces are copied
  // `size` bytes that wait in a pipe: they are spliced, not copied. The transport must be one that
  // can.
  void AppendPipe(std::shared_ptr<const UniqueFd> read_end, uint64_t size);
  void AppendFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size);
  // The first `size` bytes go behind what is in `to`; there must be as many. They count as sent.
  void MoveTo(OutputQueue& to, uint64_t size);

  // Room for up to `size` (<= 4000) bytes to be composed in place; Commit says how many were.
  char* Reserve(size_t size);
  void Commit(size_t size);

  uint64_t size() const { return size_; }  // bytes not sent yet, files included
  bool empty() const { return size_ == 0; }
  uint64_t memory() const { return size_ - in_files_; }  // of them, those in memory or in pipes
  uint64_t sent() const { return sent_; }                // bytes ever sent through this queue
  void Clear() {                                         // drops everything unsent
    if (!segments_.empty() || tail_) Drop();  // most often: who ends clears what has been sent
  }

  // Writes until all is sent or the transport takes no more. `more` as in Transport::Writev, for
  // the last piece. Not more than `budget` bytes: then it is kBlocked, too, and
  // stopped_by_budget().
  FlushResult Flush(Transport& transport, bool more = false, uint64_t budget = UINT64_MAX);
  bool stopped_by_budget() const { return stopped_by_budget_; }

 private:
  struct Segment {
    const char* data = nullptr;  // null: a file's range
    uint64_t size = 0;
    off_t offset = 0;  // of a file; kPipe: a pipe
    BlockRef block;    // empty: static text or a file
    std::shared_ptr<const UniqueFd> file;
  };

  static constexpr off_t kPipe = -1;

  void Drop();
  Segment& Push();
  Io SendFrom(Transport& transport, bool more, uint64_t most, size_t* n);
  bool CanExtendLast(size_t size) const;
  void PushTail();
  void ExtendLast(size_t size);
  Io WritePieces(Transport& transport, bool more, uint64_t budget, size_t* n);
  void Consume(uint64_t n);

  static constexpr int kMaxPieces = 64;

  BlockPool& pool_;
  std::pmr::vector<Segment> segments_;  // live ones start at first_
  size_t first_ = 0;
  uint64_t size_ = 0;
  uint64_t in_files_ = 0;
  uint64_t sent_ = 0;
  bool stopped_by_budget_ = false;
  BlockRef tail_;         // block that copied bytes go to
  size_t tail_used_ = 0;  // its bytes that are taken
};

}  // namespace limpet::worker
