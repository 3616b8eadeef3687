#include "conf/loader.h"

#include <fmt/core.h>

#include <algorithm>

#include "conf/setting.h"

namespace limpet::conf {
namespace {

constexpr uint32_t kStages = kEarly | kOrdered;

// A block that defines nothing for others waits until the settings around it are complete.
uint32_t StageOf(const Row& row) {
  if (row.traits & kStages) return row.traits & kStages;
  return row.traits & kBlock ? kOrdered : 0u;
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

Error Loader::Unknown(const Directive& directive) const {
  const Row* nearest = nullptr;
  size_t distance = directive.name.size() > 4 ? 3 : 2;  // nearer than this is a likely slip
  for (const auto& [name, row] : rows_) {
    const size_t d = directive.name.size() > 64 ? distance : EditDistance(directive.name, name);
    if (d > distance - 1 || (nearest && d == distance - 1 && nearest->name < name)) continue;
    distance = d + 1;
    nearest = row;
  }
  std::string message = fmt::format("unknown directive \"{}\"", directive.name);
  if (nearest) message += fmt::format(" (did you mean \"{}\"?)", nearest->name);
  return At(directive, message);
}

Result<const Row*> Loader::FindRow(const Directive& directive, const Block& block) const {
  const auto [begin, end] = rows_.equal_range(directive.name);
  if (begin == end) return Unknown(directive);
  const Row* row = nullptr;
  for (auto it = begin; it != end; ++it) {
    if (it->second->contexts & block.context) row = it->second;
  }
  if (!row)
    return At(directive, fmt::format("\"{}\" directive is not allowed here", directive.name));
  const bool is_block = (row->traits & kBlock) != 0;
  if (is_block && !directive.has_block) {
    return At(directive, fmt::format("directive \"{}\" has no opening \"{{\"", directive.name));
  }
  if (!is_block && directive.has_block) {
    return At(directive,
              fmt::format("directive \"{}\" is not terminated by \";\"", directive.name));
  }
  if (!row->arity.Allows(directive.args.size())) {
    return At(directive,
              fmt::format("invalid number of arguments in \"{}\" directive", directive.name));
  }
  return row;
}

Status Loader::ApplyOne(const Row& row, const Directive& directive, Block& block) {
  const bool first = (row.traits & kMany) || block.First(&row);
  if (!first) return At(directive, fmt::format("\"{}\" directive is duplicate", directive.name));
  Status s = row.handler(block, directive);
  if (!s && !(row.traits & kBlock)) return At(directive, s.error().message);
  return s;
}

Status Loader::Apply(const std::vector<Directive>& directives, Block& block) {
  std::vector<const Row*> rows;
  rows.reserve(directives.size());
  for (const Directive& directive : directives) {
    const Result<const Row*> row = FindRow(directive, block);
    if (!row) return row.error();
    rows.push_back(*row);
  }
  for (const uint32_t stage : {uint32_t{kEarly}, 0u, uint32_t{kOrdered}}) {
    for (size_t i = 0; i < directives.size(); ++i) {
      if (StageOf(*rows[i]) != stage) continue;
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
  location->proxy = outer.proxy;
  location->access = outer.access;
  location->response = outer.response;
  location->log = outer.log;
  location->resolver = outer.resolver;
  location->mirror = outer.mirror;
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
