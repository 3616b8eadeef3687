// What a worker tells its store.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "worker/store/store_client.h"
#include "worker/store/store_script.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint64_t kAgainMs = 1000;  // after the store has taken nothing for now

// It had arrived before the connection broke; or it was only to be written anew, and is there as it
// was written first.
bool IsThere(const StoreChange& change, std::string_view record) {
  if (record == change.record) return true;
  constexpr size_t kTime = sizeof change.version.time;
  return !change.version.IsChange() && record.substr(0, kTime) == change.record.substr(0, kTime) &&
         record.substr(StoreRecord::kVersionSize) ==
             std::string_view(change.record).substr(StoreRecord::kVersionSize);
}

}  // namespace

StoreChange StoreClient::ChangeOf(const StoreKey& key, const shm::StoreVersion& version,
                                  std::string_view server) const {
  const auto kind = server.empty() ? StoreRecord::Kind::kDeleted : StoreRecord::Kind::kLives;
  return {.key = key,
          .version = version,
          .record = Encode(StoreRecord{version, kind, std::string(server)}),
          .made_ms = BootMs(),
          .life_ms = zone_.LifeMs()};
}

StoreChange StoreClient::NewChange(const StoreKey& key, std::string_view server) const {
  const uint64_t wall_ms = WallMs();
  const shm::StoreVersion version = zone_.state().Next(wall_ms);
  zone_.state().Note(key.tag, version, wall_ms, server.empty());
  return ChangeOf(key, version, server);
}

bool StoreClient::Put(const shm::SessionKey& session, std::string_view server, StoreWait* wait) {
  const StoreKey key = StoreKey::Of(session);
  unknown_.Forget(key);
  placeless_.Forget(key);
  StoreChange change = NewChange(key, server);
  change.made_ms -= AgeHere(key);
  const bool waits = wait != nullptr && TakesChanges() && MayWait(wait);
  if (waits) {
    change.ticket = NewQuestion(key);
    questions_.at(change.ticket)->waiters.Join(wait);
  }
  Tell(std::move(change));
  link_.Push();
  return waits;
}

void StoreClient::Forget(const shm::SessionKey& session) {
  const StoreKey key = StoreKey::Of(session);
  placeless_.Forget(key);
  StoreChange change = NewChange(key, "");
  if (!link_.up() && Leave(change)) return;
  Tell(std::move(change));
  link_.Push();
}

void StoreClient::Offer(const StoreKey& key, std::string_view server, uint64_t known_at_wall_ms,
                        uint64_t idle_ms) {
  if (server.empty()) return;  // it has left the zone meanwhile: that is no end of the session
  StoreChange change = ChangeOf(key, zone_.OfferedVersion(key, known_at_wall_ms), server);
  change.made_ms -= idle_ms;
  Tell(std::move(change));
}

void StoreClient::Offer(const StoreKey& key) {
  const shm::Found found = zone_.sessions().Peek(key.ToSessionKey(), BootMs());
  if (found.result != shm::LookupResult::kHit) return;
  const auto idle = static_cast<uint64_t>(found.idle.count());
  Offer(key, zone_.sessions().PeerName(found.peer), WallMs() - idle, idle);
}

void StoreClient::TellEndAgain(const StoreKey& key, std::string_view record) {
  const uint64_t end = zone_.state().NotedEnd(key.tag, WallMs());
  if (end == 0) return;
  const auto said = DecodeRecord(record);
  if (!said || said->kind == StoreRecord::Kind::kDeleted || said->version.time >= end) return;
  Tell(ChangeOf(key, {end, zone_.state().machine()}, ""));
}

void StoreClient::Pass(const StoreKey& key, const shm::StoreVersion& version,
                       std::string_view server) {
  StoreChange change = ChangeOf(key, version, server);
  change.made_ms -= AgeHere(key);
  change.is_relayed = true;
  SendChange(std::move(change));
  CountWaiting();
}

// Where the timeout runs from the begin of a session, its life in the store does, too.
uint64_t StoreClient::AgeHere(const StoreKey& key) const {
  if (!AsksForAge()) return 0;
  const shm::Found found = zone_.sessions().Peek(key.ToSessionKey(), BootMs());
  return found.result == shm::LookupResult::kHit ? static_cast<uint64_t>(found.idle.count()) : 0;
}

void StoreClient::OnPassedReply(bool taken) {
  --passed_unanswered_;
  if (!taken) passed_in_vain_ = true;
}

// A change of our own, for another worker. False: there is no room for it.
bool StoreClient::HandOver(const StoreChange& change) {
  shm::StoreRelay& relay = zone_.state().relay;
  uint16_t peer = shm::kNoPeer;
  std::string server;
  if (!change.IsEnd()) {
    const auto record = DecodeRecord(change.record);
    const shm::PeerDirectory& peers = zone_.sessions().peers();
    peer = record ? peers.Find(record->server) : shm::kNoPeer;
    if (peer == shm::kNoPeer || peers.Name(peer) != record->server) return false;
    server = record->server;
  }
  if (!change.version.IsChange() || !relay.HasRoomForWorkers()) return false;
  const shm::RelayedChange left{.tag = change.key.tag,
                                .time = change.version.time,
                                .extra = change.key.extra,
                                .peer = peer,
                                .check = shm::StoreRelay::CheckOf(server)};
  return relay.Push({&left, 1}) == 1;
}

bool StoreClient::Leave(const StoreChange& change) { return change.IsEnd() && HandOver(change); }

