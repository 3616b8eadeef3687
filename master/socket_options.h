// What a `listen` line asks of its socket.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "conf/listen.h"

namespace limpet::master {

// A new socket, bound but not listening. The error of a busy address has the code EADDRINUSE.
Result<UniqueFd> BindSocket(const conf::Listen& listen, const Log& log);

// Options that may change while the socket lives, then listen(). Those that fail are logged and go
// without.
Status StartListening(int fd, const conf::Listen& listen, const Log& log);

Status AllowSharing(int fd);  // SO_REUSEPORT

}  // namespace limpet::master
