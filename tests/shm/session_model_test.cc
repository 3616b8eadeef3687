// Millions of random operations on a session table, beside a model that is plainly right: a map,
// and for each session its last use. After every operation both must say the same.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "tests/shm/table_fixture.h"

namespace limpet::shm {
namespace {

constexpr uint64_t kTimeoutMs = 60'000;

class Model {
 public:
  explicit Model(size_t bytes, bool norefresh, uint64_t seed)
      : t_(bytes, {.timeout = std::chrono::milliseconds(kTimeoutMs), .norefresh = norefresh}),
        norefresh_(norefresh),
        random_(seed) {
    for (const char* name : {"a", "b", "c"}) t_.table.PeerIndex(name);
    for (uint64_t n = 0; n < t_.table.Capacity() * 3 / 2; ++n) keys_.push_back(t_.Key(n));
  }

  void Step() {
    const uint64_t n = random_() % keys_.size();
    const auto peer = static_cast<uint16_t>(random_() % 3);
    const uint32_t dice = static_cast<uint32_t>(random_() % 1000);
    if (dice < 5) {
      t_.now += kStepMs * (1 + random_() % 3);
    } else if (dice < 500) {
      Lookup(n);
    } else if (dice < 550) {
      ASSERT_EQ(t_.table.Peek(keys_[n], t_.now).result == LookupResult::kHit, Fresh(n));
    } else if (dice < 900) {
      Learn(n, peer);
    } else if (dice < 920) {
      ASSERT_EQ(t_.table.Forget(keys_[n], t_.now), sessions_.contains(n));
      Erase(n);
    } else if (dice < 930) {
      Collect();
    } else {
      ASSERT_EQ(t_.table.Touch(keys_[n], t_.now), Fresh(n));
      if (Fresh(n)) Use(n);
    }
    ASSERT_EQ(t_.table.Live(), sessions_.size());
  }

  // Everything at once: each session by name, and the table with itself.
  void CompareAll() {
    ASSERT_EQ(t_.table.Check(t_.now), "");
    std::unordered_map<uint16_t, uint64_t> per_peer;
    for (const auto& [n, session] : sessions_) {
      const Found found = t_.table.Peek(keys_[n], t_.now);
      ASSERT_EQ(found.result, Fresh(n) ? LookupResult::kHit : LookupResult::kExpired);
      ASSERT_EQ(found.peer, Fresh(n) ? session.peer : kNoPeer);
      ++per_peer[session.peer];
    }
    for (uint16_t peer = 0; peer < 3; ++peer) ASSERT_EQ(t_.table.PeerLive(peer), per_peer[peer]);
  }

  uint64_t dropped_any() const { return dropped_any_; }
  uint64_t dropped(uint32_t kind) const { return dropped_[kind]; }
  uint64_t rotated() const { return t_.table.Sum().rotated; }

 private:
  struct Session {
    uint16_t peer;
    uint64_t used;
    bool referenced;
    UseSpan span = {};
    uint32_t Kind() const { return referenced ? 1 + GradeOf(span) : 0; }
  };
  static constexpr uint32_t kKinds = 1 + kGrades;
  static constexpr uint64_t kStepMs =
      1000;  // coarser than the table's touch, so that no use is rounded away

  using Order = std::set<std::tuple<uint32_t, uint64_t, uint64_t>>;  // kind, used, session

  void Put(uint64_t n, const Session& session) {
    Erase(n);
    sessions_[n] = session;
    order_.insert({session.Kind(), session.used, n});
  }
  void Erase(uint64_t n) {
    const auto it = sessions_.find(n);
    if (it == sessions_.end()) return;
    order_.erase({it->second.Kind(), it->second.used, n});
    sessions_.erase(it);
  }

  bool Fresh(uint64_t n) const {
    const auto it = sessions_.find(n);
    return it != sessions_.end() && t_.now - it->second.used <= kTimeoutMs;
  }
  void Use(uint64_t n) {
    const Session& session = sessions_.at(n);
    const uint32_t last = TickOf(session.used);
    const UseSpan span =
        norefresh_ ? UseSpan().Used(last, TickOf(t_.now)) : session.span.Used(last, TickOf(t_.now));
    Put(n, {session.peer, norefresh_ ? session.used : t_.now, true, span});
  }

