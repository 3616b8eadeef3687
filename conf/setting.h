// Rows that set one field: Setting<Duration, &Location::proxy, &ProxySettings::connect_timeout>.
// The first member pointer says which object of the block is meant, the others lead to the field.
#pragma once

#include <fmt/core.h>

#include <limits>
#include <string>
#include <type_traits>

#include "base/text.h"
#include "conf/directive.h"
#include "conf/units.h"

namespace limpet::conf {

template <class T>
T& Target(Block& block) {
  if constexpr (std::is_same_v<T, Config>) return block.config;
  if constexpr (std::is_same_v<T, Http>) return *block.http;
  if constexpr (std::is_same_v<T, Server>) return *block.server;
  if constexpr (std::is_same_v<T, Location>) return *block.location;
  if constexpr (std::is_same_v<T, HeadSettings>) return *block.head;
  if constexpr (std::is_same_v<T, TlsSettings>) return *block.tls;
  if constexpr (std::is_same_v<T, Http2Settings>) return *block.http2;
  if constexpr (std::is_same_v<T, Upstream>) return *block.upstream;
  if constexpr (std::is_same_v<T, SessionStore>) return *block.store;
}

template <class Object, class First, class... Rest>
auto& Follow(Object& object, First first, Rest... rest) {
  if constexpr (sizeof...(rest) == 0) {
    return object.*first;
  } else {
    return Follow(object.*first, rest...);
  }
}

template <class T, class M>
T OwnerOf(M T::*);

template <auto First, auto... Rest>
auto& Field(Block& block) {
  return Follow(Target<decltype(OwnerOf(First))>(block), First, Rest...);
}

// Each value type is a function object: (block, directive, text, &field).
template <class Parse, auto... Path>
Status Setting(Block& block, const Directive& directive) {
  return Parse{}(block, directive, directive.args[0], Field<Path...>(block));
}

// `"name" directive WHY`, nginx's form for a value that does not parse.
Error Refuse(const Directive& directive, std::string_view why);
// `invalid value "x" in "gzip_static" directive, it must be one of off, on, always`
Error InvalidWord(const Directive& directive, std::string_view value, const std::string& allowed);
// `"x" directive invalid value "5y": WHAT`
Error InvalidForm(const Directive& directive, std::string_view value, std::string_view what);
Error InvalidParameter(std::string_view parameter);
// `invalid parameter "weight=0": WHAT`
Error InvalidParameter(std::string_view parameter, std::string_view what);
// The same for a number, by its bounds.
Error InvalidCount(std::string_view parameter, uint64_t low, uint64_t high);

struct Flag {
  Status operator()(Block&, const Directive& d, const std::string& text, bool& out) const;
};

struct Duration {
  Status operator()(Block&, const Directive& d, const std::string& text, Ms& out) const;
};

struct Seconds {  // nginx keeps some times in whole seconds: ms is refused
  Status operator()(Block&, const Directive& d, const std::string& text, Ms& out) const;
};

Result<int64_t> NumberArgument(const Directive& d, const std::string& text, int64_t low,
                               int64_t high);
Result<int64_t> SizeArgument(const Directive& d, const std::string& text, bool allow_giga);

template <int64_t kLow = 0, int64_t kHigh = INT32_MAX>
struct Number {
  template <class T>
  Status operator()(Block&, const Directive& d, const std::string& text, T& out) const {
    const Result<int64_t> n = NumberArgument(d, text, kLow, kHigh);
    if (!n) return n.error();
    out = static_cast<T>(*n);
    return {};
  }
};

struct Size {  // 1k, 1m
  template <class T>
  Status operator()(Block&, const Directive& d, const std::string& text, T& out) const {
    const Result<int64_t> n = SizeArgument(d, text, false);
    if (!n) return n.error();
    out = static_cast<T>(*n);
    return {};
  }
};

struct Offset {  // 1k, 1m, 1g
  template <class T>
  Status operator()(Block&, const Directive& d, const std::string& text, T& out) const {
    const Result<int64_t> n = SizeArgument(d, text, true);
    if (!n) return n.error();
    out = static_cast<T>(*n);
    return {};
  }
};

struct Text {
  Status operator()(Block&, const Directive&, const std::string& text, std::string& out) const {
    out = text;
    return {};
  }
};

struct Strings {  // a Template
  Status operator()(Block& b, const Directive& d, const std::string& text, Template& out) const;
  Status operator()(Block& b, const Directive& d, const std::string& text,
                    std::optional<Template>& out) const;
};

// A header's value: a line break and the blanks around it become one space, as a reader would take
// nginx's folded line (RFC 9112 5.2), so that a long policy may be written on several lines.
struct FieldValue {
  Status operator()(Block& b, const Directive& d, const std::string& text, Template& out) const;
};

// Of a header or cookie. A name with a blank in it may frame a message for a lenient receiver (RFC
// 9112 5.1).
struct FieldName {
  Status operator()(Block& b, const Directive& d, const std::string& text, std::string& out) const;
};

struct SizeTemplate {  // a size with units, or variables that give one
  Status operator()(Block& b, const Directive& d, const std::string& text, Template& out) const;
};

struct PrefixPath {  // relative to the prefix
  Status operator()(Block& b, const Directive& d, const std::string& text, std::string& out) const;
};

struct ConfDirPath {  // relative to the folder of the main file; no variables, "" for none
  Status operator()(Block& b, const Directive& d, const std::string& text, std::string& out) const;
};

template <class E>
struct Choice {
  std::string_view name;
  E value;
};

// One word of a table. As in nginx, the case of most of them does not matter.
template <const auto& kTable, bool kAnyCase = true>
struct OneOf {
  template <class E>
  Status operator()(Block&, const Directive& d, const std::string& text, E& out) const {
    for (const auto& choice : kTable) {
      if (kAnyCase ? !EqualsIgnoreCase(choice.name, text) : choice.name != text) continue;
      out = choice.value;
      return {};
    }
    std::string allowed;
    for (const auto& choice : kTable)
      allowed.append(allowed.empty() ? "" : ", ").append(choice.name);
    return InvalidWord(d, text, allowed);
  }
};

// What is said twice counts once, with a warning.
void WarnOfDuplicate(Block& block, const Directive& directive, std::string_view what,
                     std::string_view value);

// A location without its final slash beside a target with one: what is left of "/files../x" below
// "/files" begins with "..".
void WarnOfSlashes(Block& block, const Directive& directive, std::string_view target);

// Words of a table, or-ed together; a second line of a block adds its own (rows: kMany).
template <const auto& kTable, auto... Path>
Status Bits(Block& block, const Directive& directive) {
  uint32_t& bits = Field<Path...>(block);
  if (block.First(&bits)) bits = 0;
  for (const std::string& word : directive.args) {
    uint32_t bit = 0;
    const Status s = OneOf<kTable>{}(block, directive, word, bit);
    if (!s) return s;
    if ((bits & bit) != 0) WarnOfDuplicate(block, directive, "value", word);
    bits |= bit;
  }
  return {};
}

// Accepted for nginx's sake where limpet has nothing to tune; the value is still checked.
template <class Parse, class T>
Status Checked(Block& block, const Directive& directive) {
  T ignored{};
  return Parse{}(block, directive, directive.args[0], ignored);
}
// A character of a variable name.
constexpr bool IsNameChar(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

Status Accepted(Block& block, const Directive& directive);

// A warning if `text` has a cookie's variable whose name ends too early.
void WarnOfMisread(Block& block, const Directive& directive, std::string_view text);

// A string with variables.
Result<Template> CompileTemplate(Block& block, const Directive& directive, std::string_view text);

// Compiles and defines the named groups.
Result<std::shared_ptr<const Regex>> CompileRegex(Block& block, const Directive& directive,
                                                  std::string_view pattern, bool ignore_case,
                                                  std::vector<VariableId>* named);

// If `text` begins with `prefix`, the rest.
std::optional<std::string> After(const std::string& text, std::string_view prefix);

}  // namespace limpet::conf
