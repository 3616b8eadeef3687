#include "shm/tls_session_table.h"

#include <algorithm>
#include <cstring>

namespace limpet::shm {

Digest128 TlsSessionTable::KeyOf(std::string_view id, size_t part) const {
  std::string text(id);
  text += static_cast<char>(part);
  return table_.KeyOf(text);
}

// The first part says how many there are; some may have given way to others.
void TlsSessionTable::RemoveParts(std::string_view id) {
  const uint32_t first = table_.Find(KeyOf(id, 0));
  const size_t parts = first == Table::kNone ? 0 : table_[first].parts;
  for (size_t part = 0; part < parts; ++part) {
    const uint32_t i = table_.Find(KeyOf(id, part));
    if (i == Table::kNone) continue;
    Detach(table_, table_.root(), i);
    table_.Remove(i);
  }
}

bool TlsSessionTable::Keep(std::string_view id, std::string_view session, uint64_t until_ms) {
  if (session.empty() || session.size() > kLongest) return false;
  const Guard guard(table_);
  RemoveParts(id);
  const auto parts = static_cast<uint16_t>((session.size() + kPartSize - 1) / kPartSize);
  if (parts > table_.capacity()) return false;
  // The first part is the newest: the others go before it, and without it they are never found.
  for (size_t part = parts; part-- > 0;) {
    Entry& entry = table_[InsertNewest(table_, table_.root(), KeyOf(id, part))];
    const std::string_view bytes = session.substr(part * kPartSize, kPartSize);
    entry.until_ms = until_ms;
    entry.parts = parts;
    entry.size = static_cast<uint16_t>(bytes.size());
    std::memcpy(entry.bytes.data(), bytes.data(), bytes.size());
  }
  return true;
}

std::string TlsSessionTable::Find(std::string_view id, uint64_t now_ms) {
  const Guard guard(table_);
  std::string session;
  const uint32_t first = table_.Find(KeyOf(id, 0));
  if (first == Table::kNone) return session;
  const bool valid = table_[first].until_ms > now_ms;
  const size_t parts = table_[first].parts;
  for (size_t part = 0; valid && part < parts; ++part) {
    const uint32_t i = table_.Find(KeyOf(id, part));
    if (i == Table::kNone) {
      session.clear();
      break;
    }
    session.append(table_[i].bytes.data(), table_[i].size);
  }
  if (session.empty()) RemoveParts(id);
  return session;
}

void TlsSessionTable::Forget(std::string_view id) {
  const Guard guard(table_);
  RemoveParts(id);
}

std::array<TicketSecret, 2> TlsSessionTable::Tickets(uint64_t life_ms, uint64_t now_ms) {
  const Guard guard(table_);
  Root& root = table_.root();
  if (now_ms >= root.tickets_until_ms) {
    const bool previous_lives =
        root.tickets_until_ms != 0 && now_ms < root.tickets_until_ms + life_ms;
    if (previous_lives) {
      root.tickets[1] = root.tickets[0];
    } else {
      RandomBytes(&root.tickets[1], sizeof root.tickets[1]);  // opens nothing
    }
    RandomBytes(&root.tickets[0], sizeof root.tickets[0]);
    root.tickets_until_ms = now_ms + life_ms;
  }
  return root.tickets;
}

}  // namespace limpet::shm
