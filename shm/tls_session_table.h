// TLS sessions that all workers share (ssl_session_cache shared:NAME:SIZE), and the keys of session
// tickets of those who name it; both stay over a reload. A session is as OpenSSL writes it, in as
// many entries as it needs. A full table forgets what was not used for longest. If a worker dies
// inside, the table is emptied: at worst some handshakes are in full, and tickets are void.
//
// What is here resumes connections: it is as secret as keys are, and wiped when it is removed. Any
// worker may call; times are CLOCK_MONOTONIC milliseconds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "shm/key_table.h"
#include "shm/use_order.h"

namespace limpet::shm {

// Of tickets: a name that they carry, and what encrypts and signs them (RFC 5077 4).
struct TicketSecret {
  std::array<unsigned char, 16> name{};
  std::array<unsigned char, 32> mac{};
  std::array<unsigned char, 32> cipher{};
};

class TlsSessionTable {
 public:
  static constexpr size_t kLongest = 4096;  // nginx's, too: a long chain of a client's certificates

  // Formats fresh memory, all zero, or goes on with a table of this layout; before any fork.
  TlsSessionTable(std::byte* memory, size_t bytes) : table_(memory, bytes) {}

  // False: it is too long.
  bool Keep(std::string_view id, std::string_view session, uint64_t until_ms);
  std::string Find(std::string_view id, uint64_t now_ms);  // "": there is none
  void Forget(std::string_view id);

  // [0] is for new tickets, [1] for those of before. They change every `life_ms`, so that a ticket
  // is good for that time at least and for twice as much at most.
  std::array<TicketSecret, 2> Tickets(uint64_t life_ms, uint64_t now_ms);

  uint32_t capacity() const { return table_.capacity(); }
  uint32_t used() const { return table_.used(); }

  // Raise the number when a session, its parts or a secret come to mean something else; see
  // KeyTable::LayoutOf.
  static constexpr uint64_t Layout() { return Table::LayoutOf(1); }

 private:
  static constexpr size_t kPartSize = 208;
  struct Entry {
    Digest128 key{};
    uint64_t until_ms = 0;
    uint32_t next = 0;
    uint32_t newer = 0, older = 0;
    uint16_t parts = 0;  // of the session
    uint16_t size = 0;   // of this part
    std::array<char, kPartSize> bytes{};
  };
  static_assert(sizeof(Entry) == 248);
  struct Root : UseOrder {
    std::array<TicketSecret, 2> tickets{};
    uint64_t tickets_until_ms = 0;  // of [0]; 0: there are none yet
  };
  using Table = KeyTable<Entry, Root>;
  using Guard = EmptyingGuard<Table>;

  Digest128 KeyOf(std::string_view id, size_t part) const;
  void RemoveParts(std::string_view id);

  Table table_;
};

}  // namespace limpet::shm
