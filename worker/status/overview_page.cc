// What `api` answers of the whole: what is wrong, all zones, certificates, the last hour.
#include "worker/status/overview_page.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/clock.h"
#include "shm/limit_conn_table.h"
#include "shm/limit_req_table.h"
#include "worker/status/peer_facts.h"
#include "worker/status/problems.h"

namespace limpet::worker {
namespace {

std::string_view Name(shm::FillGrade grade) {
  constexpr std::array<std::string_view, 4> kNames = {"", "minor", "major", "crit"};
  return kNames[static_cast<size_t>(grade)];
}

Json ZoneLine(std::string_view name, std::string_view kind, uint64_t used, uint64_t capacity) {
  return {{"name", name},
          {"kind", kind},
          {"used", used},
          {"capacity", capacity},
          {"fill", shm::ShareOf(used, capacity)}};
}

// A full zone of limits gives up what was used longest ago (limit_req) or refuses (limit_conn).
template <class Zones, class Tables>
void AddLimits(const Zones& zones, const Tables& tables, std::string_view kind, Json* all) {
  for (size_t i = 0; i < zones.size() && i < tables.size(); ++i) {
    if (tables[i] == nullptr) continue;
    Json line = ZoneLine(zones[i].name, kind, tables[i]->used(), tables[i]->capacity());
    line["key"] = zones[i].key.source();
    all->push_back(std::move(line));
  }
}

}  // namespace

Json UpstreamsThatLearnIn(const StatusSource& source, const ZoneRef& zone) {
  Json names = Json::array();
  for (UpstreamGroup* group : source.upstreams) {
    if (LearnsIn(group->conf(), source, zone)) names.push_back(UpstreamName(group->conf()));
  }
  return names;
}

Json ZonesJson(const StatusSource& source) {
  Json all = Json::array();
  for (const conf::SessionZone& conf : source.http.session_zones) {
    const ZoneRef zone = FindZone(source, conf.name);
    if (!zone) continue;
    Json line = ZoneLine(conf.name, "sessions", zone.table->Live(), zone.table->Capacity());
    line["level"] = Name(shm::GradeOf(line["fill"].get<double>(), zone.table->GetFillLimits()));
    line["upstreams"] = UpstreamsThatLearnIn(source, zone);
    all.push_back(std::move(line));
  }
  AddLimits(source.http.limit_req_zones, source.limit_req, "limit_req", &all);
  AddLimits(source.http.limit_conn_zones, source.limit_conn, "limit_conn", &all);
  return all;
}

Json ProblemsJson(const StatusSource& source) {
  Json all = Json::array();
  for (const Problem& problem : FindProblems(source)) {
    Json line = {{"level", Name(problem.severity)},
                 {"kind", problem.kind},
                 {"subject", problem.subject},
                 {"text", problem.text}};
    if (problem.since_ms > 0) {
      line["since"] = FormatIso8601(problem.since_ms / 1000);
      line["for_s"] = std::max<int64_t>(0, Now().seconds - problem.since_ms / 1000);
    }
    all.push_back(std::move(line));
  }
  return all;
}

Json CertificatesJson(const StatusSource& source) {
  Json all = Json::array();
  const int64_t now = Now().seconds;
  for (const CertificateEnd& certificate : source.certificate_ends) {
    all.push_back({{"file", certificate.file},
                   {"server", certificate.server},
                   {"not_after", FormatIso8601(certificate.not_after_s)},
                   {"left_s", certificate.not_after_s - now}});
  }
  return all;
}

Json HourJson(const StatusSource& source) {
  Json requests = Json::array(), faults = Json::array();
  if (source.status != nullptr) {
    for (const auto& sample : source.status->traffic.history.OldestFirst()) {
      requests.push_back(sample.requests);
      faults.push_back(sample.faults);
    }
  }
  return {{"every_ms", shm::TrafficHistory::kEveryMs},
          {"requests", std::move(requests)},
          {"faults", std::move(faults)}};
}

}  // namespace limpet::worker
