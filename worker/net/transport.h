// A byte stream to a client or a peer: plain (plain_transport.h) or TLS (worker/tls). Non-blocking.
//
// The descriptor is registered once, edge-triggered, for its whole life; readiness is remembered in
// flags and interest is logical (WantRead, WantWrite), so neither costs a system call. No level is
// lost: what became ready while unwanted is delivered, from the loop and never from within the
// caller's frames, when it is wanted.
//
// An accepted connection may be read before it is registered (first_reads.h). It is registered when
// it has to wait for something, as soon as there is time for it (the loop finds no event), and at
// the latest after 50 to 100 ms, so that the end of the client is heard while its request is
// served. One that is answered and closed before that never is, which saves two system calls and an
// event.
//
// Life: an owner holds it in a unique_ptr and ends it with Transport::Discard, from any callback.
// After Close or Discard no callback comes. Destroying one directly is allowed only outside its
// callbacks.
#pragma once

#include <errno.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "worker/net/loop.h"
#include "worker/net/second_look.h"

namespace limpet::worker {

enum class Io : uint8_t {
  kOk,          // n > 0 bytes
  kWouldBlock,  // want it and wait
  kEof,         // reading only: the other side has ended its direction
  kError,       // errnum() says which
};

// What the owner of a transport hears.
class TransportHandler {
 public:
  // The connection is established, and with TLS the handshake is done (errnum 0), or that has
  // failed. Comes once, and only if Connect or Start said EINPROGRESS.
  virtual void OnReady(int /*errnum*/) {}
  // Wanted and readable: bytes, the end or an error. Comes again, after other connections had their
  // turn, until everything is read or reading is no longer wanted.
  virtual void OnReadable() = 0;
  // Wanted and writable. Once per WantWrite(true).
  virtual void OnWritable() = 0;
  // The other side has ended its direction, or reset the connection, while reading is not wanted.
  // Comes at most once for each of them; unread bytes may still be there. This is how a client that
  // goes away is noticed while its request is served.
  virtual void OnHangup() {}
  // The connection is idle (Transport::SetIdle), and its place is needed for another: it is to be
  // closed now, unless there is something to do.
  virtual void OnPlaceNeeded() {}
  // An event comes soon. What it will need is fetched (base/prefetch.h), and nothing else happens.
  virtual void Fetch() const {}

 protected:
  ~TransportHandler() = default;
};

class Transport : public Deletable {
 public:
  ~Transport() override;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Closes it now and frees it at the end of the loop's pass. A null pointer is allowed.
  static void Discard(std::unique_ptr<Transport> transport);

  void set_handler(TransportHandler* handler) { handler_ = handler; }
  void WantRead(bool wanted);
  void WantWrite(bool wanted);
  bool wants_read() const { return want_read_; }
  // An idle connection may have to give way to others (places.h), longest idle first.
  void SetIdle(bool idle);
  bool is_idle() const { return place_.idle(); }
  virtual bool HasUnread() const;  // bytes wait to be read; asks the system

  // For an accepted descriptor: what must happen before the first byte. 0: ready; EINPROGRESS:
  // OnReady follows.
  virtual int Start() { return 0; }

  // At most `size` bytes; a short read means that nothing more is there yet (TLS: may be).
  virtual Io Read(char* data, size_t size, size_t* n) = 0;
  // `more`: further bytes follow at once (a file, most often), so that no small packet goes out
  // alone. After kWouldBlock the same bytes are to come again, these or more: TLS may have
  // encrypted them.
  virtual Io Writev(const iovec* pieces, int count, bool more, size_t* n) = 0;
  virtual Io SendFile(int file, off_t offset, size_t size, size_t* n) = 0;
  // From the connection into a pipe, and from a pipe into the connection, without copying
  // (splice(2)). Plain connections only. The pipe must be empty: a full one looks as if nothing
  // were there to be read. `more` as above.
  virtual bool can_splice() const { return false; }
  virtual Io SpliceTo(int /*pipe*/, size_t /*size*/, size_t* /*n*/) { return Fail(EOPNOTSUPP); }
  virtual Io SpliceFrom(int /*pipe*/, size_t /*size*/, bool /*more*/, size_t* /*n*/) {
    return Fail(EOPNOTSUPP);
  }
  // Ends our direction, the other stays open (TLS: close_notify, then the TCP direction).
  virtual void ShutdownWrite();
  // Whether a kept, idle connection is still without bytes, end and error.
  virtual bool StillIdle() = 0;

  virtual void Close();
  bool closed() const { return !fd_; }
  int fd() const { return fd_.get(); }
  int errnum() const { return errnum_; }  // of the last kError
  virtual std::string ErrorText() const;  // " (104: Connection reset by peer)" or TLS' own words
  virtual bool is_tls() const { return false; }
  bool ended() const { return ended_; }     // the end or a reset was signalled; bytes may be left
  bool is_reset() const { return reset_; }  // noticed while reading was not wanted
  void SetNoDelay(bool no_delay);           // TCP_NODELAY, which every connection begins with
  void SetReset();  // Close will send RST (nginx's reset_timedout_connection)

 protected:
  Transport(Loop& loop, UniqueFd fd);

  // Registers the descriptor. `connected`: bytes may be written before the first event.
  void Register(bool connected);
  bool registered() const { return registered_; }  // false behind it: errnum() says why
  void RegisterAccepted();                         // now, or later
  // Called on events until setup is finished: a connection in progress, a handshake.
  virtual void AdvanceSetup() {}
  void FinishSetup(int errnum);  // to OnReady, and events go to the handler from now on

  void NoteEnd() {  // the reader has seen the end itself
    readable_ = false;
    ended_ = hangup_told_ = true;
  }
  // A call on the socket went well: no reset waits behind what has come so far.
  void NoteSound() {
    if (!registers_later_) second_look_.CallOff();
  }
  Io Fail(int errnum) {
    errnum_ = errnum;
    return Io::kError;
  }
  Loop& loop() { return loop_; }

  bool readable_ = false;
  bool writable_ = false;
  // TLS has words of its own to say or to hear first: once that direction goes on, this one is
  // tried again.
  bool read_awaits_room_ = false;
  bool write_awaits_bytes_ = false;
  bool no_delay_ = true;
  bool ended_ = false;  // EPOLLRDHUP, EPOLLHUP or EPOLLERR was seen
  bool in_setup_ = false;
  bool registers_later_ = false;  // no event comes yet

 private:
  static void OnEvent(evutil_socket_t, short what, void* self) noexcept;
  static const Transport* Of(const event_callback* active);
  void LookAhead() const;
  void OnSocketEvent(short what);
  void Deliver();
  void Look();
  void LookAgain();
  void GiveWay();
  bool HasUndelivered() const;
  void RegisterIfWaiting();
  void EndFirstRead(bool has_saved);

  Loop& loop_;
  UniqueFd fd_;
  Place place_;
  TransportHandler* handler_ = nullptr;
  Deferred redeliver_;
  SecondLook second_look_;  // due as long as it registers later: it is registered then
  event event_;
  int errnum_ = 0;
  bool registered_ = false;
  bool want_read_ = false;
  bool want_write_ = false;
  bool hangup_told_ = false;
  bool reset_ = false;
};

}  // namespace limpet::worker
