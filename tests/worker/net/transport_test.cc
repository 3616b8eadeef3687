#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "tests/worker/net/failing_calls.h"
#include "tests/worker/net/transport_fixture.h"

namespace limpet::worker {
namespace {

TEST_F(TransportTest, DeliversAgainUntilEverythingIsRead) {
  owner_.on_readable = [this] {
    owner_.ReadSome(3);  // leaves something: the edge will not come again
    if (owner_.text.size() == 10) loop_.Stop();
  };
  owner_.transport->WantRead(true);
  Send("0123456789");
  loop_.Run();
  EXPECT_EQ(owner_.text, "0123456789");
  EXPECT_EQ(owner_.readables, 4);
}

// A handler and what happens to it, in the words of all of them.
struct Named final : TransportHandler {
  void OnReadable() override {
    char bytes[8];
    size_t n = 0;
    if (transport->Read(bytes, sizeof bytes, &n) == Io::kOk) *said += "read " + name + ' ';
  }
  void OnWritable() override {}
  void Fetch() const override { *said += "fetch " + name + ' '; }

  std::string name;
  std::string* said = nullptr;
  std::unique_ptr<Transport> transport;
  UniqueFd other;
};

TEST_F(TransportTest, TheNextOneOfAPassIsFetchedBeforeAnEventIsHandled) {
  std::string said;
  std::array<Named, 3> all;
  for (Named& one : all) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    one.name = std::to_string(&one - all.data());
    one.said = &said;
    one.other.Reset(fds[1]);
    one.transport = PlainTransport::Adopt(loop_, UniqueFd(fds[0]));
    one.transport->set_handler(&one);
    one.transport->WantRead(true);
  }
  Passes(1);
  said.clear();
  for (Named& one : all) ASSERT_EQ(::send(one.other.get(), "x", 1, 0), 1);
  Passes(1);
  EXPECT_EQ(said, "fetch 1 read 0 fetch 2 read 1 read 2 ");
}

TEST_F(TransportTest, RemembersWhatCameWhileUnwanted) {
  owner_.on_readable = [this] {
    owner_.ReadSome(100);
    loop_.Stop();
  };
  Send("abc");
  Passes(3);
  EXPECT_EQ(owner_.readables, 0);
  EXPECT_EQ(owner_.hangups, 0);  // bytes are no hangup
  owner_.transport->WantRead(true);
  EXPECT_EQ(owner_.readables, 0);  // never from within the caller
  loop_.Run();
  EXPECT_EQ(owner_.text, "abc");
}

TEST_F(TransportTest, ShortReadWaitsForTheNextEdge) {
  owner_.on_readable = [this] {
    owner_.ReadSome(100);
    loop_.Stop();
  };
  owner_.transport->WantRead(true);
  Send("abc");
  loop_.Run();
  Passes(3);
  EXPECT_EQ(owner_.readables, 1);
  Send("def");
  Passes(1);
  EXPECT_EQ(owner_.text, "abcdef");
}

TEST_F(TransportTest, SeesTheEndThatCameTogetherWithBytes) {
  owner_.on_readable = [this] {
    if (owner_.ReadSome(100) == Io::kEof) loop_.Stop();
  };
  owner_.transport->WantRead(true);
  Send("abc");
  other_.Reset();
  loop_.Run();
  EXPECT_EQ(owner_.text, "abc");
  EXPECT_EQ(owner_.last, Io::kEof);
}

TEST_F(TransportTest, SeesTheEndAfterAFullRead) {
  owner_.on_readable = [this] {
    if (owner_.ReadSome(3) == Io::kEof) loop_.Stop();
  };
  owner_.transport->WantRead(true);
  Send("abc");
  Passes(2);
  other_.Reset();
  loop_.Run();
  EXPECT_EQ(owner_.last, Io::kEof);
}

TEST_F(TransportTest, TellsAHangupOnceWhileReadingIsUnwanted) {
  Send("abc");
  other_.Reset();
  loop_.Run();
  EXPECT_EQ(owner_.hangups, 1);
  EXPECT_EQ(owner_.readables, 0);
  Passes(3);
  EXPECT_EQ(owner_.hangups, 1);
  owner_.on_readable = [this] { owner_.ReadSome(100); };
  owner_.transport->WantRead(true);
  Passes(2);
  EXPECT_EQ(owner_.text, "abc");
  EXPECT_EQ(owner_.last, Io::kEof);
}

TEST_F(TransportTest, WritableComesOncePerWish) {
  owner_.transport->WantWrite(true);
  loop_.Run();
  Passes(3);
  EXPECT_EQ(owner_.writables, 1);
}

TEST_F(TransportTest, WritableComesWhenRoomIsMade) {
  const std::string chunk(65536, 'x');
  const iovec piece{const_cast<char*>(chunk.data()), chunk.size()};
  size_t n = 0;
  while (owner_.transport->Writev(&piece, 1, false, &n) == Io::kOk) {
  }
  owner_.transport->WantWrite(true);
  Passes(3);
  EXPECT_EQ(owner_.writables, 0);
  std::string sink(1 << 20, '\0');
  while (::recv(other_.get(), sink.data(), sink.size(), 0) > 0) {
  }
  loop_.Run();
  EXPECT_EQ(owner_.writables, 1);
}

TEST_F(TransportTest, OwnerMayDiscardItFromItsCallback) {
  owner_.on_readable = [this] {
    Transport::Discard(std::move(owner_.transport));
    loop_.Stop();
  };
  owner_.transport->WantRead(true);
  owner_.transport->WantWrite(true);
  Send("abc");
  Passes(1);
  EXPECT_EQ(owner_.readables, 1);
  EXPECT_EQ(owner_.writables, 0);
  EXPECT_EQ(owner_.transport, nullptr);
}

TEST_F(TransportTest, StillIdleMeansNoBytesAndNoEnd) {
  owner_.transport->WantRead(true);
  Passes(1);
  EXPECT_TRUE(owner_.transport->StillIdle());
  owner_.transport->WantRead(false);
  Send("x");
  Passes(1);
  EXPECT_FALSE(owner_.transport->StillIdle());
}

class TcpTest : public testing::Test {
 protected:
  TcpTest() : owner_(loop_), deadline_(loop_), server_(::socket(AF_INET, SOCK_STREAM, 0)) {
    SocketAddress any = *SocketAddress::ParseIp("127.0.0.1", 0);
    EXPECT_EQ(::bind(server_.get(), any.get(), any.size()), 0);
    socklen_t size = any.capacity();
    EXPECT_EQ(::getsockname(server_.get(), any.get(), &size), 0);
    address_ = any;
  }
  int Connect() {
    auto connecting = PlainTransport::Connect(loop_, address_, {}, &owner_);
    owner_.transport = std::move(connecting.transport);
    if (connecting.errnum == EINPROGRESS) {
      loop_.Run();
      return owner_.ready;
    }
    return connecting.errnum;
  }

