#include "worker/http/route/locations.h"

#include <algorithm>

#include "conf/named_groups.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"

namespace limpet::worker {
namespace {

using Prefixes = std::map<std::string, conf::Location*, std::less<>>;

// The longest entry that `uri` begins with. Each miss jumps to the common part of the two, so the
// search is logarithmic in the number of locations and never walks over neighbours one by one.
const conf::Location* LongestPrefix(const Prefixes& prefixes, std::string_view uri) {
  std::string_view wanted = uri;
  for (auto it = prefixes.upper_bound(wanted); it != prefixes.begin();) {
    --it;
    const std::string& prefix = it->first;
    if (uri.starts_with(prefix)) return it->second;
    const auto common =
        std::mismatch(prefix.begin(), prefix.end(), uri.begin(), uri.end()).first - prefix.begin();
    wanted = uri.substr(0, static_cast<size_t>(common));
    it = prefixes.upper_bound(wanted);
  }
  return nullptr;
}

// A location "/x/" that asks for it redirects "/x", unless that has a location of its own.
const conf::Location* AutoRedirect(const conf::LocationTree& tree, std::string_view uri) {
  if (uri.empty() || uri.ends_with('/') || (tree.prefixes.empty() && tree.exact.empty()))
    return nullptr;
  std::string with_slash(uri);
  with_slash += '/';
  for (const auto* map : {&tree.prefixes, &tree.exact}) {
    const auto it = map->find(with_slash);
    if (it != map->end() && it->second->auto_redirect) return it->second;
  }
  return nullptr;
}

}  // namespace

LocationMatch FindLocation(const conf::Location& outer, std::string_view uri,
                           conf::VariableReader& reader) {
  const conf::LocationTree& tree = outer.children;
  LocationMatch found;
  bool no_regex = false;
  if (!tree.exact.empty()) {
    if (const auto it = tree.exact.find(uri); it != tree.exact.end()) return {it->second};
  }
  const conf::Location* const prefix = LongestPrefix(tree.prefixes, uri);
  if (prefix == nullptr || prefix->name.size() != uri.size()) {
    if (const conf::Location* location = AutoRedirect(tree, uri)) return {location, true};
  }
  if (prefix != nullptr) {
    no_regex = prefix->kind == conf::LocationKind::kPrefixNoRegex;
    found.location = prefix;
    const LocationMatch inner = FindLocation(*prefix, uri, reader);
    if (reader.match_failed()) return {};
    if (inner.auto_redirect || inner.by_regex) return inner;
    if (inner.location != nullptr) {
      if (inner.location->kind == conf::LocationKind::kExact) return inner;
      found = inner;  // a ^~ inside speaks for the regular expressions beside it, not for ours
    }
  }
  if (no_regex) return found;
  for (const conf::Location* location : tree.regexes) {
    const bool matches = conf::MatchGroups(reader, *location->regex, location->named, uri);
    if (reader.match_failed()) return {};
    if (!matches) continue;
    found = FindLocation(*location, uri, reader);
    if (found.location == nullptr) found.location = location;
    found.by_regex = true;
    return found;
  }
  return found;
}

void UseLocation(Exchange& exchange, const conf::Location& location) {
  exchange.request().location = &location;
  if (location.client.keepalive_timeout.count() == 0) exchange.stream().LastForClient();
}

}  // namespace limpet::worker
