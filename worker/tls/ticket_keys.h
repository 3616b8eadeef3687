// Keys of session tickets that others have, too (RFC 5077 4): out of files
// (ssl_session_ticket_key), so that other machines can resume what this one began; or in the memory
// of ssl_session_cache, so that later generations can. Without either, OpenSSL makes its own for
// each context.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

struct ssl_ctx_st;

namespace limpet::shm {
class TlsSessionTable;
}

namespace limpet::worker {

class PemFiles;

class TicketKeys {
 public:
  TicketKeys() = default;
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // Files of 48 bytes (AES-128) or 80 (AES-256). The first encrypts, all decrypt.
  Status Load(const std::vector<std::string>& paths, PemFiles& files);
  // Makes the context use them; they must outlive it. Nothing if there are none.
  Status Install(ssl_ctx_st* context);
  // Those of a table, unless there are some out of files. A ticket lives for `life_ms`.
  Status Share(ssl_ctx_st* context, shm::TlsSessionTable* table, uint64_t life_ms);

 private:
  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> mac;
    std::array<unsigned char, 32> cipher;
    size_t half = 16;  // bytes of `mac` and `cipher` in use
  };
  struct Callback;

  std::vector<Key> SharedKeys() const;

  std::vector<Key> keys_;
  shm::TlsSessionTable* shared_ = nullptr;
  uint64_t shared_life_ms_ = 0;
};

}  // namespace limpet::worker
