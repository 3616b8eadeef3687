// Two machines and a Redis, as far as what becomes of sessions: pure, and in steps that a schedule
// orders as it likes. Each machine has two workers with connections of their own, beside the one on
// which it follows the changes. What is sent on one connection stays in order; a connection that is
// lost loses any of it, and Redis may still do what was sent on it, later.
//
// The rules are the product's: Wins, Judge, Outbox, StoreState. What carries them out here is what
// StoreClient, StoreFollower and StoreZone do.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shm/store_state.h"
#include "worker/store/outbox.h"
#include "worker/store/record.h"
#include "worker/store/rules.h"

namespace limpet::worker::model {

struct Redis {
  struct Change {
    uint64_t id;
    uint64_t made_ms;  // of its clock: an id is both
    uint64_t tag;
    std::string record;
  };
  static constexpr size_t kMostChanges = 2;  // of one answer; a stream that is cut keeps as many

  std::map<uint64_t, std::string> records;
  std::deque<Change> stream;
  uint64_t last_id = 0;  // never the same again, as times are
  uint64_t now_ms = 0;

  std::optional<std::string> Put(uint64_t tag, const std::string& record);  // the one that is there
  std::optional<std::string> Get(uint64_t tag) const;
  bool Has(uint64_t id) const;
  std::vector<Change> After(uint64_t id) const;
  void Trim();
  void Empty();
  void Save();
  void GoBack();  // to what was saved last

 private:
  std::map<uint64_t, std::string> saved_records_;
  std::deque<Change> saved_stream_;
};

class World;

class Machine {
 public:
  static constexpr int kWorkers = 2;
  static constexpr size_t kQueue = 3;  // changes that wait: overflows are to be seen

  Machine(World& world, int number, int64_t skew_ms, std::set<std::string> servers);

  // What happens to a machine. All of it is allowed at any time.
  void Learn(int worker, uint64_t tag, const std::string& server);
  void Forget(int worker, uint64_t tag);
  // Two workers bind a session at once: the zone has the one, the other's change is the newer.
  void LearnTwice(uint64_t tag, const std::string& stays_in_zone, const std::string& newer);
  void Use(int worker, uint64_t tag);  // by a request: asks if it is not there, or unsure
  void GiveUp(uint64_t tag) { zone.erase(tag); }  // the zone was full
  void LoseNote(uint64_t tag);                    // another session's is in its place
  void Restart();                                 // with nothing

  // Connections.
  void Cut(int worker);
  void Restore(int worker);
  bool Execute(int worker);  // Redis does the next command; false: there is none
  bool Reply(int worker);    // the next answer comes; false: there is none
  void CutFollower();
  void RestoreFollower();
  bool ExecuteFollower();
  bool ReplyFollower();
  // Of those that were read from the zone when the first of them was offered. False: there is none
  // left.
  bool OfferOne();

  struct Session {
    std::string server;
    uint64_t used_ms = 0;
  };
  std::map<uint64_t, Session> zone;
  std::set<std::string> servers;
  std::map<uint64_t, shm::StoreVersion> unacknowledged;  // the newest change, if Redis has not said
  uint64_t dropped = 0;

 private:
  struct Sent {
    bool is_put = false;
    bool is_check = false;
    uint64_t tag = 0;
    uint64_t known_ms = 0;
    StoreChange change;
    std::optional<std::string> reply;
  };
  struct Connection {
    bool up = true;
    Outbox outbox{kQueue};
    std::deque<Sent> sent, answered;
  };
  enum class Asked { kNothing, kLast, kChanges };
  friend class World;

  uint64_t Wall() const;
  void Change(int worker, uint64_t tag, StoreRecord::Kind kind, const std::string& server);
  void Tell(int worker, StoreChange change);
  void Offer(int worker, uint64_t tag, const std::string& server, uint64_t known_at_wall_ms);
  void Pump(Connection* connection);
  struct Heard {
    bool is_stream = false;
    bool is_repeated = false;
    bool is_used = false;
    uint64_t known_ms = 0;
  };
  void Take(uint64_t tag, const std::string& bytes, const Heard& heard);
  Heard HowHeard(const Redis::Change& change) const;
  uint64_t LastUse(uint64_t tag) const;  // wall, rounded up
  uint64_t UnsureBefore() const;         // wall
  void OnGap();
  void BeginOffers(uint64_t used_since_ms);
  void ReadOffers();

  struct Unmap {
    void operator()(shm::StoreState* state) const;
  };

  World& world_;
  const int number_;
  const int64_t skew_ms_;
  std::unique_ptr<shm::StoreState, Unmap> state_;
  std::vector<std::unique_ptr<Connection>> workers_;

  bool follows_ = false;
  Asked asked_ = Asked::kNothing;
  bool follow_answered_ = false;
  bool last_is_there_ = false;
  std::vector<Redis::Change> follow_answer_;
  uint64_t last_id_ = 0;
  uint64_t verified_id_ = 0;  // asked for with kLast
  uint64_t asked_ms_ = 0;     // with kChanges
  bool offers_due_ = false;   // with the first answer, which is behind all that was missed
  uint64_t unsure_before_ms_ = 0;
  uint64_t heard_id_ = 0;  // applied before the last gap
  bool all_due_ = false;   // all sessions are to be offered
  uint64_t lost_ms_ = 0;
  uint64_t dropped_before_ = 0;
  uint64_t offers_as_of_ms_ = 0;  // wall
  struct Read {
    uint64_t tag = 0;
    std::string server;
    uint64_t known_at_wall_ms = 0;
  };
  std::set<uint64_t> offers_;  // to be read
  std::deque<Read> read_;
};

class World {
 public:
  World();

  Redis redis;
  uint64_t now_ms = 1'700'000'000'000;
  std::vector<std::unique_ptr<Machine>> machines;

  // By a restart: all connections are lost.
  void EmptyRedis();
  void RestoreRedis();  // with what it had saved
  // One of the commands that came on connections that are lost. False: there is none.
  bool ExecuteLate(size_t which);
  // All that is on its way arrives, until nothing is any more.
  void Settle();
  // What is not as Redis has it; "": all is in one state. Sessions that a machine has given a
  // change of up for, and has counted, are not looked at.
  std::string Difference() const;

 private:
  friend class Machine;
  void CutAll();
  struct Late {
    uint64_t tag;
    std::string record;
  };
  std::vector<Late> late_;
  uint16_t machines_made_ = 0;
};

}  // namespace limpet::worker::model
