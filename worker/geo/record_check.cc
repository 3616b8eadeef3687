#include "worker/geo/record_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

namespace limpet::worker::mmdb {
namespace {

constexpr std::string_view kMarker = "\xab\xcd\xefMaxMind.com";
constexpr size_t kMetadataReach = 128 * 1024;  // from the end of the file
constexpr int kDeepest = 32;                   // real records have 6 levels
constexpr size_t kLongestMetadata = 64 * 1024;

bool IsString(Bytes data, size_t at) {
  const auto head = ReadTarget(data, at);
  return head && head->type == kString;
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

  // The offset behind a value.
  std::optional<size_t> Skip(size_t at) { return Value(at, 0); }

 private:
  bool Note(size_t at) {
    if (at >= data_.size()) return false;
    if (!seen_[at]) waiting_.push_back(at);
    seen_[at] = true;
    return true;
  }

  std::optional<size_t> Value(size_t at, int depth) {
    const auto head = ReadHead(data_, at);
    if (!head || depth > kDeepest || budget_ == 0) return std::nullopt;
    --budget_;
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
      if (head.type == kMap && !IsString(data_, *at)) return std::nullopt;
      if (head.type == kMap) at = Value(*at, depth + 1);
      if (at) at = Value(*at, depth + 1);
    }
    return at;
  }

  Bytes data_;
  Targets targets_;
  std::vector<bool> seen_;
  std::vector<size_t> waiting_;
  // Values that may be walked: real ones lie in no more than a few others that are pointed to.
  size_t budget_ = kDeepest * (data_.size() + 1);
};

// Of a container: all its values are texts.
bool HoldsStrings(Bytes data, size_t at, Walk& walk) {
  const auto head = ReadHead(data, at);
  if (!head || (head->type != kMap && head->type != kArray)) return false;
  std::optional<size_t> value = head->end;
  for (uint32_t i = 0; i < head->size && value; ++i) {
    if (head->type == kMap) value = walk.Skip(*value);
    if (!value || !IsString(data, *value)) return false;
    value = walk.Skip(*value);
  }
  return value.has_value();
}

// The library leaks memory over languages and descriptions that are no texts.
bool AreMetadata(Bytes data) {
  Walk walk(data, Walk::Targets::kScalars);
  const auto head = ReadHead(data, 0);
  if (!head || head->type != kMap || !walk.Check(0)) return false;
  std::optional<size_t> at = head->end;
  for (uint32_t i = 0; i < head->size && at; ++i) {
    const auto key = ReadTarget(data, *at);
    const std::string_view name(reinterpret_cast<const char*>(data.data()) + key->end, key->size);
    at = walk.Skip(*at);
    if ((name == "languages" || name == "description") && !HoldsStrings(data, *at, walk))
      return false;
    at = walk.Skip(*at);
  }
  return true;
}

}  // namespace

std::string CheckMetadata(Bytes file) {
  const Bytes tail = file.last(std::min(file.size(), kMetadataReach));
  const auto found = std::find_end(tail.begin(), tail.end(), kMarker.begin(), kMarker.end(),
                                   [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); });
  if (found == tail.end()) return "it is no MaxMind DB file, or has lost its end";
  const auto at = static_cast<size_t>(found - tail.begin()) + kMarker.size();
  const Bytes metadata = tail.subspan(at);
  const bool sound = metadata.size() <= kLongestMetadata && AreMetadata(metadata);
  return sound ? "" : "its metadata are damaged";
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

}  // namespace limpet::worker::mmdb
