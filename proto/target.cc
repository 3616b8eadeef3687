#include "proto/target.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace limpet::proto {
namespace {

// The bytes at which a path stops being plain text.
constexpr std::array<bool, 256> MakeSpecial() {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("/.%?#")) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kSpecial = MakeSpecial();

// Builds the normal path of RFC 3986 5.2.4, segment by segment, from decoded bytes.
class PathBuilder {
 public:
  PathBuilder(bool merge_slashes, std::string* out) : merge_slashes_(merge_slashes), out_(*out) {
    out_.clear();
  }

  void Add(char c) { out_.push_back(c); }

  bool AddSlash() {
    if (out_.empty()) {
      out_.push_back('/');
      return true;
    }
    bool keep_slash = false;
    if (!EndSegment(&keep_slash)) return false;
    if (keep_slash) out_.push_back('/');
    segment_ = out_.size();
    return true;
  }

  bool Finish() {
    bool ignored = false;
    return EndSegment(&ignored);
  }

 private:
  // Takes away "." and, with the segment before it, ".."; false if there is none above.
  bool EndSegment(bool* keep_slash) {
    if (segment_ == 0) segment_ = 1;  // behind the first slash
    const std::string_view segment = std::string_view(out_).substr(segment_);
    *keep_slash = !segment.empty() || !merge_slashes_;
    if (segment == ".") {
      out_.resize(segment_);
      *keep_slash = false;
    } else if (segment == "..") {
      if (segment_ < 2) return false;
      const size_t slash = out_.rfind('/', segment_ - 2);
      out_.resize(slash + 1);
      *keep_slash = false;
      segment_ = out_.size();
    }
    return true;
  }

  bool merge_slashes_;
  std::string& out_;
  size_t segment_ = 0;  // where the current segment begins in out_
};

// Decodes the two digits behind a '%'; -1 if they are none.
int DecodeHex(std::string_view text, size_t percent) {
  if (percent + 2 >= text.size()) return -1;
  const int high = HexValue(text[percent + 1]);
  const int low = HexValue(text[percent + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// Reads the path up to '?' or '#' or the end; *end is where it stopped. False for a broken %XX, for
// %00 (C strings end there), and for a ".." above the root.
bool NormalisePath(std::string_view text, bool merge_slashes, std::string* storage, size_t* end) {
  PathBuilder path(merge_slashes, storage);
  size_t i = 0;
  for (; i < text.size() && text[i] != '?' && text[i] != '#'; ++i) {
    char c = text[i];
    if (c == '%') {
      const int decoded = DecodeHex(text, i);
      if (decoded <= 0) return false;
      c = static_cast<char>(decoded);
      i += 2;
    }
    if (c != '/') {  // an encoded slash or dot counts as what it is; '%', '?' and '#' do not
      path.Add(c);
    } else if (!path.AddSlash()) {
      return false;
    }
  }
  *end = i;
  return path.Finish();
}

// Length of the path if it is normal as it stands; npos if it has to be rebuilt.
size_t NormalPathSize(std::string_view text) {
  for (size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (!kSpecial[static_cast<unsigned char>(c)]) continue;
    if (c == '?') return i;
    if (c == '%' || c == '#') return std::string_view::npos;
    if (text[i - 1] == '/') return std::string_view::npos;  // "//" or "/."
  }
  return text.size();
}

constexpr bool IsAlpha(char c) { return AsciiLower(c) >= 'a' && AsciiLower(c) <= 'z'; }

bool IsScheme(std::string_view text) {  // RFC 3986 3.1
  return !text.empty() && IsAlpha(text[0]) && std::all_of(text.begin(), text.end(), [](char c) {
    return IsAlpha(c) || IsDigit(c) || c == '+' || c == '-' || c == '.';
  });
}

// "http://host:port" in front of a path; moves it from `text` to `out`.
bool TakeAuthority(std::string_view* text, Target* out) {
  const size_t colon = text->find("://");
  if (colon == std::string_view::npos) return false;
  out->scheme = text->substr(0, colon);
  text->remove_prefix(colon + 3);
  const size_t end = std::min(text->find_first_of("/?#"), text->size());
  out->authority = text->substr(0, end);
  text->remove_prefix(end);
  std::string lower;
  HostAndPort host;
  return IsScheme(out->scheme) && !text->starts_with('#') &&
         ValidateHost(out->authority, &lower, &host);
}

bool ParseAuthorityForm(std::string_view text, Target* out) {
  std::string lower;
  HostAndPort host;
  out->form = TargetForm::kAuthority;
  out->authority = text;
  out->unparsed = out->uri = "/";
  return ValidateHost(text, &lower, &host) &&
         host.port != 0;  // a port is obligatory, RFC 9110 9.3.6
}

void TakeArguments(std::string_view text, Target* out) {
  out->has_args = true;
  out->args = text.substr(0, text.find('#'));  // a fragment has no business here; nginx cuts it off
}

}  // namespace

bool ParsePath(std::string_view text, bool merge_slashes, std::string* storage, Target* out) {
  if (!text.starts_with('/')) return false;
  size_t end = NormalPathSize(text);
  if (end != std::string_view::npos) {
    out->uri = text.substr(0, end);
  } else {
    if (!NormalisePath(text, merge_slashes, storage, &end)) return false;
    out->uri = *storage;
    out->escaped = std::find(text.begin(), text.begin() + static_cast<ptrdiff_t>(end), '%') !=
                   text.begin() + static_cast<ptrdiff_t>(end);
  }
  if (end < text.size() && text[end] == '?') TakeArguments(text.substr(end + 1), out);
  return true;
}

size_t UpwardSegments(std::string_view path) {
  size_t count = 0;
  for (size_t at = path.find(".."); at != std::string_view::npos; at = path.find("..", at + 1)) {
    const bool begins = at == 0 || path[at - 1] == '/';
    const bool ends = at + 2 == path.size() || path[at + 2] == '/';
    if (begins && ends) ++count;
  }
  return count;
}

bool ParseTarget(std::string_view text, Method method, bool merge_slashes, std::string* storage,
                 Target* out) {
  *out = {};
  out->unparsed = text;
  if (text.starts_with('/')) return ParsePath(text, merge_slashes, storage, out);
  if (method == Method::kConnect) return ParseAuthorityForm(text, out);
  if (text == "*" && method == Method::kOptions) {
    out->form = TargetForm::kAsterisk;
    out->uri = text;
    return true;
  }
  out->form = TargetForm::kAbsolute;
  if (text.empty() || !TakeAuthority(&text, out)) return false;
  out->unparsed = text;
  if (text.starts_with('/')) return ParsePath(text, merge_slashes, storage, out);
  out->uri = "/";
  if (text.empty()) {
    out->unparsed = "/";
  } else {
    out->forwardable = false;
    TakeArguments(text.substr(1), out);
  }
  return true;
}

}  // namespace limpet::proto
