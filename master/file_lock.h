// Locks on files that say which process has something (fcntl: of this process alone, gone with it,
// not its children's). Whoever closes any descriptor of such a file gives the lock up.
#pragma once

#include <string>

namespace limpet::master {

// False if another process holds it. A file system without locks says nothing: then nobody does.
bool LockFile(int fd);
void UnlockFile(int fd);
bool IsLockedByOther(int fd);

// Whether the file that is open is what stands at the path.
bool IsFileAt(int fd, const std::string& path);

}  // namespace limpet::master
