// Tells the processor what will be used soon. With hundreds of requests at once the objects of one
// have left the nearer caches when its turn comes; what is asked for in front of a system call or a
// parser is there when that returns. It changes nothing and never faults, whatever the address.
#pragma once

#include <cstddef>
#include <cstdint>

namespace limpet {

constexpr size_t kCacheLine = 64;

inline void Prefetch(const void* bytes, size_t size) {  // null: nothing happens
  if (bytes == nullptr) return;
  const auto first = reinterpret_cast<uintptr_t>(bytes);
  for (size_t at = 0; at < size; at += kCacheLine)
    __builtin_prefetch(reinterpret_cast<const void*>(first + at));
}

template <class T>
void Prefetch(const T& object) {
  Prefetch(&object, sizeof(T));
}

}  // namespace limpet
