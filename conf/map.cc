#include "conf/map.h"

#include <fmt/core.h>

#include <optional>

#include "conf/constant_key.h"
#include "conf/loader.h"
#include "conf/named_groups.h"
#include "conf/setting.h"
#include "conf/unquoted.h"
#include "conf/wildcard_map.h"

namespace limpet::conf {
namespace {

struct Pattern {
  std::shared_ptr<const Regex> regex;
  std::vector<VariableId> named;
  Template value;
};

class Map final : public DerivedVariable {
 public:
  Value Evaluate(VariableReader& reader) const override {
    const std::string_view key = source.Evaluate(reader);
    // Host names are looked up without the dot that may end them.
    const bool rooted = hostnames && key.ends_with('.');
    const Template* value = Find(rooted ? key.substr(0, key.size() - 1) : key, reader);
    if (reader.match_failed()) return Value::None();
    return Value::Of(value ? value->Evaluate(reader) : std::string_view());
  }

  Template source;
  WildcardMap<Template> names;  // exact ones, and wildcards with `hostnames`
  std::vector<Pattern> patterns;
  std::optional<Template> fallback;
  bool hostnames = false;

 private:
  const Template* Find(std::string_view key, VariableReader& reader) const {
    if (const Template* value = names.Find(key)) return value;
    for (const Pattern& p : patterns) {
      if (MatchGroups(reader, *p.regex, p.named, key)) return &p.value;
      if (reader.match_failed()) return nullptr;
    }
    return fallback ? &*fallback : nullptr;
  }
};

struct Options {
  bool hostnames = false;
  bool is_volatile = false;
};

// A word alone: true if `entry` is one of the two switches.
bool Switch(const Directive& entry, Options* options) {
  if (!entry.args.empty()) return false;
  if (entry.name == "hostnames") return options->hostnames = true;
  if (entry.name == "volatile") return options->is_volatile = true;
  return false;
}

Status Add(Block& b, const Directive& entry, bool hostnames, Map* map) {
  Template value;
  if (Status s = Strings{}(b, entry, entry.args[0], value); !s) return s;
  std::string key = entry.name;
  if (key == "default") {
    if (map->fallback) return InvalidArgument("duplicate default map parameter");
    map->fallback = std::move(value);
    return {};
  }
  if (key.starts_with('~')) {
    Pattern pattern{.value = std::move(value)};
    const bool star = key.starts_with("~*");
    auto regex =
        CompileRegex(b, entry, std::string_view(key).substr(star ? 2 : 1), star, &pattern.named);
    if (!regex) return regex.error();
    pattern.regex = std::move(*regex);
    map->patterns.push_back(std::move(pattern));
    return {};
  }
  if (key.starts_with('\\')) {
    key.erase(0, 1);  // the way to write a key that begins with ~ or is a special word
  } else if (key.find('$') != std::string::npos) {
    b.loader.Notice(entry, fmt::format("variables are not evaluated in a map's keys: \"{0}\" is "
                                       "text (\"\\{0}\" says that it is meant so)",
                                       key));
  }
  const bool wildcard = hostnames && IsWildcard(key);
  if (wildcard ? !IsValidWildcard(key) : hostnames && key.find("..") != std::string::npos) {
    return InvalidArgument(fmt::format("invalid hostname or wildcard \"{}\"", key));
  }
  if (!map->names.Add(key, wildcard, std::move(value))) {
    return InvalidArgument(fmt::format("conflicting parameter \"{}\"", key));
  }
  return {};
}

}  // namespace

Status MapBlock(Block& b, const Directive& d) {
  auto map = std::make_shared<Map>();
  if (Status s = CompileKey(b, d, d.args[0], map->source); !s) return At(d, s.error().message);
  if (!d.args[1].starts_with('$'))
    return At(d, fmt::format("invalid variable name \"{}\"", d.args[1]));
  Options options;
  for (const Directive& entry : d.block) {
    if (entry.has_block) return NestedBlockHere(entry);
    if (Switch(entry, &options)) continue;
    if (entry.args.size() != 1)
      return At(entry, "invalid number of the map parameters" + UnquotedHint(entry));
    if (Status s = Add(b, entry, options.hostnames, map.get()); !s)
      return At(entry, s.error().message);
  }
  map->hostnames = options.hostnames;
  const std::string name = d.args[1].substr(1);
  const auto id =
      b.http->variables.DefineDerived(name, std::move(map), Where(d), options.is_volatile);
  if (!id) return At(d, id.error().message);
  return {};
}

}  // namespace limpet::conf
