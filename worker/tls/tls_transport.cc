#include "worker/tls/tls_transport.h"

#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "worker/tls/openssl.h"

namespace limpet::worker {
namespace {

constexpr size_t kMaxRecord = 16384;
constexpr size_t kMostInBatch = 5 * kMaxRecord;  // of plain bytes: 64 KB, and heads
constexpr unsigned char kHandshakeRecord = 0x16;

// Where pieces are joined into one record; OpenSSL accepts that a repeated write comes from
// elsewhere as long as its bytes are the same, so one buffer serves all connections of the
// (single-threaded) worker.
std::array<char, kMaxRecord>& Scratch() {
  static std::array<char, kMaxRecord> buffer;
  return buffer;
}

// Bytes to write, record by record.
class Pieces {
 public:
  Pieces(const iovec* pieces, int count) : next_(pieces), end_(pieces + count) {}

  // Not back.
  void SkipTo(size_t at) {
    size_t n = at - std::exchange(at_, at);
    while (n > 0 && n >= next_->iov_len - used_) {
      n -= next_->iov_len - used_;
      used_ = 0;
      ++next_;
    }
    used_ += n;
  }

  // At most so many, in place where the first piece has as many or is the last one. Nothing: that
  // was all.
  std::string_view Next(size_t most) const {
    if (next_ == end_) return {};
    const std::string_view first = View(*next_).substr(used_);
    if (first.size() >= most || next_ + 1 == end_) return first.substr(0, most);
    std::memcpy(Scratch().data(), first.data(), first.size());
    size_t size = first.size();
    for (const iovec* piece = next_ + 1; piece != end_ && size < most; ++piece) {
      const std::string_view part = View(*piece).substr(0, most - size);
      std::memcpy(Scratch().data() + size, part.data(), part.size());
      size += part.size();
    }
    return {Scratch().data(), size};
  }

 private:
  static std::string_view View(const iovec& piece) {
    return {static_cast<const char*>(piece.iov_base), piece.iov_len};
  }

  const iovec* next_;
  const iovec* end_;
  size_t used_ = 0;  // of the first
  size_t at_ = 0;
};

// The name in a client's hello (RFC 6066 3): list length, type 0, name length, name. "" if there is
// none or it is malformed, which OpenSSL finds out soon after.
std::string_view NameInHello(SSL* ssl) {
  const unsigned char* data = nullptr;
  size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) != 1) return {};
  constexpr size_t kHead = 5;
  if (size < kHead || data[2] != TLSEXT_NAMETYPE_host_name) return {};
  const size_t length = static_cast<size_t>(data[3]) << 8 | data[4];
  if (length != size - kHead) return {};
  return {reinterpret_cast<const char*>(data + kHead), length};
}

}  // namespace

std::unique_ptr<TlsTransport> TlsTransport::Accept(Loop& loop, UniqueFd fd,
                                                   const TlsContext& context,
                                                   SniSelector* selector) {
  std::unique_ptr<TlsTransport> transport(new TlsTransport(loop, std::move(fd), context, selector));
  transport->Register(true);
  return transport;
}

TlsTransport::TlsTransport(Loop& loop, UniqueFd fd, const TlsContext& context,
                           SniSelector* selector)
    : Transport(loop, std::move(fd)),
      context_(&context),
      first_context_(&context),
      selector_(selector) {
  in_setup_ = true;
}

TlsTransport::~TlsTransport() { SSL_free(ssl_); }

int TlsTransport::Start() {
  ssl_ = SSL_new(context_->get());
  if (ssl_ == nullptr || !wire_.Attach(ssl_, fd())) {
    error_ = TakeErrors();
    return ENOMEM;
  }
  SSL_set_app_data(ssl_, this);
  SSL_set_accept_state(ssl_);
  if (SSL_get_max_early_data(ssl_) > 0) early_ = Early::kTried;
  const int result = DriveHandshake();
  if (result != EINPROGRESS) in_setup_ = false;
  return result;
}

// What OpenSSL has read ahead counts, too.
bool TlsTransport::HasUnread() const {
  return (ssl_ != nullptr && SSL_has_pending(ssl_) == 1) || Transport::HasUnread();
}

