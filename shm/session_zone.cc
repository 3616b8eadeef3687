#include "shm/session_zone.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace limpet::shm {

Result<SessionZone> SessionZone::OpenOrCreate(const Options& options, uint64_t now_ms) {
  if (SessionTable::CapacityFor(options.bytes) == 0) {
    return InvalidArgument("zone \"" + options.name + "\" is too small");
  }
  Result<Zone> opened = Zone::Open(options.name);
  if (!opened && opened.error().code == std::errc::no_such_file_or_directory) {
    return Fresh(options, now_ms);
  }
  Result<SessionTable> table = opened ? SessionTable::Attach(opened->data(), opened->size())
                                      : Result<SessionTable>(opened.error());
  if (opened ? !table : opened.error().code == std::errc::invalid_argument) {
    const std::string aside = options.name + ".bad";
    if (Status renamed = Zone::Rename(options.name, aside); !renamed) return renamed.error();
    Result<SessionZone> fresh = Fresh(options, now_ms);
    if (fresh) {
      fresh->Say(LogLevel::kWarn, fmt::format("shared memory \"{}\" was set aside as \"{}\": {}",
                                              options.name, aside, table.error().message));
    }
    return fresh;
  }
  if (!opened) return opened.error();
  if (opened->size() != options.bytes) return MoveOver(options, *table, now_ms);

  table->SetPolicy(options.policy);
  const bool crashed = opened->alone();  // else others work with it: a reload, or a new binary
  const uint64_t kept = crashed ? table->RepairAll(true, now_ms) : table->Live();
  SessionZone zone(*std::move(opened), *table);
  zone.origin_ = Origin::kReattached;
  zone.kept_ = kept;
  if (crashed) {
    zone.Say(LogLevel::kNotice,
             fmt::format("shared memory \"{}\" was found, checked and repaired: {} sessions kept",
                         options.name, kept));
  }
  return zone;
}

Result<SessionZone> SessionZone::Fresh(const Options& options, uint64_t) {
  Result<Zone> created = Zone::Create(options.name, options.bytes);
  if (!created) return created.error();
  SessionTable table = SessionTable::Format(created->data(), created->size());
  table.SetPolicy(options.policy);
  SessionZone zone(*std::move(created), table);
  if (!options.snapshot_path.empty() && ::access(options.snapshot_path.c_str(), F_OK) == 0) {
    zone.LoadSnapshot(options.snapshot_path);
  }
  return zone;
}

void SessionZone::LoadSnapshot(const std::string& path) {
  const Result<Moved> loaded = Load(path, &table_);
  if (!loaded) {
    const std::string aside = path + ".bad";
    std::rename(path.c_str(), aside.c_str());
    Say(LogLevel::kWarn, fmt::format("session snapshot \"{}\" was set aside as \"{}\": {}", path,
                                     aside, loaded.error().message));
    return;
  }
  ::unlink(path.c_str());  // from now on the shared memory is what counts
  origin_ = Origin::kLoaded;
  kept_ = loaded->moved;
  Say(loaded->moved < loaded->of ? LogLevel::kWarn : LogLevel::kNotice,
      fmt::format("{} of {} sessions loaded from \"{}\"", loaded->moved, loaded->of, path));
}

// Under another name until it is complete, so that a crash in between loses nothing.
Result<SessionZone> SessionZone::MoveOver(const Options& options, SessionTable& old,
                                          uint64_t now_ms) {
  const std::string temporary = options.name + ".new";
  Zone::Remove(temporary);
  Result<Zone> created = Zone::Create(temporary, options.bytes);
  if (!created) return created.error();
  SessionTable table = SessionTable::Format(created->data(), created->size());
  const Moved moved = Migrate(old, &table, now_ms);
  table.SetPolicy(options.policy);
  if (Status renamed = Zone::Rename(temporary, options.name); !renamed) {
    Zone::Remove(temporary);
    return renamed.error();
  }
  SessionZone zone(*std::move(created), table);
  zone.origin_ = Origin::kMigrated;
  zone.kept_ = moved.moved;
  zone.Say(moved.moved < moved.of ? LogLevel::kWarn : LogLevel::kNotice,
           fmt::format("zone \"{}\" has another size: {} of {} sessions moved, newest first",
                       options.name, moved.moved, moved.of));
  return zone;
}

Status SessionZone::SaveAndRemove(const std::string& snapshot_path) {
  if (!zone_.HasItsName()) return {};  // what a newer one has is newer
  if (Status saved = Save(table_, snapshot_path); !saved) return saved;
  zone_.RemoveIfAlone();
  return {};
}

}  // namespace limpet::shm
