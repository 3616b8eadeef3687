// A session table as a file: what a clean stop writes and the next start reads, and the move to a
// zone of another size.
//
// The file is only readable for its owner and holds no session identifier, but the secret of the
// zone's hashes. It is replaced as a whole or not at all. What is truncated, damaged or of another
// version is refused as a whole, before the table is touched.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "shm/session_table.h"

namespace limpet::shm {

struct Moved {
  uint64_t moved = 0;
  uint64_t of = 0;  // more than `moved` if the new table was too small: then the newest were moved
};

// Now, by the two clocks that ages are carried over with: the same boot by its own clock, another
// by the wall.
struct SnapshotTime {
  uint64_t boot_ms = 0;
  int64_t wall_seconds = 0;
  std::string boot_id;

  static SnapshotTime Now();
};

std::string Encode(SessionTable& table, const SnapshotTime& now);
// `table` must be empty, freshly formatted and ours alone: it takes over the snapshot's secret.
Result<Moved> Decode(std::string_view bytes, SessionTable* table, const SnapshotTime& now);

Status Save(SessionTable& table, const std::string& path,
            const SnapshotTime& now = SnapshotTime::Now());
// The same, unless there is no session: false, and no file.
Result<bool> SaveUnlessEmpty(SessionTable& table, const std::string& path,
                             const SnapshotTime& now = SnapshotTime::Now());
// What its sessions' identifiers are hashed with; nothing: there is no snapshot, or none of ours.
std::optional<SipKey> KeyOfSnapshot(const std::string& path);
Result<Moved> Load(const std::string& path, SessionTable* table,
                   const SnapshotTime& now = SnapshotTime::Now());

// Everything from one table into another, empty one: secret, peers, policy, sessions newest first.
Moved Migrate(SessionTable& from, SessionTable* to, uint64_t now_ms);

}  // namespace limpet::shm
