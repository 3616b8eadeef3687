// Descriptors 0 to 2.
#pragma once

#include "base/result.h"

namespace limpet::master {

// Opens /dev/null where one of them is missing. First thing in main: otherwise a socket or a log
// would become descriptor 2 and receive what libraries print.
void FillStandardStreams();

// Leaves the terminal: a new session in a child process, the parent exits with status 0, streams
// lead to /dev/null. `keep_stderr`: a log is written there.
Status Daemonize(bool keep_stderr);

}  // namespace limpet::master