bool TlsTransport::AwaitsBytes() const {
  if (ssl_ == nullptr || readable_) return false;
  return SSL_want_read(ssl_) || (target_ == nullptr && !has_begun_);
}

void TlsTransport::AdvanceSetup() {
  if (ssl_ == nullptr && target_ == nullptr) return;  // not started yet
  if (AwaitsBytes()) return;  // there is room for ours, which is nothing new
  const int result = ssl_ == nullptr ? AdvanceConnect() : DriveHandshake();
  if (result != 0 && result != EINPROGRESS && target_ != nullptr && target_->sessions != nullptr) {
    target_->sessions->Forget(target_->scope);  // it may be why
  }
  if (result != EINPROGRESS) FinishSetup(result);
}

int TlsTransport::DriveHandshake() {
  if (target_ == nullptr && !has_begun_) {
    unsigned char first = 0;
    const ssize_t n = ::recv(fd(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
      readable_ = false;
      return EINPROGRESS;
    }
    has_begun_ = true;  // the rest of a hello may come later, and begins with anything
    never_came_ = n == 0;
    plain_http_ = n == 1 && first != kHandshakeRecord && (first & 0x80) == 0;
    if (plain_http_) return EPROTO;
  }
  ERR_clear_error();
  if (early_ == Early::kTried) {
    const Io io = StartEarly();
    if (early_ == Early::kTaken) return 0;
    if (early_ == Early::kTried && io == Io::kWouldBlock) return EINPROGRESS;
    if (early_ == Early::kTried) return HandshakeEnd(io);
  }
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    readable_ = true;  // bytes may have come along
    return target_ != nullptr ? VerifyPeer() : 0;
  }
  return HandshakeEnd(Translate(result, true));
}

int TlsTransport::HandshakeEnd(Io io) {
  if (io == Io::kWouldBlock) return EINPROGRESS;
  cut_off_ = io == Io::kEof;
  if (cut_off_) return ECONNRESET;
  return errnum() != 0 ? errnum() : EPROTO;
}

// nginx's words.
std::string TlsTransport::HandshakeError() const {
  if (never_came_) return "client closed connection";
  if (rejects_) return "handshake rejected";
  if (!error_.empty()) return "SSL_do_handshake() failed" + ErrorText();
  return "peer closed connection in SSL handshake" + (cut_off_ ? "" : ErrorText());
}

// Before OpenSSL looks at tickets, because their keys are the chosen server's.
int TlsTransport::OnClientHello(SSL* ssl, int* alert, void*) noexcept {
  auto* self = static_cast<TlsTransport*>(SSL_get_app_data(ssl));
  if (self->Choose(NameInHello(ssl))) return SSL_CLIENT_HELLO_SUCCESS;
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  return SSL_CLIENT_HELLO_ERROR;
}

bool TlsTransport::Choose(std::string_view name) {
  asked_name_ = name;
  const TlsChoice choice = selector_ != nullptr ? selector_->ChooseTls(name) : TlsChoice{context_};
  offers_http2_ = choice.offers_http2;
  const TlsContext* const chosen = choice.context;
  rejects_ = chosen != nullptr && chosen->rejects();
  if (chosen == nullptr || rejects_) return false;
  if (chosen == context_) return true;
  context_ = chosen;
  SSL_set_SSL_CTX(ssl_, chosen->get());
  // The switch changes certificates only. Options may also be fewer.
  SSL_clear_options(ssl_, SSL_get_options(ssl_) & ~SSL_CTX_get_options(chosen->get()));
  SSL_set_options(ssl_, SSL_CTX_get_options(chosen->get()));
  SSL_set_verify(ssl_, SSL_CTX_get_verify_mode(chosen->get()),
                 SSL_CTX_get_verify_callback(chosen->get()));
  SSL_set_verify_depth(ssl_, SSL_CTX_get_verify_depth(chosen->get()));
  return true;
}

