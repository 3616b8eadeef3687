// Log files by their path.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace limpet {

// /dev/stdout and /dev/stderr, where containers want logs: the streams that we have inherited,
// which a worker's user may write to but not open anew.
bool IsStandardStream(const std::string& path);

// Opens for appending, makes it if it is not there; a standard stream is duplicated.
Result<UniqueFd> OpenLogPath(const std::string& path);

}  // namespace limpet
