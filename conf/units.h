// Numbers with units, as nginx writes them: 1m of bytes, 1h30m of time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace limpet::conf {

// "10", "10k", "10m"; with `allow_giga` also "10g" (offsets). Nothing if malformed or too large for
// int64_t.
std::optional<int64_t> ParseSizeUnits(std::string_view text, bool allow_giga);

// "30", "30s", "1h 30m", "500ms"; units fall from y (365 days), M (30 days), w, d, h, m to s and
// ms; a number without a unit is seconds and stands last. With `whole_seconds`, ms is refused.
std::optional<std::chrono::milliseconds> ParseTime(std::string_view text, bool whole_seconds);

// How long a server is drained, which is not 0: "30m", or "30m,keep", after which connections
// without a foreseeable end are kept.
struct DrainTime {
  std::chrono::milliseconds time{0};
  bool keeps = false;
};
std::optional<DrainTime> ParseDrainTime(std::string_view text);

// How many a second: "50/s". Nothing but 1 to 1,000,000.
std::optional<int> ParsePerSecond(std::string_view text);

// "80%", "0.8" and "80" are the same share, 0.8; a plain number up to 1 is a fraction. Nothing if
// it is above the whole.
std::optional<double> ParseShare(std::string_view text);
// "10r/s", "10" or "30r/m", as thousandths of a request a second. Above 0.
std::optional<uint64_t> ParseRate(std::string_view text);

}  // namespace limpet::conf