  Loop loop_;
  Owner owner_;
  Deadline deadline_;
  UniqueFd server_;
  SocketAddress address_;
};

TEST_F(TcpTest, ConnectTellsSuccess) {
  ASSERT_EQ(::listen(server_.get(), 5), 0);
  EXPECT_EQ(Connect(), 0);
  ASSERT_NE(owner_.transport, nullptr);
}

TEST_F(TcpTest, ConnectTellsRefusal) { EXPECT_EQ(Connect(), ECONNREFUSED); }

TEST_F(TcpTest, ConnectBindsToTheGivenAddress) {
  ASSERT_EQ(::listen(server_.get(), 5), 0);
  const SocketAddress local = *SocketAddress::ParseIp("127.0.0.77", 0);
  ConnectOptions options;
  options.bind = &local;
  auto connecting = PlainTransport::Connect(loop_, address_, options, &owner_);
  ASSERT_NE(connecting.transport, nullptr);
  SocketAddress seen;
  socklen_t size = seen.capacity();
  const UniqueFd accepted(::accept(server_.get(), seen.get(), &size));
  EXPECT_EQ(seen.HostString(), "127.0.0.77");
}

// Its client would else wait until a timeout, and so would whoever waits for the other side.
TEST_F(TransportTest, EndsWhenItCannotBeWatched) {
  failing_epoll_ctl.error = ENOMEM;
  owner_.on_readable = [this] {
    if (owner_.ReadSome(100) == Io::kEof) loop_.Stop();
  };
  owner_.transport->WantRead(true);
  loop_.Run();
  failing_epoll_ctl.error = 0;
  EXPECT_EQ(owner_.last, Io::kEof);
  char byte;
  EXPECT_EQ(::recv(other_.get(), &byte, 1, 0), 0);
}

TEST_F(TransportTest, EndsAlsoForWhoWaitsToWrite) {
  char bytes[65536] = {};
  const iovec piece{bytes, sizeof bytes};
  size_t n = 0;
  while (owner_.transport->Writev(&piece, 1, false, &n) == Io::kOk) {
  }
  failing_epoll_ctl.error = ENOSPC;
  owner_.transport->WantWrite(true);
  loop_.Run();
  failing_epoll_ctl.error = 0;
  EXPECT_EQ(owner_.writables, 1);
  EXPECT_EQ(owner_.transport->Writev(&piece, 1, false, &n), Io::kError);
  EXPECT_EQ(owner_.transport->errnum(), EPIPE);
}

// A want of our own: the server has nothing to do with it.
TEST_F(TcpTest, AConnectionThatCannotBeWatchedIsNone) {
  ASSERT_EQ(::listen(server_.get(), 5), 0);
  failing_epoll_ctl.error = ENOSPC;
  const PlainTransport::Connecting made = PlainTransport::Connect(loop_, address_, {}, &owner_);
  failing_epoll_ctl.error = 0;
  EXPECT_EQ(made.transport, nullptr);
  EXPECT_EQ(made.errnum, ENOSPC);
  EXPECT_TRUE(made.ours);
}

// libevent shows a reset as plain readability: one that comes in the same edge as bytes has to be
// looked for.
class ResetTest : public TcpTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(::listen(server_.get(), 5), 0);
    ASSERT_EQ(Connect(), 0);
    peer_ = UniqueFd(::accept(server_.get(), nullptr, nullptr));
  }
  // Both are there before the loop looks.
  void SendBytesAndReset() {
    ASSERT_EQ(::send(peer_.get(), "abc", 3, 0), 3);
    const linger reset{1, 0};
    ::setsockopt(peer_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    peer_.Reset();
  }
  template <typename Condition>
  void RunUntil(Condition reached) {
    while (!reached() && !testing::Test::HasFailure()) loop_.RunOnce();
  }

  UniqueFd peer_;
};

