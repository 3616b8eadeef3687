// The sessions of one zone as a store keeps them for several machines: what a worker asks of it and
// tells it. No call blocks. The zone stays what requests are served from; the store is asked when
// the zone does not know.
//
// Always: nobody waits longer than `wait`, and nobody at all while the circuit is open. What is
// told while the store is away, or takes nothing for a while, waits in the outbox; the ends of
// sessions wait in shared memory, where they outlive the worker. An answer is in the zone before
// anybody hears of it, and also when it came too late for those who asked.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shm/session_table.h"
#include "worker/net/callback.h"
#include "worker/net/loop.h"
#include "worker/store/outbox.h"
#include "worker/store/placeless.h"
#include "worker/store/store_link.h"
#include "worker/store/store_wait.h"
#include "worker/store/store_zone.h"
#include "worker/store/unknown_keys.h"

namespace limpet::worker {

// Who asks how long ago sessions were used on any machine.
class StoreIdleUser {
 public:
  // `idle_ms`: it has not been used anywhere for so long, at least. 0: not known, it is in use, or
  // the store does not know it.
  virtual void OnIdle(const StoreKey& key, uint64_t idle_ms) = 0;

 protected:
  ~StoreIdleUser() = default;
};

class StoreClient final : public StoreLink::User {
 public:
  static constexpr size_t kMaxUnanswered = 4096;  // changes on their way

  explicit StoreClient(StoreZone& zone);
  ~StoreClient();
  StoreClient(const StoreClient&) = delete;
  StoreClient& operator=(const StoreClient&) = delete;

  void Start() { link_.Start(); }
  void Stop();  // at once; who waits is told, and other workers get the changes that wait
  // The worker ends: `on_empty` is called from the loop when all changes have been taken, and at
  // the latest after connect_timeout. Then other workers get them.
  void Finish(Callback on_empty);

  // Asks for a session that the zone does not know. `former`: its keys under earlier key files.
  // True: `wait` is called, once, from the loop, when there is an answer or no time left; what was
  // found is in the zone then, or PlacelessAt tells it. False: nobody is asked; it is a miss.
  bool Ask(const shm::SessionKey& key, std::span<const shm::SessionKey> former, StoreWait* wait);
  // Where an answer has just said that it lives, if the zone had no place for it; else kNoPeer.
  uint16_t PlacelessAt(const shm::SessionKey& key) const {
    return placeless_.Find(StoreKey::Of(key), zone_.loop().NowMs());
  }
  // Asks for one that the zone has, and that may have changed elsewhere; nobody waits for it.
  // `known_ms`: see KnownUntil() in rules.h.
  void Check(const shm::SessionKey& key, uint64_t known_ms = 0);

  // How long a session has been idle everywhere: `user` is told, later and once, unless the store
  // is lost before. False: it is not there, nobody is asked. A user that goes says so.
  bool AskIdle(const StoreKey& key, StoreIdleUser* user);
  void ForgetUser(const StoreIdleUser* user);

  // The session lives at that server from now on. With `wait`: as Ask, when the store has it.
  bool Put(const shm::SessionKey& key, std::string_view server, StoreWait* wait = nullptr);
  void Forget(const shm::SessionKey& key);
  // It has been used here, and was last used `idle_ms` ago: renews its deadline there.
  void Renew(const shm::SessionKey& key, std::string_view server, uint64_t idle_ms);
  // A change of the relay, made at that time; "": the session was forgotten. It stays there until
  // none of those that were passed since BeginPassing is unanswered, and not if that was in vain:
  // the connection was lost, or the store takes nothing now.
  void Pass(const StoreKey& key, const shm::StoreVersion& version, std::string_view server);
  bool TakesPassed() const { return link_.up() && TakesChanges(); }
  void BeginPassing() { passed_in_vain_ = false; }
  size_t passed_unanswered() const { return passed_unanswered_; }
  bool passed_in_vain() const { return passed_in_vain_; }
  // Writes a session anew that lives at that server, was known to at that wall time, and was last
  // used `idle_ms` ago; or as the zone has it, if it does.
  void Offer(const StoreKey& key, std::string_view server, uint64_t known_at_wall_ms,
             uint64_t idle_ms);
  void Offer(const StoreKey& key);
  // The store has said that of a session: where this machine remembers its end, which is newer, the
  // store has lost that.
  void TellEndAgain(const StoreKey& key, std::string_view record);

  // A command was refused for a reason that another connection would not mend: counted, and said
  // once a minute.
  void Complain(const RespReply& reply);

