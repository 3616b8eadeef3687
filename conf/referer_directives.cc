// valid_referers: what $invalid_referer compares Referer with.
#include <array>

#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

Status AddName(Referers& referers, const std::string& word) {
  const size_t slash = std::min(word.find('/'), word.size());
  const std::string host = word.substr(0, slash);
  const bool wildcard = IsWildcard(host);
  if (host.empty() || (wildcard && !IsValidWildcard(host)))
    return InvalidArgument(fmt::format("invalid hostname or wildcard \"{}\"", word));
  if (!referers.names.Add(host, wildcard, word.substr(slash)))
    return InvalidArgument(fmt::format("conflicting parameter \"{}\"", word));
  return {};
}

Status ValidReferers(Block& b, const Directive& d) {
  Referers& referers = b.location->access.referers;
  if (b.First(&referers)) referers = {};
  referers.set = true;
  referers.declared_at = Where(d);
  for (const std::string& word : d.args) {
    if (word == "none") {
      referers.none = true;
    } else if (word == "blocked") {
      referers.blocked = true;
    } else if (word == "server_names") {
      referers.server_names = true;
    } else if (word.starts_with('~')) {
      auto regex = CompileRegex(b, d, std::string_view(word).substr(1), true, nullptr);
      if (!regex) return regex.error();
      referers.patterns.push_back(std::move(*regex));
    } else if (Status s = AddName(referers, word); !s) {
      return s;
    }
  }
  return {};
}

constexpr std::array kRows = std::to_array<Row>({
    {"valid_referers", kServer | kLocation, AtLeast(1), kMany, ValidReferers, "",
     "none | blocked | server_names | NAME[/PATH] | ~PATTERN …: makes $invalid_referer empty"},
    {"referer_hash_max_size", kServer | kLocation, kOneArg, kInert, Checked<Number<>, int>, "2048",
     "accepted; hashes grow by themselves"},
    {"referer_hash_bucket_size", kServer | kLocation, kOneArg, kInert, Checked<Number<>, int>, "64",
     "accepted; hashes grow by themselves"},
});

}  // namespace

constinit const std::span<const Row> kRefererDirectives = kRows;

}  // namespace limpet::conf
