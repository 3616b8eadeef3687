#include "shm/session_zone.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "base/hash.h"
#include "base/own_file.h"

namespace limpet::shm {

namespace {

// Names of one zone begin alike; what follows nobody can guess.
std::string OtherName(const std::string& name) {
  uint64_t random = 0;
  RandomBytes(&random, sizeof random);
  return fmt::format("{}~{:016x}", name, random);
}

// There is none, or what has the name is somebody else's.
bool IsNone(const Error& error) {
  return error.code == std::errc::no_such_file_or_directory ||
         error.code == std::errc::permission_denied;
}

struct Place {
  std::string name;
  Result<Zone> zone;
};

// Where the zone is: under its own name, or under one that it has had to take.
Place FindPlace(const std::string& name) {
  Place place{name, Zone::Open(name)};
  if (place.zone || !IsNone(place.zone.error())) return place;
  for (const std::string& other : Zone::OwnNames(name + "~")) {
    if (other.find('.', name.size()) != other.npos) continue;  // set aside, or never completed
    if (auto zone = Zone::Open(other)) return {other, std::move(zone)};
  }
  return place;
}

constexpr std::string_view kAside = ".bad";

// "" if it could not be kept.
std::string SetAside(const std::string& name) {
  std::string aside = name + std::string(kAside);
  if (Zone::Rename(name, aside)) return aside;
  Zone::Remove(name);
  return "";
}

// The zone `from` takes the place of `to`, which stands beside it from then on.
Status MoveBeside(const std::string& from, const std::string& to) {
  const std::string beside = SessionZone::EarlierName(to);
  if (Status renamed = Zone::Rename(from, beside); !renamed) return renamed;
  if (Zone::Exchange(beside, to)) return {};
  return Zone::Rename(beside, to);  // a kernel without it: the earlier one lives as its processes
}

bool HasOtherKey(const SessionZone::Options& options, const SessionTable& table) {
  return options.secret && *options.secret != table.secret();
}

bool IsThere(const std::string& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0;
}

bool ExchangeOrMove(const std::string& to, const std::string& from) {
  return IsThere(to) ? bool{ExchangeFiles(to, from)} : std::rename(from.c_str(), to.c_str()) == 0;
}

// What is read where there is no memory; "": nothing.
struct Snapshots {
  std::string present, earlier;
};

// Where the key has been taken back since they were written, the earlier one is the zone's again.
Snapshots SnapshotsFor(const SessionZone::Options& options) {
  const std::string& path = options.snapshot_path;
  if (path.empty()) return {};
  Snapshots found{path, SessionZone::EarlierName(path)};
  const bool is_taken_back = options.secret && KeyOfSnapshot(found.earlier) == options.secret &&
                             KeyOfSnapshot(found.present) != options.secret;
  if (is_taken_back && !ExchangeOrMove(found.present, found.earlier))
    std::swap(found.present, found.earlier);
  return found;
}

// The key has been taken back while nobody used the zone: what stands beside it, under that key, is
// the zone again.
bool TakeBack(const SessionZone::Options& options) {
  const std::string beside = SessionZone::EarlierName(options.name);
  const Result<Zone> earlier = Zone::Open(beside);
  if (!earlier || !earlier->alone()) return false;
  const Result<SessionTable> table = SessionTable::Attach(earlier->data(), earlier->size());
  const bool is_it = table && !table->Superseded() && !HasOtherKey(options, *table);
  if (!is_it || !Zone::Exchange(beside, options.name)) return false;
  (void)SnapshotsFor(options);  // the files follow
  return true;
}

std::string EarlierSnapshot(const SessionZone::Options& options) {
  const std::string& path = options.snapshot_path;
  return path.empty() ? "" : SessionZone::EarlierName(path);
}

}  // namespace

Result<SessionZone> SessionZone::OpenOrCreate(const Options& wanted, uint64_t now_ms) {
  if (SessionTable::CapacityFor(wanted.bytes) == 0) {
    return InvalidArgument("it is too small");
  }
  Place place = FindPlace(wanted.name);
  Options options = wanted;
  options.name = place.name;
  return OpenAt(options, std::move(place.zone), now_ms);
}

Result<SessionZone> SessionZone::OpenAt(const Options& options, Result<Zone> opened,
                                        uint64_t now_ms) {
  if (!opened && opened.error().code != std::errc::invalid_argument) {
    return IsNone(opened.error()) ? Fresh(options, now_ms) : opened.error();
  }
  Result<SessionTable> table = opened ? SessionTable::Attach(opened->data(), opened->size())
                                      : Result<SessionTable>(opened.error());
  if (!table) {
    const std::string aside = SetAside(options.name);
    Result<SessionZone> fresh = Fresh(options, now_ms);
    if (fresh) {
      const std::string how = aside.empty() ? "removed" : fmt::format("set aside as \"{}\"", aside);
      fresh->Say(LogLevel::kWarn, fmt::format("shared memory \"{}\" was {}: {}", options.name, how,
                                              table.error().message));
    }
    return fresh;
  }
  if (HasOtherKey(options, *table) && opened->alone() && TakeBack(options))
    return OpenAt(options, Zone::Open(options.name), now_ms);
  if (opened->size() != options.bytes || HasOtherKey(options, *table) || table->of_earlier_layout())
    return MoveOver(options, *std::move(opened), *table, now_ms);

  table->SetPolicy(options.policy);
  const bool crashed = opened->alone();  // else others work with it: a reload, or a new binary
  const uint64_t kept = crashed ? table->RepairAll(true, now_ms) : table->Live();
  SessionZone zone(options.name, *std::move(opened), *table);
  zone.origin_ = Origin::kReattached;
  zone.kept_ = kept;
  if (crashed) {
    zone.Say(LogLevel::kNotice,
             fmt::format("shared memory \"{}\" was found, checked and repaired: {} sessions kept",
                         options.name, kept));
  }
  zone.FindEarlier(options, EarlierSnapshot(options), now_ms);
  return zone;
}

std::string SessionZone::EarlierName(const std::string& name) { return name + ".earlier"; }

void SessionZone::FindEarlier(const Options& options, const std::string& snapshot,
                              uint64_t now_ms) {
  FindEarlierInMemory(now_ms);
  if (earlier_ == Earlier::kNone && IsThere(snapshot)) LoadEarlier(options, snapshot);
}

// Under the zone's earlier key, as another process has left them or works with them.
void SessionZone::FindEarlierInMemory(uint64_t now_ms) {
  const std::string name = EarlierName();
  Result<Zone> found = Zone::Open(name);
  if (!found) return;
  Result<SessionTable> table = SessionTable::Attach(found->data(), found->size());
  if (!table || table->Superseded() || table->secret() == table_.secret())
    return found->RemoveIfAlone(name);
  if (found->alone() && !table->of_earlier_layout()) table->RepairAll(true, now_ms);
  Say(LogLevel::kNotice,
      fmt::format("{} sessions of \"{}\" are found under their earlier key", table->Live(), name_));
  earlier_ = Earlier::kFound;
  earlier_zones_.push_back(*std::move(found));
}

std::optional<Zone> SessionZone::TakeEarlier() {
  if (earlier_zones_.empty()) return std::nullopt;
  Zone zone = std::move(earlier_zones_.back());
  earlier_zones_.pop_back();
  return zone;
}

// Under another name until the snapshot has been read: who finds it reads none.
Result<SessionZone> SessionZone::Fresh(const Options& options, uint64_t now_ms) {
  if (options.reserved != nullptr) options.reserved->GiveBack();
  Result<Reserved> reserved = ReserveBeside(options.name, options.bytes);
  if (!reserved) return reserved.error();
  SessionTable table = SessionTable::Format(reserved->zone_->data(), reserved->zone_->size(),
                                            options.secret.value_or(RandomSipKey()));
  table.SetPolicy(options.policy);
  const Snapshots snapshots = SnapshotsFor(options);
  SessionZone zone(reserved->name_, reserved->Use(), table);
  if (IsThere(snapshots.present)) zone.LoadSnapshot(snapshots.present);
  Status named = Zone::RenameNew(zone.name_, options.name);
  if (named) zone.name_ = options.name;
  if (!named && named.error().code == std::errc::file_exists) {
    if (Result<Zone> another = Zone::Open(options.name); another)  // made meanwhile
      return zone.GiveWayTo(OpenAt(options, std::move(another), now_ms));
    named = zone.TakeOtherName(options.name);
  }
  if (!named) {
    Zone::Remove(zone.name_);
    return named.error();
  }
  if (HasOtherKey(options, zone.table_)) {
    Options moved = options;
    moved.name = zone.name_;
    if (TakeBack(moved)) return OpenAt(moved, Zone::Open(moved.name), now_ms);
    return MoveOver(moved, std::move(zone.zone_), zone.table_, now_ms);
  }
  zone.FindEarlier(options, snapshots.earlier, now_ms);
  return zone;
}

// One like it, as somebody else has that.
Status SessionZone::TakeOtherName(const std::string& name) {
  const std::string taken = OtherName(name);
  Status named = Zone::RenameNew(name_, taken);
  if (!named) return named;
  name_ = taken;
  Say(LogLevel::kWarn,
      fmt::format("shared memory \"{}\" is not ours alone: \"{}\" is used instead", name, taken));
  return {};
}

Result<SessionZone> SessionZone::GiveWayTo(Result<SessionZone> another) {
  Zone::Remove(name_);
  if (another) another->lines_.insert(another->lines_.begin(), lines_.begin(), lines_.end());
  return another;
}

void SessionZone::LoadEarlier(const Options& options, const std::string& path) {
  const Status status = TryLoadEarlier(options, path);
  if (status) return;
  earlier_ = Earlier::kUnread;
  Say(LogLevel::kWarn, fmt::format("session snapshot \"{}\" is left for the next start: {}", path,
                                   status.error().message));
}

Status SessionZone::TryLoadEarlier(const Options& options, const std::string& path) {
  Result<Reserved> reserved = ReserveBeside(EarlierName(), options.bytes);
  if (!reserved) return reserved.error();
  SessionTable table = SessionTable::Format(reserved->zone_->data(), reserved->zone_->size());
  table.SetPolicy(options.policy);
  const auto loaded = LoadInto(&table, path);
  if (!loaded || loaded->moved == 0 || table.secret() == table_.secret()) return {};
  if (Status named = Zone::Rename(reserved->name_, EarlierName()); !named) return named;
  earlier_ = Earlier::kLoaded;
  earlier_zones_.push_back(reserved->Use());
  return {};
}

void SessionZone::LoadSnapshot(const std::string& path) {
  const auto loaded = LoadInto(&table_, path);
  if (!loaded) return;
  origin_ = Origin::kLoaded;
  kept_ = loaded->moved;
}

std::optional<Moved> SessionZone::LoadInto(SessionTable* table, const std::string& path) {
  const Result<Moved> loaded = Load(path, table);
  if (!loaded) {
    const std::string aside = path + ".bad";
    const bool moved = std::rename(path.c_str(), aside.c_str()) == 0;
    const std::string how = moved ? fmt::format("set aside as \"{}\"", aside) : "left where it is";
    Say(LogLevel::kWarn,
        fmt::format("session snapshot \"{}\" was {}: {}", path, how, loaded.error().message));
    return std::nullopt;
  }
  Say(loaded->moved < loaded->of ? LogLevel::kWarn : LogLevel::kNotice,
      fmt::format("{} of {} sessions loaded from \"{}\"", loaded->moved, loaded->of, path));
  return *loaded;
}

Zone SessionZone::Reserved::Use() {
  Zone zone = std::move(*zone_);
  zone_.reset();
  return zone;
}

void SessionZone::Reserved::GiveBack() {
  if (!zone_) return;
  Zone::Remove(name_);
  zone_.reset();
}

Result<SessionZone::Reserved> SessionZone::ReserveBeside(const std::string& name, size_t bytes) {
  const std::string beside = name + ".new";
  for (const std::string& left : Zone::OwnNames(beside + "~"))  // by one that was killed meanwhile
    if (auto zone = Zone::Open(left)) zone->RemoveIfAlone(left);
  std::string temporary = OtherName(beside);  // another binary may do the same just now
  Result<Zone> created = Zone::Create(temporary, bytes);
  if (!created) return created.error();
  return Reserved(std::move(temporary), *std::move(created));
}

// Under another name until it is complete, so that a crash in between loses nothing.
Result<SessionZone> SessionZone::MoveOver(const Options& options, Zone old_zone, SessionTable& old,
                                          uint64_t now_ms) {
  const bool is_there = options.reserved != nullptr && options.reserved->size() == options.bytes;
  Result<Reserved> reserved = is_there ? Result<Reserved>(std::move(*options.reserved))
                                       : ReserveBeside(options.name, options.bytes);
  if (!reserved) return reserved.error();
  const Zone& created = *reserved->zone_;
  const bool rekeyed = HasOtherKey(options, old);
  SessionTable table = SessionTable::Format(created.data(), created.size(),
                                            rekeyed ? *options.secret : RandomSipKey());
  const Moved moved = rekeyed ? Moved{} : Migrate(old, &table, now_ms);
  table.SetPolicy(options.policy);
  const Status renamed = rekeyed ? MoveBeside(reserved->name_, options.name)
                                 : Zone::Rename(reserved->name_, options.name);
  if (!renamed) return renamed.error();
  SessionZone zone(options.name, reserved->Use(), table);
  if (!rekeyed) zone.FindEarlier(options, EarlierSnapshot(options), now_ms);
  zone.earlier_zones_.push_back(std::move(old_zone));
  if (rekeyed) {
    zone.origin_ = Origin::kRekeyed;
    zone.kept_ = old.Live();
    return zone;
  }
  zone.origin_ = Origin::kMigrated;
  zone.kept_ = moved.moved;
  zone.Say(
      moved.moved < moved.of ? LogLevel::kWarn : LogLevel::kNotice,
      fmt::format("zone \"{}\" has another {}: {} of {} sessions moved, newest first", options.name,
                  old.of_earlier_layout() ? "layout" : "size", moved.moved, moved.of));
  return zone;
}

void SessionZone::Remove() {
  Zone::Remove(name_);
  Zone::Remove(EarlierName());
}

bool SessionZone::RemoveUnused(const std::string& name) {
  Place place = FindPlace(name);
  if (!place.zone) return IsNone(place.zone.error());
  const std::string beside = EarlierName(place.name);
  if (auto earlier = Zone::Open(beside)) earlier->RemoveIfAlone(beside);
  place.zone->RemoveIfAlone(place.name);
  return !place.zone->IsNamed(place.name);
}

bool SessionZone::IsSetAside(const std::string& name) { return name.ends_with(kAside); }

Status SessionZone::Rename(const std::string& name) {
  if (name == name_) return {};
  if (!IsInPlace()) return InvalidArgument("shared memory \"" + name_ + "\" is another one by now");
  if (Zone::IsTaken(name)) {
    const Result<Zone> there = Zone::Open(name);
    if (!there) return there.error();
    if (!there->alone()) return InvalidArgument("shared memory \"" + name + "\" is in use");
  }
  if (Status renamed = Zone::Rename(name_, name); !renamed) return renamed;
  if (Zone::IsTaken(EarlierName())) (void)Zone::Rename(EarlierName(), EarlierName(name));
  name_ = name;
  return {};
}

Status SessionZone::Save(const std::string& snapshot_path) {
  if (IsReplaced()) return {};
  return shm::Save(table_, snapshot_path);
}

Status SessionZone::SaveAndRemove(const std::string& snapshot_path) {
  if (Status saved = Save(snapshot_path); !saved) return saved;
  zone_.RemoveIfAlone(name_);
  return {};
}

}  // namespace limpet::shm
