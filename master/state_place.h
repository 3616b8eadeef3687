// Says that a folder of state is one limpet's: two that had the same would write over what the
// other keeps. A file in the folder names the one that has it, which keeps a lock on it.
#pragma once

#include <string>

#include "base/unique_fd.h"

namespace limpet::master {

class StatePlace {
 public:
  // Takes the folder if nobody has it; to be called again from time to time. `home`: a pid file, by
  // which a limpet is known over changes of its binary. What it returns is another's, which has the
  // folder now; "": nobody has it but this limpet, or the folder cannot be written to anyway.
  std::string Take(const std::string& folder, const std::string& home);

 private:
  UniqueFd fd_;  // carries the lock
};

}  // namespace limpet::master
