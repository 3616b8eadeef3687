// Locks on files that say which process has something (fcntl: of this process alone, gone with it,
// not its children's). Whoever closes any descriptor of such a file gives the lock up.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace limpet::master {

// False if another process holds it. A file system without locks says nothing: then nobody does.
bool LockFile(int fd);
void UnlockFile(int fd);
// Of another process; nothing: there is none. 0: it is not seen from here, as in a container.
std::optional<pid_t> LockHolder(int fd);

// Whether the file that is open is what stands at the path.
bool IsFileAt(int fd, const std::string& path);

}  // namespace limpet::master
