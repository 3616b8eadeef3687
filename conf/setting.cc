#include "conf/setting.h"

#include <algorithm>

#include "conf/loader.h"

namespace limpet::conf {

Error Refuse(const Directive& directive, std::string_view why) {
  return InvalidArgument(fmt::format("\"{}\" directive {}", directive.name, why));
}

Error InvalidWord(const Directive& directive, std::string_view value, const std::string& allowed) {
  return InvalidArgument(fmt::format(
      "invalid value \"{}\" in \"{}\" directive, it must be {}{}", value, directive.name,
      allowed.find(',') == std::string::npos ? "" : "one of ", allowed));
}

Error InvalidForm(const Directive& directive, std::string_view value, std::string_view what) {
  return Refuse(directive, fmt::format("invalid value \"{}\": {}", value, what));
}

Error InvalidParameter(std::string_view parameter) {
  return InvalidArgument(fmt::format("invalid parameter \"{}\"", parameter));
}

Error InvalidParameter(std::string_view parameter, std::string_view what) {
  return InvalidArgument(fmt::format("invalid parameter \"{}\": {}", parameter, what));
}

Error InvalidCount(std::string_view parameter, uint64_t low, uint64_t high) {
  return InvalidParameter(parameter, fmt::format("the number is {} to {}", low, high));
}

Status Flag::operator()(Block&, const Directive& d, const std::string& text, bool& out) const {
  const bool on = EqualsIgnoreCase(text, "on");
  if (!on && !EqualsIgnoreCase(text, "off")) {
    return InvalidArgument(fmt::format(
        "invalid value \"{}\" in \"{}\" directive, it must be \"on\" or \"off\"", text, d.name));
  }
  out = on;
  return {};
}

Status Duration::operator()(Block&, const Directive& d, const std::string& text, Ms& out) const {
  const std::optional<Ms> time = ParseTime(text, false);
  if (!time) return InvalidForm(d, text, "a time is 500ms, 30s, 1h30m or 30 for seconds");
  out = *time;
  return {};
}

Status Seconds::operator()(Block&, const Directive& d, const std::string& text, Ms& out) const {
  const std::optional<Ms> time = ParseTime(text, true);
  if (!time) return InvalidForm(d, text, "a time in whole seconds is 30s, 1h30m or 30");
  out = *time;
  return {};
}

Result<int64_t> NumberArgument(const Directive& d, const std::string& text, int64_t low,
                               int64_t high) {
  const std::optional<uint64_t> n = ParseDecimal(text);
  const auto no_number = [&] {
    return Refuse(d, fmt::format("invalid number \"{}\": it is {} to {}", text, low,
                                 std::min<int64_t>(high, INT32_MAX)));
  };
  if (!n || *n > static_cast<uint64_t>(INT64_MAX)) return no_number();
  const auto value = static_cast<int64_t>(*n);
  if (value >= low && value <= high) return value;
  if (high < INT32_MAX)
    return InvalidArgument(fmt::format("value \"{}\" must be between {} and {}", text, low, high));
  if (value > high) return no_number();
  return InvalidArgument(
      fmt::format("value \"{}\" must be equal to or greater than {}", text, low));
}

void WarnOfDuplicate(Block& block, const Directive& directive, std::string_view what,
                     std::string_view value) {
  block.loader.Warn(directive, fmt::format("duplicate {} \"{}\"", what, value));
}

void WarnOfSlashes(Block& block, const Directive& directive, std::string_view target) {
  const Location& location = *block.location;
  const bool is_prefix =
      location.kind == LocationKind::kPrefix || location.kind == LocationKind::kPrefixNoRegex;
  if (!is_prefix || location.name.ends_with('/') || !target.ends_with('/')) return;
  block.loader.Warn(directive, fmt::format("location \"{0}\" has no slash at its end, but \"{1}\" "
                                           "has: \"{0}../\" would lead out of it and is refused",
                                           location.name, target));
}

Result<int64_t> SizeArgument(const Directive& d, const std::string& text, bool allow_giga) {
  const std::optional<int64_t> n = ParseSizeUnits(text, allow_giga);
  if (!n) {
    return InvalidForm(d, text,
                       allow_giga ? "a size is 100, 10k, 1m or 1g" : "a size is 100, 10k or 1m");
  }
  return *n;
}

Status Strings::operator()(Block& b, const Directive& d, const std::string& text,
                           Template& out) const {
  Result<Template> t = CompileTemplate(b, d, text);
  if (!t) return t.error();
  out = std::move(*t);
  return {};
}

Status Strings::operator()(Block& b, const Directive& d, const std::string& text,
                           std::optional<Template>& out) const {
  return (*this)(b, d, text, out.emplace());
}

Status FieldValue::operator()(Block& b, const Directive& d, const std::string& text,
                              Template& out) const {
  std::string line;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of("\r\n", at), text.size());
    line.append(text, at, end - at);
    at = std::min(text.find_first_not_of(" \t\r\n", end), text.size());
    if (end == text.size()) break;
    line.erase(line.find_last_not_of(" \t") + 1);
    if (!line.empty() && at < text.size()) line += ' ';
  }
  if (line.find('\0') != std::string::npos) return InvalidArgument("a header's value holds a NUL");
  return Strings{}(b, d, line, out);
}

