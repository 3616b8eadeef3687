#include "conf/secret_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file_text.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "conf/loader.h"
#include "conf/setting.h"

namespace limpet::conf {
namespace {

constexpr size_t kMaxSize = 65536;
constexpr size_t kMinKeySize = 16;
// The same on all machines, for ever.
constexpr std::string_view kKeyPurpose = "limpet store key";
constexpr std::string_view kSealPurpose = "limpet cookie key";
constexpr size_t kMaxSealKeys = 2;

void DropLineEnd(std::string* bytes) {
  for (const char c : {'\n', '\r'}) {
    if (!bytes->ends_with(c)) return;
    bytes->pop_back();
  }
}

// O_NONBLOCK: a FIFO is refused, not waited for.
Result<std::string> Read(Block& b, const Directive& d, const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return ErrnoError(fmt::format("open() \"{}\" failed", path), errno);
  struct stat found {};
  if (::fstat(fd.get(), &found) != 0)
    return ErrnoError(fmt::format("fstat() \"{}\" failed", path), errno);
  if (!S_ISREG(found.st_mode))
    return InvalidArgument(fmt::format("\"{}\" is no regular file", path));
  if ((found.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    b.loader.Warn(d, fmt::format("everybody may {} \"{}\", which holds a secret",
                                 found.st_mode & S_IROTH ? "read" : "write", path));
  }
  Result<std::string> bytes = ReadToEnd(fd.get(), path, kMaxSize);
  if (bytes) DropLineEnd(&*bytes);
  return bytes;
}

Result<std::string> Path(Block& b, const Directive& d, const std::string& text) {
  std::string path;
  if (text.empty()) return Refuse(d, "has an empty file name");
  if (Status s = ConfDirPath{}(b, d, text, path); !s) return s.error();
  return path;
}

}  // namespace

Result<std::string> ReadPasswordFile(Block& b, const Directive& d, const std::string& text) {
  const Result<std::string> path = Path(b, d, text);
  if (!path) return path;
  Result<std::string> password = Read(b, d, *path);
  if (!password) return password;
  if (password->empty()) return InvalidArgument(fmt::format("\"{}\" holds no password", *path));
  if (password->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    return InvalidArgument(fmt::format("\"{}\" holds more than one line", *path));
  return password;
}

Result<std::string> ReadSecretFile(Block& b, const Directive& d, const std::string& text) {
  const Result<std::string> path = Path(b, d, text);
  if (!path) return path;
  return Read(b, d, *path);
}

Result<SipKey> ReadKeyFile(Block& b, const Directive& d, const std::string& text) {
  const Result<std::string> path = Path(b, d, text);
  if (!path) return path.error();
  const Result<std::string> bytes = Read(b, d, *path);
  if (!bytes) return bytes.error();
  if (bytes->size() < kMinKeySize) {
    return InvalidArgument(
        fmt::format("the key in \"{}\" is shorter than {} bytes", *path, kMinKeySize));
  }
  const auto digest = Sha256(std::string(kKeyPurpose) + *bytes);
  SipKey key;
  std::copy_n(digest.begin(), key.size(), key.begin());
  return key;
}

Result<std::vector<SealKey>> ReadSealKeys(Block& b, const Directive& d, const std::string& text) {
  const Result<std::string> path = Path(b, d, text);
  if (!path) return path.error();
  const Result<std::string> bytes = Read(b, d, *path);
  if (!bytes) return bytes.error();
  std::vector<SealKey> keys;
  for (std::string_view line : Split(*bytes, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (keys.size() == kMaxSealKeys)
      return InvalidArgument(
          fmt::format("\"{}\" holds more than {} keys, one a line", *path, kMaxSealKeys));
    if (!std::ranges::all_of(line, [](unsigned char c) { return c > ' ' && c < 0x7f; })) {
      return InvalidArgument(
          fmt::format("the keys in \"{}\" are not printable characters without blanks, one key a "
                      "line, as of \"openssl rand -base64 32\"",
                      *path));
    }
    if (line.size() < kMinKeySize) {
      return InvalidArgument(
          fmt::format("a key in \"{}\" is shorter than {} characters", *path, kMinKeySize));
    }
    const SealKey key = Sha256(std::string(kSealPurpose).append(line));
    if (std::ranges::find(keys, key) != keys.end())
      b.loader.Warn(d, fmt::format("\"{}\" holds the key twice", *path));
    keys.push_back(key);
  }
  return keys;
}

}  // namespace limpet::conf
