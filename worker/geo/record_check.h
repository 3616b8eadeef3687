// Whether the bytes of a MaxMind DB file are sound: https://maxmind.github.io/MaxMind-DB/. Each
// value that can be reached from the search tree lies within the data, and none is nested deeper
// than real ones are. What has passed can be read by a library that follows what it finds. Pure.
#pragma once

#include <atomic>
#include <string>

#include "worker/geo/record.h"

namespace limpet::worker::mmdb {

// What is wrong with the metadata, which stand at the end of a file, or that there are none; ""
// if they may be read.
std::string CheckMetadata(Bytes file);

// The same of all records of the tree and all data that they point to. Takes time in proportion
// to the file; returns early, with any result, when `stop` becomes true.
std::string CheckRecords(const SearchTree& tree, Bytes data, const std::atomic<bool>& stop);

}  // namespace limpet::worker::mmdb
