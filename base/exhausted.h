// What the system has run out of when it gives no socket.
#pragma once

#include <cerrno>

namespace limpet {

// Descriptors or memory, as errno of accept4(): the connection stays in the queue, which stays
// readable. Whoever goes on at once spins.
constexpr bool IsExhausted(int errnum) {
  return errnum == EMFILE || errnum == ENFILE || errnum == ENOBUFS || errnum == ENOMEM;
}

}  // namespace limpet
