#include "worker/http/filter/byte_filter.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "worker/http/exchange/file_cut.h"

namespace limpet::worker {
namespace {

constexpr size_t kStep = 16 * 1024;  // bytes that are worked on before who comes after is asked

}  // namespace

void ByteFilter::Write(BlockRef block, std::string_view bytes) {
  if (bytes.empty() || ended_) return;
  Wait({.slice = {std::move(block), bytes}, .file = nullptr});
  Pump();
}

void ByteFilter::WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) {
  if (size == 0 || ended_) return;
  if (first_ < pieces_.size() && pieces_.back().file == file &&
      pieces_.back().offset + static_cast<off_t>(pieces_.back().size) == offset) {
    pieces_.back().size += size;
    return Pump();
  }
  pieces_.push_back({.slice = {}, .file = std::move(file), .offset = offset, .size = size});
  Pump();
}

void ByteFilter::Wait(Piece piece) {
  const bool waits = first_ < pieces_.size();
  if (waits) {
    Piece& last = pieces_.back();
    if (joiner_.Join(pool_, last.file == nullptr ? &last.slice : nullptr, &piece.slice)) return;
  }
  pieces_.push_back(std::move(piece));
}

void ByteFilter::Flush() {
  flush_ = true;
  Pump();
}

void ByteFilter::End() {
  ending_ = true;
  Pump();
}

void ByteFilter::Break(std::string_view why) {
  ended_ = true;
  pieces_.clear();
  first_ = 0;
  next_->OnBroken(why);
}

bool ByteFilter::HoldsBack() const {
  if (ended_) return next_->HoldsBack();
  return !Idle() || flush_ || ending_ || next_->HoldsBack();
}

void ByteFilter::Pump() {
  do {
    next_->Pump();
  } while (!ended_ && next_->HasRoom() && Step());
}

// False: nothing is to be done.
bool ByteFilter::Step() {
  if (Owes()) {
    Take({});
    return true;
  }
  if (first_ < pieces_.size()) {
    WorkOn(pieces_[first_]);
    return true;
  }
  pieces_.clear();
  first_ = 0;
  joiner_.Reset();
  if (std::exchange(flush_, false) && !ending_) {
    GiveAll();
    next_->Flush();
    return true;
  }
  return ending_ && StepToEnd();
}

void ByteFilter::WorkOn(Piece& piece) {
  std::string_view& bytes = piece.slice.bytes;
  if (bytes.empty() && !ReadFile(piece)) return Break(kFileCut);
  const size_t taken = Take(bytes.substr(0, kStep));
  if (ended_) return;
  bytes.remove_prefix(taken);
  if (!bytes.empty() || piece.size > 0) return;
  piece = {};
  ++first_;
}

// False: the file is shorter than it was.
bool ByteFilter::ReadFile(Piece& piece) {
  if (!piece.slice.block || !piece.slice.block.unique()) {
    piece.slice.block = pool_.Get(BlockSize::k64K);
  }
  const BlockRef& block = piece.slice.block;
  const size_t want = std::min<uint64_t>(piece.size, block.capacity());
  const ssize_t n = ::pread(piece.file->get(), block.data(), want, piece.offset);
  if (n <= 0) return false;
  piece.slice.bytes = {block.data(), static_cast<size_t>(n)};
  piece.offset += n;
  piece.size -= static_cast<uint64_t>(n);
  return true;
}

bool ByteFilter::StepToEnd() {
  if (!GiveEnd()) return !ended_;
  ended_ = true;
  next_->End();
  return false;
}

}  // namespace limpet::worker