// Those that end sessions first. What there is no room for stays counted as waiting, until somebody
// notices that this worker has gone.
void StoreClient::HandOverAll() {
  if (backlog() == 0) return;
  std::vector<StoreChange> changes;
  for (Sent& sent : in_flight_) {
    if (sent.kind == Kind::kPut && !sent.change.is_relayed)
      changes.push_back(std::move(sent.change));
  }
  in_flight_.clear();
  unanswered_ = puts_unanswered_ = passed_unanswered_ = 0;
  for (StoreChange& change : std::exchange(put_off_, {})) changes.push_back(std::move(change));
  while (auto change = outbox_.Take()) changes.push_back(*std::move(change));
  std::stable_partition(changes.begin(), changes.end(),
                        [](const StoreChange& change) { return change.IsEnd(); });
  const auto kept = std::ranges::count_if(changes, [this](const StoreChange& change) {
    return change.version.IsChange() && !HandOver(change);
  });
  gauges_.waiting.store(static_cast<uint32_t>(kept), kRelaxed);
}

void StoreClient::Tell(StoreChange change) {
  const bool counts = change.version.IsChange();  // a renewal comes again
  if (!outbox_.Add(std::move(change)) && counts) figures().dropped.fetch_add(1, kRelaxed);
  Pump();
}

void StoreClient::Pump() {
  while (link_.up() && !again_timer_.armed() && puts_unanswered_ < most_unanswered_) {
    auto change = outbox_.Take();
    if (!change) break;
    SendChange(*std::move(change));
  }
  if (backlog() == 0) most_unanswered_ = kMaxUnanswered;  // what was put off was over by now
  CountWaiting();
  LookIfFinished();
}

void StoreClient::SendChange(StoreChange change) {
  uint64_t life = change.life_ms;
  if (life > 0 && !change.IsEnd()) {  // the session may have been used elsewhere until now
    const uint64_t age = BootMs() - change.made_ms;
    if (age >= life) return End(change.ticket);  // it is over by now
    life -= age;
  }
  link_.Send(
      RespCommand({"EVALSHA", script_hash_, "2", zone_.KeyName(change.key), zone_.StreamName(),
                   change.record, std::to_string(life), kStreamLength, Encode(change.key)}));
  ++unanswered_;
  ++puts_unanswered_;
  if (change.is_relayed) ++passed_unanswered_;
  in_flight_.push_back({.kind = Kind::kPut, .key = change.key, .change = std::move(change)});
}

void StoreClient::Renew(const shm::SessionKey& session, std::string_view server, uint64_t idle_ms) {
  if (!link_.up()) return;  // what is used meanwhile is written anew when it is back
  const StoreKey key = StoreKey::Of(session);
  StoreChange change = ChangeOf(key, zone_.OfferedVersion(key, WallMs() - idle_ms), server);
  if (!TakesChanges() || unanswered_ >= kMaxUnanswered) return Tell(std::move(change));
  link_.Send(RespCommand({"PEXPIRE", zone_.KeyName(key), std::to_string(change.life_ms)}));
  ++unanswered_;
  in_flight_.push_back({.kind = Kind::kRenew, .key = key, .change = std::move(change)});
}

void StoreClient::OnPutReply(Sent& sent, const RespReply& reply) {
  if (reply.type == RespReply::Type::kError && WillPass(reply.text)) {
    Complain(reply);
    return PutOff(std::move(sent.change));
  }
  if (sent.change.is_relayed) OnPassedReply(true);
  most_unanswered_ = kMaxUnanswered;
  switch (reply.type) {
    case RespReply::Type::kInteger:
      OnWritten(sent);
      break;
    case RespReply::Type::kString:
      if (IsThere(sent.change, reply.text)) {
        OnWritten(sent);
        break;
      }
      figures().stale.fetch_add(1, kRelaxed);
      zone_.Take(sent.key, reply.text, {.source = StoreZone::Source::kNewer});
      break;
    default:
      Complain(reply);
  }
  End(sent.change.ticket);
}

// It is told again when the store may have room, alone at first: until then all would be refused.
// Nobody waits for that.
void StoreClient::PutOff(StoreChange change) {
  const uint64_t ticket = std::exchange(change.ticket, 0);
  if (change.is_relayed) {
    OnPassedReply(false);
  } else {
    put_off_.push_back(std::move(change));
  }
  most_unanswered_ = 1;
  if (!again_timer_.armed()) again_timer_.Arm(kAgainMs);
  End(ticket);
}

void StoreClient::PutBack(StoreChange change) {
  if (change.is_relayed || (!link_.up() && Leave(change))) return;
  if (!outbox_.PutBack(std::move(change))) figures().dropped.fetch_add(1, kRelaxed);
}

void StoreClient::PutBackAll() {
  for (; !put_off_.empty(); put_off_.pop_back()) PutBack(std::move(put_off_.back()));
}

void StoreClient::OnAgainTimer() {
  PutBackAll();
  Pump();
}

// Another worker may have put an older change of ours into the zone. Mostly the stream mends that,
// but this one is not in it if another machine has said the same meanwhile. What was only written
// anew is as the zone has it, or had it before a change that is on its way.
void StoreClient::OnWritten(const Sent& sent) {
  figures().written.fetch_add(1, kRelaxed);
  if (!sent.change.version.IsChange()) return;
  const uint64_t age = BootMs() - sent.change.made_ms;
  zone_.Take(sent.key, sent.change.record, {.source = StoreZone::Source::kOwn, .age_ms = age});
}

// A session that the store has lost is written anew. So is one whose deadline it does not renew
// now, when it takes changes again.
void StoreClient::OnRenewReply(Sent& sent, const RespReply& reply) {
  if (reply.type == RespReply::Type::kError && WillPass(reply.text)) {
    Complain(reply);
    return PutOff(std::move(sent.change));
  }
  if (reply.type != RespReply::Type::kInteger) return Complain(reply);
  if (reply.integer == 0) return Tell(std::move(sent.change));
  figures().renewed.fetch_add(1, kRelaxed);
}

}  // namespace limpet::worker
