#include "shm/session_quota.h"

#include <algorithm>

#include "shm/limit_req_table.h"

namespace limpet::shm {
namespace {

constexpr uint32_t kLooks = 2;       // at a client's oldest sessions, whenever it begins one
constexpr uint32_t kLooksFull = 16;  // when it has as many as it may
constexpr size_t kLeastClients = 256;
constexpr size_t kPage = 4096;
constexpr size_t kHead = kPage;  // what a table of clients takes beside them, at most

}  // namespace

size_t SessionQuota::BytesFor(uint64_t sessions) {
  const size_t clients = std::max<size_t>(sessions / 2, kLeastClients);
  const size_t bytes =
      kHead + clients * (sizeof(Client) + 2 * sizeof(uint32_t)) + sessions * sizeof(Charge);
  return (bytes + kPage - 1) / kPage * kPage;
}

// Of the memory, as BytesFor has put it together: 32 bytes of a client for 16 of a charge.
size_t SessionQuota::ClientBytes(size_t bytes) {
  constexpr size_t kEach = sizeof(Client) + 2 * sizeof(uint32_t);
  static_assert(kEach / 2 == 2 * sizeof(Charge));
  const size_t least = std::min(bytes, kHead + kLeastClients * kEach);
  return std::max(least, kHead + (bytes - std::min(bytes, kHead)) / 3 * 2) & ~size_t{63};
}

SessionQuota::SessionQuota(std::byte* memory, size_t bytes)
    : table_(memory, ClientBytes(bytes)),
      charges_(reinterpret_cast<Charge*>(memory + ClientBytes(bytes))),
      charge_count_(static_cast<uint32_t>((bytes - ClientBytes(bytes)) / sizeof(Charge))) {}

void SessionQuota::UseKey(std::string_view as_written) {
  const Guard guard(table_);
  const uint64_t hash = table_.KeyOf(as_written)[0];
  if (table_.root().key_hash == hash) return;
  table_.Clear();
  table_.root().key_hash = hash;
}

SessionQuota::Verdict SessionQuota::Admit(const Digest128& client, const SessionKey& session,
                                          const Limits& limits, const SessionTable& zone,
                                          uint64_t now_ms) {
  const Guard guard(table_);
  const uint32_t i = Find(client);
  if (i == Table::kNone) return Verdict::kAdmitted;
  Detach(table_, table_.root(), i);
  AttachNewest(table_, table_.root(), i);
  Client& entry = table_[i];
  DropEnded(i, kLooks, zone, now_ms);
  if (limits.sessions > 0 && entry.sessions >= limits.sessions) {
    DropEnded(i, kLooksFull, zone, now_ms);
    if (entry.sessions >= limits.sessions) return Verdict::kOverQuota;
  }
  if (limits.rate > 0) {
    const auto ms = static_cast<int64_t>(now_ms - entry.last_ms);
    const uint64_t excess = entry.last_ms == 0 ? 0 : ExcessAfter(entry.excess, ms, limits.rate);
    if (excess > limits.burst) return Verdict::kOverRate;
    entry.excess = excess;
    if (entry.last_ms == 0 || ms > 0) entry.last_ms = now_ms;
  }
  if (limits.sessions > 0) Add(i, session);
  return Verdict::kAdmitted;
}

SessionQuota::Standing SessionQuota::Peek(const Digest128& client, const Limits& limits,
                                          uint64_t now_ms) {
  const Guard guard(table_);
  const uint32_t i = table_.Find(client);
  if (i == Table::kNone) return {};
  const Client& entry = table_[i];
  const auto ms = static_cast<int64_t>(now_ms - entry.last_ms);
  return {entry.sessions, entry.last_ms == 0 ? 0 : ExcessAfter(entry.excess, ms, limits.rate)};
}

uint32_t SessionQuota::Find(const Digest128& client) {
  const uint32_t i = table_.Find(client);
  if (i != Table::kNone) return i;
  if (table_.used() == table_.capacity()) ForgetOldestClient();
  return InsertNewest(table_, table_.root(), client);
}

void SessionQuota::Add(uint32_t client, const SessionKey& session) {
  const uint32_t at = TakeCharge();
  if (at == Table::kNone) return;
  const Fingerprint fingerprint = Fingerprint::Of(session.hash);
  Client& entry = table_[client];
  charges_[at] = {fingerprint.tag, at, fingerprint.extra, 0};
  if (entry.sessions > 0) {
    charges_[at].next = charges_[entry.newest].next;
    charges_[entry.newest].next = at;
  }
  entry.newest = at;
  ++entry.sessions;
}

// One that is free; else of the client that has not tried to begin one for longest; its own, the
// newest's, if there is no other.
uint32_t SessionQuota::TakeCharge() {
  Root& root = table_.root();
  if (root.free == Table::kNone && root.begun < charge_count_) return root.begun++;
  while (root.free == Table::kNone && root.oldest != root.newest) ForgetOldestClient();
  if (root.free == Table::kNone && root.newest != Table::kNone && table_[root.newest].sessions > 0)
    FreeOldest(root.newest);
  const uint32_t at = root.free;
  if (at != Table::kNone) root.free = charges_[at].next;
  return at;
}

void SessionQuota::FreeOldest(uint32_t client) {
  Client& entry = table_[client];
  const uint32_t oldest = charges_[entry.newest].next;
  charges_[entry.newest].next = charges_[oldest].next;
  charges_[oldest].next = table_.root().free;
  table_.root().free = oldest;
  --entry.sessions;
}

// Of its oldest ones; those that live go to the end of its ring.
void SessionQuota::DropEnded(uint32_t client, uint32_t looks, const SessionTable& zone,
                             uint64_t now_ms) {
  Client& entry = table_[client];
  for (looks = std::min(looks, entry.sessions); looks > 0; --looks) {
    const uint32_t oldest = charges_[entry.newest].next;
    const SessionKey session{{charges_[oldest].tag, charges_[oldest].extra}};
    if (zone.Peek(session, now_ms).result == LookupResult::kHit) {
      entry.newest = oldest;
    } else {
      FreeOldest(client);
    }
  }
}

void SessionQuota::ForgetOldestClient() {
  Root& root = table_.root();
  const uint32_t oldest = root.oldest;
  if (oldest == Table::kNone) return;
  while (table_[oldest].sessions > 0) FreeOldest(oldest);
  Detach(table_, root, oldest);
  table_.Remove(oldest);
}

}  // namespace limpet::shm