// What the client offers and we speak, by our order. Without a name in common the handshake fails
// (RFC 7301 3.2).
int TlsTransport::OnAlpn(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                         const unsigned char* in, unsigned in_size, void*) noexcept {
  // Each name behind its length.
  constexpr std::string_view kHttp2First = "\x02h2\x08http/1.1\x08http/1.0\x08http/0.9";
  const auto* self = static_cast<const TlsTransport*>(SSL_get_app_data(ssl));
  const std::string_view ours = self->offers_http2_ ? kHttp2First : kHttp2First.substr(3);
  unsigned char* chosen = nullptr;
  const int result =
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), in, in_size);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// OpenSSL accepts a name only where it has been looked at.
int TlsTransport::OnServerName(SSL*, int*, void*) noexcept { return SSL_TLSEXT_ERR_OK; }

const SSL_CTX* TlsTransport::FirstContext(const SSL* ssl) {
  const auto* self = static_cast<const TlsTransport*>(SSL_get_app_data(ssl));
  return self != nullptr ? self->first_context_->get() : nullptr;
}

int TlsTransport::OnCertificatesWanted(SSL* ssl, void*) noexcept {
  auto* self = static_cast<TlsTransport*>(SSL_get_app_data(ssl));
  return self->giver_ != nullptr && self->giver_->GiveCertificates(*self, *self->context_) ? 1 : 0;
}

// Where writing has failed, what came before that is still there to be read, and so is the end.
void TlsTransport::NoteEndOf(bool reading) {
  if (reading) return NoteEnd();
  readable_ = true;
}

Io TlsTransport::Translate(int result, bool reading) {
  const int saved = errno;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      readable_ = false;
      if (!reading) {
        writable_ = false;
        write_awaits_bytes_ = true;
      }
      NoteSound();
      return Io::kWouldBlock;
    case SSL_ERROR_WANT_WRITE:
      writable_ = false;
      if (reading) {
        readable_ = false;
        read_awaits_room_ = true;
      }
      return Io::kWouldBlock;
    case SSL_ERROR_ZERO_RETURN:
      NoteEndOf(reading);
      return Io::kEof;
    case SSL_ERROR_SYSCALL:
      broken_ = true;
      NoteEndOf(reading);
      error_ = TakeErrors();
      return saved == 0 ? Io::kEof : Fail(saved);
    default:
      broken_ = true;
      NoteEndOf(reading);
      error_ = TakeErrors();
      return Fail(EPROTO);
  }
}

Io TlsTransport::Read(char* data, size_t size, size_t* n) {
  if (early_ == Early::kTaken) {
    const Io io = ReadEarly(data, size, n);
    if (early_ == Early::kTaken) return io;
  }
  ERR_clear_error();
  const int got = SSL_read(ssl_, data, static_cast<int>(std::min<size_t>(size, 1u << 30)));
  if (got <= 0) return Translate(got, true);
  *n = static_cast<size_t>(got);
  return Io::kOk;
}

Io TlsTransport::ReadRaw(char* data, size_t size, size_t* n) {
  broken_ = true;
  iovec piece{data, size};
  alignas(cmsghdr) char type_of_record[CMSG_SPACE(1)];  // TLS in the kernel gives no others without
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  ssize_t got = 0;
  do {
    message.msg_control = type_of_record;
    message.msg_controllen = sizeof type_of_record;
    got = ::recvmsg(fd(), &message, 0);
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    *n = static_cast<size_t>(got);
    return Io::kOk;
  }
  if (got < 0 && errno == EAGAIN) {
    readable_ = false;
    return Io::kWouldBlock;
  }
  NoteEnd();
  return got == 0 ? Io::kEof : Fail(errno);
}

Io TlsTransport::WriteRecord(std::string_view bytes, size_t* n) {
  if (is_early()) return WriteEarly(bytes.data(), bytes.size(), n);
  ERR_clear_error();
  const int sent = SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
  if (sent <= 0) {
    const Io io = Translate(sent, false);
    return io == Io::kEof ? Fail(EPIPE) : io;
  }
  *n = static_cast<size_t>(sent);
  return Io::kOk;
}

size_t TlsTransport::RecordSize() const { return std::min(context_->record_size(), kMaxRecord); }

