// The zone parameters of `sticky learn`, and the zones that several upstreams name.
#pragma once

#include <string>
#include <vector>

#include "conf/directive.h"

namespace limpet::conf {

class SessionZoneParser {
 public:
  explicit SessionZoneParser(const Directive& directive) : directive_(directive) {}

  // True if `text` is a parameter of the zone. Each may be given once.
  Result<bool> Take(const std::string& text);
  // Whose sessions quota= counts, as written; "": of no one in particular.
  const std::string& quota_key() const { return zone_.quota_key; }
  // The zone's index in Http::session_zones. A zone that another upstream named must agree with it.
  Result<int> Finish(Block& block);

 private:
  Status Zone(const std::string& value);
  Status Time(std::string_view name, const std::string& value, Ms* out) const;
  Status Flag(std::string_view name, const std::string& value, bool* out) const;
  Status Share(std::string_view name, const std::string& value, double* out) const;
  Status Quota(const std::string& value);
  Status NewRate(const std::string& value);
  Status Known(std::string_view name, const std::string& value, bool has_value, bool* known);
  Status Conflict(const SessionZone& other) const;

  const Directive& directive_;
  SessionZone zone_;
  std::string store_;  // its name
  std::vector<std::string> seen_;
};

// Once all upstreams are read: those that share a zone must have the same servers, by their ids
// (`route=`, else the address), or a session learned in one would lead nowhere in the other.
Status CheckSharedZones(const Http& http);

}  // namespace limpet::conf
