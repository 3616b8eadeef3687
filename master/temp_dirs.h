// Directories for bodies that do not fit in memory. Made by the master; the workers' user owns
// them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "master/credentials.h"

namespace limpet::master {

std::vector<std::string> TempDirs(const conf::Config& config);  // absolute, each once
// Whether they are there, or their folders are: for -t, which makes none.
Status CheckTempDirs(const std::vector<std::string>& paths);
Status CreateTempDirs(const std::vector<std::string>& paths,
                      const std::optional<Credentials>& owner);

}  // namespace limpet::master
