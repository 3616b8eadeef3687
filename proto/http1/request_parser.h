// Reads the head of a request: request line and header fields, as nginx accepts them. One per
// client connection, reused for every request; allocates only when a head has more fields than any
// before.
//
//   parser.Reset();                        // before each head
//   switch (parser.Parse(block, filled, limits)) …      // again with more bytes while kIncomplete
//
// The bytes always start at the same place of the stream (the start of this head) and may move in
// memory between calls: views are made only when the head is complete, and point into the bytes of
// that last call. What is checked here is syntax; what the head means as a whole is checked by
// CheckRequest and RequestFraming.
#pragma once

#include <cstddef>
#include <string_view>

#include "proto/http1/head_scanner.h"
#include "proto/http1/message.h"

namespace limpet::proto {

struct HeadLimits {
  // One buffer of large_client_header_buffers: longest request line or header line.
  size_t max_line = 8192;
  size_t max_total = 4 * 8192;  // all of them: longest head
  size_t max_headers = 1000;    // nginx's max_headers
  // Skip lines whose name has unusual characters; false keeps them.
  bool ignore_invalid_headers = true;
  bool underscores_in_headers = false;  // whether '_' is usual

  bool operator==(const HeadLimits&) const = default;
};

class RequestParser {
 public:
  RequestParser();

  void Reset();
  // `size` counts all bytes since the head's start, also those of earlier calls.
  HeadStatus Parse(const char* data, size_t size, const HeadLimits& limits);

  // After kComplete, with the bytes of that call: reads the fields anew. For limits that depend on
  // the server, whom the head has named.
  HeadStatus ReadFields(const char* data, const HeadLimits& limits);

  // After kComplete. After kError as far as it got: the request line and Host, for the log.
  RequestHead& head() { return head_; }
  const RequestHead& head() const { return head_; }
  const HeadError& error() const { return error_; }  // after kError
  // Bytes of the head, with the empty lines before it: what follows is body or the next request.
  size_t consumed() const { return consumed_; }
  // Empty lines before the request line are part of consumed(), not of the request: $request_length
  // leaves them out.
  size_t skipped() const { return scanner_.start(); }
  // After kError and GiveUp: how much of the request, in whole lines, came before the fault.
  size_t good_size() const { return good_end_ > skipped() ? good_end_ - skipped() : 0; }
  // For timeouts and for clients that leave early: whether anything has come.
  bool started() const { return scanner_.started(); }
  // Makes head() tell what is known of a head that will not be completed: for the log.
  void GiveUp(const char* data, size_t size);
  // Header lines that were dropped under ignore_invalid_headers, for the info log.
  size_t ignored_lines() const { return ignored_lines_; }
  std::string_view first_ignored_line() const { return first_ignored_line_; }

 private:
  [[gnu::cold]] HeadStatus Fail(int status, std::string_view reason, std::string_view detail = {});
  HeadStatus CheckUnfinished(const char* data, size_t size, const HeadLimits& limits);
  HeadStatus Finish(const char* data, const HeadLimits& limits);
  void KeepLines(const char* data, size_t end);

  HeadScanner scanner_;
  RequestHead head_;
  HeadError error_;
  size_t consumed_ = 0;
  size_t good_end_ = 0;
  size_t ignored_lines_ = 0;
  std::string_view first_ignored_line_;
};

}  // namespace limpet::proto
