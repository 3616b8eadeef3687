// limit_req: how fast requests of one key may come. Those above the rate wait, up to the burst;
// those above it are refused.
#include "worker/http/access/limit_req.h"

#include "shm/limit_req_table.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/zone_key.h"

namespace limpet::worker {
namespace {

constexpr size_t kMaxKey = 65535;  // nginx's

struct Charge {  // a limit that applies to this request
  const conf::LimitReq* limit;
  const conf::LimitReqZone* zone;
  shm::LimitReqTable* table;
  Digest128 key;
};

const conf::LimitReqZone& ZoneOf(Exchange& exchange, const conf::LimitReq& limit) {
  return exchange.runtime().http.limit_req_zones[static_cast<size_t>(limit.zone)];
}

std::optional<Charge> ChargeOf(Exchange& exchange, const conf::LimitReq& limit) {
  const conf::LimitReqZone& zone = ZoneOf(exchange, limit);
  const auto key = KeyOf(exchange, zone.key, kMaxKey, LogLevel::kError);
  if (!key) return std::nullopt;
  shm::LimitReqTable* const table = exchange.runtime().limit_req[static_cast<size_t>(limit.zone)];
  return Charge{&limit, &zone, table, table->KeyOf(*key)};
}

std::string_view DryRunText(const conf::LimitReqSettings& settings) {
  return settings.dry_run ? ", dry run" : "";
}

using Count = shm::LimitCount;

Step Reject(Exchange& exchange, const conf::LimitReqSettings& settings, uint64_t excess,
            const conf::LimitReqZone& limited) {
  const std::string_view zone = limited.name;
  exchange.runtime().zones.Count(limited.status_zone, Count::kRejected);
  if (exchange.LogEnabled(settings.log_level)) {
    exchange.Log(settings.log_level,
                 fmt::format("limiting requests{}, excess: {}.{:03} by zone \"{}\"",
                             DryRunText(settings), excess / 1000, excess % 1000, zone));
  }
  exchange.SeldomToSet().limit_req_status = settings.dry_run ? "REJECTED_DRY_RUN" : "REJECTED";
  if (settings.dry_run) return Step::kNext;
  exchange.Finish(settings.status);
  return Step::kDone;
}

Step Delay(Exchange& exchange, const conf::LimitReqSettings& settings, uint64_t excess,
           std::string_view zone, uint64_t delay_ms) {
  // One level below refusals: nginx's default for what is not an error.
  const auto level = settings.log_level == LogLevel::kInfo
                         ? LogLevel::kInfo
                         : static_cast<LogLevel>(static_cast<int>(settings.log_level) + 1);
  if (exchange.LogEnabled(level)) {
    exchange.Log(level, fmt::format("delaying request{}, excess: {}.{:03}, by zone \"{}\"",
                                    DryRunText(settings), excess / 1000, excess % 1000, zone));
  }
  exchange.SeldomToSet().limit_req_status = settings.dry_run ? "DELAYED_DRY_RUN" : "DELAYED";
  if (settings.dry_run) return Step::kNext;
  exchange.Delay(std::chrono::milliseconds(delay_ms));
  return Step::kSuspend;
}

}  // namespace

Step LimitReqStep(Exchange& exchange) {
  const conf::LimitReqSettings& settings = exchange.location().access.limit_req;
  // A request counts once: not again after an internal redirect.
  if (!exchange.seldom().limit_req_status.empty()) return Step::kNext;
  const uint64_t now = exchange.runtime().loop.NowMs();

  // All limits are asked before any is charged: a request that one refuses costs nothing at the
  // others.
  for (const conf::LimitReq& limit : settings.limits) {
    const auto charge = ChargeOf(exchange, limit);
    if (!charge) continue;
    const uint64_t excess = charge->table->Peek(charge->key, charge->zone->rate, now);
    if (excess > Thousandths(limit.burst)) {
      return Reject(exchange, settings, excess, *charge->zone);
    }
  }

  ZoneCounts& zones = exchange.runtime().zones;
  uint64_t longest = 0, its_excess = 0;
  std::string_view its_zone;
  for (const conf::LimitReq& limit : settings.limits) {
    const auto charge = ChargeOf(exchange, limit);
    if (!charge) {
      if (!exchange.request().internal)  // once for a request
        zones.Count(ZoneOf(exchange, limit).status_zone, Count::kSkipped);
      continue;
    }
    exchange.SeldomToSet().limit_req_status = "PASSED";
    const uint64_t burst = Thousandths(limit.burst);
    const uint64_t excess = charge->table->Account(charge->key, charge->zone->rate, burst, now);
    // Another worker may have been faster between the two.
    if (excess > burst) return Reject(exchange, settings, excess, *charge->zone);
    const uint64_t delay = DelayMs(excess, limit.delay, charge->zone->rate);
    zones.Count(charge->zone->status_zone, delay == 0 ? Count::kPassed : Count::kDelayed);
    if (delay <= longest) continue;
    longest = delay;
    its_excess = excess;
    its_zone = charge->zone->name;
  }
  return longest == 0 ? Step::kNext : Delay(exchange, settings, its_excess, its_zone, longest);
}

}  // namespace limpet::worker
