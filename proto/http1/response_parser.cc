#include "proto/http1/response_parser.h"

#include <algorithm>

#include "base/text.h"
#include "proto/http1/field_block.h"
#include "proto/http1/framing.h"

namespace limpet::proto {
namespace {

constexpr int kBadGateway = 502;

// Digits at the start of `text`, at most three; -1 if there is none or there are more.
int TakeNumber(std::string_view* text) {
  size_t i = 0;
  int value = 0;
  while (i < text->size() && IsDigit((*text)[i])) {
    if (i == 3) return -1;
    value = value * 10 + ((*text)[i++] - '0');
  }
  text->remove_prefix(i);
  return i == 0 ? -1 : value;
}

bool TakeVersion(std::string_view* text, ResponseHead* head) {
  if (text->starts_with("HTTP/1.1 ")) {  // what nearly all say
    text->remove_prefix(8);
    head->version_major = head->version_minor = 1;
    return true;
  }
  if (!text->starts_with("HTTP/")) return false;
  text->remove_prefix(5);
  head->version_major = TakeNumber(text);
  if (head->version_major < 1 || !text->starts_with('.')) return false;
  text->remove_prefix(1);
  head->version_minor = TakeNumber(text);
  return head->version_minor >= 0 && text->starts_with(' ');
}

// "HTTP/1.1 200 OK"; the phrase and the space before it may be missing, and IIS says "403.1".
bool ParseStatusLine(std::string_view line, ResponseHead* head) {
  if (!IsFieldValue(line)) return false;  // a control in it is as bad as one in a field
  if (!TakeVersion(&line, head)) return false;
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  head->status_line = line;
  if (line.size() < 3 || !IsDigit(line[0]) || !IsDigit(line[1]) || !IsDigit(line[2])) return false;
  head->status = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (head->status < 100) return false;
  line.remove_prefix(3);
  if (!line.empty() && line[0] != ' ' && line[0] != '.') return false;
  head->reason = line.substr(std::min<size_t>(1, line.size()));
  return true;
}

// Whether what has come of the first line can still become a status line.
bool CanBecomeStatusLine(std::string_view beginning) {
  constexpr std::string_view kStart = "HTTP/";
  const size_t n = std::min(beginning.size(), kStart.size());
  return beginning.substr(0, n) == kStart.substr(0, n);
}

}  // namespace

ResponseParser::ResponseParser() : scanner_(false) { Reset(); }

void ResponseParser::Reset() {
  scanner_.Reset();
  head_.headers.Clear();
  head_.status = 0;
  head_.version_major = 1;
  head_.version_minor = 0;
  head_.status_line = head_.reason = {};
  head_.connection = {};
  error_ = {};
  consumed_ = 0;
}

HeadStatus ResponseParser::Fail(std::string_view reason, std::string_view detail) {
  error_ = {kBadGateway, reason, detail.substr(0, 256)};
  return HeadStatus::kError;
}

HeadStatus ResponseParser::FailStatusLine() {
  return Fail("upstream sent no valid HTTP/1.0 header");
}

HeadStatus ResponseParser::Parse(const char* data, size_t size, size_t max_total) {
  const bool complete = scanner_.Scan(data, size);
  if (!CanBecomeStatusLine({data, size})) return FailStatusLine();
  if (complete && scanner_.end() <= max_total) return Finish(data);
  if (size < max_total) return HeadStatus::kIncomplete;
  return Fail("upstream sent too big header");
}

HeadStatus ResponseParser::Finish(const char* data) {
  size_t line_end = scanner_.first_line_end() - 1;
  if (line_end > 0 && data[line_end - 1] == '\r') --line_end;
  if (!ParseStatusLine({data, line_end}, &head_)) return FailStatusLine();

  const size_t fields = scanner_.first_line_end();
  // nginx passes on what an upstream names its headers; ignore_invalid_headers is about clients.
  const FieldRules rules{.of = FieldsOf::kResponse, .ignore_invalid = false, .underscores = true};
  const FieldResult result = ParseFields({data + fields, scanner_.end() - fields}, rules,
                                         &head_.headers, scanner_.line_ends());
  head_.connection = ReadConnection(head_.headers);
  consumed_ = scanner_.end();
  switch (result.error) {
    case FieldError::kNone:
      return HeadStatus::kComplete;
    case FieldError::kTooMany:
      return Fail("upstream sent too big header");
    case FieldError::kFraming: {
      const Framing framing = ResponseFraming(Method::kGet, head_);
      if (!framing.ok()) return Fail(framing.reason);
      break;
    }
    case FieldError::kInvalidLine:
      break;
  }
  return Fail("upstream sent invalid header", result.line);
}

}  // namespace limpet::proto