  void Lookup(uint64_t n) {
    const Found found = t_.table.Lookup(keys_[n], t_.now);
    if (!sessions_.contains(n)) {
      ASSERT_EQ(found.result, LookupResult::kMiss);
    } else if (!Fresh(n)) {
      ASSERT_EQ(found.result, LookupResult::kExpired);
    } else {
      ASSERT_EQ(found.result, LookupResult::kHit);
      ASSERT_EQ(found.peer, sessions_[n].peer);
      Use(n);
    }
  }

  void Learn(uint64_t n, uint16_t peer) {
    const bool there = sessions_.contains(n);
    const bool fresh = Fresh(n);
    const LearnResult result = t_.table.Learn(keys_[n], peer, t_.now);
    if (fresh) {
      const bool same = sessions_[n].peer == peer;
      ASSERT_EQ(result, same ? LearnResult::kRefreshed : LearnResult::kRebound);
      sessions_[n].peer = peer;
      Use(n);
      return;
    }
    ASSERT_EQ(result, LearnResult::kCreated);
    Put(n, {peer, t_.now, false});
    if (!there && sessions_.size() > t_.table.Live()) DropVictim();
    // Once in many thousands a free slot cannot be got to a key's buckets: then one of those in
    // them goes too.
    if (sessions_.size() > t_.table.Live()) DropAny();
  }

  // One session had to go: the table says which, the model whether that was right. The oldest of
  // its kind, but for the wheel's unit of time; there is but one shard here.
  void DropVictim() {
    for (uint32_t kind = 0; kind < kKinds; ++kind) {
      if (DropAmongOldest(kind)) return void(++dropped_[kind]);
    }
    DropAny();
  }
  // Once in many thousands a free slot cannot be got to a key's buckets: then one of those in them
  // goes, or goes too.
  void DropAny() {
    ++dropped_any_;
    for (const auto& [n, session] : sessions_) {
      if (t_.table.Peek(keys_[n], t_.now).result == LookupResult::kMiss) return Erase(n);
    }
    FAIL() << "the table counts less than it holds";
  }
  bool DropAmongOldest(uint32_t wanted) {
    size_t seen = 0;
    uint64_t last_used = 0;  // that many sessions more may be older, and any number as old
    for (auto it = order_.lower_bound({wanted, 0, 0}); it != order_.end(); ++it) {
      const auto [kind, used, n] = *it;
      if (kind != wanted) break;
      if (seen++ < sessions_.size() / 64) last_used = used;
      if (used > last_used) break;
      if (t_.table.Peek(keys_[n], t_.now).result == LookupResult::kMiss) {
        Erase(n);
        return true;
      }
    }
    return false;
  }

  void Collect() {
    std::vector<uint64_t> over;
    for (const auto& [n, session] : sessions_) {
      if (!Fresh(n)) over.push_back(n);
    }
    for (const uint64_t n : over) Erase(n);
    ASSERT_EQ(t_.CollectAll(), over.size());
  }

  TestTable t_;
  bool norefresh_;
  std::mt19937_64 random_;
  std::vector<SessionKey> keys_;
  std::unordered_map<uint64_t, Session> sessions_;
  Order order_;
  uint64_t dropped_any_ = 0;
  uint64_t dropped_[kKinds] = {};
};

int Steps() {  // 5,000,000 in the long run
  const char* text = std::getenv("LIMPET_MODEL_STEPS");
  return text != nullptr ? std::atoi(text) : 600'000;
}

void Compare(bool norefresh, uint64_t seed, size_t bytes, int steps) {
  Model model(bytes, norefresh, seed);
  for (int i = 0; i < steps; ++i) {
    model.Step();
    if (testing::Test::HasFatalFailure()) FAIL() << "step " << i << " seed " << seed;
    if (i % 10'000 == 0) model.CompareAll();
  }
  model.CompareAll();
  EXPECT_GT(model.rotated(), 1'000u);
  EXPECT_LT(model.dropped_any(), model.rotated() / 10'000 + 2);
  for (uint32_t kind = 0; kind < 4; ++kind)
    testing::Test::RecordProperty("dropped_of_kind_" + std::to_string(kind),
                                  std::to_string(model.dropped(kind)));
}

TEST(SessionModel, AgreesAtEveryStep) { Compare(false, 1, 32 * 1024, Steps()); }
TEST(SessionModel, AgreesWithAbsoluteLifetimes) { Compare(true, 2, 32 * 1024, Steps() / 2); }

}  // namespace
}  // namespace limpet::shm
