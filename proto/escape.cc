#include "proto/escape.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace limpet::proto {
namespace {

constexpr std::string_view kHexUpper = "0123456789ABCDEF";
constexpr std::string_view kNeverInUri =
    "\"<>\\^`{|}";  // RFC 3986 2, besides controls, space and 8-bit bytes

using CharSet = std::array<bool, 256>;

constexpr CharSet ControlsAnd8Bit() {
  CharSet set{};
  for (size_t c = 0; c < 256; ++c) set[c] = c < 0x20 || c >= 0x7F;
  return set;
}

constexpr CharSet UriSet(std::string_view more) {
  CharSet set = ControlsAnd8Bit();
  set[' '] = true;
  for (const char c : kNeverInUri) set[static_cast<unsigned char>(c)] = true;
  for (const char c : more) set[static_cast<unsigned char>(c)] = true;
  return set;
}

constexpr CharSet ComponentSet() {
  CharSet set{};
  set.fill(true);
  for (size_t c = '0'; c <= '9'; ++c) set[c] = false;
  for (size_t c = 'a'; c <= 'z'; ++c) set[c] = set[c - 0x20] = false;
  for (const char c : std::string_view("-._~")) set[static_cast<unsigned char>(c)] = false;
  return set;
}

constexpr CharSet LineSet() {
  CharSet set{};
  for (size_t c = 0; c <= ' '; ++c) set[c] = true;
  set[0x7F] = true;
  return set;
}

constexpr CharSet LogSet() {
  CharSet set = ControlsAnd8Bit();
  set['"'] = set['\\'] = true;
  return set;
}

constexpr CharSet JsonSet() {
  CharSet set{};
  for (size_t c = 0; c < 0x20; ++c) set[c] = true;
  set['"'] = set['\\'] = true;
  return set;
}

constexpr CharSet HtmlSet() {
  CharSet set{};
  set['<'] = set['>'] = set['&'] = set['"'] = true;
  return set;
}

// In the order of EscapeKind.
constexpr std::array<CharSet, 8> kSets = {UriSet("#%?"), UriSet("#%&+;?"), ComponentSet(),
                                          UriSet("'"),   LineSet(),        HtmlSet(),
                                          JsonSet(),     LogSet()};

const CharSet& SetOf(EscapeKind kind) { return kSets[static_cast<size_t>(kind)]; }

void AppendHex(std::string* out, char c) {
  const auto byte = static_cast<unsigned char>(c);
  out->push_back(kHexUpper[byte >> 4]);
  out->push_back(kHexUpper[byte & 15]);
}

void AppendHtml(std::string* out, char c) {
  switch (c) {
    case '<':
      *out += "&lt;";
      break;
    case '>':
      *out += "&gt;";
      break;
    case '&':
      *out += "&amp;";
      break;
    default:
      *out += "&quot;";
  }
}

void AppendJson(std::string* out, char c) {
  constexpr std::string_view kCodes = "\n\r\t\b\f\"\\";
  constexpr std::string_view kLetters = "nrtbf\"\\";
  const size_t i = kCodes.find(c);
  if (i != std::string_view::npos) {
    out->push_back('\\');
    out->push_back(kLetters[i]);
  } else {
    *out += "\\u00";
    AppendHex(out, c);
  }
}

void AppendOne(std::string* out, char c, EscapeKind kind) {
  switch (kind) {
    case EscapeKind::kHtml:
      return AppendHtml(out, c);
    case EscapeKind::kJson:
      return AppendJson(out, c);
    case EscapeKind::kLog:
      *out += "\\x";
      return AppendHex(out, c);
    default:
      out->push_back('%');
      return AppendHex(out, c);
  }
}

enum class Decode { kAll, kUri, kRedirect };

// A redirect may only decode what cannot break its header line or change its meaning.
bool SafeInRedirect(char c) { return c > '%' && c < 0x7F; }

std::string UnescapeAs(std::string_view text, Decode how) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      if (text[i] == '?' && how != Decode::kAll) return out.append(text.substr(i + 1));
      continue;
    }
    if (i + 1 >= text.size()) break;
    const int high = HexValue(text[i + 1]);
    if (high < 0) continue;  // the '%' goes, what is behind it stays
    if (i + 2 >= text.size()) break;
    const int low = HexValue(text[i + 2]);
    i += 2;
    if (low < 0) continue;
    const char c = static_cast<char>(high * 16 + low);
    if (how == Decode::kRedirect && !SafeInRedirect(c)) {
      out.append(text.substr(i - 2, 3));
      continue;
    }
    out.push_back(c);
    if (c == '?' && how != Decode::kAll) return out.append(text.substr(i + 1));
  }
  return out;
}

}  // namespace

bool NeedsEscape(std::string_view text, EscapeKind kind) {
  const CharSet& set = SetOf(kind);
  return std::any_of(text.begin(), text.end(),
                     [&](char c) { return set[static_cast<unsigned char>(c)]; });
}

void AppendEscaped(std::string* out, std::string_view text, EscapeKind kind) {
  const CharSet& set = SetOf(kind);
  size_t plain = 0;  // start of the run that can be copied at once
  for (size_t i = 0; i < text.size(); ++i) {
    if (!set[static_cast<unsigned char>(text[i])]) continue;
    out->append(text.substr(plain, i - plain));
    AppendOne(out, text[i], kind);
    plain = i + 1;
  }
  out->append(text.substr(plain));
}

std::string EscapeUri(std::string_view text, EscapeKind kind) {
  std::string out;
  out.reserve(text.size() + 16);
  AppendEscaped(&out, text, kind);
  return out;
}

std::string Unescape(std::string_view text) { return UnescapeAs(text, Decode::kAll); }
std::string UnescapeUri(std::string_view text) { return UnescapeAs(text, Decode::kUri); }
std::string UnescapeRedirect(std::string_view text) { return UnescapeAs(text, Decode::kRedirect); }

}  // namespace limpet::proto