// After a batch, or what was left of one: how many bytes of whole records have left, or why none.
// What had to follow them is lost with an error, which is told when they have been counted.
Io TlsTransport::NoteSent(int errnum, size_t* n) {
  const bool fails = errnum != 0 && errnum != EAGAIN;
  if (fails) {
    broken_ = true;
    NoteEndOf(false);
    Fail(errnum);
  }
  *n = wire_.TakeWritten();
  if (*n > 0) {
    NoteSound();
    return Io::kOk;
  }
  if (fails) return Io::kError;
  writable_ = false;
  return Io::kWouldBlock;
}

// `next` gives what a record may hold of what follows the bytes that have been taken; nothing: that
// was all. What has been gathered and not sent counts as not taken, so the same bytes come again.
template <class Next>
Io TlsTransport::WriteBatch(Next next, size_t* n) {
  if (broken_) return Fail(errnum() != 0 ? errnum() : EPIPE);
  const int rest = wire_.has_unsent() ? wire_.SendRest() : 0;
  if (rest != 0 || wire_.has_written()) return NoteSent(rest, n);
  std::string_view bytes;
  if (is_early() || !wire_.can_gather()) {
    Io io = next(0, &bytes);
    if (io == Io::kOk) io = WriteRecord(bytes, n);
    if (io == Io::kOk) NoteSound();
    return io;
  }
  const size_t most = other_is_slow_ ? 1 : kMostInBatch;
  wire_.BeginBatch();
  Io io = Io::kOk;
  size_t taken = 0;
  while (taken < most) {
    size_t written = 0;
    io = next(taken, &bytes);
    if (io == Io::kOk && !bytes.empty()) io = WriteRecord(bytes, &written);
    if (written == 0) break;
    wire_.EndRecord(written);
    taken += written;
  }
  const int errnum = wire_.EndBatch();
  other_is_slow_ = errnum == EAGAIN;  // it gains nothing by batches, and what is left takes memory
  if (taken == 0 && (errnum == 0 || errnum == EAGAIN)) return io;
  return NoteSent(errnum, n);  // what has ended the batch before its time comes again
}

Io TlsTransport::Writev(const iovec* pieces, int count, bool /*more*/, size_t* n) {
  Pieces left(pieces, count);
  return WriteBatch(
      [&left, most = RecordSize()](size_t taken, std::string_view* bytes) {
        left.SkipTo(taken);
        *bytes = left.Next(most);
        return Io::kOk;
      },
      n);
}

Io TlsTransport::SendFile(int file, off_t offset, size_t size, size_t* n) {
  return WriteBatch(
      [&, most = RecordSize()](size_t taken, std::string_view* bytes) {
        const size_t part = std::min(most, size - taken);
        const off_t from = offset + static_cast<off_t>(taken);
        const ssize_t got = ::pread(file, Scratch().data(), part, from);
        if (got < 0) return Fail(errno);
        if (got == 0 && part > 0) return Fail(EIO);  // it has become shorter than was announced
        *bytes = {Scratch().data(), static_cast<size_t>(got)};
        return Io::kOk;
      },
      n);
}

void TlsTransport::ShutdownWrite() {
  if (ssl_ != nullptr && !broken_ && SSL_is_init_finished(ssl_)) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }
  Transport::ShutdownWrite();
}

void TlsTransport::Close() {
  if (!closed() && ssl_ != nullptr && !broken_ && SSL_is_init_finished(ssl_)) {
    SSL_set_quiet_shutdown(ssl_, 0);
    ERR_clear_error();
    SSL_shutdown(ssl_);  // what cannot be sent at once is not sent: nobody waits for it
    ERR_clear_error();
  }
  Transport::Close();
}

bool TlsTransport::StillIdle() {
  if (closed() || ended() || ssl_ == nullptr) return false;
  if (!readable_) return true;
  char byte;
  ERR_clear_error();
  const int got = SSL_peek(ssl_, &byte, 1);
  return got <= 0 && Translate(got, true) == Io::kWouldBlock && SSL_is_init_finished(ssl_) == 1;
}

std::string TlsTransport::ErrorText() const {
  if (error_.empty()) return Transport::ErrorText();
  return " (SSL: " + error_ + ")";
}

}  // namespace limpet::worker
