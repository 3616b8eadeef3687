// HTTP basic authentication (RFC 7617): the credentials that a request carries, and whether a user
// file vouches for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "worker/http/exchange/exchange.h"

namespace limpet::worker {

// What the request says in Authorization, read once; null if it carries none.
const Credentials* BasicCredentials(Exchange& exchange);

// What auth_basic of the location says: nullopt if it is off, 0 if the user may pass, else the
// status to answer with. For 401 the challenge has been added to the response.
std::optional<int> CheckBasicAuth(Exchange& exchange);

// --- Pure parts ---

// The password field of `user` in the text of a user file ("name:password[:comment]", # starts a
// comment line).
std::optional<std::string_view> FindPassword(std::string_view file, std::string_view user);

enum class PasswordCheck : uint8_t {
  kMatch,
  kMismatch,
  kUnusable /* the system cannot hash it so */
};

// `stored`: {PLAIN}…, {SHA}…, {SSHA}…, $apr1$…, or any form crypt(3) knows.
PasswordCheck CheckPassword(std::string_view password, std::string_view stored);

// Apache's iterated MD5: `salted` begins with "$apr1$" and the salt. The whole stored form.
std::string CryptApr1(std::string_view password, std::string_view salted);

}  // namespace limpet::worker
