// Reads the head of an upstream's response, with nginx's tolerance: no reason phrase, bare LF. One
// per upstream connection or exchange, reused; used like RequestParser, with the same rules about
// bytes and views. Interim heads (1xx but 101) are reported like any other: the caller looks at
// head().is_interim(), skips consumed() bytes, calls Reset() and parses the next head.
#pragma once

#include <cstddef>

#include "proto/http1/head_scanner.h"
#include "proto/http1/message.h"

namespace limpet::proto {

class ResponseParser {
 public:
  ResponseParser();

  void Reset();
  // max_total is proxy_buffer_size: a longer head is an error ("upstream sent too big header").
  HeadStatus Parse(const char* data, size_t size, size_t max_total);

  ResponseHead& head() { return head_; }
  const ResponseHead& head() const { return head_; }
  const HeadError& error() const { return error_; }  // after kError; its status is 502
  size_t consumed() const { return consumed_; }

 private:
  [[gnu::cold]] HeadStatus Fail(std::string_view reason, std::string_view detail = {});
  HeadStatus FailStatusLine();
  HeadStatus Finish(const char* data);

  HeadScanner scanner_;
  ResponseHead head_;
  HeadError error_;
  size_t consumed_ = 0;
};

}  // namespace limpet::proto
