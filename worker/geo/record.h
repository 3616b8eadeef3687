// The bytes of a MaxMind DB file: its search tree and its values
// (https://maxmind.github.io/MaxMind-DB/). Nothing here reads beyond the bytes that it is given.
//
// Looking up is done here and not by the library, whose ways cost more than the rest of a request's
// routing: it takes three times as long over a record of the usual size (scripts/bench geo).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace limpet::worker::mmdb {

using Bytes = std::span<const uint8_t>;

struct SearchTree {
  Bytes nodes;
  uint32_t node_count = 0;
  unsigned record_bits = 0;  // 24, 28 or 32
};
inline constexpr size_t kSeparator = 16;  // zeros between the tree and the data

// The left or right record of a node below node_count.
inline uint32_t RecordAt(const SearchTree& tree, size_t node, bool right) {
  const uint8_t* const bytes = tree.nodes.data() + node * tree.record_bits / 4;
  const auto byte = [bytes](size_t i) { return uint32_t{bytes[i]}; };
  switch (tree.record_bits) {
    case 24:
      return right ? byte(3) << 16 | byte(4) << 8 | byte(5)
                   : byte(0) << 16 | byte(1) << 8 | byte(2);
    case 28:
      return right ? (byte(3) & 0x0f) << 24 | byte(4) << 16 | byte(5) << 8 | byte(6)
                   : (byte(3) & 0xf0) << 20 | byte(0) << 16 | byte(1) << 8 | byte(2);
    default:
      return right ? byte(4) << 24 | byte(5) << 16 | byte(6) << 8 | byte(7)
                   : byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
  }
}

// The offset in the data of an address's record; nothing if it has none. `address`: in network
// order; `start`: the node to begin at.
std::optional<size_t> FindRecord(const SearchTree& tree, uint32_t start, std::string_view address);

enum Type : uint8_t {
  kPointer = 1,
  kString = 2,
  kDouble = 3,
  kBytes = 4,
  kUint16 = 5,
  kUint32 = 6,
  kMap = 7,
  kInt32 = 8,
  kUint64 = 9,
  kUint128 = 10,
  kArray = 11,
  kBoolean = 14,
  kFloat = 15,
};

struct Head {
  uint8_t type = 0;
  uint32_t size = 0;  // bytes; entries of a map or an array; of a pointer, its target
  size_t end = 0;     // offset of what follows
};

// Of the value at an offset; nothing if it is not whole (of what has a length: its head).
std::optional<Head> ReadHead(Bytes data, size_t at);
// Of that value, or of what a pointer leads to.
std::optional<Head> ReadTarget(Bytes data, size_t at);

// The offset of the value that a path leads to, keys of maps and places in arrays; nothing if there
// is none. For sound data; `path` ends with a null pointer.
std::optional<size_t> FindPath(Bytes data, size_t at, const char* const* path);

}  // namespace limpet::worker::mmdb