TEST_F(ResetTest, IsFoundWhereItCameTogetherWithBytes) {
  SendBytesAndReset();
  owner_.on_readable = [this] { owner_.ReadSome(100); };
  owner_.transport->WantRead(true);
  RunUntil([this] { return owner_.last == Io::kError; });
  EXPECT_EQ(owner_.text, "abc");
  EXPECT_EQ(owner_.transport->errnum(), ECONNRESET);
}

// A head that is whole: reading pauses, and goes on when the other side is ready.
TEST_F(ResetTest, IsFoundByAReaderThatPaused) {
  SendBytesAndReset();
  owner_.on_readable = [this] {
    owner_.ReadSome(100);
    owner_.transport->WantRead(false);
  };
  owner_.transport->WantRead(true);
  RunUntil([this] { return owner_.readables == 1; });
  ASSERT_EQ(owner_.text, "abc");
  ASSERT_EQ(owner_.last, Io::kOk);
  owner_.transport->WantRead(true);
  RunUntil([this] { return owner_.last == Io::kError; });
  EXPECT_EQ(owner_.transport->errnum(), ECONNRESET);
}

TEST_F(ResetTest, IsAHangupBehindBytesThatNobodyWants) {
  owner_.transport->WantRead(false);
  SendBytesAndReset();
  RunUntil([this] { return owner_.hangups == 1; });
  EXPECT_TRUE(owner_.transport->is_reset());
  EXPECT_EQ(owner_.readables, 0);
}

// A client may end its direction first: that is no reset, and one that comes later is told, too.
TEST_F(ResetTest, IsAHangupAlsoBehindTheEnd) {
  owner_.transport->WantRead(false);
  ASSERT_EQ(::send(peer_.get(), "abc", 3, 0), 3);
  ::shutdown(peer_.get(), SHUT_WR);
  RunUntil([this] { return owner_.hangups == 1; });
  EXPECT_FALSE(owner_.transport->is_reset());
  const linger reset{1, 0};
  ::setsockopt(peer_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  peer_.Reset();
  RunUntil([this] { return owner_.hangups == 2; });
  EXPECT_TRUE(owner_.transport->is_reset());
  EXPECT_EQ(owner_.readables, 0);
}

// A keep-alive connection has answered since its last read: it is not looked at again.
TEST_F(ResetTest, IsNotLookedForAfterAWriteThatWentWell) {
  ASSERT_EQ(::send(peer_.get(), "abc", 3, 0), 3);
  owner_.on_readable = [this] {
    owner_.ReadSome(100);
    owner_.transport->WantRead(false);
  };
  owner_.transport->WantRead(true);
  RunUntil([this] { return owner_.readables == 1; });
  const iovec answer{const_cast<char*>("x"), 1};
  size_t n = 0;
  ASSERT_EQ(owner_.transport->Writev(&answer, 1, false, &n), Io::kOk);
  owner_.transport->WantRead(true);
  bool later = false;
  struct Later {
    bool& passed;
    void Fire() { passed = true; }
  } end{later};
  Timer timer(loop_, Callback::To<&Later::Fire>(&end));
  timer.Arm(120);
  RunUntil([&] { return later; });
  EXPECT_EQ(owner_.readables, 1);
}

}  // namespace
}  // namespace limpet::worker
