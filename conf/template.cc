#include "conf/template.h"

#include <fmt/core.h>

#include <array>
#include <cstring>

namespace limpet::conf {
namespace {

constexpr bool IsNameChar(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

constexpr bool JoinsNames(char c) { return c == '.' || c == '-'; }

// The word from `begin` on, if it is a name with odd characters in it and stands alone.
std::string_view OddName(std::string_view text, size_t begin, size_t name) {
  size_t end = name;
  while (end < text.size() && IsNameChar(text[end])) ++end;
  const bool goes_on =
      end > name && end + 1 < text.size() && JoinsNames(text[end]) && IsNameChar(text[end + 1]);
  if (!goes_on) return {};
  while (end < text.size() && (IsNameChar(text[end]) || JoinsNames(text[end]))) ++end;
  constexpr std::string_view kAfterWord = " \t\"'`;,|)]}>";
  if (end < text.size() && kAfterWord.find(text[end]) == std::string_view::npos) return {};
  return text.substr(begin, end - begin);
}

// The name after a dollar sign at text[*at]; moves *at behind it.

Result<std::string_view> TakeName(std::string_view text, size_t* at) {
  const bool braced = *at < text.size() && text[*at] == '{';
  const size_t begin = *at + (braced ? 1 : 0);
  size_t end = begin;
  while (end < text.size() && IsNameChar(text[end])) ++end;
  const std::string_view name = text.substr(begin, end - begin);
  if (braced && (end == text.size() || text[end] != '}')) {
    return InvalidArgument(fmt::format("the closing bracket in \"{}\" variable is missing", name));
  }
  if (name.empty()) return InvalidArgument("invalid variable name");
  *at = end + (braced ? 1 : 0);
  return name;
}

}  // namespace

std::string_view MisreadCookie(std::string_view text) {
  for (size_t at = text.find('$'); at != std::string_view::npos; at = text.find('$', at + 1)) {
    const char before = at > 0 ? text[at - 1] : ' ';
    if (IsNameChar(before) || JoinsNames(before) || before == '/') continue;
    for (const std::string_view family : {"$cookie_", "$upstream_cookie_"}) {
      if (!text.substr(at).starts_with(family)) continue;
      if (const auto odd = OddName(text, at, at + family.size()); !odd.empty()) return odd;
    }
  }
  return {};
}

Template Template::Literal(std::string text) {
  Template t;
  t.source_ = text;
  t.literal_ = std::move(text);
  return t;
}

Result<Template> Template::Compile(std::string_view text, VariableTable& variables,
                                   std::string_view where) {
  Template t;
  t.source_ = text;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) t.parts_.push_back({Part::kLiteral, 0, std::move(literal)});
    literal.clear();
  };
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '$') {
      literal.push_back(text[at++]);
      continue;
    }
    ++at;
    if (at < text.size() && text[at] >= '1' && text[at] <= '9') {  // one digit: $12 is $1 and a 2
      flush();
      t.parts_.push_back({Part::kCapture, static_cast<uint16_t>(text[at++] - '0'), {}});
      continue;
    }
    Result<std::string_view> name = TakeName(text, &at);
    if (!name) return name.error();
    flush();
    t.parts_.push_back({Part::kVariable, variables.Mention(*name, where), {}});
  }
  if (t.parts_.empty()) {
    t.literal_ = std::move(literal);
  } else {
    flush();
  }
  return t;
}

Template Template::OfVariable(VariableId id) {
  Template t;
  t.parts_.push_back({Part::kVariable, id, {}});
  return t;
}

std::string_view Template::Evaluate(VariableReader& reader) const {
  if (parts_.empty()) return literal_;
  const auto value_of = [&reader](const Part& part) -> std::string_view {
    switch (part.kind) {
      case Part::kLiteral:
        return part.text;
      case Part::kVariable:
        return reader.Get(part.number).text;
      case Part::kCapture:
        return reader.captures().Group(part.number);
    }
    return {};
  };
  if (parts_.size() == 1) return value_of(parts_[0]);

  // Few parts are the rule: their values wait on the stack until the length is known.
  constexpr size_t kOnStack = 16;
  std::array<std::string_view, kOnStack> some;
  std::vector<std::string_view> many;
  if (parts_.size() > kOnStack) many.resize(parts_.size());
  std::string_view* values = parts_.size() > kOnStack ? many.data() : some.data();
  size_t size = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    values[i] = value_of(parts_[i]);
    size += values[i].size();
  }
  if (size == 0) return {};
  char* const out = reader.Allocate(size);
  char* to = out;
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!values[i].empty()) std::memcpy(to, values[i].data(), values[i].size());
    to += values[i].size();
  }
  return {out, size};
}

}  // namespace limpet::conf
