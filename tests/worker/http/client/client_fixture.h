// A worker without sockets of its own and clients whose other ends the test holds: a connection is
// what it writes, what it reads, how it is counted, and when it closes.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "tests/worker/http/client/held_origin.h"
#include "tests/worker/http/client/wire.h"
#include "tests/worker/http/test_runtime.h"
#include "worker/http/client/connection_set.h"

namespace limpet::worker {

class ClientTest : public testing::Test {
 protected:
  // `servers`: of http; @ORIGIN@ in it is an upstream's socket, @FILES@ a folder with a file "page"
  // in it.
  explicit ClientTest(std::string_view servers);
  ~ClientTest() override;

  void AddFile(std::string_view name, std::string_view bytes);  // to @FILES@
  // A new client of the listener in that place.
  Wire& Connect(size_t listen = 0);
  // Passes until all that can happen now has happened.
  void Settle();
  void Advance(uint64_t ms);  // time, and what is due by then
  // Steps of the protocol: gives the bytes, settles.
  void Send(std::string_view bytes);
  std::string Written() { return wire().Written(); }

  void NeedPlace();   // another connection needs one: the idle ones are asked
  void StopGently();  // the worker drains
  void StopNow();
  // The last client's; no other may be busy when the counters are read.
  Wire& wire() { return *wires_.back(); }
  HeldOrigin& origin() { return *origin_; }
  Runtime& runtime() { return *runtime_; }
  Loop& loop() { return loop_; }
  ConnectionSet& connections() { return *connections_; }
  const shm::WorkerCounters& counters() { return runtime_->own_counters; }
  bool drained() const { return drained_; }
  std::string TakeLog() { return std::exchange(log_.text, {}); }  // the error log
  // The client goes; then nothing may be left of anything.
  void CheckNothingIsLeft();

 private:
  class TextLog final : public LogTarget {
   public:
    void Write(LogLevel, std::string_view line) override { (text += line) += '\n'; }
    Status Reopen() override { return {}; }
    std::string text;
  };
  void OnWake() {}
  std::string Place(std::string_view servers) const;

  std::string folder_;
  Loop loop_;
  std::unique_ptr<HeldOrigin> origin_;
  TextLog log_;
  TestRuntime runtime_;
  std::vector<std::unique_ptr<Wire>> wires_;
  std::unique_ptr<ConnectionSet> connections_;
  Deferred wake_{loop_, Callback::To<&ClientTest::OnWake>(this)};
  bool drained_ = false;
};

}  // namespace limpet::worker
