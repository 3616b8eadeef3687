// Reading and writing words that lie in shared memory as plain integers, so that a structure may be
// mapped, copied and cleared as it is. Whoever shares a word uses these everywhere.
#pragma once

#include <atomic>
#include <type_traits>

namespace limpet::shm {

template <class T>
T LoadRelaxed(const T& word) {
  return std::atomic_ref(const_cast<T&>(word)).load(std::memory_order_relaxed);
}
template <class T>
T LoadAcquire(const T& word) {
  return std::atomic_ref(const_cast<T&>(word)).load(std::memory_order_acquire);
}
template <class T>
void StoreRelaxed(T& word, std::type_identity_t<T> value) {
  std::atomic_ref(word).store(value, std::memory_order_relaxed);
}
template <class T>
void StoreRelease(T& word, std::type_identity_t<T> value) {
  std::atomic_ref(word).store(value, std::memory_order_release);
}

}  // namespace limpet::shm
