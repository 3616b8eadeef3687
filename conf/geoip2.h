// geoip2: variables from databases of addresses (MaxMind DB files). Settings only: worker/geo reads
// the files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conf/access.h"
#include "conf/template.h"

namespace limpet::conf {

struct GeoDatabase {
  std::string path;      // absolute; no two have the same
  Ms auto_reload = 0ms;  // how often the file is looked at; 0: at a reload only
};

// What a variable says of an address.
struct GeoField {
  enum class Kind : uint8_t { kRecord, kBuildEpoch, kLastCheck, kLastChange };
  Kind kind = Kind::kRecord;
  size_t database = 0;             // index into GeoSettings::databases
  std::vector<std::string> path;   // kRecord: keys of maps, settings in arrays; at least one
  std::optional<Template> source;  // of the address; none: the client's
  std::string fallback;            // where nothing is found
};

struct GeoSettings {
  std::vector<GeoDatabase> databases;
  std::vector<GeoField> fields;
  RealIp proxies{.source = RealIp::Source::kXForwardedFor};  // geoip2_proxy: believed
};

}  // namespace limpet::conf
