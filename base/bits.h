// Sets of an enum's few values as bits: of tables that say which state may follow which.
#pragma once

#include <cstdint>

namespace limpet {

// Of values below the number of bits in Set.
template <class Set = uint8_t, class... Values>
constexpr Set BitsOf(Values... values) {
  return static_cast<Set>(((1u << static_cast<unsigned>(values)) | ...));
}

}  // namespace limpet
