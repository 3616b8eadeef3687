// Keys of session tickets out of files (ssl_session_ticket_key), so that other machines and later
// generations can resume what this one began (RFC 5077 4). Immutable once read.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/result.h"

struct ssl_ctx_st;

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

 private:
  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> mac;
    std::array<unsigned char, 32> cipher;
    size_t half = 16;  // bytes of `mac` and `cipher` in use
  };
  struct Callback;

  std::vector<Key> keys_;
};

}  // namespace limpet::worker
