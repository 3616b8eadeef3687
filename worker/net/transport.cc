#include "worker/net/transport.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/prefetch.h"

namespace limpet::worker {
namespace {

constexpr size_t kHandlerBytes = 256;  // of it, what is looked at first

}  // namespace

Transport::Transport(Loop& loop, UniqueFd fd)
    : loop_(loop),
      fd_(std::move(fd)),
      place_(loop.places()),
      redeliver_(loop, Callback::To<&Transport::Deliver>(this)),
      second_look_(loop, Callback::To<&Transport::LookAgain>(this)) {}

Transport::~Transport() {
  if (registered_) event_del(&event_);
}

void Transport::Discard(std::unique_ptr<Transport> transport) {
  if (!transport) return;
  transport->Close();
  Loop& loop = transport->loop_;
  loop.DeleteLater(std::move(transport));
}

// Where the system has no memory to watch it, nothing would be heard of it: it ends, and its owner
// finds that soon.
void Transport::Register(bool connected) {
  writable_ = connected;
  event_assign(&event_, loop_.base(), fd_.get(),
               EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, &Transport::OnEvent, this);
  registered_ = event_add(&event_, nullptr) == 0;
  if (!registered_) errnum_ = errno;
  EndFirstRead(false);
  if (registered_) return;
  ::shutdown(fd_.get(), SHUT_RDWR);
  writable_ = true;  // who waits to write finds it by writing
  second_look_.SetDue();
}

void Transport::RegisterAccepted() {
  if (!loop_.first_reads().ComeFirst()) return Register(true);
  readable_ = writable_ = registers_later_ = true;
  second_look_.SetDueAtLeisure();
}

void Transport::EndFirstRead(bool has_saved) {
  if (!std::exchange(registers_later_, false)) return;
  second_look_.CallOff();
  loop_.first_reads().Note(has_saved);
}

void Transport::RegisterIfWaiting() {
  const bool waits = (want_read_ && !readable_) || (want_write_ && !writable_);
  if (registers_later_ && waits) Register(writable_);
}

void Transport::Close() {
  if (std::exchange(registered_, false)) event_del(&event_);
  EndFirstRead(true);
  handler_ = nullptr;
  redeliver_.Cancel();
  second_look_.CallOff();
  fd_.Reset();
  place_.Release();
}

void Transport::SetIdle(bool idle) {
  if (!fd_) return;
  idle ? place_.SetIdle(Callback::To<&Transport::GiveWay>(this)) : place_.SetBusy();
}

void Transport::GiveWay() {
  if (handler_ != nullptr) handler_->OnPlaceNeeded();
}

bool Transport::HasUnread() const {
  char byte;
  const ssize_t n = ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n > 0 || (n < 0 && errno == EIO);  // a record of TLS in the kernel that is no data
}

void Transport::SetNoDelay(bool no_delay) {
  if (no_delay == no_delay_) return;
  no_delay_ = no_delay;
  const int value = no_delay ? 1 : 0;
  (void)::setsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &value, sizeof value);  // not of Unix sockets
}

