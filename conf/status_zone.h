// What status pages count apart: requests of a server or a location under the name that
// `status_zone` gives them, verdicts of the zones of limit_req and limit_conn, questions to name
// servers (`resolver … status_zone=`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "conf/template.h"

namespace limpet::conf {

enum class StatusZoneKind : uint8_t { kServer, kLocation, kLimitReq, kLimitConn, kResolver };

struct StatusZone {
  static constexpr uint32_t kMaxValues = 10'000;
  static constexpr size_t kMaxName = 256;  // of a value, too

  StatusZoneKind kind = StatusZoneKind::kServer;
  std::string name;
  // How many values of a key are counted apart, each under its own name; those beyond count under
  // the zone's. Nothing: no directive has said it.
  std::optional<uint32_t> values{};
  bool has_key = false;       // a directive counts by the values of one
  bool tls = false;           // of a server that speaks it
  std::string declared_at{};  // "FILE:LINE", where it was named first
};

// Where requests of a server or a location are counted.
struct StatusZoneUse {
  int zone = -1;                  // index into Http::status_zones; -1: nowhere
  std::optional<Template> key{};  // of the value that they count under; nothing: the zone's name
};

}  // namespace limpet::conf
