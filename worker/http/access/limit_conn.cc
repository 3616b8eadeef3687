// limit_conn: how many requests of one key may be under way at a time.
#include "worker/http/access/limit_conn.h"

#include <utility>

#include "shm/limit_conn_table.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/zone_key.h"
#include "worker/net/second_look.h"

namespace limpet::worker {
namespace {

constexpr size_t kMaxKey = 255;  // nginx's

using Verdict = shm::LimitConnTable::Verdict;
using Count = shm::LimitCount;

struct Counted {
  shm::LimitConnTable* table;
  Digest128 key;
};

void GiveBack(const std::vector<Counted>& places, int slot) {
  for (const Counted& place : places) place.table->Release(place.key, slot);
}

Step Reject(Exchange& exchange, const conf::LimitConnSettings& settings, Verdict verdict,
            const conf::LimitConnZone& limited) {
  const std::string_view zone = limited.name;
  exchange.runtime().zones.Count(
      limited.status_zone, verdict == Verdict::kTableFull ? Count::kExhausted : Count::kRejected);
  if (verdict == Verdict::kTableFull) {
    exchange.Log(LogLevel::kError, fmt::format("no room left in limit_conn_zone \"{}\"", zone));
  } else if (exchange.LogEnabled(settings.log_level)) {
    exchange.Log(settings.log_level, fmt::format("limiting connections{} by zone \"{}\"",
                                                 settings.dry_run ? ", dry run," : "", zone));
  }
  exchange.SeldomToSet().limit_conn_status = settings.dry_run ? "REJECTED_DRY_RUN" : "REJECTED";
  if (settings.dry_run) return Step::kNext;
  exchange.Finish(settings.status);
  return Step::kDone;
}

// Whoever counts may have gone by now, which is not known yet, least of all of connections that are
// not listened to so far: the others of this worker are heard before one is refused.
bool LooksAgain(Exchange& exchange) {
  if (std::exchange(exchange.SeldomToSet().limit_conn_looked, true)) return false;
  exchange.runtime().loop.second_looks().Hurry();
  exchange.AwaitEvents();
  return true;
}

// Of a request that may go on: `taken` are the limits that have a key, in their order.
void CountPassed(Exchange& exchange, const conf::LimitConnSettings& settings,
                 const std::vector<Counted>& taken) {
  Runtime& runtime = exchange.runtime();
  auto place = taken.begin();
  for (const conf::LimitConn& limit : settings.limits) {
    const auto zone = static_cast<size_t>(limit.zone);
    const bool has_key = place != taken.end() && place->table == runtime.limit_conn[zone];
    if (has_key) ++place;
    if (!has_key && exchange.request().internal) continue;  // it is counted once
    runtime.zones.Count(runtime.http.limit_conn_zones[zone].status_zone,
                        has_key ? Count::kPassed : Count::kSkipped);
  }
}

}  // namespace

Step LimitConnStep(Exchange& exchange) {
  const conf::LimitConnSettings& settings = exchange.location().access.limit_conn;
  // A request counts once: not again after an internal redirect.
  if (!exchange.seldom().limit_conn_status.empty()) return Step::kNext;
  Runtime& runtime = exchange.runtime();
  const int slot = runtime.slot;
  std::vector<Counted> taken;
  for (const conf::LimitConn& limit : settings.limits) {
    const auto zone_index = static_cast<size_t>(limit.zone);
    const conf::LimitConnZone& zone = runtime.http.limit_conn_zones[zone_index];
    const auto key = KeyOf(exchange, zone.key, kMaxKey, LogLevel::kError);
    if (!key) continue;
    shm::LimitConnTable* const table = runtime.limit_conn[zone_index];
    const Counted place{table, table->KeyOf(*key)};
    const Verdict verdict = table->Take(place.key, limit.connections, slot);
    if (verdict != Verdict::kTaken) {
      GiveBack(taken, slot);  // who is refused by one zone does not count in the others
      if (verdict == Verdict::kLimited && LooksAgain(exchange)) return Step::kAgain;
      return Reject(exchange, settings, verdict, zone);
    }
    taken.push_back(place);
  }
  if (!taken.empty()) exchange.SeldomToSet().limit_conn_status = "PASSED";
  CountPassed(exchange, settings, taken);
  if (!taken.empty()) {
    exchange.AtEnd([places = std::move(taken), slot] { GiveBack(places, slot); });
  }
  return Step::kNext;
}

}  // namespace limpet::worker
