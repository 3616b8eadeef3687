#include "master/session_store.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/hash.h"
#include "base/own_file.h"
#include "master/paths.h"

namespace limpet::master {
namespace {

constexpr uint64_t kCheckPeriodMs = 1000;             // fill levels: a look at two counters
constexpr uint64_t kLineEveryMs = 60'000;             // a line about what is not learned
constexpr uint64_t kBusyMs = 100;                     // after a lock that another process keeps
constexpr uint64_t kLatePeriodMs = 1000;              // between two walks through earlier tables
constexpr std::chrono::milliseconds kPatience{2000};  // at the end, when nothing else is waiting

// The object's name tells apart the limpets of a machine (by pid file, which only one can hold) and
// their zones.
std::string LimpetName(const std::string& home) {
  return fmt::format("limpet-{}", Md5Hex(home).substr(0, 16));
}

std::string PrefixOf(const std::string& home) { return LimpetName(PlainPath(home)) + "-"; }

// However the path is written: but an earlier version has named it as it was.
std::string ObjectName(const std::string& home, const std::string& zone) {
  const std::string tail = "-" + Md5Hex(zone).substr(0, 16);
  const std::string as_written = LimpetName(home) + tail;
  return shm::Zone::IsTaken(as_written) ? as_written : LimpetName(PlainPath(home)) + tail;
}

std::string SnapshotPath(const conf::Config& config, const std::string& zone) {
  std::string file = zone;
  std::ranges::replace(file, '/', '_');
  return fmt::format("{}{}{}.sessions", config.state_path,
                     config.state_path.ends_with('/') ? "" : "/", file);
}

// The present one first.
std::vector<SipKey> StoreKeysOf(const conf::Config& config, const conf::SessionZone& zone) {
  if (zone.store < 0) return {};
  return config.http->session_stores[static_cast<size_t>(zone.store)].keys;
}

// All machines that share a store find its sessions by the same hashes.
std::optional<SipKey> SecretOf(const conf::Config& config, const conf::SessionZone& zone) {
  const std::vector<SipKey> keys = StoreKeysOf(config, zone);
  return keys.empty() ? std::nullopt : std::optional(keys.front());
}

shm::SessionZone::Options OptionsFor(const std::string& home, const conf::Config& config,
                                     const conf::SessionZone& zone) {
  return {.name = ObjectName(home, zone.name),
          .bytes = zone.size,
          .snapshot_path = SnapshotPath(config, zone.name),
          .policy = {zone.timeout, zone.norefresh, zone.rotate},
          .secret = SecretOf(config, zone)};
}

shm::FillLimits LimitsOf(const conf::SessionZone& zone) {
  return {zone.fill.minor, zone.fill.major, zone.fill.crit};
}

Error OfZone(const std::string& name, Error error) {
  error.message = fmt::format("session zone \"{}\": {}", name, error.message);
  return error;
}

void Say(const shm::SessionZone& opened, const std::string& name, const Log& log) {
  using Origin = shm::SessionZone::Origin;
  for (const auto& line : opened.lines()) LIMPET_LOG(log, line.level, "{}", line.text);
  if (opened.origin() == Origin::kFresh) return;
  const char* how = opened.origin() == Origin::kReattached ? "found again"
                    : opened.origin() == Origin::kMigrated ? "moved to the new size"
                    : opened.origin() == Origin::kRekeyed  ? "are found under their earlier key"
                                                           : "loaded from its snapshot";
  LIMPET_LOG(log, LogLevel::kNotice, "session zone \"{}\": {} sessions {}", name, opened.kept(),
             how);
}

}  // namespace

SessionStore::SessionStore(std::string home, shm::SessionZone zone,
                           shm::SessionZone::Options options, const conf::SessionZone& conf)
    : home_(std::move(home)),
      zone_(std::move(zone)),
      options_(std::move(options)),
      name_(conf.name),
      fill_(conf.name, LimitsOf(conf)),
      gc_period_ms_(static_cast<uint64_t>(std::max<int64_t>(conf.gc_period.count(), 1))),
      next_collect_(MonotonicMs() + gc_period_ms_),
      next_check_(MonotonicMs()),
      cookie_max_size_(conf.cookie_max_size),
      told_too_long_(table()->Sum().too_long),
      told_quota_(table()->Sum().over_quota + table()->Sum().over_rate) {}

Result<std::unique_ptr<SessionStore>> SessionStore::Open(const std::string& home,
                                                         const conf::Config& config,
                                                         const conf::SessionZone& zone,
                                                         const Log& log) {
  auto options = OptionsFor(home, config, zone);
  const uint64_t now = BootMs();
  auto opened = shm::SessionZone::OpenOrCreate(options, now);
  if (!opened) return OfZone(zone.name, opened.error());
  Say(*opened, zone.name, log);
  opened->table().SetFillLimits(LimitsOf(zone));
  std::unique_ptr<SessionStore> store(
      new SessionStore(home, std::move(*opened), std::move(options), zone));
  store->store_keys_ = StoreKeysOf(config, zone);
  store->KeepEarlier(now);
  return store;
}

// What was in place until another took it (see SessionZone::IsInPlace) has all its sessions still;
// processes that use it have them reach the new one.
Status SessionStore::OpenOther(shm::SessionZone::Options options, Why why, const Log& log) {
  const uint64_t now = BootMs();
  const bool displaced = !zone_.IsInPlace();
  if (displaced && !options.secret) options.secret = table()->secret();
  if (displaced && why == Why::kReload) options.snapshot_path.clear();
  if (reserved_) options.reserved = &*reserved_;
  auto opened = shm::SessionZone::OpenOrCreate(options, now);
  reserved_.reset();
  if (!opened) return OfZone(name_, opened.error());
  ++moves_;
  Say(*opened, name_, log);
  if (displaced) KeepDisplaced(opened->table().secret(), now, log);
  zone_ = std::move(*opened);
  KeepEarlier(now);
  sweep_ = {};  // indices of peers are another table's now
  return {};
}

void SessionStore::KeepDisplaced(const SipKey& secret, uint64_t now_ms, const Log& log) {
  Result<shm::Zone> own = zone_.OpenAgain();
  Result<shm::SessionTable> table = own ? shm::SessionTable::Attach(own->data(), own->size())
                                        : Result<shm::SessionTable>(own.error());
  if (!table) {
    LIMPET_LOG(log, LogLevel::kError, "{}: sessions of zone \"{}\" that it has had are lost",
               table.error().message, name_);
    return;
  }
  LIMPET_LOG(
      log, LogLevel::kNotice,
      "session zone \"{}\": its memory was another's or had no name any more; {} sessions of "
      "the one before are brought over",
      name_, table->Live());
  const KeyKind kind = KindOf(*table, secret);
  late_.Add(std::move(*own), *table, kind == KeyKind::kSame ? 0 : now_ms, kind);
}

SessionStore::KeyKind SessionStore::KindOf(const shm::SessionTable& earlier,
                                           const SipKey& secret) const {
  if (earlier.secret() == secret) return KeyKind::kSame;
  const bool shared = std::ranges::find(store_keys_, earlier.secret()) != store_keys_.end();
  return shared ? KeyKind::kEarlierOfStore : KeyKind::kOther;
}

// The table that the sessions have just come from, whose users go on with it until they end; and
// the one that keeps those under an earlier key.
void SessionStore::KeepEarlier(uint64_t moved_ms) {
  using Earlier = shm::SessionZone::Earlier;
  if (zone_.earlier() != Earlier::kNone) earlier_unread_ = zone_.earlier() == Earlier::kUnread;
  while (auto zone = zone_.TakeEarlier()) {
    const auto earlier = shm::SessionTable::Attach(zone->data(), zone->size());
    if (!earlier) continue;
    const KeyKind kind = KindOf(*earlier, table()->secret());
    const std::string name = kind == KeyKind::kSame ? "" : zone_.EarlierName();
    if (!late_.HasNamed(name)) late_.Add(std::move(*zone), *earlier, moved_ms, kind, name);
  }
  table()->set_late(late_.empty() ? nullptr : &late_);
}

bool SessionStore::NeedsOther(const shm::SessionZone::Options& options) const {
  const bool rekeyed = options.secret && *options.secret != zone_.table().secret();
  return rekeyed || options.bytes != options_.bytes || !zone_.IsInPlace();
}

Status SessionStore::Prepare(const conf::Config& config, const conf::SessionZone& zone) {
  reserved_.reset();
  if (!NeedsOther(OptionsFor(home_, config, zone))) return {};
  auto reserved = zone_.Reserve(zone.size);
  if (!reserved) return OfZone(name_, reserved.error());
  reserved_.emplace(std::move(*reserved));
  return {};
}

Status SessionStore::Reconfigure(const conf::Config& config, const conf::SessionZone& zone, Why why,
                                 const Log& log) {
  auto options = OptionsFor(home_, config, zone);
  store_keys_ = StoreKeysOf(config, zone);
  if (NeedsOther(options)) {
    if (auto status = OpenOther(options, why, log); !status) return status;
  }
  options_ = std::move(options);
  table()->SetPolicy(options_.policy);
  table()->SetFillLimits(LimitsOf(zone));
  cookie_max_size_ = zone.cookie_max_size;
  gc_period_ms_ = static_cast<uint64_t>(std::max<int64_t>(zone.gc_period.count(), 1));
  next_collect_ = std::min(next_collect_, MonotonicMs() + gc_period_ms_);
  return {};
}

void SessionStore::SetServers(const std::vector<std::string>& server_ids, bool complete) {
  const shm::PeerDirectory& peers = table()->peers();
  std::set<uint16_t> known;
  for (const std::string& id : server_ids) known.insert(peers.Find(id));
  for (uint32_t i = 0; complete && i < peers.size(); ++i) {
    const auto index = static_cast<uint16_t>(i);
    if (peers.Active(index) && !known.contains(index)) table()->RetirePeer(index);
  }
  without_place_.clear();
  for (const std::string& id : server_ids) {  // those that go make room
    if (table()->PeerIndex(id) == shm::kNoPeer) without_place_.push_back(id);
  }
}

void SessionStore::Tick(uint64_t now_ms, const Log& log, shm::Counters& shared) {
  if (now_ms >= next_collect_) {
    bool more = true;
    const bool free = shm::IfFree([&] { more = CollectOrSweep(); });
    next_collect_ = now_ms + (!free ? kBusyMs : more ? 0 : gc_period_ms_);
  }
  TickNews(now_ms);
  if (now_ms >= next_check_) {
    CheckHold(log);
    CheckFill(now_ms, log, shared);
    next_check_ = now_ms + kCheckPeriodMs;
  }
}

void SessionStore::HearEarlier(uint64_t now_ms) {
  bool more = true;
  const bool free = shm::IfFree([&] { more = late_.Step(table(), BootMs()); });
  next_late_ = now_ms + (!free ? kBusyMs : more ? 0 : kLatePeriodMs);
  if (late_.empty()) table()->set_late(nullptr);
}

bool SessionStore::CollectOrSweep() {
  if (!sweeping_) {
    if (table()->CollectStep(BootMs()).more) return true;
    sweep_.Begin(*table());
  }
  sweeping_ = sweep_.Step(table(), BootMs());
  return sweeping_;
}

// A new binary that finds nobody here would repair what workers are at.
void SessionStore::CheckHold(const Log& log) {
  const bool late_held = late_.Hold();
  if (zone_.Hold() && late_held) {
    told_unheld_ = false;
  } else if (!std::exchange(told_unheld_, true)) {
    LIMPET_LOG(log, LogLevel::kError,
               "session zone \"{}\": processes that a killed limpet has left keep its memory "
               "locked; end them before the binary is changed",
               name_);
  }
}

void SessionStore::CheckFill(uint64_t now_ms, const Log& log, shm::Counters& shared) {
  fill_.SetLimits(table()->GetFillLimits());  // an operator may have set others
  const shm::SessionCounters counters = table()->Sum();
  CheckTooLong(now_ms, counters.too_long, log, shared);
  CheckQuota(now_ms, counters, log, shared);
  CheckPlaces(now_ms, log, shared);
  const auto line = fill_.Update({.live = table()->Live(),
                                  .capacity = table()->Capacity(),
                                  .rotated = counters.rotated,
                                  .refused = counters.refused,
                                  .now_ms = now_ms});
  if (now_ms >= next_sample_) {
    shm::FillHistory* history = shared.fill_histories.FindOrAdd(name_);
    const uint64_t capacity = table()->Capacity();
    if (history != nullptr && capacity > 0)
      history->Add(static_cast<double>(table()->Live()) / static_cast<double>(capacity));
    next_sample_ = now_ms + shm::FillHistory::kEveryMs;
  }
  if (!line) return;
  LIMPET_LOG(log, line->level, "{}", line->text);
  shared.alerts.Add(line->level, line->text);
}

// Whoever set cookie_max_size must hear that it shuts out sessions: they are balanced like others.
void SessionStore::CheckTooLong(uint64_t now_ms, uint64_t too_long, const Log& log,
                                shm::Counters& shared) {
  if (too_long < told_too_long_) told_too_long_ = too_long;  // another table by now
  if (too_long == told_too_long_ || now_ms < next_too_long_) return;
  const std::string line = fmt::format(
      "session zone \"{}\": {} identifiers longer than cookie_max_size={} were not looked up or "
      "learned",
      name_, too_long - told_too_long_, cookie_max_size_);
  LIMPET_LOG(log, LogLevel::kWarn, "{}", line);
  shared.alerts.Add(LogLevel::kWarn, line);
  told_too_long_ = too_long;
  next_too_long_ = now_ms + kLineEveryMs;
}

// Sessions of a server without a place are balanced like others. There is one as soon as the last
// session of a server that has gone ends.
void SessionStore::CheckPlaces(uint64_t now_ms, const Log& log, shm::Counters& shared) {
  if (without_place_.empty()) return;
  (void)shm::IfFree([this] {
    while (!without_place_.empty() && table()->PeerIndex(without_place_.back()) != shm::kNoPeer)
      without_place_.pop_back();
  });
  if (without_place_.empty() || now_ms < next_without_place_) return;
  next_without_place_ = now_ms + kLineEveryMs;
  const std::string line = fmt::format(
      "session zone \"{}\": all its {} places for servers are taken, sessions at {} more are not "
      "learned ({} is one): a larger zone has more places",
      name_, table()->peers().size(), without_place_.size(), without_place_.front());
  LIMPET_LOG(log, LogLevel::kError, "{}", line);
  shared.alerts.Add(LogLevel::kError, line);
}

// Whoever is shut out is served without a session: by an attacker's doing, or because a limit is
// too low for an honest network.
void SessionStore::CheckQuota(uint64_t now_ms, const shm::SessionCounters& counters, const Log& log,
                              shm::Counters& shared) {
  const uint64_t refused = counters.over_quota + counters.over_rate;
  if (refused < told_quota_) told_quota_ = refused;  // another table by now
  if (refused == told_quota_ || now_ms < next_quota_) return;
  const std::string line = fmt::format(
      "session zone \"{}\": {} new sessions were not learned: their clients have more, or begin "
      "them "
      "faster, than quota or new_rate allows",
      name_, refused - told_quota_);
  LIMPET_LOG(log, LogLevel::kWarn, "{}", line);
  shared.alerts.Add(LogLevel::kWarn, line);
  told_quota_ = refused;
  next_quota_ = now_ms + kLineEveryMs;
}

bool SessionStore::Save(const Log& log) {
  return Written([this] { return zone_.Save(options_.snapshot_path); }, log);
}

void SessionStore::SaveAtEnd(const Log& log) {
  const shm::LockPatience patience(kPatience);
  (void)Save(log);
}

void SessionStore::SaveAndRemove(const Log& log) {
  const shm::LockPatience patience(kPatience);
  if (Written([this] { return zone_.SaveAndRemove(options_.snapshot_path); }, log))
    late_.RemoveNames();
}

template <class Write>
bool SessionStore::Written(Write write, const Log& log) {
  MakeFolderOf(options_.snapshot_path);
  Status status = InvalidArgument("a process stands still inside the zone");
  (void)shm::IfFree([&] {
    BringNews();
    status = WriteWithEarlier(std::move(write));
  });
  if (!status) {
    LIMPET_LOG(log, LogLevel::kWarn, "{}: sessions stay in shared memory only",
               status.error().message);
  }
  return bool{status};
}

// What may be the only copy of the present sessions is written over last: the key has been taken
// back since the files were written.
template <class Write>
Status SessionStore::WriteWithEarlier(Write write) {
  const auto write_earlier = [this] {
    const bool is_unread = earlier_unread_ && !late_.HasNamed(zone_.EarlierName());
    if (zone_.IsReplaced() || is_unread) return Status();
    return late_.SaveRekeyed(EarlierPath(), BootMs());
  };
  if (shm::KeyOfSnapshot(EarlierPath()) == table()->secret()) {
    Status status = write();
    return status ? write_earlier() : status;
  }
  const Status earlier = write_earlier();
  Status status = write();
  return status ? earlier : status;
}

// Whatever is said of sessions is counted.
uint64_t SessionStore::Changes() {
  const shm::SessionCounters counters = table()->Sum();
  const uint64_t counted = counters.hits + counters.created + counters.refreshed +
                           counters.rotated + counters.collected + counters.used;
  return counted * 31 + table()->Live();
}

void SessionStore::Remove() {
  zone_.Remove();
  ::unlink(options_.snapshot_path.c_str());
  ::unlink(EarlierPath().c_str());
}

void SessionStore::GiveBack() {
  using Origin = shm::SessionZone::Origin;
  if (zone_.earlier() == shm::SessionZone::Earlier::kLoaded) late_.RemoveNames();
  const Origin origin = zone_.origin();
  if (origin == Origin::kFresh || origin == Origin::kLoaded) zone_.RemoveIfAlone();
}

void SessionStore::MoveHome(const std::string& home, const Log& log) {
  if (home == home_) return;
  const std::string name = ObjectName(home, name_);
  const std::string earlier = zone_.EarlierName();
  if (auto status = zone_.Rename(name); !status) {
    LIMPET_LOG(log, LogLevel::kWarn, "{}: session zone \"{}\" keeps its name",
               status.error().message, name_);
    return;
  }
  late_.Rename(earlier, zone_.EarlierName());
  home_ = home;
  options_.name = name;
}

std::vector<std::string> SessionStore::ObjectsOf(const std::string& home) {
  std::vector<std::string> names = shm::Zone::OwnNames(PrefixOf(home));
  std::erase_if(names, [](const std::string& name) { return shm::SessionZone::IsSetAside(name); });
  return names;
}

bool SessionStore::RemoveLeft(const std::string& home, const std::string& zone,
                              const std::string& snapshot_path) {
  if (!shm::SessionZone::RemoveUnused(ObjectName(home, zone))) return false;
  ::unlink(snapshot_path.c_str());
  ::unlink(shm::SessionZone::EarlierName(snapshot_path).c_str());
  return true;
}

}  // namespace limpet::master
