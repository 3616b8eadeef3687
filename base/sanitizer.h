// Which sanitizer the build has: where memory is kept for reuse, it would see nothing.
#pragma once

#if __has_include(<sanitizer/lsan_interface.h>)
#include <sanitizer/lsan_interface.h>
#endif

namespace limpet {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAddressSanitizer = true;
#elif defined(__has_feature)
inline constexpr bool kAddressSanitizer = __has_feature(address_sanitizer);
#else
inline constexpr bool kAddressSanitizer = false;
#endif

// Reports memory that nobody can reach any more. For processes that end by _exit(2), which would
// tell nobody; elsewhere it is done at exit.
inline void LookForLeaks() {
#if defined(__SANITIZE_ADDRESS__)
  __lsan_do_leak_check();
#endif
}

}  // namespace limpet