  bool up() const { return link_.up(); }
  bool settled() const { return link_.up() || lost_; }  // whether it is there has been found out
  // Changes that are not there yet.
  size_t backlog() const { return outbox_.size() + put_off_.size() + unanswered_; }
  StoreZone& zone() { return zone_; }

 private:
  enum class Kind : uint8_t { kGet, kTtl, kPut, kRenew, kIdle };
  struct Sent {
    Kind kind;
    uint64_t question = 0;  // of kGet and kTtl
    StoreKey key{};         // under which an answer goes into the zone
    bool of_former = false;
    bool is_check = false;
    bool last = true;    // of its question
    bool found = false;  // kTtl: what kGet said
    std::string record;
    StoreIdleUser* user = nullptr;  // of kIdle; null: it has gone
    uint64_t known_ms = 0;          // of a check
    StoreChange change;             // of kPut and kRenew
  };
  struct Question {
    uint64_t deadline_ms;
    StoreKey key;
    StoreWaiters waiters;
  };
  using Questions = std::unordered_map<uint64_t, std::unique_ptr<Question>>;

  // StoreLink::User
  void OnUp() override;
  void OnReply(RespReply& reply) override;
  void OnDown() override;

  bool MayWait(const StoreWait* wait);
  uint64_t NewQuestion(const StoreKey& key);
  void End(uint64_t question);
  void EndAll();
  void SendGet(const StoreKey& ask, Sent sent);
  void OnRecord(const Sent& sent, int64_t rest_ms);
  void NoteIfPlaceless(const Sent& sent);
  void OnQuestionTimer();
  void OnIdleReply(const Sent& sent, const RespReply& reply);

  // `server` "": the session is forgotten.
  StoreChange ChangeOf(const StoreKey& key, const shm::StoreVersion& version,
                       std::string_view server) const;
  StoreChange NewChange(const StoreKey& key, std::string_view server) const;
  // False since a change was put off, until one is taken.
  bool TakesChanges() const { return !again_timer_.armed() && most_unanswered_ != 1; }
  void Tell(StoreChange change);
  void Pump();
  void SendChange(StoreChange change);
  void OnPutReply(Sent& sent, const RespReply& reply);
  void PutOff(StoreChange change);
  void PutBack(StoreChange change);
  void PutBackAll();
  void OnAgainTimer();
  void OnWritten(const Sent& sent);
  void OnRenewReply(Sent& sent, const RespReply& reply);
  void OnPassedReply(bool taken);
  void OnFinished();
  void LookIfFinished();
  bool Leave(const StoreChange& change);
  bool HandOver(const StoreChange& change);
  void HandOverAll();
  uint64_t AgeHere(const StoreKey& key) const;

  bool BreaksLink(const RespReply& reply);
  void CountWaiting();
  void NoteWhetherAsking();
  void SayLost();
  void SayBack();
  bool MaySay(uint64_t* told_ms) const;
  bool AsksForAge() const { return zone_.env().zone.norefresh; }
  shm::StoreFigures& figures() { return zone_.figures(); }

  StoreZone& zone_;
  shm::StoreWorkers::Line& gauges_;  // this worker's
  StoreLink link_;
  const std::string script_hash_;
  Outbox outbox_;
  UnknownKeys unknown_;
  Placeless placeless_;
  std::deque<Sent> in_flight_;
  size_t unanswered_ = 0;                    // changes of in_flight_
  size_t puts_unanswered_ = 0;               // of them: without renewals
  size_t most_unanswered_ = kMaxUnanswered;  // 1 from a change that was put off to one that is not
  std::vector<StoreChange> put_off_;         // in the order they were made; older than the outbox
  size_t passed_unanswered_ = 0;             // of the unanswered: those that lie in the relay
  bool passed_in_vain_ = false;
  size_t waiting_ = 0;  // StoreWaits of all questions
  uint64_t questions_made_ = 0;
  Questions questions_;
  std::unordered_map<StoreKey, uint64_t, StoreKeyHash> by_key_;  // questions that others may join
  std::deque<uint64_t> by_deadline_;
  bool lost_ = false;  // since the connection was last up, or never was
  uint64_t told_refused_ms_ = 0, told_refusal_ms_ = 0;
  Callback on_empty_;
  Timer question_timer_;
  Timer again_timer_;  // armed: nothing is told before
  Timer finish_timer_;
  Deferred finished_;
};

}  // namespace limpet::worker
