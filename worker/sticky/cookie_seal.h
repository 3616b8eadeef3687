// The value of a signed cookie (sign= of `sticky cookie`): which server it names and until when,
// sealed for one upstream. Without the key it cannot be read, made, changed, or told from a value
// that names another server. Pure but for the random nonce.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace limpet::worker {

struct CookieTicket {
  uint64_t server = 0;  // see ServerMark
  int64_t end_s = 0;    // seconds since the epoch; from then on it names nobody

  bool operator==(const CookieTicket&) const = default;
};

class CookieSeal {
 public:
  static constexpr size_t kSize = 75;  // characters of a value

  struct Opened {
    CookieTicket ticket;
    bool by_first_key = false;
  };

  // `keys`: one at least; the first seals, all open. `upstream`: a value of another one is none.
  CookieSeal(std::vector<SealKey> keys, std::string_view upstream);

  std::string Write(const CookieTicket& ticket) const;
  std::optional<Opened> Read(std::string_view value) const;

 private:
  std::vector<SealKey> keys_;
  std::string purpose_;
};

// What a value calls a server: `id` alone if the configuration gives it (`named`), else with the
// name that has led to its address ("" if an address is written): where another name leads there
// is another server.
uint64_t ServerMark(std::string_view id, bool named, std::string_view host);

// How a value's rest is seen. Times in seconds. `renew_after`: of `ttl`.
enum class CookieAge : uint8_t { kOver, kDue, kFresh };
CookieAge AgeOf(int64_t end_s, int64_t now_s, int64_t ttl_s, int64_t renew_after_s);

}  // namespace limpet::worker
