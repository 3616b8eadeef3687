#include "proto/http1/field_block.h"

#include <llhttp/llhttp.h>

#include <array>

#include "base/text.h"

namespace limpet::proto {
namespace {

enum NameChar : uint8_t {
  kUsual = 0,
  kUnderscore = 1,
  kToken = 2,
  kNoToken = 4,
  kForbidden = 8,
};

// What nginx makes of a byte in a name. kToken and kNoToken are its "invalid" names, which it drops
// or keeps; the difference between the two is that llhttp takes the former (RFC 9110 5.6.2) and not
// the latter.
constexpr std::array<NameChar, 256> MakeNameChars() {
  std::array<NameChar, 256> table{};
  for (size_t c = 0; c < 256; ++c) table[c] = c <= 0x20 || c == 0x7F ? kForbidden : kNoToken;
  for (const char c : std::string_view("!#$%&'*+.^`|~"))
    table[static_cast<unsigned char>(c)] = kToken;
  for (size_t c = '0'; c <= '9'; ++c) table[c] = kUsual;
  for (size_t c = 'a'; c <= 'z'; ++c) table[c] = table[c - 0x20] = kUsual;
  table['-'] = kUsual;
  table['_'] = kUnderscore;
  return table;
}
constexpr std::array<NameChar, 256> kNameChars = MakeNameChars();

extern "C" int StopAtHeadersComplete(llhttp_t*) { return -1; }

struct LlhttpStates {
  llhttp_settings_t settings;
  llhttp_t request;
  llhttp_t response;
};

// llhttp as it stands behind a start line, ready for the first field. Start lines are read by
// request_line.cc and the response parser (nginx's grammar is wider than llhttp's); a parser begins
// as a copy of one of these.
const LlhttpStates& PrimedStates() {
  static const LlhttpStates* const states = [] {
    static LlhttpStates s;
    const auto prime = [](llhttp_t* parser, llhttp_type_t type, std::string_view start_line) {
      llhttp_init(parser, type, &s.settings);
      llhttp_execute(parser, start_line.data(), start_line.size());
    };
    llhttp_settings_init(&s.settings);
    s.settings.on_headers_complete = StopAtHeadersComplete;
    prime(&s.request, HTTP_REQUEST, "GET / HTTP/1.1\r\n");
    prime(&s.response, HTTP_RESPONSE, "HTTP/1.1 200 OK\r\n");
    return &s;
  }();
  return *states;
}

// llhttp reading a block of field lines, whole or line by line.
class StrictReader {
 public:
  explicit StrictReader(FieldsOf of)
      : parser_(of == FieldsOf::kResponse ? PrimedStates().response : PrimedStates().request) {}

  bool Feed(std::string_view bytes) {
    return llhttp_execute(&parser_, bytes.data(), bytes.size()) == HPE_OK;
  }
  FieldError Verdict() const {
    switch (llhttp_get_errno(&parser_)) {
      case HPE_CB_HEADERS_COMPLETE:
        return FieldError::kNone;
      case HPE_UNEXPECTED_CONTENT_LENGTH:
      case HPE_INVALID_CONTENT_LENGTH:
      case HPE_INVALID_TRANSFER_ENCODING:
        return FieldError::kFraming;
      default:
        return FieldError::kInvalidLine;
    }
  }
  const char* error_position() const { return llhttp_get_error_pos(&parser_); }

 private:
  llhttp_t parser_;
};

// One field line without its line end.
struct Line {
  std::string_view text;
  std::string_view name;
  std::string_view rest;   // from the colon on
  std::string_view value;  // of it, without the white space around it
  bool fit = false;        // IsFieldValue(value)
  bool unusual = false;    // nginx calls the name invalid
  bool token = true;       // llhttp takes the name
  HeaderId id = HeaderId::kOther;
};

// What the bytes of a name are, together; kForbidden if one of them cannot be in a name at all.
unsigned Classify(std::string_view name) {
  unsigned seen = 0;
  for (const char byte : name) {
    const NameChar c = kNameChars[static_cast<unsigned char>(byte)];
    if (c >= kForbidden) return kForbidden;
    seen |= c;
  }
  return seen;
}

// Most values have one space before them, and nothing behind.
std::string_view ValueOf(std::string_view rest) {
  rest.remove_prefix(1);
  if (rest.starts_with(' ')) rest.remove_prefix(1);
  return TrimSpaces(rest);
}

// False: no name, or no colon behind it. A line that begins with white space (obs-fold, RFC
// 9112 5.2) has no name.
bool SplitLine(std::string_view text, bool underscores, Line* line) {
  line->text = text;
  const size_t colon = text.find(':');
  if (colon == 0 || colon == std::string_view::npos) return false;
  line->name = text.substr(0, colon);
  line->rest = text.substr(colon);
  line->id = LookupHeader(line->name);
  if (line->id == HeaderId::kOther) {  // names we know are usual
    const unsigned seen = Classify(line->name);
    if (seen == kForbidden) return false;
    line->token = (seen & kNoToken) == 0;
    line->unusual = (seen & (kToken | kNoToken)) != 0 || (!underscores && seen != 0);
  }
  line->value = ValueOf(line->rest);
  line->fit = IsFieldValue(line->value);
  // llhttp 8.1 takes a bare CR for the end of an empty value.
  return line->fit || line->value.find('\r') == std::string_view::npos;
}

// The lines of a block, but for the empty one at its end.
class Lines {
 public:
  Lines(std::string_view block, std::span<const uint32_t> ends) : block_(block), ends_(ends) {}

