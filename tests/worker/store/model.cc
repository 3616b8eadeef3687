#include "tests/worker/store/model.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace limpet::worker::model {

using Kind = StoreRecord::Kind;

// Redis: the script of store_script.h.

std::optional<std::string> Redis::Put(uint64_t tag, const std::string& record) {
  const auto found = records.find(tag);
  const bool had = found != records.end();
  if (had && !Wins(DecodeRecord(record)->version, DecodeRecord(found->second)->version))
    return found->second;
  const bool is_news = !had || found->second.substr(StoreRecord::kVersionSize) !=
                                   record.substr(StoreRecord::kVersionSize);
  records[tag] = record;
  if (is_news) stream.push_back({++last_id, now_ms, tag, record});
  return std::nullopt;
}

std::optional<std::string> Redis::Get(uint64_t tag) const {
  const auto found = records.find(tag);
  return found != records.end() ? std::optional(found->second) : std::nullopt;
}

bool Redis::Has(uint64_t id) const {
  return std::ranges::any_of(stream, [id](const Change& change) { return change.id == id; });
}

std::vector<Redis::Change> Redis::After(uint64_t id) const {
  std::vector<Change> changes;
  for (const Change& change : stream) {
    if (change.id > id && changes.size() < kMostChanges) changes.push_back(change);
  }
  return changes;
}

void Redis::Trim() {
  while (stream.size() > kMostChanges) stream.pop_front();
}

void Redis::Empty() {
  records.clear();
  stream.clear();
}

void Redis::Save() {
  saved_records_ = records;
  saved_stream_ = stream;
}

void Redis::GoBack() {
  records = saved_records_;
  stream = saved_stream_;
}

// A machine.

void Machine::Unmap::operator()(shm::StoreState* state) const { munmap(state, sizeof *state); }

Machine::Machine(World& world, int number, int64_t skew_ms, std::set<std::string> its_servers)
    : servers(std::move(its_servers)), world_(world), number_(number), skew_ms_(skew_ms) {
  Restart();
}

