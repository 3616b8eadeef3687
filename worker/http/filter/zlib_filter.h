// A link of the body chain that zlib works in: its stream, and the block that it writes to. Whoever
// derives from it begins and ends the stream.
#pragma once

#include <zlib.h>

#include <string_view>

#include "worker/http/filter/byte_filter.h"

namespace limpet::worker {

class ZlibFilter : public ByteFilter {
 public:
  ZlibFilter(const ZlibFilter&) = delete;
  ZlibFilter& operator=(const ZlibFilter&) = delete;

 protected:
  using ByteFilter::ByteFilter;

  void SetInput(std::string_view bytes);  // they must stay until zlib has read them
  bool BlockHasRoom() const { return block_ && zlib_.avail_out > 0; }
  void NewBlock();  // after what is in the present one has been handed on
  void PassOn();

  z_stream zlib_{};
  BlockRef block_;  // being filled

 private:
  size_t passed_ = 0;  // its bytes that have been handed on
};

}  // namespace limpet::worker
