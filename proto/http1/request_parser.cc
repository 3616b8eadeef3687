#include "proto/http1/request_parser.h"

#include "base/text.h"
#include "proto/http1/field_block.h"
#include "proto/http1/framing.h"
#include "proto/http1/request_line.h"

namespace limpet::proto {
namespace {

constexpr int kBadRequest = 400;
constexpr int kUriTooLarge = 414;
constexpr int kHeaderTooLarge = 494;
constexpr size_t kMaxDetail = 256;  // a log line stays readable

std::string_view ReasonFor(LineError error) {
  switch (error) {
    case LineError::kMethod:
      return "client sent invalid method";
    case LineError::kVersion:
      return "client sent invalid version";
    case LineError::kHttp09Method:
      return "client sent invalid method in HTTP/0.9 request";
    case LineError::kRequest:
    case LineError::kNone:
      break;
  }
  return "client sent invalid request";
}

std::string_view WithoutLineEnd(const char* data, size_t from, size_t to) {
  --to;  // LF
  if (to > from && data[to - 1] == '\r') --to;
  return {data + from, to - from};
}

void ForgetLine(RequestHead* head) {
  head->method = Method::kOther;
  head->version_major = 1;
  head->version_minor = 0;
  head->request_line = head->method_name = head->target = head->protocol = {};
}

}  // namespace

RequestParser::RequestParser() : scanner_(true) {
  head_.headers.Reserve(4);
  Reset();
}

void RequestParser::Reset() {
  scanner_.Reset();
  ForgetLine(&head_);
  head_.connection = {};
  head_.headers.Clear();
  error_ = {};
  consumed_ = good_end_ = 0;
  ignored_lines_ = 0;
  first_ignored_line_ = {};
}

HeadStatus RequestParser::Fail(int status, std::string_view reason, std::string_view detail) {
  error_ = {status, reason, detail.substr(0, kMaxDetail)};
  return HeadStatus::kError;
}

HeadStatus RequestParser::Parse(const char* data, size_t size, const HeadLimits& limits) {
  const bool line_known = scanner_.first_line_complete();
  const bool complete = scanner_.Scan(data, size);
  if (!scanner_.first_line_complete()) return CheckUnfinished(data, size, limits);

  if (!line_known || complete) {  // at once, for early errors; and again when views are made
    const std::string_view line = WithoutLineEnd(data, scanner_.start(), scanner_.first_line_end());
    if (scanner_.first_line_end() - scanner_.start() > limits.max_line) {
      head_.request_line = line;
      return Fail(kUriTooLarge, "client sent too long URI");
    }
    const LineError error = ParseRequestLine(line, &head_);
    if (error != LineError::kNone) {
      ForgetLine(&head_);
      head_.request_line = line;
      return Fail(error == LineError::kVersion ? 505 : kBadRequest, ReasonFor(error));
    }
  }
  if (head_.is_http09()) {
    consumed_ = scanner_.first_line_end();
    return HeadStatus::kComplete;
  }
  return complete ? Finish(data, limits) : CheckUnfinished(data, size, limits);
}

void RequestParser::GiveUp(const char* data, size_t size) {
  ForgetLine(&head_);
  if (scanner_.first_line_complete()) {
    ParseRequestLine(WithoutLineEnd(data, scanner_.start(), scanner_.first_line_end()), &head_);
    KeepLines(data, scanner_.line_start());
  } else {
    head_.request_line = {data + scanner_.start(), size - scanner_.start()};
  }
}

// Of the lines before `end`: their size, and Host, as the server that it names is to refuse the
// head.
void RequestParser::KeepLines(const char* data, size_t end) {
  good_end_ = end;
  head_.headers.Clear();
  for (size_t at = scanner_.first_line_end(); at < end;) {
    const size_t line_end = std::string_view(data, end).find('\n', at);
    if (line_end == std::string_view::npos) return;
    const std::string_view line = WithoutLineEnd(data, at, line_end + 1);
    at = line_end + 1;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, colon);
    if (LookupHeader(name) != HeaderId::kHost) continue;
    const std::string_view value = TrimSpaces(line.substr(colon + 1));
    return head_.headers.Add(HeaderId::kHost, name, value, IsFieldValue(value));
  }
}

HeadStatus RequestParser::CheckUnfinished(const char* data, size_t size, const HeadLimits& limits) {
  const size_t line_start = scanner_.line_start();
  const bool line_too_long = size - line_start >= limits.max_line;
  if (!scanner_.first_line_complete()) {
    const std::string_view beginning(data + line_start, size - line_start);
    if (scanner_.started() && !CanBecomeRequestLine(beginning)) {
      head_.request_line = beginning.substr(0, beginning.find('\r'));
      return Fail(kBadRequest, ReasonFor(LineError::kMethod));
    }
    if (!line_too_long && size < limits.max_total) return HeadStatus::kIncomplete;
    head_.request_line = beginning;
    return Fail(kUriTooLarge, "client sent too long URI");
  }
  if (!line_too_long && scanner_.longest_line() <= limits.max_line && size < limits.max_total) {
    return HeadStatus::kIncomplete;
  }
  // The views that the first look at the request line made may be of bytes that have moved since.
  ParseRequestLine(WithoutLineEnd(data, scanner_.start(), scanner_.first_line_end()), &head_);
  const bool earlier = scanner_.longest_line() > limits.max_line;
  KeepLines(data, earlier ? scanner_.longest_line_start() : line_start);
  if (!line_too_long && !earlier) {
    return Fail(kHeaderTooLarge, "client sent too large request");
  }
  return Fail(kHeaderTooLarge, "client sent too long header line",
              {data + line_start, size - line_start});
}

HeadStatus RequestParser::Finish(const char* data, const HeadLimits& limits) {
  if (scanner_.longest_line() > limits.max_line) {
    KeepLines(data, scanner_.longest_line_start());
    return Fail(kHeaderTooLarge, "client sent too long header line",
                {data + scanner_.longest_line_start(), scanner_.longest_line()});
  }
  if (scanner_.end() > limits.max_total) {
    KeepLines(data, scanner_.end());
    return Fail(kHeaderTooLarge, "client sent too large request");
  }
  return ReadFields(data, limits);
}

HeadStatus RequestParser::ReadFields(const char* data, const HeadLimits& limits) {
  head_.headers.Clear();
  const size_t fields = scanner_.first_line_end();
  const FieldRules rules{.of = FieldsOf::kRequest,
                         .ignore_invalid = limits.ignore_invalid_headers,
                         .underscores = limits.underscores_in_headers,
                         .max_fields = limits.max_headers};
  const FieldResult result = ParseFields({data + fields, scanner_.end() - fields}, rules,
                                         &head_.headers, scanner_.line_ends());
  ignored_lines_ = result.ignored;
  first_ignored_line_ = result.first_ignored;
  head_.connection = ReadConnection(head_.headers);
  consumed_ = good_end_ = scanner_.end();
  switch (result.error) {
    case FieldError::kNone:
      return HeadStatus::kComplete;
    case FieldError::kTooMany:
      return Fail(kHeaderTooLarge, "client sent too many header lines");
    case FieldError::kFraming: {
      const Framing framing = RequestFraming(head_);
      if (!framing.ok()) return Fail(framing.status, framing.reason);
      break;
    }
    case FieldError::kInvalidLine:
      break;
  }
  if (!result.line.empty()) good_end_ = static_cast<size_t>(result.line.data() - data);
  return Fail(kBadRequest, "client sent invalid header line", result.line);
}

}  // namespace limpet::proto
