// CRC-32 as zlib and nginx have it (reflected, polynomial 0x04C11DB7, inverted at both ends): hash
// rings and checksums.
#pragma once

#include <boost/crc.hpp>
#include <cstdint>
#include <string_view>

namespace limpet::shm {

// A checksum over pieces: equal to Crc32() of their concatenation.
class Crc32Stream {
 public:
  void Add(std::string_view bytes) { crc_.process_bytes(bytes.data(), bytes.size()); }
  uint32_t value() const { return crc_.checksum(); }

 private:
  boost::crc_32_type crc_;
};

inline uint32_t Crc32(std::string_view bytes) {
  Crc32Stream stream;
  stream.Add(bytes);
  return stream.value();
}

}  // namespace limpet::shm
