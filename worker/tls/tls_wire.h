// The bytes between OpenSSL and a socket. OpenSSL writes one record at a time; those of a batch
// leave in one system call, and what the socket does not take is kept until it does. One worker's
// thread only: batches of all connections are gathered in the same place.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct bio_method_st;
struct bio_st;
struct ssl_st;

namespace limpet::worker {

class TlsWire {
 public:
  TlsWire() = default;
  TlsWire(const TlsWire&) = delete;
  TlsWire& operator=(const TlsWire&) = delete;

  // `ssl` reads and writes here from now on, so this must outlive it. If the kernel is to encrypt
  // (ssl_conf_command Options KTLS), it has the socket itself. False: no memory.
  bool Attach(ssl_st* ssl, int fd);
  bool can_gather() const { return fd_ >= 0; }

  // From here to EndBatch what OpenSSL writes is gathered; SSL_write never has to wait. Not while
  // something is unsent.
  void BeginBatch();
  void EndRecord(size_t plain);  // what has come since the last one is the record of so many bytes
  // Sends it. 0: all of it; EAGAIN: the socket has not taken all, and SendRest is to follow when it
  // takes more; else an errno, and nothing of it is kept.
  int EndBatch();
  int SendRest();
  bool has_unsent() const { return !unsent_.empty(); }
  // Bytes whose records have left as a whole since TakeWritten.
  bool has_written() const { return written_ > 0; }
  size_t TakeWritten() { return std::exchange(written_, 0); }

 private:
  struct Record {
    size_t end;  // in the bytes that it is part of
    size_t plain;
  };
  struct Batch {
    std::string bytes;
    std::vector<Record> records;
  };

  static int OnWrite(bio_st* bio, const char* data, int size) noexcept;
  static int OnRead(bio_st* bio, char* data, int size) noexcept;
  static long OnControl(bio_st* bio, int what, long number, void* pointer) noexcept;
  static const bio_method_st* Method();
  static Batch& Gathered();

  int Write(const char* data, int size);
  int Read(char* data, int size);
  int Send(std::string_view* bytes) const;  // what is left stays in `bytes`
  void NoteSent(const std::vector<Record>& records, size_t sent, std::string_view rest);

  int fd_ = -1;
  bool gathers_ = false;
  bool at_end_ = false;  // the other side's end has been read
  std::string unsent_;
  std::vector<Record> records_;  // of it
  size_t written_ = 0;
};

}  // namespace limpet::worker
