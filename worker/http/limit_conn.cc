// limit_conn: how many requests of one key may be under way at a time.
#include "shm/limit_conn_table.h"
#include "worker/http/features.h"

namespace limpet::worker {
namespace {

constexpr size_t kMaxKey = 255;  // nginx's

using Verdict = shm::LimitConnTable::Verdict;

// Takes a place that is given back when the exchange ends.
Verdict TakePlace(Exchange& exchange, const conf::LimitConn& limit, std::string_view key) {
  Runtime& runtime = exchange.runtime();
  shm::LimitConnTable* const table = runtime.limit_conn[static_cast<size_t>(limit.zone)];
  const Digest128 digest = table->KeyOf(key);
  const int slot = runtime.slot;
  const Verdict verdict = table->Take(digest, limit.connections, slot);
  if (verdict == Verdict::kTaken) {
    exchange.AtEnd([table, digest, slot] { table->Release(digest, slot); });
  }
  return verdict;
}

Step Reject(Exchange& exchange, const conf::LimitConnSettings& settings, Verdict verdict,
            std::string_view zone) {
  if (verdict == Verdict::kTableFull) {
    exchange.Log(LogLevel::kError, fmt::format("no room left in limit_conn_zone \"{}\"", zone));
  } else if (exchange.LogEnabled(settings.log_level)) {
    exchange.Log(settings.log_level, fmt::format("limiting connections{} by zone \"{}\"",
                                                 settings.dry_run ? ", dry run," : "", zone));
  }
  exchange.limit_conn_status = settings.dry_run ? "REJECTED_DRY_RUN" : "REJECTED";
  if (settings.dry_run) return Step::kNext;
  exchange.Finish(settings.status);
  return Step::kDone;
}

}  // namespace

Step LimitConnStep(Exchange& exchange) {
  const conf::LimitConnSettings& settings = exchange.location().access.limit_conn;
  // A request counts once: not again after an internal redirect.
  if (settings.limits.empty() || !exchange.limit_conn_status.empty()) return Step::kNext;
  for (const conf::LimitConn& limit : settings.limits) {
    const auto& zone = exchange.runtime().http.limit_conn_zones[static_cast<size_t>(limit.zone)];
    const std::string_view key = exchange.Evaluate(zone.key);
    if (key.empty()) continue;
    if (key.size() > kMaxKey) {
      exchange.Log(LogLevel::kError,
                   fmt::format("the value of the \"{}\" key is more than {} bytes: \"{}\"",
                               zone.key.source(), kMaxKey, key));
      continue;
    }
    exchange.limit_conn_status = "PASSED";
    const Verdict verdict = TakePlace(exchange, limit, key);
    if (verdict != Verdict::kTaken) return Reject(exchange, settings, verdict, zone.name);
  }
  return Step::kNext;
}

}  // namespace limpet::worker
