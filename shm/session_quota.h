// How many sessions each client has in a session zone, and how fast it begins them: for the quota=
// and new_rate= of sticky learn. A client is a key of the configuration's: an address, a network,
// any text. Shared by all workers, and kept over reloads and by a binary that takes this one's
// place.
//
// Sessions end in the zone without anybody hearing of it: collected, given up, logged out. So what
// is kept here is which sessions a client has begun, and they are looked for in the zone when it
// matters: who has as many as it may gets a new one if one of its older ones has gone. Some are
// looked at each time, in turn, so that one that has gone is found after some tries at the latest.
// So a client is never counted fewer than it has, with two exceptions. There is room for half as
// many clients as the zone holds sessions: where more come, the one that has not tried for longest
// begins at none. And all do after a restart, when the zone gets another size or the quota another
// key, and if a worker dies inside (the table is emptied then).
//
// Sessions that came by other ways (from a session_store, a snapshot) are not counted.
//
// Any worker may call, under the table's lock for some microseconds; may throw LockBusy. Times are
// CLOCK_BOOTTIME milliseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/hash.h"
#include "shm/key_table.h"
#include "shm/session_table.h"
#include "shm/use_order.h"

namespace limpet::shm {

class SessionQuota {
 public:
  // In thousandths, as LimitReqTable counts; 0: no limit.
  struct Limits {
    uint32_t sessions = 0;
    uint64_t rate = 0;  // a second
    uint64_t burst = 0;
  };
  enum class Verdict : uint8_t { kAdmitted, kOverQuota, kOverRate };
  struct Standing {
    uint32_t sessions = 0;  // that it has begun, and that are not known to have gone
    uint64_t excess = 0;    // that one more would make
  };

  // For a zone that holds so many sessions.
  static size_t BytesFor(uint64_t sessions);
  // Formats fresh memory, all zero, or goes on with a table of this layout; before any fork.
  SessionQuota(std::byte* memory, size_t bytes);

  // Whose sessions are counted, as the configuration says it: if it was another key, all begin
  // anew.
  void UseKey(std::string_view as_written);

  Digest128 ClientOf(std::string_view value) const { return table_.KeyOf(value); }
  // A session that is not in `zone` yet is about to be learned; if it may be, it is counted.
  Verdict Admit(const Digest128& client, const SessionKey& session, const Limits& limits,
                const SessionTable& zone, uint64_t now_ms);
  // Changes nothing.
  Standing Peek(const Digest128& client, const Limits& limits, uint64_t now_ms);

  uint32_t clients() const { return table_.used(); }

  // Raise the number when a count, a charge or a clock comes to mean something else; see
  // KeyTable::LayoutOf.
  static constexpr uint64_t Layout() { return Table::LayoutOf(1); }

 private:
  struct Charge {  // of one session to the client that has begun it
    uint64_t tag;
    uint32_t next;  // of the same client, in a ring; or of the free ones
    uint16_t extra;
    uint16_t unused;
  };
  static_assert(sizeof(Charge) == 16);
  struct Client {
    Digest128 key{};
    uint32_t next = 0;
    uint32_t newer = 0, older = 0;  // in the order of their last tries
    uint32_t sessions = 0;
    uint32_t newest = 0;  // charge, if there are sessions; the oldest follows it
    uint32_t unused = 0;
    uint64_t last_ms = 0;  // of `excess`
    uint64_t excess = 0;
  };
  static_assert(sizeof(Client) == 56);
  struct Root : UseOrder {
    uint32_t free = UINT32_MAX;  // charge
    uint32_t begun = 0;          // charges from there on have never been used
    uint64_t key_hash = 0;
  };
  using Table = KeyTable<Client, Root>;
  using Guard = EmptyingGuard<Table>;

  static size_t ClientBytes(size_t bytes);
  uint32_t Find(const Digest128& client);  // one there is room for; kNone: there is none at all
  void Add(uint32_t client, const SessionKey& session);
  void FreeOldest(uint32_t client);
  void DropEnded(uint32_t client, uint32_t looks, const SessionTable& zone, uint64_t now_ms);
  void ForgetOldestClient();
  uint32_t TakeCharge();

  Table table_;
  Charge* charges_;
  uint32_t charge_count_;
};

}  // namespace limpet::shm
