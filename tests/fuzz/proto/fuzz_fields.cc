// The seam between our own splitting of field lines and llhttp: what we take, llhttp takes, with
// the same names and values; what llhttp takes, we take, but for what we refuse on purpose.
//
// The first byte chooses the rules; the others are the lines, up to the first empty one.
#include <llhttp/llhttp.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "proto/http1/field_block.h"
#include "tests/fuzz/fuzz.h"

using namespace limpet;
using namespace limpet::proto;

namespace {

constexpr size_t kMostFields = 64;

using Fields = std::vector<std::pair<std::string, std::string>>;

// The lines without their ends.
std::vector<std::string> LinesOf(std::string_view text) {
  std::vector<std::string> lines;
  for (std::string_view line : Split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) break;
    lines.emplace_back(line);
  }
  return lines;
}

std::string Join(const std::vector<std::string>& lines, std::string_view end) {
  std::string text;
  for (const std::string& line : lines) text.append(line).append(end);
  return text.append(end);
}

// What llhttp makes of a block by itself.
class Reference {
 public:
  Reference(FieldsOf of, const std::string& block) {
    llhttp_settings_init(&settings_);
    settings_.on_header_field = [](llhttp_t* parser, const char* at, size_t size) {
      return Of(parser).AddName({at, size});
    };
    settings_.on_header_value = [](llhttp_t* parser, const char* at, size_t size) {
      return Of(parser).AddValue({at, size});
    };
    settings_.on_headers_complete = [](llhttp_t*) { return -1; };
    const bool response = of == FieldsOf::kResponse;
    llhttp_init(&parser_, response ? HTTP_RESPONSE : HTTP_REQUEST, &settings_);
    parser_.data = this;
    const std::string all = (response ? "HTTP/1.1 200 OK\r\n" : "GET / HTTP/1.1\r\n") + block;
    good_ = llhttp_execute(&parser_, all.data(), all.size()) == HPE_CB_HEADERS_COMPLETE;
  }

  bool good() const { return good_; }
  Fields fields() const {
    Fields trimmed;
    for (const auto& [name, value] : fields_) trimmed.emplace_back(name, TrimSpaces(value));
    return trimmed;
  }

 private:
  static Reference& Of(llhttp_t* parser) { return *static_cast<Reference*>(parser->data); }
  int AddName(std::string_view bytes) {
    if (!std::exchange(in_name_, true)) fields_.emplace_back();
    fields_.back().first += bytes;
    return 0;
  }
  int AddValue(std::string_view bytes) {
    in_name_ = false;
    fields_.back().second += bytes;
    return 0;
  }

  llhttp_settings_t settings_;
  llhttp_t parser_;
  Fields fields_;
  bool in_name_ = false;
  bool good_ = false;
};

std::string_view NameOf(std::string_view line) { return line.substr(0, line.find(':')); }

bool IsToken(std::string_view name) {
  for (const char c : name) {
    const bool alphanumeric = IsDigit(c) || (AsciiLower(c) >= 'a' && AsciiLower(c) <= 'z');
    if (!alphanumeric && std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos)
      return false;
  }
  return !name.empty();
}

bool IsUsual(std::string_view name, bool underscores) {
  for (const char c : name) {
    const bool alphanumeric = IsDigit(c) || (AsciiLower(c) >= 'a' && AsciiLower(c) <= 'z');
    if (!alphanumeric && c != '-' && (c != '_' || !underscores)) return false;
  }
  return true;
}

// IIS sends its status line twice, and nginx skips the second one.
bool IsRepeatedStatusLine(const FieldRules& rules, std::string_view line) {
  return rules.of == FieldsOf::kResponse && line.starts_with("HTTP/");
}

// What we refuse though llhttp may take it.
bool RefusedOnPurpose(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    if (line.find('\r') != line.npos) return true;                     // an end of a line to some
    if (line.starts_with(' ') || line.starts_with('\t')) return true;  // folded
  }
  return lines.size() > kMostFields;
}

Fields OursOf(const HeaderList& headers) {
  Fields fields;
  for (const Header& header : headers) fields.emplace_back(header.name, header.value);
  return fields;
}

void Check(const FieldRules& rules, const std::vector<std::string>& lines,
           const std::string& block) {
  HeaderList headers;
  const FieldResult ours = ParseFields(block, rules, &headers);
  std::vector<std::string> strict = lines;
  std::erase_if(strict, [&](const auto& line) { return IsRepeatedStatusLine(rules, line); });
  for (const std::string& line : strict) {
    if (!IsToken(NameOf(line))) return;  // of a name that is no token llhttp knows nothing
  }
  const Reference theirs(rules.of, Join(strict, "\r\n"));
  if (ours.error != FieldError::kNone) {
    FUZZ_CHECK(!theirs.good() || RefusedOnPurpose(strict), "refused, and llhttp takes it");
    return;
  }
  FUZZ_CHECK(theirs.good(), "taken, and llhttp refuses it");
  Fields expected = theirs.fields();
  if (rules.ignore_invalid) {
    std::erase_if(expected, [&](const auto& f) { return !IsUsual(f.first, rules.underscores); });
  }
  FUZZ_CHECK(OursOf(headers) == expected, "llhttp reads other fields");
}

}  // namespace

FUZZ_TARGET(fields, input) {
  if (input.empty()) return;
  static constexpr FieldsOf kKinds[] = {FieldsOf::kRequest, FieldsOf::kResponse, FieldsOf::kTrailer,
                                        FieldsOf::kRequest};
  const FieldRules rules{.of = kKinds[input[0] & 3],
                         .ignore_invalid = (input[0] & 4) != 0,
                         .underscores = (input[0] & 8) != 0,
                         .max_fields = kMostFields};
  const std::vector<std::string> lines = LinesOf(input.substr(1));
  Check(rules, lines, Join(lines, "\r\n"));
  const bool ends_in_cr =
      std::ranges::any_of(lines, [](const auto& l) { return l.ends_with('\r'); });
  if (!ends_in_cr) Check(rules, lines, Join(lines, "\n"));
}
