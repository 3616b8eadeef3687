#include "worker/status/problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "base/clock.h"
#include "base/text.h"
#include "worker/status/json_parts.h"
#include "worker/status/peer_facts.h"
#include "worker/status/store_facts.h"
#include "worker/upstream/downtime.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int64_t kDayS = 86400;
constexpr int64_t kDeathMattersS = 3600;
constexpr size_t kServersNamed = 8;  // of one upstream, each in a line of its own

std::string Percent(double share) { return fmt::format("{:.3g}%", share * 100); }

Severity SeverityOf(shm::FillGrade grade) {
  if (grade == shm::FillGrade::kCrit) return Severity::kCritical;
  return grade == shm::FillGrade::kMajor ? Severity::kError : Severity::kWarning;
}

// One that is unavailable gets a request now and then, in which it may come back.
bool TakesClients(UpstreamGroup& group, const Peer& peer, uint64_t now_ms) {
  const PeerCondition condition = ConditionNow(group, peer, false, now_ms);
  return condition == PeerCondition::kReady || condition == PeerCondition::kFull;
}

class Finder {
 public:
  explicit Finder(const StatusSource& source) : source_(source) {}

  std::vector<Problem> Run() {
    for (UpstreamGroup* group : source_.upstreams) AddGroup(*group);
    AddZones();
    AddStores();
    AddReload();
    AddDeaths();
    AddCertificates();
    std::ranges::stable_sort(found_, {}, &Problem::severity);
    return std::move(found_);
  }

 private:
  void Add(Problem problem) { found_.push_back(std::move(problem)); }

  shm::CheckFacts FactsOf(const UpstreamGroup& group, const Peer& peer) const {
    if (source_.status == nullptr) return {};
    return source_.status->notes.Find(group.conf().name, peer.name);
  }

  void AddGroup(UpstreamGroup& group) {
    const std::string name = UpstreamName(group.conf());
    size_t takes = 0;
    std::vector<Problem> away;
    for (const Peer& peer : group.peers()) {
      const std::string_view state = PeerStateName(peer, source_.now_ms);
      takes += TakesClients(group, peer, source_.now_ms) ? 1 : 0;
      if (state == "unhealthy" || state == "unavailable")
        away.push_back(ServerAway(group, peer, name, state));
    }
    const bool is_empty = group.peers().empty() && group.conf().implicit;
    if (takes == 0 && !is_empty) {
      Add({Severity::kCritical, "upstream", name,
           fmt::format("upstream {} has no server that takes new clients", name)});
    }
    if (away.size() > kServersNamed) return Add(ManyAway(away, group.peers().size(), name));
    for (Problem& problem : away) Add(std::move(problem));
  }

  // A line for each would hide all else.
  static Problem ManyAway(const std::vector<Problem>& away, size_t all, const std::string& name) {
    const auto first = std::ranges::min_element(away, {}, [](const Problem& problem) {
      return problem.since_ms > 0 ? problem.since_ms : INT64_MAX;
    });
    return {Severity::kError, "server", name,
            fmt::format("{} of {} servers of {} are unhealthy or unavailable, {} and others",
                        away.size(), all, name, first->subject),
            first->since_ms};
  }

  Problem ServerAway(const UpstreamGroup& group, const Peer& peer, const std::string& name,
                     std::string_view state) const {
    std::string why = "its requests have failed (max_fails)";
    int64_t since = 0;
    if (state == "unhealthy") {
      const shm::CheckFacts facts = FactsOf(group, peer);
      since = static_cast<int64_t>(facts.changed_ms);
      why =
          facts.failed_in.empty() ? "its checks fail" : "its check fails while " + facts.failed_in;
    } else {
      const uint64_t away = AwaySinceMs(peer);
      if (away != 0) since = static_cast<int64_t>(WallMsOfMonotonic(away));
    }
    return {Severity::kError, "server", peer.name,
            fmt::format("server {} of {} is {}: {}", peer.name, name, state, why), since};
  }

