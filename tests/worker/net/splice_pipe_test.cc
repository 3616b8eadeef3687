#include "worker/net/splice_pipe.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <utility>
#include <vector>

namespace limpet::worker {
namespace {

// Who is behind the pipe; the numbers of closed descriptors come again.
const UniqueFd* IdentityOf(const SplicePipe& pipe) { return pipe.read_end.get(); }

void Fill(const SplicePipe& pipe) { ASSERT_EQ(::write(pipe.write_end.get(), "bytes", 5), 5); }

bool IsEmpty(const SplicePipe& pipe) {
  char byte;
  return ::read(pipe.read_end->get(), &byte, 1) == -1;
}

TEST(SplicePipes, AnEmptyOneIsTakenAgain) {
  SplicePipes pipes;
  std::unique_ptr<SplicePipe> pipe = pipes.Take();
  const UniqueFd* const first = IdentityOf(*pipe);
  pipes.Return(std::move(pipe));
  EXPECT_EQ(IdentityOf(*pipes.Take()), first);
}

TEST(SplicePipes, OneThatIsStillBeingSentIsTakenWhenItIsEmpty) {
  SplicePipes pipes;
  std::unique_ptr<SplicePipe> pipe = pipes.Take();
  const UniqueFd* const first = IdentityOf(*pipe);
  Fill(*pipe);
  std::shared_ptr<const UniqueFd> queued = pipe->read_end;
  pipes.Return(std::move(pipe));
  char bytes[8];
  ASSERT_EQ(::read(queued->get(), bytes, sizeof bytes), 5);
  queued.reset();
  EXPECT_EQ(IdentityOf(*pipes.Take()), first);
}

TEST(SplicePipes, NobodyGetsTheBytesOfAnother) {
  SplicePipes pipes;
  std::unique_ptr<SplicePipe> broken_off = pipes.Take();
  Fill(*broken_off);
  pipes.Return(std::move(broken_off));
  std::unique_ptr<SplicePipe> pipe = pipes.Take();
  EXPECT_TRUE(IsEmpty(*pipe));

  Fill(*pipe);
  std::shared_ptr<const UniqueFd> queued = pipe->read_end;
  pipes.Return(std::move(pipe));
  EXPECT_TRUE(IsEmpty(*pipes.Take()));  // it is still on its way
  char bytes[8];
  EXPECT_EQ(::read(queued->get(), bytes, sizeof bytes), 5);

  pipe = pipes.Take();
  Fill(*pipe);
  queued = pipe->read_end;
  pipes.Return(std::move(pipe));
  queued.reset();  // the client has gone
  EXPECT_TRUE(IsEmpty(*pipes.Take()));
}

TEST(SplicePipes, LeaveDescriptorsToConnections) {
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  const rlimit few{.rlim_cur = 32, .rlim_max = old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  SplicePipes pipes;
  std::vector<std::unique_ptr<SplicePipe>> taken;
  for (std::unique_ptr<SplicePipe> pipe = pipes.Take(); pipe != nullptr; pipe = pipes.Take())
    taken.push_back(std::move(pipe));
  EXPECT_EQ(taken.size(), 4u);
  taken.pop_back();
  EXPECT_NE(pipes.Take(), nullptr);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
}

}  // namespace
}  // namespace limpet::worker