void Machine::Restart() {
  zone.clear();
  unacknowledged.clear();
  workers_.clear();
  for (int i = 0; i < kWorkers; ++i) workers_.push_back(std::make_unique<Connection>());
  void* memory = mmap(nullptr, sizeof(shm::StoreState), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  state_.reset(static_cast<shm::StoreState*>(memory));
  state_->Init(++world_.machines_made_);
  last_id_ = heard_id_ = 0;
  unsure_before_ms_ = 0;
  all_due_ = false;
  dropped_before_ = dropped;
  lost_ms_ = world_.now_ms;
  offers_.clear();
  read_.clear();
  follows_ = false;
  RestoreFollower();
}

uint64_t Machine::Wall() const { return world_.now_ms + static_cast<uint64_t>(skew_ms_); }

void Machine::Learn(int worker, uint64_t tag, const std::string& server) {
  zone[tag] = {server, world_.now_ms};
  Change(worker, tag, Kind::kLives, server);
}

void Machine::Forget(int worker, uint64_t tag) {
  zone.erase(tag);
  Change(worker, tag, Kind::kDeleted, "");
}

void Machine::LearnTwice(uint64_t tag, const std::string& stays_in_zone, const std::string& newer) {
  zone[tag] = {stays_in_zone, world_.now_ms};
  Change(0, tag, Kind::kLives, stays_in_zone);
  Change(1, tag, Kind::kLives, newer);
}

void Machine::Use(int worker, uint64_t tag) {
  const auto found = zone.find(tag);
  const bool is_check = found != zone.end();
  const bool is_unsure = is_check && found->second.used_ms < unsure_before_ms_;
  const uint64_t known_ms = is_unsure ? KnownUntil(LastUse(tag), UnsureBefore(), false) : 0;
  if (is_check) found->second.used_ms = world_.now_ms;
  Connection& connection = *workers_[static_cast<size_t>(worker)];
  if (connection.up && (!is_check || is_unsure))
    connection.sent.push_back({.is_check = is_check, .tag = tag, .known_ms = known_ms});
}

void Machine::LoseNote(uint64_t tag) {
  constexpr uint64_t kNotes = 8192;
  state_->Note(tag + kNotes, {1, state_->machine()}, Wall());
}

uint64_t Machine::LastUse(uint64_t tag) const {
  const auto found = zone.find(tag);
  return found != zone.end() ? Wall() - (world_.now_ms - found->second.used_ms) + 1 : 0;
}

uint64_t Machine::UnsureBefore() const {
  return unsure_before_ms_ == 0 ? 0 : unsure_before_ms_ + static_cast<uint64_t>(skew_ms_);
}

void Machine::Change(int worker, uint64_t tag, Kind kind, const std::string& server) {
  const shm::StoreVersion version = state_->Next(Wall());
  state_->Note(tag, version, Wall());
  Tell(worker, {.key = {tag, 0},
                .version = version,
                .record = Encode(StoreRecord{version, kind, std::string(server)})});
}

void Machine::Offer(int worker, uint64_t tag, const std::string& server,
                    uint64_t known_at_wall_ms) {
  const auto version =
      OfferedAs(state_->NotedTime(tag, Wall()), known_at_wall_ms, state_->machine());
  const StoreRecord record{version, Kind::kLives, server};
  Tell(worker, {.key = {tag, 0}, .version = version, .record = Encode(record)});
}

void Machine::Tell(int worker, StoreChange change) {
  Connection& connection = *workers_[static_cast<size_t>(worker)];
  shm::StoreVersion& newest = unacknowledged[change.key.tag];
  newest = std::max(newest, change.version);
  if (!connection.outbox.Add(std::move(change))) ++dropped;
  Pump(&connection);
}

void Machine::Pump(Connection* connection) {
  while (connection->up) {
    auto change = connection->outbox.Take();
    if (!change) return;
    const uint64_t tag = change->key.tag;
    connection->sent.push_back({.is_put = true, .tag = tag, .change = *std::move(change)});
  }
}

void Machine::Cut(int worker) {
  Connection& connection = *workers_[static_cast<size_t>(worker)];
  for (const Sent& sent : connection.sent) {
    if (sent.is_put) world_.late_.push_back({sent.tag, sent.change.record});
  }
  std::deque<Sent> unanswered = std::move(connection.answered);
  for (Sent& sent : connection.sent) unanswered.push_back(std::move(sent));
  connection.sent.clear();
  connection.answered.clear();
  for (; !unanswered.empty(); unanswered.pop_back()) {
    if (unanswered.back().is_put && !connection.outbox.PutBack(std::move(unanswered.back().change)))
      ++dropped;
  }
  connection.up = false;
}

void Machine::Restore(int worker) {
  Connection& connection = *workers_[static_cast<size_t>(worker)];
  connection.up = true;
  Pump(&connection);
}

bool Machine::Execute(int worker) {
  Connection& connection = *workers_[static_cast<size_t>(worker)];
  if (connection.sent.empty()) return false;
  world_.redis.now_ms = world_.now_ms;
  Sent sent = std::move(connection.sent.front());
  connection.sent.pop_front();
  Redis& redis = world_.redis;
  sent.reply = sent.is_put ? redis.Put(sent.tag, sent.change.record) : redis.Get(sent.tag);
  connection.answered.push_back(std::move(sent));
  return true;
}

bool Machine::Reply(int worker) {
  Connection& connection = *workers_[static_cast<size_t>(worker)];
  if (connection.answered.empty()) return false;
  const Sent sent = std::move(connection.answered.front());
  connection.answered.pop_front();
  if (sent.is_put) {
    const auto newest = unacknowledged.find(sent.tag);
    if (newest != unacknowledged.end() && newest->second <= sent.change.version)
      unacknowledged.erase(newest);
  }
  if (sent.is_put && (!sent.reply || *sent.reply == sent.change.record)) {
    if (sent.change.version.IsChange()) Take(sent.tag, sent.change.record, {.is_stream = true});
  } else if (sent.reply) {
    Take(sent.tag, *sent.reply, {.is_used = !sent.is_put, .known_ms = sent.known_ms});
  } else if (const auto found = zone.find(sent.tag); sent.is_check && found != zone.end()) {
    const uint64_t idle = world_.now_ms - found->second.used_ms;
    Offer(worker, sent.tag, found->second.server, Wall() - idle);
  }
  return true;
}

// StoreZone::Take
void Machine::Take(uint64_t tag, const std::string& bytes, const Heard& heard) {
  const auto record = DecodeRecord(bytes);
  if (!record || !Credible(record->version, Wall())) std::abort();
  state_->Observe(record->version);
  const auto found = zone.find(tag);
  const bool lives = record->kind == Kind::kLives;
  const Presence here = found == zone.end()                               ? Presence::kNone
                        : lives && found->second.server == record->server ? Presence::kSame
                                                                          : Presence::kOther;
  const bool has_lived_here_since =
      lives && found != zone.end() && IsBefore(record->version, heard.known_ms);
  const Apply apply = Judge(
      *record, {.has_newer = has_lived_here_since || state_->HasNewer(tag, record->version, Wall()),
                .here = here,
                .is_echo = heard.is_stream && record->version.IsOf(state_->machine()),
                .knows_server = servers.contains(std::string(record->server)),
                .is_repeated = heard.is_repeated});
  if (apply == Apply::kForget) zone.erase(tag);
  if (apply == Apply::kLearn) {
    const uint64_t age = Wall() - std::min(Wall(), record->version.wall_ms()) + 1;
    const uint64_t used_ms = world_.now_ms - (heard.is_used ? 0 : age);
    zone[tag] = {std::string(record->server),
                 found != zone.end() ? std::max(used_ms, found->second.used_ms) : used_ms};
  }
  if (apply != Apply::kIgnore || (!heard.is_repeated && !has_lived_here_since))
    state_->Note(tag, record->version, Wall());
}

// StoreFollower

Machine::Heard Machine::HowHeard(const Redis::Change& change) const {
  const bool again = change.id <= heard_id_;
  const bool is_news = !again && (heard_id_ != 0 || change.made_ms >= UnsureBefore());
  return {.is_stream = true,
          .is_repeated = again,
          .known_ms = is_news ? 0 : KnownUntil(LastUse(change.tag), UnsureBefore(), again)};
}

void Machine::CutFollower() {
  if (!follows_) return;
  follows_ = false;
  asked_ = Asked::kNothing;
  follow_answered_ = false;
  if (lost_ms_ != 0) return;
  lost_ms_ = world_.now_ms;
  dropped_before_ = dropped;
}

void Machine::RestoreFollower() {
  if (follows_) return;
  follows_ = true;
  follow_answered_ = false;
  if (last_id_ == 0) return OnGap();
  verified_id_ = last_id_;
  asked_ = Asked::kLast;
}

bool Machine::ExecuteFollower() {
  if (asked_ == Asked::kNothing || follow_answered_) return false;
  if (asked_ == Asked::kLast) {
    last_is_there_ = world_.redis.Has(verified_id_);
  } else {
    follow_answer_ = world_.redis.After(last_id_);
    if (follow_answer_.empty() && !offers_due_) return false;  // it blocks
  }
  return follow_answered_ = true;
}

bool Machine::ReplyFollower() {
  if (!std::exchange(follow_answered_, false)) return false;
  if (asked_ == Asked::kLast) {
    if (!last_is_there_) {
      if (lost_ms_ == 0) lost_ms_ = asked_ms_;
      OnGap();
      return true;
    }
    if (lost_ms_ != 0 && all_due_) {
      offers_due_ = true;
    } else {
      if (lost_ms_ != 0 && dropped != dropped_before_) BeginOffers(lost_ms_);
      lost_ms_ = 0;
    }
    asked_ = Asked::kChanges;
    asked_ms_ = world_.now_ms;
    return true;
  }
  verified_id_ = offers_due_ ? 0 : last_id_;
  for (const Redis::Change& change : follow_answer_) {
    const Heard heard = HowHeard(change);
    Take(change.tag, change.record, heard);
    const auto here = zone.find(change.tag);
    if (!offers_due_ && heard.known_ms != 0 && here != zone.end() &&
        here->second.server != DecodeRecord(change.record)->server)
      Offer(0, change.tag, here->second.server, heard.known_ms);
    last_id_ = change.id;
  }
  if (follow_answer_.size() < Redis::kMostChanges && std::exchange(offers_due_, false)) {
    BeginOffers(0);
    lost_ms_ = 0;
  }
  // Only then can the stream have been cut in between.
  if (follow_answer_.size() == Redis::kMostChanges && verified_id_ != 0) asked_ = Asked::kLast;
  return true;
}

// Redis has not got what was read last, or nothing was: what is left of the stream is read.
void Machine::OnGap() {
  heard_id_ = std::max(heard_id_, last_id_);
  all_due_ = true;
  last_id_ = 0;
  unsure_before_ms_ = lost_ms_;
  offers_due_ = true;
  asked_ = Asked::kChanges;
  asked_ms_ = world_.now_ms;
}

void Machine::BeginOffers(uint64_t used_since_ms) {
  offers_.clear();
  read_.clear();
  for (const auto& [tag, session] : zone) {
    if (all_due_ || session.used_ms >= used_since_ms) offers_.insert(tag);
  }
  const uint64_t lost = all_due_ ? unsure_before_ms_ : lost_ms_;
  offers_as_of_ms_ = lost + static_cast<uint64_t>(skew_ms_);
}

bool Machine::OfferOne() {
  if (read_.empty()) ReadOffers();
  if (read_.empty()) {
    all_due_ = all_due_ && offers_due_;
    return false;
  }
  Offer(0, read_.front().tag, read_.front().server, read_.front().known_at_wall_ms);
  read_.pop_front();
  return true;
}

void Machine::ReadOffers() {
  for (const uint64_t tag : std::exchange(offers_, {})) {
    const auto found = zone.find(tag);
    if (found == zone.end()) continue;
    read_.push_back({tag, found->second.server, std::min(LastUse(tag), offers_as_of_ms_)});
  }
}

// The world.

World::World() {
  machines.push_back(
      std::make_unique<Machine>(*this, 0, 10'000, std::set<std::string>{"one", "two", "three"}));
  machines.push_back(std::make_unique<Machine>(*this, 1, 0, std::set<std::string>{"one", "two"}));
}

void World::EmptyRedis() {
  CutAll();
  redis.Empty();
}

void World::RestoreRedis() {
  CutAll();
  redis.GoBack();
}

void World::CutAll() {
  for (const auto& machine : machines) {
    for (int worker = 0; worker < Machine::kWorkers; ++worker) machine->Cut(worker);
    machine->CutFollower();
  }
  late_.clear();
}

bool World::ExecuteLate(size_t which) {
  if (late_.empty()) return false;
  const auto late = late_.begin() + static_cast<ptrdiff_t>(which % late_.size());
  redis.Put(late->tag, late->record);
  late_.erase(late);
  return true;
}

void World::Settle() {
  for (const auto& machine : machines) {
    for (int worker = 0; worker < Machine::kWorkers; ++worker) machine->Restore(worker);
    machine->RestoreFollower();
  }
  bool more = true;
  while (more) {
    ++now_ms;
    more = ExecuteLate(0);
    for (const auto& machine : machines) {
      for (int worker = 0; worker < Machine::kWorkers; ++worker) {
        while (machine->Execute(worker) || machine->Reply(worker)) more = true;
      }
      more |= machine->ExecuteFollower();
      more |= machine->ReplyFollower();
      more |= machine->OfferOne();
    }
  }
}

std::string World::Difference() const {
  std::set<uint64_t> dropped;
  for (const auto& machine : machines) {
    if (machine->unacknowledged.size() > machine->dropped) return "a change was lost, uncounted";
    for (const auto& [tag, version] : machine->unacknowledged) dropped.insert(tag);
  }
  for (const auto& machine : machines) {
    for (const auto& [tag, session] : machine->zone) {
      if (dropped.contains(tag)) continue;
      const auto bytes = redis.Get(tag);
      const auto record = bytes ? DecodeRecord(*bytes) : std::nullopt;
      const std::string there = !record                          ? "not known"
                                : record->kind == Kind::kDeleted ? "deleted"
                                                                 : std::string(record->server);
      if (there != session.server)
        return fmt::format("session {}: machine {} has it at {}, in Redis it is {}", tag,
                           machine->number_, session.server, there);
    }
  }
  return "";
}

}  // namespace limpet::worker::model
