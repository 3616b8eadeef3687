// A transport whose owner and other side are the test.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "worker/net/plain_transport.h"

namespace limpet::worker {

// Owns a transport and records what it hears; `on_readable` is the behaviour under test.
struct Owner final : TransportHandler {
  explicit Owner(Loop& l) : loop(l) {}

  void OnReady(int errnum) override {
    ready = errnum;
    loop.Stop();
  }
  void OnReadable() override {
    ++readables;
    if (on_readable) on_readable();
  }
  void OnWritable() override {
    ++writables;
    loop.Stop();
  }
  void OnHangup() override {
    ++hangups;
    loop.Stop();
  }
  Io ReadSome(size_t size) {
    char data[4096];
    size_t n = 0;
    last = transport->Read(data, size, &n);
    if (last == Io::kOk) text.append(data, n);
    return last;
  }

  Loop& loop;
  std::unique_ptr<Transport> transport;
  std::function<void()> on_readable;
  std::string text;
  Io last = Io::kOk;
  int ready = -1;
  int readables = 0;
  int writables = 0;
  int hangups = 0;
};

struct Deadline {  // turns a lost event into a failure instead of a hang
  explicit Deadline(Loop& l) : loop(l), timer(l, Callback::To<&Deadline::Fire>(this)) {
    timer.Arm(5000);
  }
  void Fire() {
    ADD_FAILURE() << "an event was lost";
    loop.Stop();
  }
  Loop& loop;
  Timer timer;
};

class TransportTest : public testing::Test {
 protected:
  TransportTest() : owner_(loop_), deadline_(loop_) {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    other_.Reset(fds[1]);
    owner_.transport = PlainTransport::Adopt(loop_, UniqueFd(fds[0]));
    owner_.transport->set_handler(&owner_);
  }
  void Send(std::string_view text) {
    ASSERT_EQ(::send(other_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  void Passes(int n) {  // passes that do not wait
    for (int i = 0; i < n; ++i) {
      Timer now(loop_, Callback::To<&TransportTest::Nothing>(this));
      now.Arm(0);
      loop_.RunOnce();
    }
  }
  void Nothing() {}

  Loop loop_;
  UniqueFd other_;
  Owner owner_;
  Deadline deadline_;
};

}  // namespace limpet::worker
