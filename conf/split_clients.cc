#include "conf/split_clients.h"

#include <fmt/core.h>

#include "base/text.h"
#include "conf/constant_key.h"
#include "conf/loader.h"
#include "conf/setting.h"

namespace limpet::conf {
namespace {

constexpr uint32_t kWhole = 10000;  // shares are in hundredths of a per cent

// MurmurHash2 (Austin Appleby, public domain) with seed 0, so that keys fall into the shares that
// nginx gives them.
uint32_t Murmur2(std::string_view data) {
  constexpr uint32_t kM = 0x5bd1e995;
  const auto byte = [&data](size_t i) {
    return static_cast<uint32_t>(static_cast<unsigned char>(data[i]));
  };
  auto h = static_cast<uint32_t>(data.size());
  for (; data.size() >= 4; data.remove_prefix(4)) {
    uint32_t k = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
    k *= kM;
    k ^= k >> 24;
    h = (h * kM) ^ (k * kM);
  }
  if (data.size() >= 3) h ^= byte(2) << 16;
  if (data.size() >= 2) h ^= byte(1) << 8;
  if (!data.empty()) h = (h ^ byte(0)) * kM;
  h ^= h >> 13;
  h *= kM;
  return h ^ h >> 15;
}

struct Part {
  uint32_t end = 0;  // hashes below it; 0: all that are left
  std::string value;
};

class SplitClients final : public DerivedVariable {
 public:
  Value Evaluate(VariableReader& reader) const override {
    const uint32_t hash = Murmur2(key.Evaluate(reader));
    for (const Part& part : parts) {
      if (hash < part.end || part.end == 0) return Value::Of(part.value);
    }
    return Value::Of("");
  }

  Template key;
  std::vector<Part> parts;
};

// "12.5%" as 1250; "*" as 0, which no percentage gives.
std::optional<uint32_t> ParseShare(std::string_view text) {
  if (text == "*") return 0;
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  const size_t dot = text.find('.');
  std::string digits(text.substr(0, dot));
  std::string_view fraction =
      dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
  if (fraction.size() > 2) return std::nullopt;
  digits += fraction;
  digits.append(2 - fraction.size(), '0');
  const auto n = ParseDecimal(digits);
  if (!n || *n == 0 || *n > UINT32_MAX) return std::nullopt;
  return static_cast<uint32_t>(*n);
}

Status AddParts(const Directive& d, SplitClients* out) {
  uint64_t sum = 0;
  uint32_t end = 0;
  for (const Directive& entry : d.block) {
    if (entry.has_block) return NestedBlockHere(entry);
    if (entry.args.size() != 1) return At(entry, "invalid number of the split_clients parameters");
    const auto share = ParseShare(entry.name);
    if (!share)
      return At(entry,
                fmt::format("invalid percent value \"{}\": it is 0.01% to 100%, or *", entry.name));
    sum = *share ? sum + *share : kWhole;
    if (sum > kWhole) return At(entry, "percent total is greater than 100%");
    Part part{.value = entry.args[0]};
    if (sum < kWhole)
      part.end = end += static_cast<uint32_t>(uint64_t{*share} * UINT32_MAX / kWhole);
    out->parts.push_back(std::move(part));
  }
  return {};
}

}  // namespace

Status SplitClientsBlock(Block& b, const Directive& d) {
  auto split = std::make_shared<SplitClients>();
  if (Status s = CompileKey(b, d, d.args[0], split->key); !s) return At(d, s.error().message);
  if (!d.args[1].starts_with('$'))
    return At(d, fmt::format("invalid variable name \"{}\"", d.args[1]));
  if (Status s = AddParts(d, split.get()); !s) return s;
  const auto id =
      b.http->variables.DefineDerived(d.args[1].substr(1), std::move(split), Where(d), false);
  if (!id) return At(d, id.error().message);
  return {};
}

}  // namespace limpet::conf
