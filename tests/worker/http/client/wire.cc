#include "tests/worker/http/client/wire.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace limpet::worker {

// Of the socket pair only the way to the connection is used: so Transport::HasUnread sees it, too.
class WireTransport final : public Transport {
 public:
  WireTransport(Loop& loop, UniqueFd fd, Wire* wire) : Transport(loop, std::move(fd)), wire_(wire) {
    writable_ = true;
  }
  ~WireTransport() override { wire_->transport_ = nullptr; }

  void Event(bool readable, bool ended) {
    readable_ |= readable;
    ended_ |= ended;
    WantRead(wants_read());  // delivers it from the loop
  }
  void BecomeWritable() {
    writable_ = true;
    WantRead(wants_read());
  }

  Io Read(char* data, size_t size, size_t* n) override {
    if (wire_->fails_reads_) {
      NoteEnd();
      return Fail(ECONNRESET);
    }
    const ssize_t got = ::recv(fd(), data, size, MSG_DONTWAIT);
    if (got == 0) {
      NoteEnd();
      return Io::kEof;
    }
    if (got < static_cast<ssize_t>(size) && !ended_) readable_ = false;
    if (got < 0) return Io::kWouldBlock;
    *n = static_cast<size_t>(got);
    return Io::kOk;
  }

  Io Writev(const iovec* pieces, int count, bool, size_t* n) override {
    std::string bytes;
    for (int i = 0; i < count; ++i)
      bytes.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
    return Put(bytes, n);
  }

  Io SendFile(int file, off_t offset, size_t size, size_t* n) override {
    std::string bytes(std::min(size, wire_->room_), '\0');
    const ssize_t got = ::pread(file, bytes.data(), bytes.size(), offset);
    if (got < 0) return Fail(errno);
    return Put(std::string_view(bytes).substr(0, static_cast<size_t>(got)), n);
  }

  void ShutdownWrite() override { wire_->write_shut_ = true; }
  bool StillIdle() override { return !HasUnread(); }
  void Close() override {
    linger how{};
    socklen_t size = sizeof how;
    if (::getsockopt(fd(), SOL_SOCKET, SO_LINGER, &how, &size) == 0)
      wire_->was_reset_ = how.l_onoff != 0;
    wire_->transport_ = nullptr;
    Transport::Close();
  }

 private:
  Io Put(std::string_view bytes, size_t* n) {
    if (wire_->fails_writes_) return Fail(EPIPE);
    *n = std::min(bytes.size(), wire_->room_);
    if (*n == 0) {
      writable_ = false;
      return Io::kWouldBlock;
    }
    if (wire_->room_ != SIZE_MAX) wire_->room_ -= *n;
    wire_->written_.append(bytes.substr(0, *n));
    return Io::kOk;
  }

  Wire* const wire_;
};

std::unique_ptr<Transport> MakeWire(Loop& loop, Wire* wire) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
    return nullptr;
  wire->other_ = UniqueFd(ends[1]);
  auto transport = std::make_unique<WireTransport>(loop, UniqueFd(ends[0]), wire);
  wire->transport_ = transport.get();
  return transport;
}

void Wire::Give(std::string_view bytes) {
  (void)!::send(other_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  Wake();
}

void Wire::End() {
  ::shutdown(other_.get(), SHUT_WR);
  if (transport_ != nullptr) transport_->Event(true, true);
}

void Wire::Reset() {
  fails_reads_ = fails_writes_ = true;
  if (transport_ != nullptr) transport_->Event(true, true);
}

void Wire::Wake() {
  if (transport_ != nullptr) transport_->Event(true, false);
}

void Wire::Take(size_t more) {
  room_ = more > SIZE_MAX - room_ ? SIZE_MAX : room_ + more;
  if (transport_ != nullptr) transport_->BecomeWritable();
}

void Wire::BreakWrites() {
  fails_writes_ = true;
  if (transport_ != nullptr) transport_->BecomeWritable();
}

bool Wire::reads() const { return transport_ != nullptr && transport_->wants_read(); }

bool Wire::gives_way() const { return transport_ != nullptr && transport_->is_idle(); }

}  // namespace limpet::worker
