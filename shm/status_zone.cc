#include "shm/status_zone.h"

#include <cassert>
#include <cstring>

namespace limpet::shm {

ZoneSums& ZoneSums::operator+=(const ZoneSums& other) {
  for (size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
  for (const auto& [code, count] : other.codes) codes[code] += count;
  return *this;
}

size_t StatusZone::LinesAt(uint32_t values) {
  const size_t before = sizeof(Header) + values * sizeof(Name);
  return (before + alignof(ZoneLine) - 1) / alignof(ZoneLine) * alignof(ZoneLine);
}

size_t StatusZone::BytesFor(uint32_t values) {
  return LinesAt(values) + (size_t{values} + 1) * kMaxWorkerSlots * sizeof(ZoneLine);
}

StatusZone::StatusZone(std::byte* memory, uint32_t values)
    : header_(reinterpret_cast<Header*>(memory)),
      names_(reinterpret_cast<Name*>(memory + sizeof(Header))),
      lines_(reinterpret_cast<ZoneLine*>(memory + LinesAt(values))),
      places_(values + 1) {}

std::string_view StatusZone::NameOf(uint32_t place) const {
  const Name& name = names_[place - 1];
  return {name.text, name.size.load(std::memory_order_acquire)};
}

uint32_t StatusZone::Take(std::string_view value) {
  assert(!value.empty() && value.size() <= kMaxName);
  uint32_t before = taken();
  do {
    if (before + 1 >= places_) return kOwn;
  } while (!header_->taken.compare_exchange_weak(before, before + 1, std::memory_order_acq_rel));
  Name& name = names_[before];
  std::memcpy(name.text, value.data(), value.size());
  name.size.store(static_cast<uint32_t>(value.size()), std::memory_order_release);
  return before + 1;
}

void StatusZone::AddTo(uint32_t place, ZoneSums* sums) const {
  for (size_t slot = 0; slot < kMaxWorkerSlots; ++slot) {
    if (LoadAcquire(header_->used[slot]) == 0) continue;
    const ZoneLine& line = lines_[slot * places_ + place];
    for (size_t i = 0; i < ZoneLine::kWords; ++i) sums->counts[i] += LoadRelaxed(line.counts[i]);
    line.codes.ForEach([sums](int code, uint64_t count) { sums->codes[code] += count; });
  }
}

ZoneSums StatusZone::Sum() const {
  ZoneSums sums;
  AddTo(kOwn, &sums);
  return sums;
}

std::map<std::string, ZoneSums> StatusZone::SumValues() const {
  std::map<std::string, ZoneSums> all;
  const uint32_t last = taken();
  for (uint32_t place = 1; place <= last; ++place) {
    const std::string_view name = NameOf(place);
    if (!name.empty()) AddTo(place, &all[std::string(name)]);
  }
  return all;
}

void StatusZone::ForgetWorker(int slot) {
  if (LoadRelaxed(header_->used[Index(slot)]) == 0) return;
  for (uint32_t place = 0, last = taken(); place <= last; ++place)
    StoreRelaxed(Line(slot, place).counts[RequestCount::kProcessing], uint64_t{0});
}

}  // namespace limpet::shm
