// Descriptors 0 to 2.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace limpet::master {

// Opens /dev/null where one of them is missing. First thing in main: otherwise a socket or a log
// would become descriptor 2 and receive what libraries print.
void FillStandardStreams();

// Leaves the terminal: a new session in a child process, streams lead to /dev/null. `keep_stderr`:
// a log is written there. The parent stays until it is known how the start went: it exits with
// status 0 when a byte is written to the descriptor that is returned, with 1 when it is closed
// without.
Result<UniqueFd> Daemonize(bool keep_stderr);

}  // namespace limpet::master
