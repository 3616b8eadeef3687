#include "worker/status/zone_facts.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "worker/status/zone_fields.h"

namespace limpet::worker {
namespace {

using conf::StatusZoneKind;

// Clients may send any bytes as a value. One that is no UTF-8 would make a scrape unreadable.
std::string Readable(const std::string& name) {
  return Json::parse(Json(name).dump(-1, ' ', false, Json::error_handler_t::replace));
}

void AddCodes(const StatusZoneFacts& zone, Json* tree) {
  Json& codes = (*tree)[kResponses] = Json::object();
  for (const auto& [code, count] : zone.Codes()) codes[code] = count;
}

Json TreeOf(const StatusZoneFacts& zone, StatusZoneKind kind) {
  Json tree = Json::object();
  for (const ZoneField& field : kZoneFields) {
    if (field.kind != kind || (field.group == "ssl" && !zone.tls)) continue;
    if (HasCodes(kind) && field.group == "data" && !tree.contains(kResponses))
      AddCodes(zone, &tree);
    Json& object = field.group.empty() ? tree : tree[field.group];
    object[field.name] = zone.sums.counts[field.word];
  }
  return tree;
}

void AddMetrics(const std::vector<StatusZoneFacts>& zones, StatusZoneKind kind, MetricsText& page) {
  const auto labels = [](const StatusZoneFacts& zone, std::string_view more) {
    return fmt::format("{{zone=\"{}\"{}}}", Label(zone.name), more);
  };
  for (const ZoneField& field : kZoneFields) {
    if (field.kind != kind || field.metric.empty()) continue;
    if (!field.help.empty()) {
      const bool grows = field.word != shm::RequestCount::kProcessing;
      page.Begin(fmt::format("limpet_{}", field.metric), grows, field.help);
    }
    for (const StatusZoneFacts& zone : zones) {
      if (field.group == "ssl" && !zone.tls) continue;
      page.Sample(labels(zone, field.labels), zone.sums.counts[field.word]);
    }
  }
  if (!HasCodes(kind)) return;
  const bool of_server = kind == StatusZoneKind::kServer;
  page.Begin(of_server ? "limpet_server_zone_responses" : "limpet_location_zone_responses", true,
             of_server ? "answers by servers of the zone" : "answers by locations of the zone");
  for (const StatusZoneFacts& zone : zones) {
    for (const auto& [code, count] : zone.Codes())
      page.Sample(labels(zone, fmt::format(",code=\"{}\"", code)), count);
  }
}

}  // namespace

std::vector<std::pair<std::string, uint64_t>> StatusZoneFacts::Codes() const {
  std::vector<std::pair<std::string, uint64_t>> codes;
  uint64_t others = sums.counts[shm::RequestCount::kAnswered];
  for (const auto& [code, count] : sums.codes) {
    codes.emplace_back(std::to_string(code), count);
    others -= std::min(others, count);
  }
  if (others > 0) codes.emplace_back("xxx", others);
  return codes;
}

std::vector<StatusZoneFacts> ZonesOf(const StatusSource& source, StatusZoneKind kind) {
  std::vector<StatusZoneFacts> all;
  std::unordered_map<std::string, size_t> places;
  const auto add = [&](const std::string& name, bool tls, const shm::ZoneSums& sums) {
    const auto [place, is_new] = places.emplace(Readable(name), all.size());
    if (is_new) all.push_back({place->first, false, {}});
    StatusZoneFacts& facts = all[place->second];
    facts.tls |= tls;
    facts.sums += sums;
  };
  const auto& zones = source.http.status_zones;
  for (size_t i = 0; i < zones.size() && i < source.status_zones.size(); ++i) {
    if (zones[i].kind != kind) continue;
    add(zones[i].name, zones[i].tls, source.status_zones[i]->Sum());
    for (const auto& [name, sums] : source.status_zones[i]->SumValues())
      add(name, zones[i].tls, sums);
  }
  return all;
}

Json ZonesTree(const StatusSource& source, StatusZoneKind kind) {
  Json all = Json::object();
  for (const StatusZoneFacts& zone : ZonesOf(source, kind)) all[zone.name] = TreeOf(zone, kind);
  return all;
}

void AddStatusZones(const StatusSource& source, MetricsText& page) {
  for (const StatusZoneKind kind :
       {StatusZoneKind::kServer, StatusZoneKind::kLocation, StatusZoneKind::kLimitReq,
        StatusZoneKind::kLimitConn, StatusZoneKind::kResolver}) {
    const std::vector<StatusZoneFacts> zones = ZonesOf(source, kind);
    if (!zones.empty()) AddMetrics(zones, kind, page);
  }
}

}  // namespace limpet::worker
