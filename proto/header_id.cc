#include "proto/header_id.h"

#include <array>
#include <cstddef>
#include <cstring>

#include "base/text.h"

namespace limpet::proto {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(HeaderId::kCount_)> kNames = {
    "",
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Accept-Ranges",
    "Age",
    "Allow",
    "Authorization",
    "Cache-Control",
    "Connection",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Location",
    "Content-Range",
    "Content-Type",
    "Cookie",
    "Date",
    "Depth",
    "Destination",
    "ETag",
    "Expect",
    "Expires",
    "Forwarded",
    "Host",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Keep-Alive",
    "Last-Modified",
    "Link",
    "Location",
    "Origin",
    "Overwrite",
    "Pragma",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Range",
    "Referer",
    "Refresh",
    "Server",
    "Set-Cookie",
    "Status",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "User-Agent",
    "Vary",
    "Via",
    "WWW-Authenticate",
    "X-Accel-Buffering",
    "X-Accel-Charset",
    "X-Accel-Expires",
    "X-Accel-Limit-Rate",
    "X-Accel-Redirect",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
};

// Length, first and last two letters tell the names apart (checked below), so one probe and one
// compare decide.
constexpr size_t kSlots = 512;

constexpr size_t SlotOf(std::string_view name) {
  const auto lower = [&](size_t i) {
    return static_cast<size_t>(static_cast<unsigned char>(name[i]) | 0x20);
  };
  const size_t n = name.size();
  return (n * 7 + lower(0) * 31 + lower(n - 1) * 59 + lower(n / 2) * 113 + lower(n - 2) * 5) %
         kSlots;
}

// Two ids per slot are room enough.
struct Slot {
  HeaderId ids[2] = {HeaderId::kOther, HeaderId::kOther};
};

constexpr std::array<Slot, kSlots> MakeSlots() {
  std::array<Slot, kSlots> slots{};
  for (size_t i = 1; i < kNames.size(); ++i) {
    Slot& slot = slots[SlotOf(kNames[i])];
    slot.ids[slot.ids[0] == HeaderId::kOther ? 0 : 1] = static_cast<HeaderId>(i);
  }
  return slots;
}
constexpr std::array<Slot, kSlots> kTable = MakeSlots();

constexpr bool EveryNameIsFound() {
  for (size_t i = 1; i < kNames.size(); ++i) {
    const Slot& slot = kTable[SlotOf(kNames[i])];
    const auto id = static_cast<HeaderId>(i);
    if (slot.ids[0] != id && slot.ids[1] != id) return false;
  }
  return true;
}
static_assert(EveryNameIsFound(), "three names share a slot: change SlotOf");

// A known name for comparing eight bytes at a time: in lower case, with the bits that turn a byte
// into lower case. For
// '-' there is none, so that the comparison is exact.
constexpr size_t kMaxName = 24;
struct Folded {
  std::array<char, kMaxName> lower{};
  std::array<char, kMaxName> fold{};
};

constexpr std::array<Folded, kNames.size()> MakeFolded() {
  std::array<Folded, kNames.size()> all{};
  for (size_t n = 0; n < kNames.size(); ++n) {
    for (size_t i = 0; i < kNames[n].size(); ++i) {
      const char c = AsciiLower(kNames[n][i]);
      all[n].lower[i] = c;
      all[n].fold[i] = c >= 'a' && c <= 'z' ? 0x20 : 0;
    }
  }
  return all;
}
constexpr std::array<Folded, kNames.size()> kFolded = MakeFolded();

template <class Word>
bool WordMatches(const char* name, const Folded& known, size_t at) {
  Word word, lower, fold;
  std::memcpy(&word, name + at, sizeof word);
  std::memcpy(&lower, known.lower.data() + at, sizeof word);
  std::memcpy(&fold, known.fold.data() + at, sizeof word);
  return static_cast<Word>(word | fold) == lower;
}

// All words of the name, the last one overlapping; the name is at least as long as a word.
template <class Word>
bool WordsMatch(std::string_view name, const Folded& known) {
  for (size_t at = 0; at + sizeof(Word) < name.size(); at += sizeof(Word)) {
    if (!WordMatches<Word>(name.data(), known, at)) return false;
  }
  return WordMatches<Word>(name.data(), known, name.size() - sizeof(Word));
}

bool Matches(std::string_view name, HeaderId id) {  // runs once per header line
  const auto n = static_cast<size_t>(id);
  if (kNames[n].size() != name.size()) return false;
  if (name.size() >= 8) return WordsMatch<uint64_t>(name, kFolded[n]);
  return WordsMatch<uint16_t>(name, kFolded[n]);
}

}  // namespace

HeaderId LookupHeader(std::string_view name) {
  if (name.size() < 2) return HeaderId::kOther;
  for (const HeaderId id : kTable[SlotOf(name)].ids) {
    if (id != HeaderId::kOther && Matches(name, id)) return id;
  }
  return HeaderId::kOther;
}

std::string_view Name(HeaderId id) { return kNames[static_cast<size_t>(id)]; }

}  // namespace limpet::proto
