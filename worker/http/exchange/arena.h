// Memory of one exchange: bump allocation, freed all at once when the exchange is reset. Its first
// piece is enough for an ordinary request; many a one takes none.
#pragma once

#include <array>
#include <cstring>
#include <memory_resource>
#include <new>
#include <string_view>
#include <type_traits>

namespace limpet::worker {

class Arena {
 public:
  // `memory` outlives it.
  explicit Arena(std::pmr::memory_resource* memory = std::pmr::get_default_resource())
      : resource_(kFirst, memory) {}

  char* Allocate(size_t size) { return static_cast<char*>(resource_.allocate(size, 1)); }

  std::string_view Copy(std::string_view text) {
    if (text.empty()) return {};
    char* out = Allocate(text.size());
    std::memcpy(out, text.data(), text.size());
    return {out, text.size()};
  }

  template <class... Parts>
  std::string_view Concat(const Parts&... parts) {
    const std::array<std::string_view, sizeof...(Parts)> views{std::string_view(parts)...};
    size_t size = 0;
    for (const auto view : views) size += view.size();
    char* const out = Allocate(size);
    char* at = out;
    for (const auto view : views) {
      if (!view.empty()) std::memcpy(at, view.data(), view.size());
      at += view.size();
    }
    return {out, size};
  }

  // A copy in the arena, gone with the rest.
  template <class T>
  T* New(const T& value) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (resource_.allocate(sizeof(T), alignof(T))) T(value);
  }

  void Reset() { resource_.release(); }

 private:
  static constexpr size_t kFirst = 224;  // and what the resource adds

  std::pmr::monotonic_buffer_resource resource_;
};

}  // namespace limpet::worker
