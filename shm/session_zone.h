// A zone and the session table in it, as the master opens them: at start, at reload and after a
// crash.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "shm/session_table.h"
#include "shm/snapshot.h"
#include "shm/zone.h"

namespace limpet::shm {

class SessionZone {
 public:
  // Memory that a zone is moved to later: got before anything else is touched. What is not used is
  // given back with it.
  class Reserved {
   public:
    Reserved(std::string name, Zone zone)
        : name_(std::move(name)), zone_(std::make_unique<Zone>(std::move(zone))) {}
    Reserved(Reserved&&) = default;
    Reserved& operator=(Reserved&&) = delete;
    ~Reserved() { GiveBack(); }
    void GiveBack();
    size_t size() const { return zone_ ? zone_->size() : 0; }

   private:
    friend class SessionZone;
    Zone Use();

    std::string name_;
    std::unique_ptr<Zone> zone_;  // null: used, or given back
  };

  struct Options {
    // Of the shared memory object: unique to this limpet (prefix) and zone; no slash. Where
    // somebody else has taken it, the object's name has a tail that nobody can know before.
    std::string name;
    size_t bytes = 0;
    std::string snapshot_path;  // read if there is no shared memory object; empty: none
    SessionPolicy policy;
    // What identifiers are hashed with, if that is not the zone's own affair. Sessions under
    // another key stay in the earlier table, and are found there by their identifiers.
    std::optional<SipKey> secret;
    Reserved* reserved = nullptr;  // where the zone is to be moved; null: it is made then
  };
  struct Line {  // for the log
    LogLevel level;
    std::string text;
  };
  enum class Origin { kFresh, kReattached, kMigrated, kRekeyed, kLoaded };
  enum class Earlier {  // the sessions under the zone's earlier key
    kNone,
    kFound,   // in memory
    kLoaded,  // from their snapshot
    kUnread   // they are in their snapshot still: there was no memory for them
  };

  // Finds the object of that name and checks it, moves its sessions over if the size is another, or
  // makes a new one and reads the snapshot. What does not fit is set aside, with a warning among
  // lines(). A snapshot stays until the next one takes its place. Fails only if there is no memory
  // to be had.
  static Result<SessionZone> OpenOrCreate(const Options& options, uint64_t now_ms);

  // So many bytes for this zone, under another name.
  Result<Reserved> Reserve(size_t bytes) const { return ReserveBeside(name_, bytes); }

  SessionTable& table() { return table_; }
  const SessionTable& table() const { return table_; }
  Origin origin() const { return origin_; }
  Earlier earlier() const { return earlier_; }
  uint64_t kept() const { return kept_; }  // sessions that were found, moved or loaded
  const std::vector<Line>& lines() const { return lines_; }  // what happened, for the master to log

  // Where the sessions of kMigrated came from, and those under the zone's earlier key are: others
  // may still be using it. Each once; then none.
  std::optional<Zone> TakeEarlier();

  // The memory that keeps sessions under an earlier key has a name of its own beside the zone's, so
  // that they outlive whoever has changed the key.
  std::string EarlierName() const { return EarlierName(name_); }
  static std::string EarlierName(const std::string& name);

  bool Hold() const { return zone_.Hold(); }  // see Zone
  // False: another limpet has moved the zone (to another size, say), or somebody has removed it.
  bool IsInPlace() const { return zone_.IsNamed(name_); }
  // Another one stands there, and what that has is newer.
  bool IsReplaced() const { return !IsInPlace() && Zone::IsTaken(name_); }
  // The same memory for whoever takes what is in it; see Zone::OpenAgain.
  Result<Zone> OpenAgain() const { return zone_.OpenAgain(); }

  void Remove();
  // Unless another process works with it, or it is another one by now.
  void RemoveIfAlone() { zone_.RemoveIfAlone(name_); }
  // The zone of that name, wherever it is, that nobody uses any more. False: somebody does.
  static bool RemoveUnused(const std::string& name);
  // Whether that is memory that did not fit, and was kept for people to look at.
  static bool IsSetAside(const std::string& name);
  const std::string& name() const { return name_; }  // of the object
  // Under another name from now on. Nothing but what nobody uses is replaced there.
  Status Rename(const std::string& name);
  // While it is in use; nothing if another zone has taken its name. May throw LockBusy.
  Status Save(const std::string& snapshot_path);
  // A clean stop: writes the snapshot and gives the shared memory back. No worker may be left. If
  // another limpet works with the memory it stays; if its place has been taken nothing is written.
  Status SaveAndRemove(const std::string& snapshot_path);

 private:
  SessionZone(std::string name, Zone zone, SessionTable table)
      : name_(std::move(name)), zone_(std::move(zone)), table_(table) {}

  static Result<SessionZone> OpenAt(const Options& options, Result<Zone> opened, uint64_t now_ms);
  static Result<Reserved> ReserveBeside(const std::string& name, size_t bytes);
  static Result<SessionZone> Fresh(const Options& options, uint64_t now_ms);
  Status TakeOtherName(const std::string& name);
  Result<SessionZone> GiveWayTo(Result<SessionZone> another);  // with what is to be logged
  static Result<SessionZone> MoveOver(const Options& options, Zone old_zone, SessionTable& old,
                                      uint64_t now_ms);
  void LoadSnapshot(const std::string& path);
  std::optional<Moved> LoadInto(SessionTable* table, const std::string& path);
  void LoadEarlier(const Options& options, const std::string& path);
  Status TryLoadEarlier(const Options& options, const std::string& path);
  // In memory, or in that snapshot.
  void FindEarlier(const Options& options, const std::string& snapshot, uint64_t now_ms);
  void FindEarlierInMemory(uint64_t now_ms);
  void Say(LogLevel level, std::string text) { lines_.push_back({level, std::move(text)}); }

  std::string name_;
  Zone zone_;
  SessionTable table_;
  std::vector<Zone> earlier_zones_;
  Earlier earlier_ = Earlier::kNone;
  Origin origin_ = Origin::kFresh;
  uint64_t kept_ = 0;
  std::vector<Line> lines_;
};

}  // namespace limpet::shm
