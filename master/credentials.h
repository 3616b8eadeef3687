// The user and group that workers run as, and what the kernel lets them do.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "conf/config.h"

namespace limpet::master {

struct Credentials {
  std::string user;
  uid_t uid = 0;
  gid_t gid = 0;
  // May bind to addresses that are not this machine's: proxy_bind … transparent.
  bool net_raw = false;
};

// Nothing when the master does not run as root: there is nobody else to become. Without a `user`
// line: nobody.
Result<std::optional<Credentials>> WorkerCredentials(const conf::Config& config);

// An error where the configuration has `proxy_bind … transparent` and the kernel does not let this
// process do that.
Status CheckTransparency(const conf::Config& config);

// In the worker, for good. Order matters: groups first, the user last.
Status DropPrivileges(const Credentials& credentials);

// A process's memory holds keys: other processes of its user may read it (ptrace, /proc, a core
// file) only where cores are asked for: by worker_rlimit_core, or a working_directory for them.
void HideMemory(const conf::Config& config);

}  // namespace limpet::master
