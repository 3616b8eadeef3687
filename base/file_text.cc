#include "base/file_text.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/secret.h"
#include "base/unique_fd.h"

namespace limpet {
namespace {

constexpr size_t kFirst = 4096;

void Double(std::string* text) {
  std::string larger(text->size() * 2, '\0');
  larger.replace(0, text->size(), *text);
  Wipe(text);
  *text = std::move(larger);
}

}  // namespace

Result<std::string> ReadToEnd(int fd, const std::string& path, size_t most) {
  std::string text(kFirst, '\0');
  size_t used = 0;
  const auto fail = [&text](Error error) {
    Wipe(&text);
    return error;
  };
  for (;;) {
    if (used == text.size()) Double(&text);
    const ssize_t n = ::read(fd, text.data() + used, text.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(ErrnoError(fmt::format("read() \"{}\" failed", path), errno));
    if (n == 0) break;
    used += static_cast<size_t>(n);
    if (used > most) {
      return fail({std::make_error_code(std::errc::file_too_large),
                   fmt::format("\"{}\" is longer than {}k", path, most / 1024)});
    }
  }
  text.resize(used);
  return text;
}

Result<std::string> ReadFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return ErrnoError(fmt::format("open() \"{}\" failed", path), errno);
  return ReadToEnd(fd.get(), path);
}

}  // namespace limpet
