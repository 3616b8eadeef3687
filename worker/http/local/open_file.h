// A file opened for serving, and what must be known of it before its first byte is sent.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/unique_fd.h"

namespace limpet::worker {

struct OpenedFile {
  std::shared_ptr<const UniqueFd> fd;  // null: it failed
  int errnum = 0;
  std::string_view failed;  // the call that failed: "open()"
  bool is_directory = false;
  bool is_regular = false;
  uint64_t size = 0;
  int64_t modified = 0;  // seconds
};

// `path` has a zero byte behind its end. Never blocks on a FIFO.
OpenedFile OpenFile(std::string_view path);

// What is there, without opening it.
struct FileFacts {
  int errnum = 0;  // 0: it exists
  bool is_directory = false;
};
FileFacts TestFile(std::string_view path);

// Errors that mean "no such file".
bool MeansMissing(int errnum);

}  // namespace limpet::worker