Status FieldName::operator()(Block&, const Directive&, const std::string& text,
                             std::string& out) const {
  const auto ends_a_name = [](unsigned char c) { return c <= ' ' || c == 0x7f; };
  if (std::ranges::any_of(text, ends_a_name)) return InvalidArgument("invalid header name");
  out = text;
  return {};
}

Status SizeTemplate::operator()(Block& b, const Directive& d, const std::string& text,
                                Template& out) const {
  if (Status s = Strings{}(b, d, text, out); !s) return s;
  if (out.is_constant() && !ParseSizeUnits(text, false))
    return InvalidForm(d, text, "a size is 100, 10k or 1m");
  return {};
}

Status ConfDirPath::operator()(Block& b, const Directive& d, const std::string& text,
                               std::string& out) const {
  if (text.find('$') != std::string::npos) return Refuse(d, "cannot have variables");
  out = text.empty() ? std::string() : b.loader.FromConfDir(text);
  b.loader.NoteFile(d, out);
  return {};
}

Status PrefixPath::operator()(Block& b, const Directive& d, const std::string& text,
                              std::string& out) const {
  out = b.loader.FromPrefix(text);
  b.loader.NoteFile(d, out);
  return {};
}

Status Accepted(Block&, const Directive&) { return {}; }

void WarnOfMisread(Block& block, const Directive& directive, std::string_view text) {
  const std::string_view misread = MisreadCookie(text);
  if (misread.empty()) return;
  const size_t end = misread.find_first_of(".-");
  block.loader.Warn(directive,
                    fmt::format("\"{}\" is \"{}\" with \"{}\" behind it, as the name of a variable "
                                "ends there: a map of $http_cookie finds that cookie",
                                misread, misread.substr(0, end), misread.substr(end)));
}

Result<Template> CompileTemplate(Block& block, const Directive& directive, std::string_view text) {
  WarnOfMisread(block, directive, text);
  return Template::Compile(text, block.http->variables, Where(directive));
}

Result<std::shared_ptr<const Regex>> CompileRegex(Block& block, const Directive& directive,
                                                  std::string_view pattern, bool ignore_case,
                                                  std::vector<VariableId>* named) {
  Result<std::shared_ptr<const Regex>> regex = Regex::Compile(pattern, ignore_case);
  if (!regex) return regex;
  if (named) named->clear();
  for (const Regex::NamedGroup& group : (*regex)->named_groups()) {
    const Result<VariableId> id = block.http->variables.DefineUser(group.name, Where(directive));
    if (!id) return id.error();
    if (named) named->push_back(*id);
  }
  return regex;
}

std::optional<std::string> After(const std::string& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

}  // namespace limpet::conf
