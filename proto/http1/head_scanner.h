// Finds the end of a head in bytes that arrive piece by piece, looking at each byte once. Lines end
// with CRLF or with a bare LF (RFC 9112 2.2 lets a recipient accept it, and nginx does).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace limpet::proto {

class HeadScanner {
 public:
  // Empty lines before the first line are skipped (RFC 9112 2.2) if told so: before requests, not
  // before responses.
  explicit HeadScanner(bool skip_empty_lines) : skip_empty_lines_(skip_empty_lines) {}

  void Reset();
  // Goes on where it stopped; true once the empty line that ends the head is there. `size` never
  // shrinks.
  bool Scan(const char* data, size_t size);

  bool started() const { return started_; }
  size_t start() const { return start_; }  // offset of the first line
  bool first_line_complete() const { return first_line_end_ != 0; }
  // The offset behind its LF; 0 while it is incomplete.
  size_t first_line_end() const { return first_line_end_; }
  size_t line_start() const { return line_start_; }  // of the line that is being read
  size_t end() const { return position_; }           // after Scan was true: offset behind the head
  // With its line end; of the complete lines behind the first.
  size_t longest_line() const { return longest_line_; }
  size_t longest_line_start() const { return longest_line_start_; }
  // Where the lines behind the first end: offsets behind their LF, from first_line_end() on. Of the
  // first few; whoever splits the head looks for the others.
  std::span<const uint32_t> line_ends() const { return {line_ends_.data(), line_count_}; }

 private:
  void SkipEmptyLines(const char* data, size_t size);

  bool skip_empty_lines_;
  bool started_ = false;
  size_t start_ = 0;
  size_t position_ = 0;
  size_t line_start_ = 0;
  size_t first_line_end_ = 0;
  size_t longest_line_ = 0;
  size_t longest_line_start_ = 0;
  size_t line_count_ = 0;  // of line_ends_, those that are known
  std::array<uint32_t, 32> line_ends_;
};

}  // namespace limpet::proto
