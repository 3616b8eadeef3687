// Whole files as text. What is read may be a secret: no buffer with its bytes is given back without
// being wiped, but what becomes of the result is the caller's (secret.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"

namespace limpet {

// What a descriptor still has, to the end of the file, pipe or connection. Blocks as the descriptor
// does. More than `most` bytes are an error, file_too_large. `path` is for messages.
Result<std::string> ReadToEnd(int fd, const std::string& path, size_t most = SIZE_MAX);

// The same for a path, without a bound. An error has the code of the call that failed.
Result<std::string> ReadFile(const std::string& path);

}  // namespace limpet
