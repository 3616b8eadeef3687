// Tells the processor what will be used soon. With hundreds of requests at once the objects of one
// have left the nearer caches when its turn comes; what is asked for in front of a system call or a
// parser is there when that returns. It changes nothing and never faults, whatever the address.
// A compiler takes a function that does nothing else for one without effect, and drops the calls of
// it: so these are always inlined, and say that they have one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace limpet {

constexpr size_t kCacheLine = 64;

namespace internal {

template <size_t... kLine>
[[gnu::always_inline]] inline void PrefetchLines(uintptr_t first, std::index_sequence<kLine...>) {
  (__builtin_prefetch(reinterpret_cast<const void*>(first + kLine * kCacheLine)), ...);
}

}  // namespace internal

// `kSize` bytes from there on, one instruction for each line; null: nothing happens.
template <size_t kSize>
[[gnu::always_inline]] inline void Prefetch(const void* bytes) {
  constexpr size_t kLines = (kSize + kCacheLine - 1) / kCacheLine;
  if (bytes == nullptr) return;
  internal::PrefetchLines(reinterpret_cast<uintptr_t>(bytes), std::make_index_sequence<kLines>());
  asm volatile("");
}

template <class T>
[[gnu::always_inline]] inline void Prefetch(const T* object) {
  Prefetch<sizeof(T)>(static_cast<const void*>(object));
}

}  // namespace limpet
