#include "shm/lease.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>

#include "shm/zone.h"

namespace limpet::shm {
namespace {

// A mutex that children share.
struct Shared {
  Zone zone = *Zone::Anonymous(4096);
  RobustMutex* mutex = new (zone.data()) RobustMutex;
  Shared() { mutex->Init(); }
};

// A child that takes the lease, says so, and lives until it is killed.
pid_t StartHolder(RobustMutex* mutex) {
  int pipes[2];
  EXPECT_EQ(::pipe(pipes), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Lease lease(mutex);
    const char taken = lease.TryTake() ? 'y' : 'n';
    (void)!::write(pipes[1], &taken, 1);
    for (;;) ::pause();
  }
  char taken = 0;
  EXPECT_EQ(::read(pipes[0], &taken, 1), 1);
  EXPECT_EQ(taken, 'y');
  ::close(pipes[0]);
  ::close(pipes[1]);
  return child;
}

void Kill(pid_t child) {
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST(Lease, OneHasItUntilItReleases) {
  const Shared shared;
  Lease first(shared.mutex), second(shared.mutex);
  EXPECT_TRUE(first.TryTake());
  EXPECT_TRUE(first.TryTake());
  EXPECT_FALSE(second.TryTake());
  first.Release();
  EXPECT_FALSE(first.held());
  EXPECT_TRUE(second.TryTake());
}

TEST(Lease, PassesOnWhenItsHolderIsKilled) {
  const Shared shared;
  const pid_t child = StartHolder(shared.mutex);
  Lease lease(shared.mutex);
  EXPECT_FALSE(lease.TryTake());
  Kill(child);
  EXPECT_TRUE(lease.TryTake());
  lease.Release();
  const pid_t next = StartHolder(shared.mutex);  // and is a lease as before
  EXPECT_FALSE(lease.TryTake());
  Kill(next);
  EXPECT_TRUE(lease.TryTake());
}

TEST(Lease, WithoutMutexIsEverybodysOwn) {
  Lease first(nullptr), second(nullptr);
  EXPECT_TRUE(first.TryTake());
  EXPECT_TRUE(second.TryTake());
}

}  // namespace
}  // namespace limpet::shm
