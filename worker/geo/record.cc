#include "worker/geo/record.h"

#include "base/text.h"

namespace limpet::worker::mmdb {
namespace {

// Reads big-endian bytes; nothing beyond the end.
std::optional<uint32_t> ReadNumber(Bytes data, size_t at, size_t count) {
  if (at > data.size() || data.size() - at < count) return std::nullopt;
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) value = value << 8 | data[at + i];
  return value;
}

std::optional<Head> ReadPointer(Bytes data, size_t at, uint8_t control) {
  constexpr uint32_t kBase[] = {0, 2048, 526336, 0};
  const size_t more = (control >> 3 & 3u) + size_t{1};
  const auto low = ReadNumber(data, at, more);
  if (!low) return std::nullopt;
  const uint32_t high = more == 4 ? 0 : static_cast<uint32_t>(control & 7u) << (8 * more);
  const uint64_t target = uint64_t{high | *low} + kBase[more - 1];
  if (target >= data.size()) return std::nullopt;
  return Head{kPointer, static_cast<uint32_t>(target), at + more};
}

}  // namespace

std::optional<Head> ReadHead(Bytes data, size_t at) {
  if (at >= data.size()) return std::nullopt;
  const uint8_t control = data[at++];
  Head head{.type = static_cast<uint8_t>(control >> 5)};
  if (head.type == kPointer) return ReadPointer(data, at, control);
  if (head.type == 0) {
    const auto extended = ReadNumber(data, at++, 1);
    if (!extended || *extended > kFloat - 7) return std::nullopt;
    head.type = static_cast<uint8_t>(*extended + 7);
    if (head.type <= kMap) return std::nullopt;
  }
  head.size = control & 31u;
  if (head.size >= 29) {
    constexpr uint32_t kBase[] = {29, 285, 65821};
    const size_t more = head.size - size_t{28};
    const auto rest = ReadNumber(data, at, more);
    if (!rest) return std::nullopt;
    head.size = kBase[more - 1] + *rest;
    at += more;
  }
  head.end = at;
  return head;
}

std::optional<Head> ReadTarget(Bytes data, size_t at) {
  auto head = ReadHead(data, at);
  if (head && head->type == kPointer) head = ReadHead(data, head->size);
  return head;
}

std::optional<size_t> FindRecord(const SearchTree& tree, uint32_t start, std::string_view address) {
  uint32_t node = start;
  for (size_t bit = 0; bit < address.size() * 8 && node < tree.node_count; ++bit) {
    const auto byte = static_cast<unsigned char>(address[bit / 8]);
    node = RecordAt(tree, node, (byte >> (7 - bit % 8) & 1) != 0);
  }
  if (node <= tree.node_count + (kSeparator - 1)) return std::nullopt;
  return node - tree.node_count - kSeparator;
}

namespace {

// The offset behind a value of a frequent form, a short text or number; 0: it has another.
size_t BehindShortValue(Bytes data, size_t at) {
  if (at >= data.size()) return 0;
  const unsigned type = data[at] >> 5, size = data[at] & 31u;
  if (type == kPointer) return at + 2 + (size >> 3);
  return type >= kString && type < kMap && size < 29 ? at + 1 + size : 0;
}

// The offset behind a value. Values lie in each other no deeper than the check has seen.
std::optional<size_t> Skip(Bytes data, size_t at) {
  size_t left = 1;  // values to go by
  while (left > 0) {
    const size_t behind = BehindShortValue(data, at);
    if (behind != 0) {
      --left;
      at = behind;
      continue;
    }
    const auto head = ReadHead(data, at);
    if (!head) return std::nullopt;
    --left;
    at = head->end;
    if (head->type == kMap) {
      left += size_t{2} * head->size;
    } else if (head->type == kArray) {
      left += head->size;
    } else if (head->type != kPointer && head->type != kBoolean) {
      at += head->size;
    }
  }
  return at;
}

bool IsKey(Bytes data, size_t at, std::string_view name) {
  const auto head = ReadTarget(data, at);
  if (!head || head->type != kString || head->size != name.size()) return false;
  if (data.size() - head->end < name.size()) return false;
  return std::string_view(reinterpret_cast<const char*>(data.data()) + head->end, name.size()) ==
         name;
}

// Of a value's head that no pointer is.
std::optional<size_t> Inside(Bytes data, const Head& head, std::string_view step) {
  const bool is_map = head.type == kMap;
  const auto place = is_map ? std::nullopt : ParseDecimal(step);
  if (!is_map && (head.type != kArray || !place || *place >= head.size)) return std::nullopt;
  std::optional<size_t> at = head.end;
  for (uint32_t i = 0; i < head.size && at; ++i) {
    const bool found = is_map ? IsKey(data, *at, step) : i == *place;
    if (is_map) at = Skip(data, *at);
    if (found || !at) return at;
    at = Skip(data, *at);
  }
  return std::nullopt;
}

}  // namespace

std::optional<size_t> FindPath(Bytes data, size_t at, const char* const* path) {
  for (; *path != nullptr; ++path) {
    const auto head = ReadTarget(data, at);
    const auto inside = head ? Inside(data, *head, *path) : std::nullopt;
    if (!inside) return std::nullopt;
    at = *inside;
  }
  return at;
}

}  // namespace limpet::worker::mmdb