  // False: there is none left. The text is without its line end.
  bool Next(std::string_view* text, bool* crlf) {
    const size_t lf = known_ < ends_.size() ? ends_[known_++] - 1 : block_.find('\n', at_);
    if (lf + 1 == block_.size()) return false;
    *crlf = lf > at_ && block_[lf - 1] == '\r';
    *text = block_.substr(at_, lf - at_ - (*crlf ? 1 : 0));
    at_ = lf + 1;
    return true;
  }

 private:
  std::string_view block_;
  std::span<const uint32_t> ends_;
  size_t known_ = 0;
  size_t at_ = 0;
};

// Goes over the lines of a block and tells whether llhttp may read it in one piece.
class FieldReader {
 public:
  FieldReader(std::string_view block, std::span<const uint32_t> line_ends, const FieldRules& rules,
              HeaderList* headers)
      : block_(block), line_ends_(line_ends), rules_(rules), headers_(headers) {}

  FieldResult Read() {
    bool as_is = block_.ends_with("\r\n");
    if (ForEachLine([&](std::string_view text, bool crlf) { return Add(text, crlf, &as_is); }))
      as_is ? CheckWhole() : CheckByLine();
    return result_;
  }

 private:
  template <class F>
  bool ForEachLine(F f) const {
    Lines lines(block_, line_ends_);
    std::string_view text;
    bool crlf = false;
    while (lines.Next(&text, &crlf)) {
      if (!f(text, crlf)) return false;
    }
    return true;
  }

  bool Fail(FieldError error, std::string_view line) {
    result_.error = error;
    result_.line = line;
    return false;
  }

  // IIS is known to send its status line twice; nginx skips the second one.
  bool IsRepeatedStatusLine(std::string_view text) const {
    return rules_.of == FieldsOf::kResponse && text.starts_with("HTTP/");
  }

  bool Add(std::string_view text, bool crlf, bool* as_is) {
    if (IsRepeatedStatusLine(text)) {
      *as_is = false;
      return true;
    }
    Line line;
    if (!SplitLine(text, rules_.underscores, &line)) return Fail(FieldError::kInvalidLine, text);
    *as_is &= crlf && line.token;
    if (line.unusual && rules_.ignore_invalid) {
      if (result_.ignored++ == 0) result_.first_ignored = text;
      return true;
    }
    if (headers_->size() >= rules_.max_fields) return Fail(FieldError::kTooMany, text);
    headers_->Add(line.id, line.name, line.value, line.fit);
    return true;
  }

  void CheckWhole() {
    StrictReader reader(rules_.of);
    reader.Feed(block_);
    result_.error = reader.Verdict();
    if (result_.error == FieldError::kNone) return;
    const char* position = reader.error_position();
    ForEachLine([&](std::string_view text, bool) {
      if (position > text.data() + text.size()) return true;
      result_.line = text;
      return false;
    });
  }

  // The same lines as llhttp likes them: ended with CRLF, and with a stand-in for a name that is no
  // token (those names are not headers that llhttp would understand).
  void CheckByLine() {
    StrictReader reader(rules_.of);
    const bool good = ForEachLine([&](std::string_view text, bool) {
      if (IsRepeatedStatusLine(text)) return true;
      Line line;
      SplitLine(text, rules_.underscores, &line);
      if (reader.Feed(line.token ? line.name : "X") && reader.Feed(line.rest) &&
          reader.Feed("\r\n"))
        return true;
      return Fail(reader.Verdict(), text);
    });
    if (!good) return;
    reader.Feed("\r\n");
    result_.error = reader.Verdict();
  }

  std::string_view block_;
  std::span<const uint32_t> line_ends_;
  const FieldRules& rules_;
  HeaderList* headers_;
  FieldResult result_;
};

}  // namespace

FieldResult ParseFields(std::string_view block, const FieldRules& rules, HeaderList* headers,
                        std::span<const uint32_t> line_ends) {
  return FieldReader(block, line_ends, rules, headers).Read();
}

}  // namespace limpet::proto
