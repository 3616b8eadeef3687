#include "worker/net/output_queue.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace limpet::worker {

namespace {

constexpr size_t kCopied = 1024;  // they join what is before them: one piece less to write
constexpr size_t kKeptSegments = 64;

}  // namespace

OutputQueue::Segment& OutputQueue::Push() {
  constexpr size_t kCompactAt = 64;  // a stream that never drains must not grow the vector
  if (first_ >= kCompactAt && first_ * 2 >= segments_.size()) {
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<ptrdiff_t>(first_));
    first_ = 0;
  }
  return segments_.emplace_back();
}

bool OutputQueue::CanExtendLast(size_t size) const {
  if (first_ == segments_.size()) return false;
  const Segment& last = segments_.back();
  return last.block == tail_ && last.data != nullptr &&
         last.data + last.size == tail_.data() + tail_used_ &&
         tail_used_ + size <= tail_.capacity();
}

char* OutputQueue::Reserve(size_t size) {
  if (!tail_ || tail_used_ + size > tail_.capacity()) {
    tail_ = pool_.Get(BlockSize::k4K);
    tail_used_ = 0;
  }
  assert(size <= tail_.capacity());
  return tail_.data() + tail_used_;
}

// A segment that begins where the tail has room: it is extended at once.
void OutputQueue::PushTail() {
  Segment& segment = Push();
  segment.data = tail_.data() + tail_used_;
  segment.block = tail_;
}

void OutputQueue::ExtendLast(size_t size) {
  segments_.back().size += size;
  tail_used_ += size;
  size_ += size;
}

void OutputQueue::Commit(size_t size) {
  if (size == 0) return;
  if (!CanExtendLast(size)) PushTail();
  ExtendLast(size);
}

void OutputQueue::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!CanExtendLast(1)) {
      Reserve(1);
      PushTail();
    }
    const size_t n = std::min(bytes.size(), tail_.capacity() - tail_used_);
    std::memcpy(tail_.data() + tail_used_, bytes.data(), n);
    ExtendLast(n);
    bytes.remove_prefix(n);
  }
}

void OutputQueue::AppendStatic(std::string_view bytes) {
  if (bytes.empty()) return;
  Segment& segment = Push();
  segment.data = bytes.data();
  segment.size = bytes.size();
  size_ += bytes.size();
}

void OutputQueue::AppendBlock(BlockRef block, size_t offset, size_t size) {
  if (size <= kCopied) return Append({block.data() + offset, size});
  Segment& segment = Push();
  segment.data = block.data() + offset;
  segment.size = size;
  segment.block = std::move(block);
  size_ += size;
}

void OutputQueue::AppendFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) {
  if (size == 0) return;
  size_ += size;
  in_files_ += size;
  if (first_ < segments_.size()) {
    Segment& last = segments_.back();  // a spooled body grows piece by piece: one segment is enough
    if (last.file == file && last.offset + static_cast<off_t>(last.size) == offset) {
      last.size += size;
      return;
    }
  }
  Segment& segment = Push();
  segment.size = size;
  segment.offset = offset;
  segment.file = std::move(file);
}

void OutputQueue::AppendPipe(std::shared_ptr<const UniqueFd> read_end, uint64_t size) {
  size_ += size;
  if (first_ < segments_.size() && segments_.back().file == read_end) {
    segments_.back().size += size;
    return;
  }
  Segment& segment = Push();
  segment.size = size;
  segment.offset = kPipe;
  segment.file = std::move(read_end);
}

void OutputQueue::MoveTo(OutputQueue& to, uint64_t size) {
  assert(size <= size_);
  while (size > 0) {
    const Segment& front = segments_[first_];
    const uint64_t part = std::min(front.size, size);
    if (front.data == nullptr) {
      front.offset == kPipe ? to.AppendPipe(front.file, part)
                            : to.AppendFile(front.file, front.offset, part);
    } else if (front.block) {
      to.AppendBlock(front.block, static_cast<size_t>(front.data - front.block.data()), part);
    } else {
      to.AppendStatic({front.data, static_cast<size_t>(part)});
    }
    Consume(part);
    size -= part;
  }
}

Io OutputQueue::SendFrom(Transport& transport, bool more, uint64_t most, size_t* n) {
  const Segment& segment = segments_[first_];
  constexpr uint64_t kMost = 1u << 30;  // sendfile's own limit is near 2 GiB
  const auto size = static_cast<size_t>(std::min({segment.size, kMost, most}));
  if (segment.offset == kPipe) {
    return transport.SpliceFrom(segment.file->get(), size, more || size < size_, n);
  }
  return transport.SendFile(segment.file->get(), segment.offset, size, n);
}

void OutputQueue::Drop() {
  if (segments_.capacity() > kKeptSegments)
    std::pmr::vector<Segment>(segments_.get_allocator()).swap(segments_);
  segments_.clear();
  first_ = 0;
  size_ = in_files_ = 0;
  tail_.Reset();
  tail_used_ = 0;
}

FlushResult OutputQueue::Flush(Transport& transport, bool more, uint64_t budget) {
  stopped_by_budget_ = false;
  while (size_ > 0) {
    if (budget == 0) {
      stopped_by_budget_ = true;
      return FlushResult::kBlocked;
    }
    size_t n = 0;
    const Segment& front = segments_[first_];
    const Io io = front.data != nullptr ? WritePieces(transport, more, budget, &n)
                                        : SendFrom(transport, more, budget, &n);
    if (io == Io::kWouldBlock) return FlushResult::kBlocked;
    if (io != Io::kOk) return FlushResult::kError;
    Consume(n);
    budget -= std::min<uint64_t>(budget, n);  // the rest of an earlier, larger one may be in it
  }
  return FlushResult::kDrained;
}

Io OutputQueue::WritePieces(Transport& transport, bool more, uint64_t budget, size_t* n) {
  iovec pieces[kMaxPieces];
  int count = 0;
  size_t next = first_;
  for (; next < segments_.size() && count < kMaxPieces && segments_[next].data != nullptr &&
         budget > 0;
       ++next) {
    const Segment& segment = segments_[next];
    const uint64_t part = std::min(segment.size, budget);
    pieces[count++] = {const_cast<char*>(segment.data), static_cast<size_t>(part)};
    budget -= part;
  }
  return transport.Writev(pieces, count, more || next < segments_.size(), n);
}

void OutputQueue::Consume(uint64_t n) {
  assert(n <= size_);
  sent_ += n;
  if (n == size_) return Drop();  // an idle connection holds no block
  size_ -= n;
  while (n > 0) {
    Segment& front = segments_[first_];
    const uint64_t part = std::min(n, front.size);
    n -= part;
    front.size -= part;
    if (front.data == nullptr && front.offset != kPipe) in_files_ -= part;
    if (front.size > 0) {
      if (front.data != nullptr) front.data += part;
      if (front.offset != kPipe) front.offset += static_cast<off_t>(part);
      return;
    }
    front = Segment{};  // releases its block or file now
    ++first_;
  }
}

}  // namespace limpet::worker
