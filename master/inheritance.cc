#include "master/inheritance.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <limits>
#include <span>
#include <utility>

#include "base/text.h"

namespace limpet::master {
namespace {

constexpr std::string_view kZone = "zone";
constexpr std::string_view kSessions = "sessions";
constexpr std::string_view kSlots = "slots";
constexpr std::string_view kCounters = "counters";
constexpr std::string_view kIncidents = "incidents";
constexpr std::string_view kTraffic = "traffic";

// What is counted is nothing but numbers: they are passed on in the order of their fields. Another
// version that has more or fewer of them begins anew.
template <class Sums>
using Numbers = std::array<uint64_t, sizeof(Sums) / sizeof(uint64_t)>;

template <class Sums>
std::string NumbersOf(const Sums& sums) {
  return fmt::format("{}", fmt::join(std::bit_cast<Numbers<Sums>>(sums), "\t"));
}

template <class Sums>
std::optional<Sums> ReadNumbers(std::span<const std::string_view> fields) {
  Numbers<Sums> numbers;
  if (fields.size() != numbers.size()) return std::nullopt;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto number = ParseDecimal(fields[i]);
    if (!number) return std::nullopt;
    numbers[i] = *number;
  }
  return std::bit_cast<Sums>(numbers);
}

}  // namespace

void Bequest::Add(const ZoneLabel& zone, int fd) {
  fmt::format_to(std::back_inserter(lines_), "{}\t{}\t{}\t{}\t{}\t{}\t{}\n", kZone, zone.directive,
                 HexLower(zone.name), zone.size, zone.layout, fd, HexLower(zone.key));
  descriptors_.push_back(fd);
}

void Bequest::AddSessions(const std::vector<LeftSessions>& zones) {
  fmt::format_to(std::back_inserter(lines_), "{}\n", kSessions);
  for (const LeftSessions& left : zones) {
    fmt::format_to(std::back_inserter(lines_), "{}\t{}\t{}\t{}\n", kSessions, HexLower(left.zone),
                   HexLower(left.home), HexLower(left.snapshot_path));
  }
}

void Bequest::AddFirstSlot(int32_t first) {
  fmt::format_to(std::back_inserter(lines_), "{}\t{}\n", kSlots, first);
}

void Bequest::AddCounters(const ConnectionSums& sums) {
  fmt::format_to(std::back_inserter(lines_), "{}\t{}\t{}\t{}\n", kCounters, sums.accepted,
                 sums.handled, sums.requests);
}

void Bequest::AddIncidents(const IncidentSums& sums) {
  fmt::format_to(std::back_inserter(lines_), "{}\t{}\n", kIncidents, NumbersOf(sums));
}

void Bequest::AddTraffic(const std::vector<NamedTraffic>& traffic) {
  for (const NamedTraffic& of : traffic) {
    fmt::format_to(std::back_inserter(lines_), "{}\t{}\t{}\n", kTraffic, HexLower(of.name),
                   NumbersOf(of.sums));
  }
}

Inheritance::Inheritance(std::string_view notes) {
  for (const std::string_view line : Split(notes, '\n')) {
    const Fields fields = Split(line, '\t');
    if (fields[0] == kZone && fields.size() >= 7) {
      ReadZone(fields);
    } else if (fields[0] == kSessions) {
      ReadSessions(fields);
    } else if (fields[0] == kCounters && fields.size() >= 4) {
      ReadCounters(fields);
    } else if (fields[0] == kIncidents) {
      incidents_ = ReadNumbers<IncidentSums>(std::span(fields).subspan(1)).value_or(IncidentSums{});
    } else if (fields[0] == kTraffic && fields.size() >= 2) {
      ReadTraffic(fields);
    } else if (fields[0] == kSlots && fields.size() >= 2) {
      const auto first = ParseDecimal(fields[1]);
      if (first && *first <= std::numeric_limits<int32_t>::max() / 2) {
        first_slot_ = static_cast<int32_t>(*first);
      }
    }
  }
}

void Inheritance::ReadSessions(const Fields& fields) {
  if (!sessions_) sessions_.emplace();
  if (fields.size() < 4) return;
  const auto zone = FromHex(fields[1]);
  const auto home = FromHex(fields[2]);
  const auto snapshot = FromHex(fields[3]);
  if (zone && home && snapshot) sessions_->push_back({*zone, *home, *snapshot});
}

void Inheritance::ReadZone(const Fields& fields) {
  const auto size = ParseDecimal(fields[3]);
  const auto layout = ParseDecimal(fields[4]);
  const auto fd = ParseDecimal(fields[5]);
  if (!size || !layout || !fd) return;
  zones_.push_back({.directive = std::string(fields[1]),
                    .name = std::string(fields[2]),
                    .key = std::string(fields[6]),
                    .size = *size,
                    .layout = *layout,
                    .fd = Own(*fd)});
}

// None unless it is a file in memory that no other line has named: a wrong number must close
// nobody's socket or log.
UniqueFd Inheritance::Own(uint64_t number) const {
  if (number <= STDERR_FILENO || number > std::numeric_limits<int>::max()) return {};
  const int fd = static_cast<int>(number);
  const auto has_it = [fd](const Left& zone) { return zone.fd.get() == fd; };
  if (std::ranges::any_of(zones_, has_it) || !IsFileInMemory(fd)) return {};
  return SetCloseOnExec(fd, true) ? UniqueFd(fd) : UniqueFd();
}

void Inheritance::ReadCounters(const Fields& fields) {
  const auto accepted = ParseDecimal(fields[1]);
  const auto handled = ParseDecimal(fields[2]);
  const auto requests = ParseDecimal(fields[3]);
  if (accepted && handled && requests) counters_ = {*accepted, *handled, *requests};
}

void Inheritance::ReadTraffic(const Fields& fields) {
  const auto name = FromHex(fields[1]);
  const auto sums = ReadNumbers<shm::TrafficSums>(std::span(fields).subspan(2));
  if (name && sums) traffic_.push_back({*name, *sums});
}

Result<shm::Zone> Inheritance::TakeZone(const ZoneLabel& wanted) {
  const auto zone = std::ranges::find_if(zones_, [&](const Left& left) {
    return left.directive == wanted.directive && left.name == HexLower(wanted.name);
  });
  if (zone == zones_.end()) return InvalidArgument("the old binary has passed on none");
  Left left = std::move(*zone);
  zones_.erase(zone);
  if (left.size != wanted.size) {
    return InvalidArgument(
        fmt::format("the old binary's has {} bytes, not {}", left.size, wanted.size));
  }
  if (left.key != HexLower(wanted.key)) return InvalidArgument("the old binary's has another key");
  if (left.layout != wanted.layout)
    return InvalidArgument("the old binary's is laid out otherwise");
  if (!left.fd) return InvalidArgument("its descriptor is no file in memory");
  return shm::Zone::FromDescriptor(std::move(left.fd), wanted.size);
}

}  // namespace limpet::master
