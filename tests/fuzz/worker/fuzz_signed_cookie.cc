// The value of a signed cookie, as a client may bring anything.
#include "tests/fuzz/fuzz.h"
#include "worker/sticky/cookie_seal.h"

using namespace limpet;
using namespace limpet::worker;

namespace {

constexpr SealKey kFirst{'f'}, kSecond{'s'};
constexpr CookieTicket kTicket{.server = 7, .end_s = 1'800'000'000};

// What one that may write has written: the seed `signed` holds the one of the second key.
constexpr std::string_view kSigned =
    "F--weTdCpPi6ddHuEpnIuw5SLhs-Jhv-zlemQO-U-hey0hanlltwQ9mmiEzxx9G2q-vvlpdOzUE";

}  // namespace

FUZZ_TARGET(signed_cookie, input) {
  static const CookieSeal seal({kFirst, kSecond}, "app");
  const auto opened = seal.Read(input);
  FUZZ_CHECK(opened.has_value() == (input == kSigned), "only what is signed is read");
  if (opened) FUZZ_CHECK(opened->ticket == kTicket && !opened->by_first_key, "as it was written");

  // The bytes as changes of a good value: at the first one's place, by the second, and so on.
  static const std::string good = seal.Write(kTicket);
  std::string changed = good;
  for (size_t i = 0; i + 1 < input.size() && i < 64; i += 2)
    changed[static_cast<uint8_t>(input[i]) % changed.size()] ^= input[i + 1];
  const auto read = seal.Read(changed);
  FUZZ_CHECK(read.has_value() == (changed == good), "a change is noticed");

  CookieTicket ticket = kTicket;
  for (const char c : input) ticket.server = ticket.server * 31 + static_cast<uint8_t>(c);
  const auto back = seal.Read(seal.Write(ticket));
  FUZZ_CHECK(back && back->ticket == ticket && back->by_first_key, "what is written is read");
}
