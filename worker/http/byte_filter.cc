#include "worker/http/byte_filter.h"

#include <unistd.h>

#include <algorithm>

namespace limpet::worker {

void ByteFilter::WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) {
  const BlockRef buffer = pool_.Get(BlockSize::k64K);
  while (size > 0) {
    const size_t want = std::min<uint64_t>(size, buffer.capacity());
    const ssize_t n = ::pread(file->get(), buffer.data(), want, offset);
    if (n <= 0) return;  // the file was cut while we read it: what there is ends here
    Write({}, {buffer.data(), static_cast<size_t>(n)});  // an empty block: used up at once
    offset += n;
    size -= static_cast<uint64_t>(n);
  }
}

}  // namespace limpet::worker
