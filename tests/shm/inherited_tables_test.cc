// Two binaries at one table: each maps the same memory, with a handle of its own.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>

#include "shm/counters.h"
#include "shm/limit_conn_table.h"
#include "shm/limit_req_table.h"
#include "shm/tls_session_table.h"
#include "shm/zone.h"

namespace limpet::shm {
namespace {

template <class Table>
struct TwoBinaries {
  explicit TwoBinaries(size_t bytes = 65536)
      : old_memory(*Zone::Nameless(bytes)),
        old_one(old_memory.data(), bytes),
        new_memory(
            *Zone::FromDescriptor(UniqueFd(::fcntl(old_memory.fd(), F_DUPFD_CLOEXEC, 0)), bytes)),
        new_one(new_memory.data(), bytes) {}
  Zone old_memory;
  Table old_one;
  Zone new_memory;
  Table new_one;
};

TEST(InheritedTables, OneRateIsEnforcedByBoth) {
  TwoBinaries<LimitReqTable> tables;
  const auto key = tables.old_one.KeyOf("client");
  EXPECT_EQ(key, tables.new_one.KeyOf("client"));
  tables.old_one.Account(key, 1, 0, 5000);
  EXPECT_GT(tables.new_one.Account(key, 1, 0, 5001), 0u);
}

TEST(InheritedTables, SessionsAndTicketsAreThose) {
  TwoBinaries<TlsSessionTable> tables;
  tables.old_one.Keep("id", "session", 9000);
  EXPECT_EQ(tables.new_one.Find("id", 5000), "session");
  const auto tickets = tables.old_one.Tickets(1000, 5000);
  EXPECT_EQ(tables.new_one.Tickets(1000, 5001)[0].name, tickets[0].name);
}

TEST(InheritedTables, ATableWhoseMakerDiedBeforeTheEndIsMadeAnew) {
  const Zone memory = *Zone::Nameless(65536);
  std::memset(memory.data() + sizeof(uint32_t), 0xab, memory.size() - sizeof(uint32_t));
  LimitReqTable table(memory.data(), memory.size());
  EXPECT_EQ(table.used(), 0u);
  table.Account(table.KeyOf("a"), 1, 0, 5000);
  EXPECT_EQ(table.used(), 1u);
}

using Verdict = LimitConnTable::Verdict;

struct TwoOfPlaces : TwoBinaries<LimitConnTable> {
  TwoOfPlaces() { new_one.SetFirstSlot(kMaxWorkerSlots); }
  Digest128 key = old_one.KeyOf("client");
};

TEST(InheritedPlaces, AreCountedTogetherAndGivenBackByTheirOwner) {
  TwoOfPlaces tables;
  EXPECT_EQ(tables.old_one.Take(tables.key, 2, 0), Verdict::kTaken);
  EXPECT_EQ(tables.new_one.Take(tables.key, 2, 0), Verdict::kTaken);
  EXPECT_EQ(tables.new_one.Take(tables.key, 2, 0), Verdict::kLimited);
  EXPECT_EQ(tables.old_one.Take(tables.key, 2, 0), Verdict::kLimited);
  tables.new_one.Release(tables.key, 0);
  EXPECT_EQ(tables.new_one.Count(tables.key), 1u);
  tables.new_one.Release(tables.key, 0);
  EXPECT_EQ(tables.new_one.Count(tables.key), 1u) << "the other one's place is not ours";
}

TEST(InheritedPlaces, OfADeadWorkerAreThoseOfItsBinaryOnly) {
  TwoOfPlaces tables;
  tables.old_one.Take(tables.key, 9, 3);
  tables.new_one.Take(tables.key, 9, 3);
  tables.new_one.Take(tables.key, 9, kMaxWorkerSlots - 1);
  tables.new_one.ForgetWorker(3);
  EXPECT_EQ(tables.old_one.Count(tables.key), 2u);
  tables.old_one.ForgetWorker(3);
  EXPECT_EQ(tables.old_one.Count(tables.key), 1u);
}

TEST(InheritedPlaces, AreFreeWhenTheOtherBinaryHasGone) {
  for (const bool old_stays : {true, false}) {
    TwoOfPlaces tables;
    LimitConnTable& stays = old_stays ? tables.old_one : tables.new_one;
    LimitConnTable& gone = old_stays ? tables.new_one : tables.old_one;
    for (const int slot : {0, kMaxWorkerSlots - 1}) {
      gone.Take(tables.key, 9, slot);
      stays.Take(tables.key, 9, slot);
    }
    stays.KeepOnlyOwn();
    EXPECT_EQ(stays.Count(tables.key), 2u);
    EXPECT_EQ(stays.used(), 2u);
  }
}

// Workers outlive a master that was killed until their requests are done.
TEST(InheritedPlaces, WorkersWithoutAMasterDoNoHarm) {
  TwoOfPlaces tables;
  tables.old_one.Take(tables.key, 9, 0);
  tables.new_one.Take(tables.key, 9, 0);
  tables.new_one.KeepOnlyOwn();
  tables.old_one.Release(tables.key, 0);  // what has been freed meanwhile
  EXPECT_EQ(tables.new_one.Count(tables.key), 1u);
  EXPECT_EQ(tables.old_one.Take(tables.key, 1, 0), Verdict::kLimited);
  EXPECT_EQ(tables.old_one.Take(tables.key, 9, 0), Verdict::kTaken);
  EXPECT_EQ(tables.new_one.Count(tables.key), 1u) << "nobody would free it";
  tables.old_one.Release(tables.key, 0);
  EXPECT_EQ(tables.new_one.Count(tables.key), 1u);
}

TEST(InheritedPlaces, TheNextBinaryIsAdmittedAgain) {
  TwoOfPlaces tables;
  tables.new_one.KeepOnlyOwn();
  tables.new_one.AdmitOthers();
  LimitConnTable next(tables.old_memory.data(), tables.old_memory.size());
  next.SetFirstSlot(2 * kMaxWorkerSlots);
  EXPECT_EQ(next.Take(tables.key, 1, 0), Verdict::kTaken);
  EXPECT_EQ(tables.new_one.Take(tables.key, 1, 0), Verdict::kLimited);
}

}  // namespace
}  // namespace limpet::shm
