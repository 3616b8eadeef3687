// Small text helpers that the standard library lacks. ASCII only: HTTP tokens and configuration
// words are ASCII.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace limpet {

constexpr char AsciiLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr int HexValue(char c) {  // -1 if c is no hexadecimal digit
  if (IsDigit(c)) return c - '0';
  const char l = AsciiLower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b);
bool StartsWithIgnoreCase(std::string_view text, std::string_view prefix);
std::string ToLower(std::string_view text);

// Whether a text is this literal: compared in place, as its length is known.
template <size_t kSize>
constexpr bool Is(std::string_view text, const char (&literal)[kSize]) {
  return text.size() == kSize - 1 && __builtin_memcmp(text.data(), literal, kSize - 1) == 0;
}

std::string_view TrimSomeSpaces(std::string_view text);
// Without spaces and tabs at both ends. Most texts have none.
inline std::string_view TrimSpaces(std::string_view text) {
  const bool is_trimmed = !text.empty() && text.front() > ' ' && text.back() > ' ';
  return is_trimmed ? text : TrimSomeSpaces(text);
}

std::vector<std::string_view> Split(std::string_view text, char separator);  // keeps empty parts

// The whole text as a decimal number; nothing if it is empty, has another character or does not
// fit.
std::optional<uint64_t> ParseDecimal(std::string_view text);

// "s" behind a count of things, but for one.
constexpr std::string_view PluralEnding(uint64_t count) { return count == 1 ? "" : "s"; }

std::string HexLower(const void* data, size_t size);
std::string HexLower(std::string_view bytes);
// The bytes of such a text, in either case; nothing if it is none.
std::optional<std::string> FromHex(std::string_view hex);

// Edit distance for "did you mean"; both texts are short words.
size_t EditDistance(std::string_view a, std::string_view b);

struct HashIgnoreCase {
  using is_transparent = void;
  size_t operator()(std::string_view text) const;
};
struct EqualIgnoreCase {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const { return EqualsIgnoreCase(a, b); }
};
struct HashText {  // lets unordered_map<string, …> be searched with a string_view
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

}  // namespace limpet
