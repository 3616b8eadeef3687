#include "worker/net/output_queue.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "worker/net/splice_pipe.h"

namespace limpet::worker {
namespace {

// Takes at most `step` bytes a call and blocks after `budget`.
class FakeTransport final : public Transport {
 public:
  explicit FakeTransport(Loop& loop) : Transport(loop, UniqueFd()) {}
  Io Read(char*, size_t, size_t*) override { return Io::kWouldBlock; }
  Io Writev(const iovec* pieces, int count, bool more, size_t* n) override {
    most_pieces = std::max(most_pieces, count);
    last_more = more;
    std::string all;
    for (int i = 0; i < count; ++i) {
      all.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
    }
    return Take(all, n);
  }
  Io SendFile(int file, off_t offset, size_t size, size_t* n) override {
    std::string all(size, '\0');
    all.resize(static_cast<size_t>(::pread(file, all.data(), size, offset)));
    return Take(all, n);
  }
  bool can_splice() const override { return true; }
  Io SpliceFrom(int pipe, size_t size, bool more, size_t* n) override {
    last_more = more;
    std::string all(std::min({step, budget, size}), '\0');
    if (all.empty()) return Io::kWouldBlock;
    all.resize(static_cast<size_t>(::read(pipe, all.data(), all.size())));
    return Take(all, n);
  }
  bool StillIdle() override { return true; }

  size_t step = SIZE_MAX;
  size_t budget = SIZE_MAX;
  bool fails = false;
  std::string got;
  int most_pieces = 0;
  bool last_more = false;

 private:
  Io Take(const std::string& all, size_t* n) {
    if (fails) return Fail(EPIPE);
    *n = std::min({step, budget, all.size()});
    if (*n == 0) return Io::kWouldBlock;
    budget -= *n;
    got.append(all, 0, *n);
    return Io::kOk;
  }
};

class OutputQueueTest : public testing::Test {
 protected:
  Loop loop_;
  BlockPool pool_;
  FakeTransport transport_{loop_};
  OutputQueue queue_{pool_};
};

TEST_F(OutputQueueTest, KeepsTheOrderOfAllKindsUnderShortWrites) {
  const UniqueFd file(::memfd_create("body", 0));
  ASSERT_EQ(::write(file.get(), "0123456789", 10), 10);
  auto shared = std::make_shared<const UniqueFd>(::dup(file.get()));
  BlockRef block = pool_.Get(BlockSize::k4K);
  std::copy_n("block", 5, block.data());

  queue_.Append("head ");
  queue_.AppendStatic("static ");
  queue_.AppendBlock(block, 1, 3);
  queue_.AppendFile(shared, 2, 6);
  queue_.Append(" tail");
  EXPECT_EQ(queue_.size(), 5u + 7 + 3 + 6 + 5);
  transport_.step = 2;
  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kDrained);
  EXPECT_EQ(transport_.got, "head static loc234567 tail");
  EXPECT_EQ(queue_.sent(), 26u);
  EXPECT_EQ(shared.use_count(), 1);
}

TEST_F(OutputQueueTest, WhatIsInAPipeIsInMemoryAndKeepsItsPlace) {
  SplicePipes pipes;
  const std::unique_ptr<SplicePipe> pipe = pipes.Take();
  ASSERT_EQ(::write(pipe->write_end.get(), "0123456789", 10), 10);
  queue_.Append("a ");
  queue_.AppendPipe(pipe->read_end, 4);
  queue_.Append(" b ");
  queue_.AppendPipe(pipe->read_end, 6);
  EXPECT_EQ(queue_.memory(), 15u);
  OutputQueue framed(pool_);
  queue_.MoveTo(framed, 8);
  EXPECT_EQ(framed.memory(), 8u);
  EXPECT_EQ(queue_.memory(), 7u);

  transport_.budget = 4;
  EXPECT_EQ(framed.Flush(transport_), FlushResult::kBlocked);
  EXPECT_TRUE(transport_.last_more);  // " b" follows
  EXPECT_EQ(framed.memory(), 4u);
  transport_.budget = SIZE_MAX;
  EXPECT_EQ(framed.Flush(transport_), FlushResult::kDrained);
  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kDrained);
  EXPECT_FALSE(transport_.last_more);
  EXPECT_EQ(transport_.got, "a 0123 b 456789");
  EXPECT_EQ(pipe->read_end.use_count(), 1);
}

TEST_F(OutputQueueTest, GoesOnWhereItWasBlocked) {
  queue_.Append("0123456789");
  transport_.budget = 4;
  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kBlocked);
  EXPECT_EQ(queue_.size(), 6u);
  queue_.Append("abc");
  transport_.budget = SIZE_MAX;
  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kDrained);
  EXPECT_EQ(transport_.got, "0123456789abc");
}

TEST_F(OutputQueueTest, CoalescesSmallPieces) {
  std::string want;
  for (int i = 0; i < 1000; ++i) {
    queue_.Append("ab");
    want += "ab";
  }
  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kDrained);
  EXPECT_EQ(transport_.got, want);
  EXPECT_EQ(transport_.most_pieces, 1);
}

