#include "proto/headers.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/text.h"

namespace limpet::proto {
namespace {

// Kinds of bytes, of a vector or of a byte: each element of the result is not 0 if it is of them.
// A value may have any byte but these (RFC 9110 5.5).
constexpr auto kControls = [](auto bytes) {
  return ((bytes < ' ') & (bytes != '\t')) | (bytes == 0x7F);
};
constexpr auto kInvisibles = [](auto bytes) { return (bytes <= ' ') | (bytes == 0x7F); };

using Bytes16 = uint8_t __attribute__((vector_size(16)));
using Bytes8 = uint8_t __attribute__((vector_size(8)));
using Bytes4 = uint8_t __attribute__((vector_size(4)));

template <class Vector>
Vector Load(const char* bytes) {
  Vector vector;
  std::memcpy(&vector, bytes, sizeof vector);
  return vector;
}

// Of not less than one vector: all of them, and the last one of all, which may overlap.
template <class Vector, class Kind>
bool HasAny(std::string_view text, Kind kind) {
  const char* const last = text.data() + text.size() - sizeof(Vector);
  auto found = kind(Load<Vector>(last));
  for (const char* at = text.data(); at < last; at += sizeof(Vector))
    found |= kind(Load<Vector>(at));
  std::array<char, sizeof(Vector)> flat;
  std::memcpy(flat.data(), &found, sizeof found);
  return flat != std::array<char, sizeof(Vector)>{};
}

template <class Kind>
bool HasNone(std::string_view text, Kind kind) {
  if (text.size() >= sizeof(Bytes16)) return !HasAny<Bytes16>(text, kind);
  if (text.size() >= sizeof(Bytes8)) return !HasAny<Bytes8>(text, kind);
  if (text.size() >= sizeof(Bytes4)) return !HasAny<Bytes4>(text, kind);
  return std::none_of(text.begin(), text.end(),
                      [kind](char c) { return kind(static_cast<uint8_t>(c)); });
}

}  // namespace

bool ListHasToken(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    if (EqualsIgnoreCase(TrimSpaces(list.substr(0, comma)), token)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

// Each request comes here with each of its fields.
bool IsFieldValue(std::string_view text) { return HasNone(text, kControls); }
bool IsVisible(std::string_view text) { return HasNone(text, kInvisibles); }

std::optional<std::string> UnfoldFieldValue(std::string_view text) {
  std::string line(text);
  for (size_t at = 0; (at = line.find('\n', at)) != std::string::npos; ++at) {
    if (at + 1 == line.size() || (line[at + 1] != ' ' && line[at + 1] != '\t')) return std::nullopt;
    line[at] = ' ';
    if (at > 0 && line[at - 1] == '\r') line[at - 1] = ' ';
  }
  return IsFieldValue(line) ? std::optional(std::move(line)) : std::nullopt;
}

bool AppendField(std::string* head, std::string_view name, std::string_view value) {
  if (!IsFieldValue(value)) {
    const auto line = UnfoldFieldValue(value);
    return line && AppendField(head, name, *line);
  }
  head->append(name).append(": ").append(value).append("\r\n");
  return true;
}

bool IsToken(std::string_view text) {
  constexpr std::string_view kSigns = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [=](char c) {
    const char l = AsciiLower(c);
    return IsDigit(c) || (l >= 'a' && l <= 'z') || kSigns.find(c) != kSigns.npos;
  });
}

const Header* HeaderList::Find(HeaderId id) const {
  if (!Has(id)) return nullptr;
  for (const Header& header : list_) {
    if (header.id == id) return &header;
  }
  return nullptr;
}

const Header* HeaderList::Find(std::string_view name) const {
  const HeaderId id = LookupHeader(name);
  return id != HeaderId::kOther ? Find(id) : FindOther(name);
}

const Header* HeaderList::FindOther(std::string_view name) const {
  assert(LookupHeader(name) == HeaderId::kOther);
  if (!Has(HeaderId::kOther)) return nullptr;
  for (const Header& header : list_) {
    if (header.id == HeaderId::kOther && EqualsIgnoreCase(header.name, name)) return &header;
  }
  return nullptr;
}

std::string_view HeaderList::Value(HeaderId id) const {
  const Header* header = Find(id);
  return header ? header->value : std::string_view();
}

size_t HeaderList::Count(HeaderId id) const {
  if (!Has(id)) return 0;
  return static_cast<size_t>(
      std::count_if(list_.begin(), list_.end(), [id](const Header& h) { return h.id == id; }));
}

template <class Match>
size_t HeaderList::RemoveIf(Match match) {
  const size_t before = list_.size();
  auto kept = list_.begin();
  for (const Header& header :
       list_) {  // in order, each once: `match` may remember what it has seen
    if (!match(header)) *kept++ = header;
  }
  list_.erase(kept, list_.end());
  return before - list_.size();
}

size_t HeaderList::RemoveAll(HeaderId id) {
  if (id == HeaderId::kOther || !Has(id)) return 0;
  present_.Remove(id);
  return RemoveIf([id](const Header& h) { return h.id == id; });
}

size_t HeaderList::RemoveAll(std::string_view name) {
  const HeaderId id = LookupHeader(name);
  if (id != HeaderId::kOther) return RemoveAll(id);
  return RemoveIf([name](const Header& h) {
    return h.id == HeaderId::kOther && EqualsIgnoreCase(h.name, name);
  });
}

void HeaderList::Set(HeaderId id, std::string_view name, std::string_view value) {
  if (id == HeaderId::kOther) {
    RemoveAll(name);
  } else {
    RemoveAll(id);
  }
  Add(id, name, value);
}

bool HeaderList::HasToken(HeaderId id, std::string_view token) const {
  if (!Has(id)) return false;
  return std::any_of(list_.begin(), list_.end(),
                     [&](const Header& h) { return h.id == id && ListHasToken(h.value, token); });
}

}  // namespace limpet::proto
