// Which sanitizer the build has: where memory is kept for reuse, it would see nothing.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define LIMPET_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LIMPET_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef LIMPET_ADDRESS_SANITIZER
#include <sanitizer/lsan_interface.h>
#endif

namespace limpet {

#ifdef LIMPET_ADDRESS_SANITIZER
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif

// Reports memory that nobody can reach any more. For processes that end by _exit(2), which would
// tell nobody; elsewhere it is done at exit.
inline void LookForLeaks() {
#ifdef LIMPET_ADDRESS_SANITIZER
  __lsan_do_leak_check();
#endif
}

}  // namespace limpet