TEST_F(OutputQueueTest, AppendsMoreThanABlock) {
  std::string want;
  for (int i = 0; i < 20'000; ++i) want += static_cast<char>('a' + i % 26);
  queue_.Append("x");
  queue_.Append(want);
  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kDrained);
  EXPECT_EQ(transport_.got, "x" + want);
}

TEST_F(OutputQueueTest, ComposesInPlace) {
  char* to = queue_.Reserve(100);
  std::copy_n("hello", 5, to);
  queue_.Commit(5);
  queue_.Append(" world");
  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kDrained);
  EXPECT_EQ(transport_.got, "hello world");
}

TEST_F(OutputQueueTest, WritesManyPiecesInBatches) {
  std::string want;
  for (int i = 0; i < 200; ++i) {
    queue_.AppendStatic("s");
    want += "s";
  }
  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kDrained);
  EXPECT_EQ(transport_.got, want);
  EXPECT_EQ(transport_.most_pieces, 64);
  EXPECT_FALSE(transport_.last_more);
}

TEST_F(OutputQueueTest, SaysMoreBeforeAFile) {
  const UniqueFd file(::memfd_create("body", 0));
  ASSERT_EQ(::write(file.get(), "body", 4), 4);
  queue_.Append("head");
  queue_.AppendFile(std::make_shared<const UniqueFd>(::dup(file.get())), 0, 4);
  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kDrained);
  EXPECT_TRUE(transport_.last_more);
  EXPECT_EQ(transport_.got, "headbody");
}

TEST_F(OutputQueueTest, SmallPiecesOfBlocksShareOne) {
  for (int i = 0; i < 100; ++i) queue_.AppendBlock(pool_.Get(BlockSize::k16K), 0, 10);
  EXPECT_EQ(queue_.size(), 1000u);
  EXPECT_EQ(pool_.in_use(), Bytes(BlockSize::k4K));
}

TEST_F(OutputQueueTest, ReleasesBlocksAsTheyAreSent) {
  for (int i = 0; i < 3; ++i) queue_.AppendBlock(pool_.Get(BlockSize::k16K), 0, 2000);
  EXPECT_EQ(pool_.in_use(), 3 * Bytes(BlockSize::k16K));
  transport_.budget = 3000;
  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kBlocked);
  EXPECT_EQ(pool_.in_use(), 2 * Bytes(BlockSize::k16K));
  queue_.Clear();
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(OutputQueueTest, AStreamThatNeverDrainsStaysInOrder) {
  std::string want;
  transport_.budget = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string piece = std::to_string(i) + ",";
    BlockRef block = pool_.Get(BlockSize::k4K);
    std::copy(piece.begin(), piece.end(), block.data());
    queue_.AppendBlock(std::move(block), 0, piece.size());
    want += piece;
    if (i < 20) continue;  // a backlog that every later round only replaces
    transport_.budget = 3;
    EXPECT_EQ(queue_.Flush(transport_), FlushResult::kBlocked);
  }
  transport_.budget = SIZE_MAX;
  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kDrained);
  EXPECT_EQ(transport_.got, want);
}

TEST_F(OutputQueueTest, MovesAPartInItsOrder) {
  OutputQueue from(pool_);
  BlockRef block = pool_.Get(BlockSize::k4K);
  std::fill_n(block.data(), 2000, 'b');
  UniqueFd file(::memfd_create("file", MFD_CLOEXEC));
  ASSERT_EQ(::pwrite(file.get(), "0123456789", 10, 0), 10);
  from.Append("copied");
  from.AppendBlock(block, 0, 2000);
  from.AppendStatic("static");
  from.AppendFile(std::make_shared<const UniqueFd>(std::move(file)), 0, 10);

  queue_.Append("<");
  from.MoveTo(queue_, 6 + 1500);
  queue_.Append("|");
  from.MoveTo(queue_, 500 + 6 + 4);
  queue_.Append("|");
  EXPECT_EQ(from.size(), 6u);
  EXPECT_EQ(from.memory(), 0u);
  from.MoveTo(queue_, 6);
  EXPECT_TRUE(from.empty());
  EXPECT_EQ(from.sent(), 6u + 2000 + 6 + 10);

  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kDrained);
  EXPECT_EQ(transport_.got,
            "<copied" + std::string(1500, 'b') + "|" + std::string(500, 'b') + "static0123|456789");
}

TEST_F(OutputQueueTest, TellsErrors) {
  queue_.Append("x");
  transport_.fails = true;
  EXPECT_EQ(queue_.Flush(transport_), FlushResult::kError);
  EXPECT_EQ(transport_.errnum(), EPIPE);
}

TEST(BlockPool, ReusesBlocksAndCountsReferences) {
  BlockPool pool;
  BlockRef a = pool.Get(BlockSize::k4K);
  char* first = a.data();
  BlockRef b = a;
  EXPECT_FALSE(a.unique());
  a.Reset();
  EXPECT_TRUE(b.unique());
  EXPECT_EQ(pool.in_use(), 4096u);
  b.Reset();
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_EQ(pool.Get(BlockSize::k4K).data(), first);
}

}  // namespace
}  // namespace limpet::worker
