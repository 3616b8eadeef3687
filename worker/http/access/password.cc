// How passwords are stored in user files, and compared. Pure.
#include <crypt.h>

#include <array>
#include <memory>

#include "base/hash.h"
#include "worker/http/access/auth_basic.h"

namespace limpet::worker {
namespace {

PasswordCheck Verdict(bool match) {
  return match ? PasswordCheck::kMatch : PasswordCheck::kMismatch;
}

std::string_view Bytes(const std::array<uint8_t, 20>& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}
std::string_view Bytes(const std::array<uint8_t, 16>& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// {SSHA}BASE64(SHA1(password salt) salt)
PasswordCheck CheckSsha(std::string_view password, std::string_view encoded) {
  std::string decoded;
  if (!Base64Decode(encoded, &decoded) || decoded.size() < 20) return PasswordCheck::kMismatch;
  const std::string salted = std::string(password) + decoded.substr(20);
  return Verdict(SameSecret(Bytes(Sha1(salted)), std::string_view(decoded).substr(0, 20)));
}

PasswordCheck CheckSha(std::string_view password, std::string_view encoded) {
  std::string decoded;
  if (!Base64Decode(encoded, &decoded)) return PasswordCheck::kMismatch;
  return Verdict(SameSecret(Bytes(Sha1(password)), decoded));
}

PasswordCheck CheckCrypt(std::string_view password, std::string_view stored) {
  const auto data = std::make_unique<crypt_data>();  // 32 kB: not for the stack of a worker
  const char* const hashed =
      ::crypt_r(std::string(password).c_str(), std::string(stored).c_str(), data.get());
  // What is stored may be no hash: the library says so with null, or with a token ("*0") that fits
  // no password.
  if (hashed == nullptr) return PasswordCheck::kUnusable;
  if (hashed[0] == '*') return PasswordCheck::kMismatch;
  return Verdict(SameSecret(hashed, stored));
}

void AppendBase64Of(std::string* out, uint32_t bits, int digits) {
  constexpr std::string_view kDigits =
      "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (; digits > 0; --digits, bits >>= 6) out->push_back(kDigits[bits & 63]);
}

}  // namespace

std::string CryptApr1(std::string_view password, std::string_view salted) {
  constexpr std::string_view kMagic = "$apr1$";
  std::string_view salt = salted.substr(kMagic.size());
  salt = salt.substr(0, std::min<size_t>(salt.find('$'), 8));
  const auto concat = [](auto... parts) {
    std::string text;
    (text.append(parts), ...);
    return text;
  };

  const std::string pw(password), s(salt);
  std::array<uint8_t, 16> digest = Md5(concat(pw, s, pw));
  std::string text = concat(pw, std::string(kMagic), s);
  for (size_t left = pw.size(); left > 0; left -= std::min<size_t>(left, 16)) {
    text.append(Bytes(digest).substr(0, left));
  }
  for (size_t bits = pw.size(); bits > 0; bits >>= 1) {
    text.push_back((bits & 1) != 0 || pw.empty() ? '\0' : pw[0]);
  }
  digest = Md5(text);
  for (int round = 0; round < 1000; ++round) {
    const std::string last(Bytes(digest));
    text = (round & 1) != 0 ? pw : last;
    if (round % 3 != 0) text += s;
    if (round % 7 != 0) text += pw;
    text += (round & 1) != 0 ? last : pw;
    digest = Md5(text);
  }

  std::string out = concat(std::string(kMagic), s, std::string("$"));
  const auto three = [&](size_t a, size_t b, size_t c) {
    AppendBase64Of(&out, uint32_t{digest[a]} << 16 | uint32_t{digest[b]} << 8 | digest[c], 4);
  };
  three(0, 6, 12);
  three(1, 7, 13);
  three(2, 8, 14);
  three(3, 9, 15);
  three(4, 10, 5);
  AppendBase64Of(&out, digest[11], 2);
  return out;
}

PasswordCheck CheckPassword(std::string_view password, std::string_view stored) {
  if (stored.starts_with("{PLAIN}")) return Verdict(SameSecret(password, stored.substr(7)));
  if (stored.starts_with("{SSHA}")) return CheckSsha(password, stored.substr(6));
  if (stored.starts_with("{SHA}")) return CheckSha(password, stored.substr(5));
  if (stored.starts_with("$apr1$")) {
    return Verdict(SameSecret(CryptApr1(password, stored), stored));
  }
  return stored.empty() ? PasswordCheck::kMismatch : CheckCrypt(password, stored);
}

std::optional<std::string_view> FindPassword(std::string_view file, std::string_view user) {
  while (!file.empty()) {
    const size_t end = file.find('\n');
    std::string_view line = file.substr(0, end);
    file = end == std::string_view::npos ? std::string_view() : file.substr(end + 1);
    if (line.starts_with('#') || line.size() <= user.size()) continue;
    if (!line.starts_with(user) || line[user.size()] != ':') continue;
    line.remove_prefix(user.size() + 1);
    return line.substr(0, line.find_first_of(":\r"));
  }
  return std::nullopt;
}

}  // namespace limpet::worker
