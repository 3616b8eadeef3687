// What a worker asks its store, and who waits for the answer.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "worker/store/store_client.h"

namespace limpet::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

bool StoreClient::MayWait(const StoreWait* wait) {
  if (!link_.up() || !link_.circuit().closed()) {
    figures().skipped.fetch_add(1, kRelaxed);
    return false;
  }
  if (wait == nullptr || waiting_ < static_cast<size_t>(zone_.conf().max_waiting)) return true;
  figures().refused.fetch_add(1, kRelaxed);
  if (MaySay(&told_refused_ms_)) {
    zone_.Say(LogLevel::kWarn,
              fmt::format("session store \"{}\": {} requests wait for it (max_waiting): others are "
                          "treated as if it knew no session",
                          zone_.conf().name, waiting_),
              true);
  }
  return false;
}

bool StoreClient::Ask(const shm::SessionKey& session, std::span<const shm::SessionKey> former,
                      StoreWait* wait) {
  const StoreKey key = StoreKey::Of(session);
  if (unknown_.Has(key, zone_.loop().NowMs()) || !MayWait(wait)) return false;
  const auto known = by_key_.find(key);
  if (known != by_key_.end()) {
    if (wait != nullptr) questions_.at(known->second)->waiters.Join(wait);
    return true;
  }
  figures().asked.fetch_add(1, kRelaxed);
  placeless_.Forget(key);  // what it said before
  const uint64_t question = NewQuestion(key);
  by_key_.emplace(key, question);
  Sent sent{.kind = Kind::kGet, .question = question, .key = key, .last = former.empty()};
  SendGet(key, sent);
  for (const shm::SessionKey& other : former) {
    sent.of_former = true;
    sent.last = &other == &former.back();
    SendGet(StoreKey::Of(other), sent);
  }
  if (wait != nullptr) questions_.at(question)->waiters.Join(wait);
  return true;
}

void StoreClient::Check(const shm::SessionKey& session, uint64_t known_ms) {
  if (!link_.up() || in_flight_.size() > kMaxUnanswered) return;
  const StoreKey key = StoreKey::Of(session);
  SendGet(key, {.kind = Kind::kGet, .key = key, .is_check = true, .known_ms = known_ms});
}

void StoreClient::SendGet(const StoreKey& ask, Sent sent) {
  const std::string name = zone_.KeyName(ask);
  link_.Send(RespCommand({"GET", name}));
  in_flight_.push_back(sent);
  if (!AsksForAge()) return;
  link_.Send(RespCommand({"PTTL", name}));
  sent.kind = Kind::kTtl;
  in_flight_.push_back(std::move(sent));
}

bool StoreClient::AskIdle(const StoreKey& key, StoreIdleUser* user) {
  if (!link_.up() || in_flight_.size() > kMaxUnanswered) return false;
  link_.Send(RespCommand({"PTTL", zone_.KeyName(key)}));
  in_flight_.push_back({.kind = Kind::kIdle, .key = key, .user = user});
  return true;
}

void StoreClient::ForgetUser(const StoreIdleUser* user) {
  for (Sent& sent : in_flight_) {
    if (sent.user == user) sent.user = nullptr;
  }
}

// Its deadline is renewed by the first use in each period: the last one may have been that much
// later.
void StoreClient::OnIdleReply(const Sent& sent, const RespReply& reply) {
  if (reply.type == RespReply::Type::kError) Complain(reply);
  if (sent.user == nullptr) return;
  const auto rest = static_cast<uint64_t>(std::max<int64_t>(reply.integer, 0));
  const uint64_t used = rest + zone_.RenewalMs();  // of its life, at least
  const bool is_known = reply.type == RespReply::Type::kInteger && rest > 0;
  sent.user->OnIdle(sent.key, is_known && zone_.LifeMs() > used ? zone_.LifeMs() - used : 0);
}

uint64_t StoreClient::NewQuestion(const StoreKey& key) {
  const uint64_t number = ++questions_made_;
  questions_.emplace(number, std::unique_ptr<Question>(new Question{
                                 .deadline_ms = zone_.loop().NowMs() + Ms(zone_.conf().wait),
                                 .key = key,
                                 .waiters = StoreWaiters(&waiting_)}));
  by_deadline_.push_back(number);
  if (!question_timer_.armed()) question_timer_.Arm(zone_.conf().wait);
  return number;
}

void StoreClient::End(uint64_t number) {
  const auto found = questions_.find(number);
  if (found == questions_.end()) return;
  const std::unique_ptr<Question> question = std::move(found->second);
  questions_.erase(found);
  const auto shared = by_key_.find(question->key);
  if (shared != by_key_.end() && shared->second == number) by_key_.erase(shared);
  question->waiters.Tell();
}

void StoreClient::EndAll() {
  while (!questions_.empty()) End(questions_.begin()->first);
}

void StoreClient::OnQuestionTimer() {
  const uint64_t now = zone_.loop().NowMs();
  while (!by_deadline_.empty()) {
    const uint64_t number = by_deadline_.front();
    const auto found = questions_.find(number);
    if (found != questions_.end() && found->second->deadline_ms > now)
      return question_timer_.Arm(found->second->deadline_ms - now);
    by_deadline_.pop_front();
    if (found == questions_.end()) continue;
    figures().timed_out.fetch_add(1, kRelaxed);
    link_.circuit().OnTimeout();
    NoteWhetherAsking();
    End(number);
  }
}

// The record is in the zone before anybody is told.
void StoreClient::OnRecord(const Sent& sent, int64_t rest_ms) {
  const uint64_t life = zone_.LifeMs();
  const auto rest = static_cast<uint64_t>(std::max<int64_t>(rest_ms, 0));
  const uint64_t age = AsksForAge() && rest > 0 && life > rest ? life - rest : 0;
  const StoreZone::Heard heard{.source = StoreZone::Source::kAnswer,
                               .age_ms = age,
                               .known_ms = sent.known_ms,
                               .of_former = sent.of_former};
  const bool lives = sent.found && zone_.Take(sent.key, sent.record, heard);
  if (sent.is_check) return sent.found ? void() : Offer(sent.key);
  if (lives) {
    figures().found.fetch_add(1, kRelaxed);
    if (sent.of_former) Offer(sent.key);
    NoteIfPlaceless(sent);
    return End(sent.question);
  }
  if (sent.found && !sent.of_former) TellEndAgain(sent.key, sent.record);
  if (!sent.last) return;
  figures().unknown.fetch_add(1, kRelaxed);
  unknown_.Add(sent.key, zone_.loop().NowMs());
  End(sent.question);
}

// A zone that is full and gives up no session has taken none.
void StoreClient::NoteIfPlaceless(const Sent& sent) {
  const shm::SessionTable& sessions = zone_.sessions();
  if (sessions.Peek(sent.key.ToSessionKey(), BootMs()).result == shm::LookupResult::kHit) return;
  const auto record = DecodeRecord(sent.record);
  if (record) placeless_.Add(sent.key, sessions.peers().Find(record->server), zone_.loop().NowMs());
}

}  // namespace limpet::worker
