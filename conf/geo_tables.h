// What geo looks addresses up in: networks (the longest prefix wins) or ranges of IPv4 addresses.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>

#include "base/text.h"
#include "conf/access.h"

namespace limpet::conf {

class NetworkTable {
 public:
  // False if the network was there already: its value is replaced.
  bool Add(const Cidr& network, std::string value);
  bool Delete(const Cidr& network);
  const std::string* Find(const SocketAddress& address) const;

 private:
  using ByPrefix =
      std::map<int, std::unordered_map<std::string, std::string, HashText, std::equal_to<>>,
               std::greater<>>;

  static const std::string* FindIn(const ByPrefix& table, std::string_view ip);
  ByPrefix& TableFor(const Cidr& network);

  ByPrefix v4_;
  ByPrefix v6_;
};

// Ranges may lie within others, which they then split, but may not overlap otherwise. As in nginx,
// each /16 is checked by itself.
class RangeTable {
 public:
  enum class Added : uint8_t { kNew, kReplaced, kOverlaps };

  Added Add(uint32_t first, uint32_t last, const std::string& value);
  bool Delete(uint32_t first, uint32_t last);
  const std::string* Find(uint32_t address) const;

 private:
  struct Range {
    uint32_t last = 0;
    std::string value;
  };

  Added AddChunk(uint32_t first, uint32_t last, const std::string& value);
  std::map<uint32_t, Range>::iterator Covering(uint32_t first, uint32_t last);

  std::map<uint32_t, Range> ranges_;
};

}  // namespace limpet::conf
