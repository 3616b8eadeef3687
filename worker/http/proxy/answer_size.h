// How long the answers of an upstream are, as far as one read takes them: the next one is read into
// a block that most likely holds it. Many are held at a time under load, and most are short.
#pragma once

#include <algorithm>
#include <cstddef>

#include "worker/net/buffer.h"

namespace limpet::worker {

class AnswerSize {
 public:
  BlockSize block() const { return block_; }

  // `size`: of what has come of an answer; `filled`: it was all that the block took.
  void Note(size_t size, bool filled) {
    if (filled) return Learn(BlockSize::k16K);
    most_ = std::max(most_, size);
    if (++seen_ == kWindow) Learn(SmallestFor(most_));
  }

 private:
  static constexpr int kWindow = 16;    // answers that are looked at before a block gets smaller
  static constexpr size_t kRoom = 128;  // for the next to be a little longer

  static BlockSize SmallestFor(size_t size) {
    if (size + kRoom <= Bytes(BlockSize::k1K)) return BlockSize::k1K;
    return size + kRoom <= Bytes(BlockSize::k4K) ? BlockSize::k4K : BlockSize::k16K;
  }
  void Learn(BlockSize block) {
    block_ = block;
    most_ = 0;
    seen_ = 0;
  }

  BlockSize block_ = BlockSize::k16K;
  int seen_ = 0;
  size_t most_ = 0;
};

}  // namespace limpet::worker
