#include "conf/geo_tables.h"

#include <algorithm>

namespace limpet::conf {
namespace {

constexpr uint32_t kChunkMask = 0xffff;

// The first `bits` bits, the others zero.
std::string Mask(std::string_view ip, int bits) {
  std::string out(ip);
  for (size_t i = 0; i < out.size(); ++i) {
    const int keep = std::clamp(bits - static_cast<int>(i) * 8, 0, 8);
    out[i] = static_cast<char>(static_cast<unsigned char>(out[i]) & (0xff00u >> keep & 0xffu));
  }
  return out;
}

// Calls f(first, last) for each /16 that the range touches.
template <class F>
void ForEachChunk(uint32_t first, uint32_t last, F f) {
  for (uint64_t at = first; at <= last; at = (at | kChunkMask) + 1) {
    f(static_cast<uint32_t>(at), static_cast<uint32_t>(std::min<uint64_t>(at | kChunkMask, last)));
  }
}

}  // namespace

NetworkTable::ByPrefix& NetworkTable::TableFor(const Cidr& network) {
  return network.network.family() == AF_INET ? v4_ : v6_;
}

bool NetworkTable::Add(const Cidr& network, std::string value) {
  auto& table = TableFor(network)[network.bits];
  return table.insert_or_assign(std::string(network.network.ip_bytes()), std::move(value)).second;
}

bool NetworkTable::Delete(const Cidr& network) {
  ByPrefix& tables = TableFor(network);
  const auto it = tables.find(network.bits);
  return it != tables.end() && it->second.erase(std::string(network.network.ip_bytes())) > 0;
}

const std::string* NetworkTable::FindIn(const ByPrefix& table, std::string_view ip) {
  for (const auto& [bits, networks] : table) {
    const auto it = networks.find(Mask(ip, bits));
    if (it != networks.end()) return &it->second;
  }
  return nullptr;
}

const std::string* NetworkTable::Find(const SocketAddress& address) const {
  return FindIn(address.family() == AF_INET ? v4_ : v6_, address.ip_bytes());
}

// The range that holds all of first…last, or the first that has anything of it; end() if none has.
std::map<uint32_t, RangeTable::Range>::iterator RangeTable::Covering(uint32_t first,
                                                                     uint32_t last) {
  auto it = ranges_.upper_bound(first);
  if (it != ranges_.begin() && std::prev(it)->second.last >= first) return std::prev(it);
  return it != ranges_.end() && it->first <= last ? it : ranges_.end();
}

RangeTable::Added RangeTable::AddChunk(uint32_t first, uint32_t last, const std::string& value) {
  const auto it = Covering(first, last);
  if (it == ranges_.end()) {
    ranges_[first] = {last, value};
    return Added::kNew;
  }
  const uint32_t outer_first = it->first;
  const Range outer = it->second;
  if (outer_first == first && outer.last == last) {
    it->second.value = value;
    return Added::kReplaced;
  }
  if (outer_first > first || outer.last < last) return Added::kOverlaps;
  if (outer_first < first) it->second.last = first - 1;
  if (outer.last > last) ranges_[last + 1] = outer;
  ranges_[first] = {last, value};
  return Added::kNew;
}

RangeTable::Added RangeTable::Add(uint32_t first, uint32_t last, const std::string& value) {
  Added result = Added::kNew;
  ForEachChunk(first, last, [&](uint32_t a, uint32_t b) {
    if (result != Added::kOverlaps) result = std::max(result, AddChunk(a, b, value));
  });
  return result;
}

bool RangeTable::Delete(uint32_t first, uint32_t last) {
  bool all = true;
  ForEachChunk(first, last, [&](uint32_t a, uint32_t b) {
    const auto it = ranges_.find(a);
    if (it != ranges_.end() && it->second.last == b) {
      ranges_.erase(it);
    } else {
      all = false;
    }
  });
  return all;
}

const std::string* RangeTable::Find(uint32_t address) const {
  auto it = ranges_.upper_bound(address);
  if (it == ranges_.begin()) return nullptr;
  --it;
  return it->second.last >= address ? &it->second.value : nullptr;
}

}  // namespace limpet::conf
