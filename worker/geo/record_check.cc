#include "worker/geo/record_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

namespace limpet::worker {
namespace {

constexpr std::string_view kMarker = "\xab\xcd\xefMaxMind.com";
constexpr size_t kMetadataReach = 128 * 1024;  // from the end of the file
constexpr size_t kSeparator = 16;              // zeros between the tree and the data
constexpr int kDeepest = 32;                   // real records have 6 levels
constexpr size_t kLongestMetadata = 64 * 1024;

enum Type : uint8_t {
  kPointer = 1,
  kString = 2,
  kDouble = 3,
  kBytes = 4,
  kUint16 = 5,
  kUint32 = 6,
  kMap = 7,
  kInt32 = 8,
  kUint64 = 9,
  kUint128 = 10,
  kArray = 11,
  kBoolean = 14,
  kFloat = 15,
};

struct Head {
  uint8_t type = 0;
  uint32_t size = 0;  // bytes; entries of a map or an array; of a pointer, its target
  size_t end = 0;     // offset of what follows
};

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

bool FitsType(uint8_t type, uint32_t size) {
  switch (type) {
    case kString:
    case kBytes:
      return true;
    case kDouble:
      return size == 8;
    case kUint16:
      return size <= 2;
    case kUint32:
    case kInt32:
      return size <= 4;
    case kUint64:
      return size <= 8;
    case kUint128:
      return size <= 16;
    case kBoolean:
      return size <= 1;
    case kFloat:
      return size == 4;
    default:  // a cache container or an end marker: not in files
      return false;
  }
}

// Walks values. Targets of pointers are kept and walked by themselves, each once: a file of
// pointers to pointers would else take for ever.
class Walk {
 public:
  enum class Targets : uint8_t { kAll, kScalars };

  Walk(Bytes data, Targets targets) : data_(data), targets_(targets), seen_(data.size()) {}

  // A value, and all that can be reached from it.
  bool Check(size_t at) {
    if (!Note(at)) return false;
    while (!waiting_.empty()) {
      const size_t next = waiting_.back();
      waiting_.pop_back();
      const auto head = ReadHead(data_, next);
      if (!head || head->type == kPointer || !Value(next, 0)) return false;
    }
    return true;
  }

 private:
  bool Note(size_t at) {
    if (at >= data_.size()) return false;
    if (!seen_[at]) waiting_.push_back(at);
    seen_[at] = true;
    return true;
  }

  // The offset behind a value.
  std::optional<size_t> Value(size_t at, int depth) {
    const auto head = ReadHead(data_, at);
    if (!head || depth > kDeepest) return std::nullopt;
    if (head->type == kPointer) return Pointer(*head);
    if (head->type == kMap || head->type == kArray) return Container(*head, depth);
    if (!FitsType(head->type, head->size)) return std::nullopt;
    const size_t bytes = head->type == kBoolean ? 0 : head->size;
    if (data_.size() - head->end < bytes) return std::nullopt;
    return head->end + bytes;
  }

  std::optional<size_t> Pointer(const Head& head) {
    if (targets_ == Targets::kScalars) {
      const auto target = ReadHead(data_, head.size);
      if (!target || target->type == kMap || target->type == kArray) return std::nullopt;
    }
    return Note(head.size) ? std::optional(head.end) : std::nullopt;
  }

  std::optional<size_t> Container(const Head& head, int depth) {
    if (head.size > data_.size()) return std::nullopt;
    std::optional<size_t> at = head.end;
    for (uint32_t i = 0; i < head.size && at; ++i) {
      if (head.type == kMap && !IsKey(*at)) return std::nullopt;
      if (head.type == kMap) at = Value(*at, depth + 1);
      if (at) at = Value(*at, depth + 1);
    }
    return at;
  }

  bool IsKey(size_t at) const {
    auto head = ReadHead(data_, at);
    if (head && head->type == kPointer) head = ReadHead(data_, head->size);
    return head && head->type == kString;
  }

  Bytes data_;
  Targets targets_;
  std::vector<bool> seen_;
  std::vector<size_t> waiting_;
};

uint32_t RecordAt(const SearchTree& tree, size_t node, bool right) {
  const uint8_t* const bytes = tree.nodes.data() + node * tree.record_bits / 4;
  const auto byte = [bytes](size_t i) { return uint32_t{bytes[i]}; };
  switch (tree.record_bits) {
    case 24:
      return right ? byte(3) << 16 | byte(4) << 8 | byte(5)
                   : byte(0) << 16 | byte(1) << 8 | byte(2);
    case 28:
      return right ? (byte(3) & 0x0f) << 24 | byte(4) << 16 | byte(5) << 8 | byte(6)
                   : (byte(3) & 0xf0) << 20 | byte(0) << 16 | byte(1) << 8 | byte(2);
    default:
      return right ? byte(4) << 24 | byte(5) << 16 | byte(6) << 8 | byte(7)
                   : byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
  }
}

}  // namespace

std::string CheckMetadata(Bytes file) {
  const Bytes tail = file.last(std::min(file.size(), kMetadataReach));
  const auto found = std::find_end(tail.begin(), tail.end(), kMarker.begin(), kMarker.end(),
                                   [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); });
  if (found == tail.end()) return "it is no MaxMind DB file, or has lost its end";
  const auto at = static_cast<size_t>(found - tail.begin()) + kMarker.size();
  const Bytes metadata = tail.subspan(at);
  const auto head = ReadHead(metadata, 0);
  if (metadata.size() > kLongestMetadata || !head || head->type != kMap ||
      !Walk(metadata, Walk::Targets::kScalars).Check(0)) {
    return "its metadata are damaged";
  }
  return {};
}

std::string CheckRecords(const SearchTree& tree, Bytes data, const std::atomic<bool>& stop) {
  if (tree.record_bits != 24 && tree.record_bits != 28 && tree.record_bits != 32)
    return fmt::format("its records have {} bits", tree.record_bits);
  if (tree.nodes.size() < size_t{tree.node_count} * tree.record_bits / 4)
    return "its search tree has been cut";
  Walk walk(data, Walk::Targets::kAll);
  for (size_t node = 0; node < tree.node_count; ++node) {
    if (node % 65536 == 0 && stop.load(std::memory_order_relaxed)) return {};
    for (const bool right : {false, true}) {
      const uint32_t record = RecordAt(tree, node, right);
      if (record <= tree.node_count) continue;  // another node, or nothing
      const uint32_t beyond = record - tree.node_count;
      if (beyond < kSeparator || !walk.Check(beyond - kSeparator))
        return fmt::format("node {} of its search tree leads to damaged data", node);
    }
  }
  return {};
}

}  // namespace limpet::worker
