// A database of addresses that somebody has damaged: it is refused, or every question has an end
// and an answer of bounded length.
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "worker/geo/database.h"

namespace limpet::worker {
namespace {

const std::atomic<bool> kNever{false};
constexpr const char* kCountry[] = {"country", "iso_code", nullptr};
constexpr const char* kName[] = {"country", "names", "en", nullptr};
constexpr const char* kInArray[] = {"subdivisions", "1", "iso_code", nullptr};
constexpr const char* kNumber[] = {"v", "u128", nullptr};
constexpr const char* kFirst[] = {"0", "0", nullptr};
constexpr const char* kNothing[] = {nullptr};

void Ask(Database& database, std::string_view address, size_t longest) {
  for (const char* const* path : {kCountry, kName, kInArray, kNumber, kFirst, kNothing}) {
    Database::Digits digits;
    const auto found = database.Find(*SocketAddress::ParseIp(address, 0), path, &digits);
    if (!found) continue;
    FUZZ_CHECK(found->size() <= longest, "a text that is longer than the file");
    size_t sum = 0;
    for (const char c : *found) sum += static_cast<unsigned char>(c);  // all of it can be read
    FUZZ_CHECK(sum <= found->size() * 255, "bytes are bytes");
  }
}

}  // namespace

FUZZ_TARGET(geo, input) {
  if (input.empty()) return;
  UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  FUZZ_CHECK(::write(fd.get(), input.data(), input.size()) == static_cast<ssize_t>(input.size()),
             "memory is there");
  auto opened = Database::Open(std::move(fd));
  if (!opened) return;
  Database& database = **opened;
  if (!database.Check(kNever)) return;
  for (const std::string_view address : {"192.0.2.1", "198.51.100.7", "0.0.0.0", "255.255.255.255",
                                         "2001:db8::1", "::", "ffff::1", "::ffff:192.0.2.1"}) {
    Ask(database, address, input.size() + 64);
  }
}

}  // namespace limpet::worker
