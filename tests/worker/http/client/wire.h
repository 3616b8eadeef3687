// A connection whose other end the test holds: what is read is what the test gives, what is written
// is kept, and the client takes as much as the test allows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "worker/net/transport.h"

namespace limpet::worker {

class WireTransport;

// The test's end. It outlives the connection.
class Wire {
 public:
  // --- What the client does; each is one event for the connection ---
  void Give(std::string_view bytes);
  void End();              // of its direction
  void Reset();            // what is read next is an error
  void Wake();             // the socket is readable, but nothing is there
  void Take(size_t more);  // so many bytes more
  void BreakWrites();      // from the next one on

  void set_room(size_t bytes) { room_ = bytes; }  // before it blocks

  std::string Written() { return std::exchange(written_, {}); }
  bool closed() const { return transport_ == nullptr; }
  bool write_shut() const { return write_shut_; }
  bool was_reset() const { return was_reset_; }  // closed with SetReset()
  bool reads() const;
  bool gives_way() const;

 private:
  friend class WireTransport;
  friend std::unique_ptr<Transport> MakeWire(Loop& loop, Wire* wire);
  WireTransport* transport_ = nullptr;
  UniqueFd other_;
  std::string written_;
  size_t room_ = SIZE_MAX;
  bool fails_reads_ = false;
  bool fails_writes_ = false;
  bool write_shut_ = false;
  bool was_reset_ = false;
};

std::unique_ptr<Transport> MakeWire(Loop& loop, Wire* wire);

}  // namespace limpet::worker
