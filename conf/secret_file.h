// Files that hold a secret. They are read at load, so by the master, and their bytes are in no
// message.
#pragma once

#include <string>
#include <vector>

#include "base/hash.h"
#include "conf/directive.h"

namespace limpet::conf {

// The one line of a file, without its end. `text`: the file's name as written. A warning if
// everybody may read or write the file.
Result<std::string> ReadPasswordFile(Block& block, const Directive& directive,
                                     const std::string& text);

// All bytes of a file but a line end behind them; the rest as above.
Result<std::string> ReadSecretFile(Block& block, const Directive& directive,
                                   const std::string& text);

// A key made of a file's bytes; a line end behind them does not count. They are 16 at least.
Result<SipKey> ReadKeyFile(Block& block, const Directive& directive, const std::string& text);

// Keys made of a file's lines, one or two, of 16 printable characters at least.
Result<std::vector<SealKey>> ReadSealKeys(Block& block, const Directive& directive,
                                          const std::string& text);

}  // namespace limpet::conf
