#include "proto/http1/head_scanner.h"

#include <cstring>

namespace limpet::proto {

void HeadScanner::Reset() {
  started_ = false;
  start_ = position_ = line_start_ = first_line_end_ = 0;
  longest_line_ = longest_line_start_ = line_count_ = 0;
}

void HeadScanner::SkipEmptyLines(const char* data, size_t size) {
  while (position_ < size && (data[position_] == '\r' || data[position_] == '\n')) ++position_;
  start_ = line_start_ = position_;
  started_ = position_ < size;
}

bool HeadScanner::Scan(const char* data, size_t size) {
  if (!started_) {
    if (skip_empty_lines_)
      SkipEmptyLines(data, size);
    else
      started_ = size > 0;
  }
  while (position_ < size) {
    const void* found = std::memchr(data + position_, '\n', size - position_);
    if (found == nullptr) break;
    const size_t next = static_cast<size_t>(static_cast<const char*>(found) - data) + 1;
    position_ = next;
    if (first_line_end_ == 0) {
      first_line_end_ = next;
    } else {
      const size_t length = next - line_start_;
      if (line_count_ < line_ends_.size())
        line_ends_[line_count_++] = static_cast<uint32_t>(next - first_line_end_);
      if (length == 1 || (length == 2 && data[line_start_] == '\r')) return true;
      if (length > longest_line_) {
        longest_line_ = length;
        longest_line_start_ = line_start_;
      }
    }
    line_start_ = next;
  }
  position_ = size;
  return false;
}

}  // namespace limpet::proto
