#include "worker/http/filter/zlib_filter.h"

namespace limpet::worker {

void ZlibFilter::SetInput(std::string_view bytes) {
  // zlib does not write to its input; its type only fails to say so.
  zlib_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  zlib_.avail_in = static_cast<uInt>(bytes.size());
}

void ZlibFilter::NewBlock() {
  PassOn();
  block_ = pool_.Get(BlockSize::k16K);
  passed_ = 0;
  zlib_.next_out = reinterpret_cast<Bytef*>(block_.data());
  zlib_.avail_out = static_cast<uInt>(block_.capacity());
}

void ZlibFilter::PassOn() {
  if (!block_) return;
  const size_t filled = block_.capacity() - zlib_.avail_out;
  if (filled == passed_) return;
  next_->Write(block_, {block_.data() + passed_, filled - passed_});
  passed_ = filled;
}

}  // namespace limpet::worker
