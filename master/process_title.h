// The name that ps shows for a process. Written over the memory of the arguments and the
// environment, as the kernel offers no other place for a title of any length.
#pragma once

#include <string_view>

namespace limpet::master {

// Call once in main, before anything keeps pointers into argv or environ: both are moved elsewhere.
void PrepareProcessTitle(int argc, char** argv);

// "limpet: " is put in front. Does nothing before PrepareProcessTitle.
void SetProcessTitle(std::string_view title);

}  // namespace limpet::master
