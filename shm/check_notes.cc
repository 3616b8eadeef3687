#include "shm/check_notes.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>

#include "shm/words.h"

namespace limpet::shm {
namespace {

constexpr size_t kLooks = 64;  // from where the key begins

uint64_t KeyOf(std::string_view upstream, std::string_view peer) {
  std::string both(upstream);
  both.append(1, '\0').append(peer);
  return std::max<uint64_t>(1, std::hash<std::string>{}(both));
}

}  // namespace

// Where none is free, that of the peer that was heard of longest ago: names may give new peers for
// ever.
CheckNotes::Note* CheckNotes::FindOrAdd(uint64_t key) {
  Note* oldest = nullptr;
  for (size_t i = 0; i < kLooks; ++i) {
    Note& note = notes_[(key + i) % kNotes];
    uint64_t owner = 0;
    if (std::atomic_ref(note.key).compare_exchange_strong(owner, key) || owner == key) return &note;
    if (oldest == nullptr || HeardOf(note) < HeardOf(*oldest)) oldest = &note;
  }
  uint64_t owner = LoadRelaxed(oldest->key);
  if (!std::atomic_ref(oldest->key).compare_exchange_strong(owner, key)) return nullptr;
  for (uint64_t* word : {&oldest->checked_ms, &oldest->changed_ms, &oldest->text[0]})
    StoreRelaxed(*word, 0);
  return oldest;
}

uint64_t CheckNotes::HeardOf(const Note& note) {
  return std::max(LoadRelaxed(note.checked_ms), LoadRelaxed(note.changed_ms));
}

const CheckNotes::Note* CheckNotes::Find(uint64_t key) const {
  for (size_t i = 0; i < kLooks; ++i) {
    const Note& note = notes_[(key + i) % kNotes];
    const uint64_t owner = LoadRelaxed(note.key);
    if (owner == key) return &note;
    if (owner == 0) break;
  }
  return nullptr;
}

void CheckNotes::Checked(std::string_view upstream, std::string_view peer, uint64_t wall_ms,
                         std::string_view failed_in) {
  Note* const note = FindOrAdd(KeyOf(upstream, peer));
  if (note == nullptr) return;
  std::array<uint64_t, kText / 8> words{};
  std::memcpy(words.data(), failed_in.data(), std::min(failed_in.size(), kText - 1));
  for (size_t i = 0; i < words.size(); ++i) StoreRelaxed(note->text[i], words[i]);
  StoreRelaxed(note->checked_ms, wall_ms);
}

void CheckNotes::Changed(std::string_view upstream, std::string_view peer, uint64_t wall_ms) {
  Note* const note = FindOrAdd(KeyOf(upstream, peer));
  if (note != nullptr) StoreRelaxed(note->changed_ms, wall_ms);
}

CheckFacts CheckNotes::Find(std::string_view upstream, std::string_view peer) const {
  const Note* const note = Find(KeyOf(upstream, peer));
  if (note == nullptr) return {};
  std::array<uint64_t, kText / 8 + 1> words{};  // the last one ends the text
  for (size_t i = 0; i < note->text.size(); ++i) words[i] = LoadRelaxed(note->text[i]);
  return {LoadRelaxed(note->checked_ms), LoadRelaxed(note->changed_ms),
          reinterpret_cast<const char*>(words.data())};
}

}  // namespace limpet::shm