void Transport::SetReset() {
  const linger now{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void Transport::ShutdownWrite() { ::shutdown(fd_.get(), SHUT_WR); }

std::string Transport::ErrorText() const { return ErrnoText(errnum_); }

void Transport::WantRead(bool wanted) {
  want_read_ = wanted;
  RegisterIfWaiting();
  if (HasUndelivered()) redeliver_.Schedule();
}

void Transport::WantWrite(bool wanted) {
  want_write_ = wanted;
  RegisterIfWaiting();
  if (HasUndelivered()) redeliver_.Schedule();
}

bool Transport::HasUndelivered() const {
  if (in_setup_ || !fd_) return false;
  return (want_read_ && readable_) || (want_write_ && writable_) ||
         (ended_ && !want_read_ && !hangup_told_);
}

void Transport::OnEvent(evutil_socket_t, short what, void* self) noexcept {
  auto* const transport = static_cast<Transport*>(self);
  transport->loop_.NoteEvent();
  transport->LookAhead();
  transport->OnSocketEvent(what);
}

// Whose event this is, if it is that of a transport.
const Transport* Transport::Of(const event_callback* active) {
  const bool is_ours = (active->evcb_flags & EVLIST_INIT) != 0 &&
                       active->evcb_cb_union.evcb_callback == &Transport::OnEvent;
  return is_ours ? static_cast<const Transport*>(active->evcb_arg) : nullptr;
}

// With many events in one pass each finds its objects far away. libevent has taken ours off its
// queue, so what followed it is still to come: of the next event all is fetched that its handler
// names, of the one after it the handler, of the third the transport. Each step reads what the one
// before has brought near.
void Transport::LookAhead() const {
  const event_callback* const next = event_.ev_evcallback.evcb_active_next.tqe_next;
  if (next == nullptr) return;
  const Transport* const first = Of(next);
  if (first != nullptr && first->handler_ != nullptr) first->handler_->Fetch();
  const event_callback* const after = next->evcb_active_next.tqe_next;
  if (after == nullptr) return;
  if (const Transport* const second = Of(after)) Prefetch<kHandlerBytes>(second->handler_);
  // To ask whose the third one is would be to wait for it: most often it lies within a transport.
  const auto third = reinterpret_cast<uintptr_t>(after->evcb_active_next.tqe_next);
  const auto offset = reinterpret_cast<uintptr_t>(&event_) - reinterpret_cast<uintptr_t>(this);
  if (third != 0) Prefetch(reinterpret_cast<const Transport*>(third - offset));
}

void Transport::OnSocketEvent(short what) {
  if ((what & EV_READ) != 0) readable_ = true;
  if ((what & EV_WRITE) != 0) writable_ = true;
  if ((what & EV_CLOSED) != 0) readable_ = ended_ = true;
  if ((what & EV_READ) != 0 && !ended_) second_look_.SetDue();
  if (in_setup_) return AdvanceSetup();
  const bool may_be_reset = (what & EV_READ) != 0 && !reset_;  // also behind an end that is known
  if (readable_ && !want_read_ && may_be_reset) Look();
  Deliver();
}

// Whether what came is bytes alone or also the end, or a reset.
void Transport::Look() {
  second_look_.CallOff();
  pollfd socket{fd_.get(), POLLRDHUP, 0};
  if (::poll(&socket, 1, 0) <= 0) return;
  readable_ = ended_ = true;
  if ((socket.revents & POLLERR) == 0) return;
  reset_ = true;
  hangup_told_ = false;
}

void Transport::LookAgain() {
  if (registers_later_) return Register(writable_);
  Look();
  if (ended_) in_setup_ ? AdvanceSetup() : Deliver();
}

void Transport::Deliver() {
  if (writable_ && std::exchange(read_awaits_room_, false)) readable_ = true;
  if (readable_ && std::exchange(write_awaits_bytes_, false)) writable_ = true;
  if (want_read_ && readable_) {
    if (handler_ != nullptr) handler_->OnReadable();
  } else if (ended_ && !want_read_ && !hangup_told_) {
    hangup_told_ = true;
    if (handler_ != nullptr) handler_->OnHangup();
  }
  if (want_write_ && writable_ && handler_ != nullptr) {
    want_write_ = false;
    handler_->OnWritable();
  }
  RegisterIfWaiting();
  if (handler_ != nullptr && HasUndelivered()) redeliver_.Schedule();
}

void Transport::FinishSetup(int errnum) {
  in_setup_ = false;
  errnum_ = errnum;
  if (handler_ != nullptr) handler_->OnReady(errnum);
  if (handler_ != nullptr && HasUndelivered()) redeliver_.Schedule();
}

}  // namespace limpet::worker
