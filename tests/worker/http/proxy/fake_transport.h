// A connection of the tests' own: gives what the test says, keeps what it is sent, no socket.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "worker/net/transport.h"

namespace limpet::worker {

class FakeTransport final : public Transport {
 public:
  enum class End : uint8_t { kNone, kEof, kReset };

  explicit FakeTransport(Loop& loop) : Transport(loop, UniqueFd()) {}

  Io Read(char* data, size_t size, size_t* n) override {
    if (input.empty()) {
      if (end == End::kNone) return Io::kWouldBlock;
      return end == End::kEof ? Io::kEof : Fail(ECONNRESET);
    }
    *n = std::min(size, input.size());
    std::memcpy(data, input.data(), *n);
    input.erase(0, *n);
    return Io::kOk;
  }
  Io Writev(const iovec* pieces, int count, bool, size_t* n) override {
    if (write_error != 0) return Fail(write_error);
    size_t written = 0;
    for (int i = 0; i < count; ++i) {
      const size_t most = std::min(pieces[i].iov_len, room - written);
      output.append(static_cast<const char*>(pieces[i].iov_base), most);
      written += most;
    }
    if (written == 0) return Io::kWouldBlock;
    room -= written;
    *n = written;
    return Io::kOk;
  }
  Io SendFile(int, off_t, size_t, size_t*) override { return Io::kWouldBlock; }
  bool StillIdle() override { return true; }

  std::string input;   // of the other side
  std::string output;  // what it was sent
  size_t room = 1 << 20;
  int write_error = 0;
  End end = End::kNone;
};

}  // namespace limpet::worker
