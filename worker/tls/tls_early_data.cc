// Early data of TLS 1.3 (RFC 8446 2.3) on the server's side of TlsTransport. A connection that
// brings some counts as ready before its handshake has ended: the request is read and answered, and
// the end of the handshake comes in between, whenever it is read.
#include <openssl/err.h>

#include "worker/tls/openssl.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {

// kOk with early_ as it was: there are bytes. kOk with kNone: the early ones are over.
Io TlsTransport::PullEarly(void* data, size_t size, size_t* n) {
  ERR_clear_error();
  switch (SSL_read_early_data(ssl_, data, size, n)) {
    case SSL_READ_EARLY_DATA_SUCCESS:
      return Io::kOk;
    case SSL_READ_EARLY_DATA_FINISH:
      early_ = Early::kNone;
      return Io::kOk;
    default:
      return Translate(-1, true);
  }
}

// OpenSSL says only by reading whether there is early data: the first byte is kept for Read.
Io TlsTransport::StartEarly() {
  size_t n = 0;
  const Io io = PullEarly(&first_early_byte_, 1, &n);
  if (io != Io::kOk || early_ == Early::kNone) return io;
  has_first_early_byte_ = n == 1;
  readable_ = true;
  early_ = Early::kTaken;
  used_early_data_ = true;
  return io;
}

Io TlsTransport::ReadEarly(char* data, size_t size, size_t* n) {
  if (has_first_early_byte_ && size > 0) {
    *data = static_cast<char>(first_early_byte_);
    *n = 1;
    has_first_early_byte_ = false;
    return Io::kOk;
  }
  if (early_write_blocked_) {  // OpenSSL cannot read between two attempts of one write
    read_owed_ = true;
    readable_ = false;
    return Io::kWouldBlock;
  }
  return PullEarly(data, size, n);
}

Io TlsTransport::WriteEarly(const char* data, size_t size, size_t* n) {
  ERR_clear_error();
  if (SSL_write_early_data(ssl_, data, size, n) == 1) {
    early_write_blocked_ = false;
    if (read_owed_) readable_ = true;
    read_owed_ = false;
    return Io::kOk;
  }
  const Io io = Translate(-1, false);
  early_write_blocked_ = io == Io::kWouldBlock;
  return io == Io::kEof ? Fail(EPIPE) : io;
}

bool TlsTransport::is_early() const {
  return target_ == nullptr && used_early_data_ && SSL_is_init_finished(ssl_) == 0;
}

}  // namespace limpet::worker
