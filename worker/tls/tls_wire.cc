#include "worker/tls/tls_wire.h"

#include <openssl/bio.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "worker/tls/openssl.h"

namespace limpet::worker {
namespace {

constexpr size_t kMostUnsent = 128 * 1024;  // with OpenSSL's own words behind a batch

}  // namespace

// Its memory is kept: most batches are as large as the last ones.
TlsWire::Batch& TlsWire::Gathered() {
  static Batch batch;
  return batch;
}

const bio_method_st* TlsWire::Method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "limpet");
    if (made == nullptr) return made;
    BIO_meth_set_write(made, OnWrite);
    BIO_meth_set_read(made, OnRead);
    BIO_meth_set_ctrl(made, OnControl);
    return made;
  }();
  return method;
}

bool TlsWire::Attach(ssl_st* ssl, int fd) {
  if ((SSL_get_options(ssl) & SSL_OP_ENABLE_KTLS) != 0) return SSL_set_fd(ssl, fd) == 1;
  BIO* const bio = Method() != nullptr ? BIO_new(Method()) : nullptr;
  if (bio == nullptr) return false;
  fd_ = fd;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);  // it owns the one
  return true;
}

void TlsWire::BeginBatch() {
  gathers_ = true;
  Gathered().bytes.clear();
  Gathered().records.clear();
}

void TlsWire::EndRecord(size_t plain) {
  Gathered().records.push_back({Gathered().bytes.size(), plain});
}

int TlsWire::EndBatch() {
  gathers_ = false;
  const Batch& batch = Gathered();
  std::string_view left = batch.bytes;
  const int errnum = Send(&left);
  NoteSent(batch.records, batch.bytes.size() - left.size(), errnum == EAGAIN ? left : "");
  return errnum;
}

int TlsWire::SendRest() {
  std::string_view left = unsent_;
  const int errnum = Send(&left);
  NoteSent(records_, unsent_.size() - left.size(), errnum == EAGAIN ? left : "");
  return errnum;
}

// `records` and `rest` may be our own. Nothing is allocated unless something is left, and without a
// rest neither keeps its memory.
void TlsWire::NoteSent(const std::vector<Record>& records, size_t sent, std::string_view rest) {
  auto next = records.begin();
  for (; next != records.end() && next->end <= sent; ++next) written_ += next->plain;
  std::vector<Record> kept;
  if (!rest.empty()) kept.assign(next, records.end());
  for (Record& record : kept) record.end -= sent;
  unsent_ = std::string(rest);
  records_ = std::move(kept);
}

int TlsWire::Send(std::string_view* bytes) const {
  while (!bytes->empty()) {
    const ssize_t n = ::send(fd_, bytes->data(), bytes->size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes->remove_prefix(static_cast<size_t>(n));
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

// OpenSSL's own words (a handshake, an alert) come behind what is left of a batch: it takes some
// for sent that are not.
int TlsWire::Write(const char* data, int size) {
  const auto length = static_cast<size_t>(size);
  if (gathers_) {
    Gathered().bytes.append(data, length);
    return size;
  }
  if (has_unsent()) {
    const int errnum = SendRest();
    if (errnum == EAGAIN && unsent_.size() + length <= kMostUnsent) {
      unsent_.append(data, length);
      return size;
    }
    errno = errnum;
    if (errnum != 0) return -1;
  }
  ssize_t n = 0;
  do {
    n = ::send(fd_, data, length, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return static_cast<int>(n);
}

int TlsWire::Read(char* data, int size) {
  ssize_t n = 0;
  do {
    n = ::recv(fd_, data, static_cast<size_t>(size), 0);
  } while (n < 0 && errno == EINTR);
  if (n == 0) at_end_ = true;
  return static_cast<int>(n);
}

int TlsWire::OnWrite(bio_st* bio, const char* data, int size) noexcept {
  BIO_clear_retry_flags(bio);
  const int n = static_cast<TlsWire*>(BIO_get_data(bio))->Write(data, size);
  if (n < 0 && errno == EAGAIN) BIO_set_retry_write(bio);
  return n;
}

int TlsWire::OnRead(bio_st* bio, char* data, int size) noexcept {
  BIO_clear_retry_flags(bio);
  const int n = static_cast<TlsWire*>(BIO_get_data(bio))->Read(data, size);
  if (n < 0 && errno == EAGAIN) BIO_set_retry_read(bio);
  return n;
}

long TlsWire::OnControl(bio_st* bio, int what, long, void*) noexcept {
  switch (what) {
    case BIO_CTRL_EOF:
      return static_cast<TlsWire*>(BIO_get_data(bio))->at_end_ ? 1 : 0;
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP:
      return 1;
    default:
      return 0;
  }
}

}  // namespace limpet::worker