  void AddZones() {
    for (size_t i = 0; i < source_.sessions.size() && i < source_.http.session_zones.size(); ++i) {
      const shm::SessionTable* const table = source_.sessions[i];
      if (table == nullptr || table->Capacity() == 0) continue;
      AddPlaces(source_.http.session_zones[i], *table);
      const double fill = shm::ShareOf(table->Live(), table->Capacity());
      const shm::FillGrade grade = shm::GradeOf(fill, table->GetFillLimits());
      if (grade == shm::FillGrade::kNone) continue;
      const std::string& name = source_.http.session_zones[i].name;
      Add({SeverityOf(grade), "zone", name,
           fmt::format("session zone {} is {} full", name, Percent(fill))});
    }
  }

  // Sessions of a server that the zone has no place for are not learned.
  void AddPlaces(const conf::SessionZone& zone, const shm::SessionTable& table) {
    const ZoneRef ref{.conf = &zone};
    std::set<std::string_view> without;
    for (UpstreamGroup* group : source_.upstreams) {
      if (!LearnsIn(group->conf(), source_, ref)) continue;
      for (const Peer& peer : group->peers()) {
        if (peer.session_index != shm::kNoPeer) continue;
        if (!table.peers().Active(table.peers().Find(peer.server_id)))
          without.insert(peer.server_id);
      }
    }
    if (without.empty()) return;
    Add({Severity::kError, "zone", zone.name,
         fmt::format("session zone {} knows {} servers, sessions at {} more are not learned",
                     zone.name, table.peers().size(), without.size())});
  }

  void AddStores() {
    const auto workers = static_cast<int64_t>(source_.counters.Workers());
    for (const StoreUse& use : StoreUses(source_.http, source_.stores)) {
      if (const auto since = AloneSince(*use.state)) {
        Add({Severity::kError, "store", use.store->name,
             fmt::format("session store {} is {}, zone {} goes on alone", use.store->name,
                         LostForMs(*use.state) ? "lost" : "not listened to", use.zone->name),
             static_cast<int64_t>(WallMsOfBoot(*since))});
        continue;
      }
      const auto asking = static_cast<int64_t>(use.state->figures.workers.Asking());
      if (asking >= workers) continue;
      Add({Severity::kWarning, "store", use.store->name,
           fmt::format("{} of {} workers ask session store {}: it is slow, the others go on alone",
                       asking, workers, use.store->name)});
    }
  }

  void AddReload() {
    if (!source_.counters.incidents.reload_refused.load(kRelaxed)) return;
    Add({Severity::kError, "reload", "",
         "the configuration on disk was refused, an earlier one serves"});
  }

  void AddDeaths() {
    if (source_.status == nullptr) return;
    const int64_t last = source_.status->mishaps.last_death_s.load(kRelaxed);
    if (last == 0 || Now().seconds - last > kDeathMattersS) return;
    uint64_t deaths = 0;
    for (const auto& of_reason : source_.counters.incidents.worker_deaths)
      deaths += of_reason.load(kRelaxed);
    Add({Severity::kError, "worker", "",
         fmt::format("{} worker{} died since the start", deaths, PluralEnding(deaths)),
         last * 1000});
  }

  void AddCertificates() {
    const int64_t now = Now().seconds;
    for (const CertificateEnd& certificate : source_.certificate_ends) {
      const int64_t left = certificate.not_after_s - now;
      if (left > 14 * kDayS) continue;
      const Severity severity = left <= 0           ? Severity::kCritical
                                : left <= 2 * kDayS ? Severity::kError
                                                    : Severity::kWarning;
      const std::string when = left <= 0 ? "has ended" : fmt::format("ends in {}", LeftText(left));
      Add({severity, "certificate", certificate.file,
           fmt::format("certificate {} {}", certificate.file, when),
           left <= 0 ? certificate.not_after_s * 1000 : 0});
    }
  }

  static std::string LeftText(int64_t seconds) {
    if (seconds >= 2 * kDayS) return fmt::format("{} days", seconds / kDayS);
    return fmt::format("{} hours", seconds / 3600);
  }

  const StatusSource& source_;
  std::vector<Problem> found_;
};

}  // namespace

std::string_view Name(Severity severity) {
  constexpr std::array<std::string_view, 3> kNames = {"crit", "error", "warn"};
  return kNames[static_cast<size_t>(severity)];
}

std::vector<Problem> FindProblems(const StatusSource& source) { return Finder(source).Run(); }

}  // namespace limpet::worker
