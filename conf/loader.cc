#include "conf/loader.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "conf/foreign.h"
#include "conf/near_miss.h"
#include "conf/setting.h"
#include "conf/unquoted.h"

namespace limpet::conf {
namespace {

constexpr uint32_t kStages = kEarly | kOrdered;

// A block that defines nothing for others waits until the settings around it are complete.
uint32_t StageOf(const Row& row) {
  if (row.traits & kStages) return row.traits & kStages;
  return row.traits & kBlock ? kOrdered : 0u;
}

constexpr std::string_view kWrongCount = "invalid number of arguments";

// ` (did you mean "timeout"?)` for the word that ends a message in quotes, if it is nearly one that
// the usage names; else "".
std::string NearWord(std::string_view usage, std::string_view message) {
  message.remove_suffix(1);
  std::string_view word = message.substr(message.find('"') + 1);
  word = word.substr(0, word.find('='));
  NearMiss near(word);
  const auto in_word = [](char c) { return c == '_' || (c >= 'a' && c <= 'z'); };
  for (size_t at = 0; at < usage.size();) {
    size_t end = at;
    while (end < usage.size() && in_word(usage[end])) ++end;
    const std::string_view known = usage.substr(at, end - at);
    if (known == word) return "";  // its value is wrong
    if (known.size() > 2) near.Offer(known);
    at = end + 1;
  }
  return near.Hint();
}

// A message that names what is wrong and nothing else: what is allowed follows.
std::string WithUsage(const Row& row, const Directive& directive, std::string message) {
  const std::string_view usage = Usage(row);
  const bool counts = message.starts_with(kWrongCount);
  if (counts && usage.empty() && !row.arity.Allows(directive.args.size()))
    return fmt::format("{}: {} takes {}", message, row.name, CountText(row.arity));
  const bool only_names = message.ends_with('"') && (message.starts_with("invalid ") ||
                                                     message.starts_with("unknown parameter \""));
  if (usage.empty() || (!only_names && !counts)) return message;
  if (std::string hint = only_names ? NearWord(usage, message) : ""; !hint.empty())
    return message + hint;
  return fmt::format("{}: {} takes {}", message, row.name, usage);
}

bool IsAscii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

bool Block::First(const void* what) {
  if (std::find(seen.begin(), seen.end(), what) != seen.end()) return false;
  seen.push_back(what);
  return true;
}

std::string Where(const Directive& directive) {
  if (directive.at.file == "command line") return directive.at.file;
  return fmt::format("{}:{}", directive.at.file, directive.at.line);
}

Error At(const Directive& directive, std::string_view message) {
  return InvalidArgument(fmt::format("{} in {}", message, Where(directive)));
}

Error NestedBlockHere(const Directive& directive) { return At(directive, "unexpected \"{\""); }

Loader::Loader(const LoadOptions& options, Config& config) : options_(options), config_(config) {
  config_.prefix = options.prefix;
  config_.file = FromPrefix(options.file);
  conf_dir_ = config_.folder();
  for (const Group& group : DirectiveGroups()) {
    for (const Row& row : group.rows) rows_.emplace(row.name, &row);
  }
}

std::string Loader::FromPrefix(std::string_view path) const {
  return path.starts_with('/') ? std::string(path) : config_.prefix + std::string(path);
}

std::string Loader::FromConfDir(std::string_view path) const {
  return path.starts_with('/') ? std::string(path) : conf_dir_ + std::string(path);
}

void Loader::Warn(const Directive& directive, std::string_view message) {
  config_.warnings.push_back(fmt::format("[warn] {} in {}", message, Where(directive)));
}

void Loader::Notice(const Directive& directive, std::string_view message) {
  config_.notices.push_back(fmt::format("{} in {}", message, Where(directive)));
}

void Loader::NoteFile(const Directive& directive, const std::string& path) {
  config_.named_at.emplace(path, Where(directive));
}

Error Loader::Unknown(const Directive& directive) const {
  if (const Foreign* foreign = FindForeign(directive.name))
    return At(directive, WhyForeign(*foreign, directive));
  if (!IsAscii(directive.name)) {  // a mark or a blank that no editor shows
    return At(directive,
              fmt::format("unknown directive \"{}\": it has a character that is not ASCII",
                          EscapeForLog(directive.name)));
  }
  NearMiss near(directive.name);
  for (const auto& [name, row] : rows_) near.Offer(name);
  return At(directive, fmt::format("unknown directive \"{}\"{}", directive.name, near.Hint()));
}

// All places where the rows of that name belong.
Error Loader::Misplaced(const Directive& directive, Context here) const {
  uint32_t contexts = 0;
  const auto [begin, end] = rows_.equal_range(directive.name);
  for (auto it = begin; it != end; ++it) contexts |= it->second->contexts;
  return At(directive, fmt::format("\"{}\" directive is not allowed here, in {}: it belongs in {}",
                                   directive.name, ContextNames(here), ContextNames(contexts)));
}

// A word that begins a line and is a directive's name: the line before it lacks its `;`.
std::optional<int> Loader::LineWithoutSemicolon(const Directive& directive) const {
  for (size_t i = 1; i < directive.lines.size(); ++i) {
    if (directive.lines[i] == directive.lines[i - 1] || !rows_.contains(directive.args[i - 1]))
      continue;
    return directive.lines[i - 1];
  }
  return std::nullopt;
}

Error Loader::AtWord(const Row& row, const Directive& directive, std::string message) const {
  const std::optional<int> line = LineWithoutSemicolon(directive);
  if (!line) return At(directive, WithUsage(row, directive, std::move(message)));
  return InvalidArgument(
      fmt::format("{}: a \";\" is missing in {}:{}", message, directive.at.file, *line));
}

Result<const Row*> Loader::FindRow(const Directive& directive, const Block& block) const {
  const auto [begin, end] = rows_.equal_range(directive.name);
  if (begin == end) return Unknown(directive);
  const Row* row = nullptr;
  for (auto it = begin; it != end; ++it) {
    if (it->second->contexts & block.context) row = it->second;
  }
  if (!row) return Misplaced(directive, block.context);
  const bool is_block = (row->traits & kBlock) != 0;
  if (is_block && !directive.has_block) {
    return AtWord(*row, directive,
                  fmt::format("directive \"{}\" has no opening \"{{\"{}", directive.name,
                              UnquotedHint(directive)));
  }
  if (!is_block && directive.has_block) {
    return AtWord(*row, directive,
                  fmt::format("directive \"{}\" is not terminated by \";\"", directive.name));
  }
  if (!row->arity.Allows(directive.args.size())) {
    return AtWord(*row, directive,
                  fmt::format("{} in \"{}\" directive", kWrongCount, directive.name));
  }
  return row;
}

Status Loader::ApplyOne(const Row& row, const Directive& directive, Block& block) {
  const bool first = (row.traits & kMany) || block.First(&row);
  if (!first) return At(directive, fmt::format("\"{}\" directive is duplicate", directive.name));
  Status s = row.handler(block, directive);
  if (!s && !(row.traits & kBlock)) return AtWord(row, directive, s.error().message);
  if (s) TellOfInert(row, directive);
  return s;
}

// What is switched off is as it would be anyway.
void Loader::TellOfInert(const Row& row, const Directive& directive) {
  if (directive.args.size() == 1 && directive.args[0] == "off") return;
  const bool is_default = directive.args.size() == 1 && directive.args[0] == row.default_value;
  if ((row.traits & kUndone) && !is_default)
    Warn(directive, fmt::format("\"{}\" is left out: {}", row.name, WhyInert(row)));
  if (row.traits & kInert)
    Notice(directive, fmt::format("\"{}\" has no effect: {}", row.name, WhyInert(row)));
}

Status Loader::Apply(const std::vector<Directive>& directives, Block& block) {
  std::vector<const Row*> rows;
  rows.reserve(directives.size());
  for (const Directive& directive : directives) {
    const bool is_off = directive.args.size() == 1 && directive.args[0] == "off";
    if (is_off && !directive.has_block && !rows_.contains(directive.name) &&
        FindForeign(directive.name)) {
      rows.push_back(nullptr);
      continue;
    }
    const Result<const Row*> row = FindRow(directive, block);
    if (!row) return row.error();
    rows.push_back(*row);
  }
  for (const uint32_t stage : {uint32_t{kEarly}, 0u, uint32_t{kOrdered}}) {
    for (size_t i = 0; i < directives.size(); ++i) {
      if (rows[i] == nullptr || StageOf(*rows[i]) != stage) continue;
      if (Status s = ApplyOne(*rows[i], directives[i], block); !s) return s;
    }
  }
  return {};
}

std::unique_ptr<Location> Inherit(const Location& outer, LocationKind kind) {
  auto location = std::make_unique<Location>();
  location->kind = kind;
  location->server = outer.server;
  location->internal = outer.internal;
  location->client = outer.client;
  location->redirect = outer.redirect;
  location->browsers = outer.browsers;
  location->proxy = outer.proxy;
  location->access = outer.access;
  location->response = outer.response;
  location->log = outer.log;
  location->resolver = outer.resolver;
  location->status_zone = outer.status_zone;
  location->mirror = outer.mirror;
  location->http2_chunk_size = outer.http2_chunk_size;
  location->rewrite_log = outer.rewrite_log;
  location->warn_uninitialized = outer.warn_uninitialized;
  location->response.try_files.reset();
  using HeaderInherit = ResponseSettings::HeaderInherit;
  if (outer.response.add_header_inherit == HeaderInherit::kOff)
    location->response.add_headers.clear();
  if (outer.response.add_trailer_inherit == HeaderInherit::kOff)
    location->response.add_trailers.clear();
  if (kind == LocationKind::kIf || kind == LocationKind::kLimitExcept) {
    location->name = outer.name;  // it is still that location, only with other settings
    location->stub_status = outer.stub_status;
    location->api = outer.api;
    location->api_subtree = outer.api_subtree;
    location->api_write = outer.api_write;
    location->prometheus = outer.prometheus;
    location->dashboard = outer.dashboard;
    location->health_check = outer.health_check;
  } else {
    location->proxy.pass = {};
    location->response.empty_gif = false;
  }
  return location;
}

}  // namespace limpet::conf
