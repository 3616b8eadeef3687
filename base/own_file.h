// Files where others may write, too: a folder such as /tmp, or one that the workers' user owns
// while root opens what is in it. What is opened is what was meant, whoever may have put something
// else there, and nothing here waits: not for the other end of a FIFO either.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace limpet {

// open(2), closed on exec. Links are followed where they are root's or this user's, so that an
// operator may put a file elsewhere and nobody else can.
Result<UniqueFd> OpenThroughOwnLinks(const std::string& path, int flags, mode_t mode = 0);

// For reading: a regular file of this user's that nobody else can write; a link is none. The folder
// of this one and of the next may be a link as above.
Result<UniqueFd> OpenOwnFile(const std::string& path);

// For reading and writing: the same, and with no other name; made with mode 0600 where there is
// none.
Result<UniqueFd> OpenOrMakeOwnFile(const std::string& path);

// Makes the file's content exactly that, mode 0600: as a whole or not at all, over a power cut,
// too. What stands at the path is replaced, not followed.
Status ReplaceFile(const std::string& path, std::span<const std::string_view> pieces);
Status ReplaceFile(const std::string& path, std::string_view bytes);

// Each file has the other's name from then on, at one moment. Fails where one is missing, or the
// file system cannot do it.
Status ExchangeFiles(const std::string& one, const std::string& other);

// A name beside `path` that nobody can know before.
std::string NameBeside(const std::string& path);

// The folder of a file, with those that it is in, mode 0700. Best effort: what fails is said by
// whoever opens the file.
void MakeFolderOf(const std::string& path);

}  // namespace limpet
