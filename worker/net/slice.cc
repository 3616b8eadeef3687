#include "worker/net/slice.h"

#include <cstring>

namespace limpet::worker {
namespace {

constexpr size_t kCopied = 1024;     // smaller slices are copied
constexpr size_t kLeastRoom = 1024;  // less is not worth a read

bool Continues(const Slice& last, const Slice& next) {
  return last.block && last.block == next.block &&
         last.bytes.data() + last.bytes.size() == next.bytes.data();
}

}  // namespace

bool SliceJoiner::Join(BlockPool& pool, Slice* last, Slice* next) {
  if (last == nullptr || !Continues(*last, *next)) {
    if (!next->block || next->bytes.size() > kCopied) return false;
    if (!copies_ || copies_.capacity() - used_ < next->bytes.size()) {
      copies_ = pool.Get(BlockSize::k4K);
      used_ = 0;
    }
    char* const to = copies_.data() + used_;
    std::memcpy(to, next->bytes.data(), next->bytes.size());
    used_ += next->bytes.size();
    *next = {copies_, {to, next->bytes.size()}};
    if (last == nullptr || !Continues(*last, *next)) return false;
  }
  last->bytes = {last->bytes.data(), last->bytes.size() + next->bytes.size()};
  return true;
}

std::span<char> ReadBlock::Room(BlockPool& pool, BlockSize size) {
  if (block_ && block_.unique()) filled_ = 0;
  const bool smaller = block_ && block_.unique() && block_.capacity() < Bytes(size) / 2;
  if (!block_ || smaller || block_.capacity() - filled_ < kLeastRoom) {
    block_ = pool.Get(size);
    filled_ = 0;
  }
  return {block_.data() + filled_, block_.capacity() - filled_};
}

Slice ReadBlock::Took(size_t n) {
  const std::string_view bytes(block_.data() + filled_, n);
  filled_ += n;
  return {block_, bytes};
}

}  // namespace limpet::worker
