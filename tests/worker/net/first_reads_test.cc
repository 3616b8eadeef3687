// Connections that are read before they are registered.
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "tests/worker/net/transport_fixture.h"

namespace limpet::worker {
namespace {

// How many descriptors the loop listens to.
int Registered(Loop& loop) {
  return event_base_get_num_events(loop.base(), EVENT_BASE_COUNT_ADDED);
}

// Keeps the loop busy: each pass finds an event.
struct Traffic {
  explicit Traffic(Loop& loop)
      : event(::eventfd(1, EFD_NONBLOCK)),
        watch(loop, event.get(), Callback::To<&Traffic::Ignore>(this)) {
    watch.Start();
  }
  void Ignore() {}

  UniqueFd event;
  FdWatch watch;
};

class FirstReadsTest : public TransportTest {
 protected:
  void SendARequest() {  // which is read, and served: nothing is awaited then
    owner_.on_readable = [this] {
      owner_.ReadSome(100);
      owner_.transport->WantRead(false);
    };
    Send("abc");
    owner_.transport->WantRead(true);
  }
};

TEST_F(FirstReadsTest, WhatIsReadAnsweredAndClosedIsNeverRegistered) {
  const Traffic traffic(loop_);
  const int before = Registered(loop_);
  SendARequest();
  Passes(3);
  EXPECT_EQ(owner_.text, "abc");
  EXPECT_EQ(Registered(loop_), before);
  owner_.transport->Close();
  EXPECT_EQ(Registered(loop_), before);
}

TEST_F(FirstReadsTest, WhatIsServedIsRegisteredOnceThereIsTimeForIt) {
  const int before = Registered(loop_);
  SendARequest();
  Passes(1);
  EXPECT_EQ(owner_.text, "abc");
  EXPECT_EQ(Registered(loop_), before);
  Passes(2);  // that wait for nothing but time
  EXPECT_EQ(Registered(loop_), before + 1);
  other_.Reset();
  Passes(1);
  EXPECT_EQ(owner_.hangups, 1);
}

TEST_F(FirstReadsTest, WhatIsServedByABusyLoopIsRegisteredSoon) {
  const Traffic traffic(loop_);
  SendARequest();
  Passes(1);
  other_.Reset();
  loop_.Run();
  EXPECT_EQ(owner_.hangups, 1);
}

TEST_F(FirstReadsTest, WhatWaitsForBytesIsRegisteredAtOnce) {
  const int before = Registered(loop_);
  owner_.on_readable = [this] {
    owner_.ReadSome(100);
    if (owner_.text == "abcdef") loop_.Stop();
  };
  Send("abc");
  owner_.transport->WantRead(true);
  Passes(1);
  EXPECT_EQ(owner_.text, "abc");
  EXPECT_EQ(Registered(loop_), before + 1);
  Send("def");
  loop_.Run();
}

TEST_F(FirstReadsTest, WhatWaitsForRoomIsRegisteredAtOnce) {
  char bytes[65536] = {};
  const iovec piece{bytes, sizeof bytes};
  size_t n = 0;
  while (owner_.transport->Writev(&piece, 1, false, &n) == Io::kOk) {
  }
  owner_.transport->WantWrite(true);
  Passes(2);
  EXPECT_EQ(owner_.writables, 0);
  while (::recv(other_.get(), bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
  }
  loop_.Run();
  EXPECT_EQ(owner_.writables, 1);
}

TEST_F(FirstReadsTest, WhereFirstReadsSaveNothingConnectionsAreRegisteredFirst) {
  const int before = Registered(loop_);
  int registered = 0;
  for (int i = 0; i < 100; ++i) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    const UniqueFd client(fds[1]);
    Owner owner(loop_);
    owner.transport = PlainTransport::Adopt(loop_, UniqueFd(fds[0]));
    registered += Registered(loop_) - before;
    owner.transport->set_handler(&owner);
    owner.on_readable = [&owner] { owner.ReadSome(100); };
    owner.transport->WantRead(true);
    Passes(1);
  }
  EXPECT_GT(registered, 80);
  EXPECT_LT(registered, 100);
}

}  // namespace
}  // namespace limpet::worker
