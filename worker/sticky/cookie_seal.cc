#include "worker/sticky/cookie_seal.h"

#include <cstring>
#include <utility>

#include "base/text.h"

namespace limpet::worker {
namespace {

constexpr std::string_view kPurpose = "limpet sticky cookie 1 ";  // the number: of this layout

// The host's byte order is that of all machines that share a file: little-endian.
struct Bytes {
  uint64_t server;
  int64_t end_s;
};
static_assert(sizeof(Bytes) == 16);

}  // namespace

CookieSeal::CookieSeal(std::vector<SealKey> keys, std::string_view upstream)
    : keys_(std::move(keys)), purpose_(std::string(kPurpose).append(upstream)) {}

std::string CookieSeal::Write(const CookieTicket& ticket) const {
  const Bytes bytes{ticket.server, ticket.end_s};
  const std::string_view text(reinterpret_cast<const char*>(&bytes), sizeof bytes);
  return Base64UrlEncode(Seal(text, purpose_, keys_.front()));
}

std::optional<CookieSeal::Opened> CookieSeal::Read(std::string_view value) const {
  if (value.size() != kSize) return std::nullopt;
  const auto sealed = Base64UrlDecode(value);
  if (!sealed) return std::nullopt;
  for (size_t i = 0; i < keys_.size(); ++i) {
    const auto text = Unseal(*sealed, purpose_, keys_[i]);
    if (!text) continue;
    Bytes bytes;
    std::memcpy(&bytes, text->data(), sizeof bytes);
    return Opened{{bytes.server, bytes.end_s}, i == 0};
  }
  return std::nullopt;
}

uint64_t ServerMark(std::string_view id, bool named, std::string_view host) {
  std::string text(named ? "route" : "address");
  text.append(1, '\0').append(id);
  if (!named) text.append(1, '\0').append(ToLower(host));
  const auto digest = Sha256(text);
  uint64_t mark = 0;
  std::memcpy(&mark, digest.data(), sizeof mark);
  return mark;
}

// One that lasts longer than a new one would was made under a longer ttl. Clocks of machines may be
// a little apart: what is given at one is not renewed at once at the other.
CookieAge AgeOf(int64_t end_s, int64_t now_s, int64_t ttl_s, int64_t renew_after_s) {
  if (end_s <= now_s) return CookieAge::kOver;
  const int64_t rest = end_s - now_s;
  const bool is_longer = rest > ttl_s + renew_after_s;
  return rest <= ttl_s - renew_after_s || is_longer ? CookieAge::kDue : CookieAge::kFresh;
}

}  // namespace limpet::worker
