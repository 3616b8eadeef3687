#include "shm/zone.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <string>

namespace limpet::shm {
namespace {

using testing::HasSubstr;

UniqueFd Copy(int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

TEST(NamelessZone, IsZeroAndClosedOnExec) {
  const auto zone = Zone::Nameless(8192);
  ASSERT_TRUE(zone);
  ASSERT_EQ(zone->size(), 8192u);
  for (size_t i = 0; i < zone->size(); ++i) ASSERT_EQ(zone->data()[i], std::byte{0});
  EXPECT_NE(::fcntl(zone->fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(NamelessZone, IsTheSameMemoryForWhoeverHasItsDescriptor) {
  const auto zone = Zone::Nameless(4096);
  ASSERT_TRUE(zone);
  const auto other = Zone::FromDescriptor(Copy(zone->fd()), 4096);
  ASSERT_TRUE(other) << other.error().message;
  ASSERT_NE(zone->data(), other->data());
  zone->data()[100] = std::byte{7};
  EXPECT_EQ(other->data()[100], std::byte{7});
}

bool IsTmpfs(const char* path) {
  struct statfs system {};
  return ::statfs(path, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

// 64 MiB in a container: who writes a larger zone should know what to change.
TEST(NamedZone, SaysHowMuchRoomThereIsWhereThereIsTooLittle) {
  struct statvfs folder {};
  ASSERT_EQ(::statvfs("/dev/shm", &folder), 0);
  const size_t all = size_t{folder.f_blocks} * folder.f_frsize;
  if (!IsTmpfs("/dev/shm") || all == 0) GTEST_SKIP() << "/dev/shm has no limit of its own";
  const std::string name = "limpet-zone-" + std::to_string(::getpid());
  const auto zone = Zone::Create(name, all + 4096);
  ASSERT_FALSE(zone);
  EXPECT_THAT(zone.error().message, HasSubstr("(28: No space left on device): " +
                                              std::to_string(all + 4096) + " bytes are needed"));
  EXPECT_THAT(zone.error().message,
              HasSubstr(" of " + std::to_string(all) + " are free in /dev/shm"));
  EXPECT_THAT(zone.error().message, HasSubstr("--shm-size"));
  EXPECT_FALSE(Zone::IsTaken(name));
}

TEST(NamedZone, IsOpenedAgainWhenItHasNoNameAnyMore) {
  const std::string name = "limpet-zone-" + std::to_string(::getpid());
  std::optional<Zone> zone = *Zone::Create(name, 4096);
  EXPECT_TRUE(Zone::IsTaken(name));
  Zone::Remove(name);
  EXPECT_FALSE(Zone::IsTaken(name));
  EXPECT_FALSE(zone->IsNamed(name));
  const auto again = zone->OpenAgain();
  ASSERT_TRUE(again) << again.error().message;
  zone->data()[100] = std::byte{7};
  EXPECT_EQ(again->data()[100], std::byte{7});
  EXPECT_FALSE(again->alone());
  zone.reset();
  EXPECT_TRUE(again->Alone());
}

// As a process leaves it that is killed in the instant in which it looks who else is there.
TEST(NamedZone, IsOpenedAlsoWhereItIsHeldExclusivelyForGood) {
  const std::string name = "limpet-zone-" + std::to_string(::getpid());
  { ASSERT_TRUE(Zone::Create(name, 4096)); }
  UniqueFd kin(::open(("/dev/shm/" + name).c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(kin.get(), LOCK_EX | LOCK_NB), 0);
  auto zone = Zone::Open(name);
  ASSERT_TRUE(zone) << zone.error().message;
  EXPECT_FALSE(zone->alone());
  EXPECT_FALSE(zone->Hold());
  kin.Reset();
  EXPECT_TRUE(zone->Hold());
  const auto next = Zone::Open(name);
  Zone::Remove(name);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_FALSE(next->alone());
}

TEST(NamelessZone, RefusesADescriptorOfAnythingElse) {
  const auto refused = [](UniqueFd fd, size_t bytes) {
    const auto zone = Zone::FromDescriptor(std::move(fd), bytes);
    return zone ? "none" : zone.error().message;
  };
  const auto zone = Zone::Nameless(4096);
  EXPECT_THAT(refused(Copy(zone->fd()), 8192), HasSubstr("another size"));
  EXPECT_THAT(refused(Copy(zone->fd()), 2048), HasSubstr("another size"));
  EXPECT_THAT(refused(UniqueFd(), 4096), HasSubstr("fstat"));
  EXPECT_THAT(refused(UniqueFd(::socket(AF_INET, SOCK_STREAM, 0)), 0),
              HasSubstr("no file in memory"));
  const UniqueFd exe(::open("/proc/self/exe", O_RDONLY));
  EXPECT_THAT(refused(Copy(exe.get()), static_cast<size_t>(::lseek(exe.get(), 0, SEEK_END))),
              HasSubstr("no file in memory"));
}

}  // namespace
}  // namespace limpet::shm
