// What status pages say of the last active check of each peer, and when its state was last changed
// by a check or by an operator. By the peer's name in its upstream, so that it outlives a reload;
// so many peers have a note, those that were heard of last. One process at a time writes a note
// (the one that checks, or who changes the peer); anybody reads, and may see half of an old text
// and half of a new one. Wall times, milliseconds since 1970; 0: never. All zero is a good state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace limpet::shm {

struct CheckFacts {
  uint64_t checked_ms = 0, changed_ms = 0;
  std::string failed_in;  // of the last check; "": it has passed
};

class CheckNotes {
 public:
  void Checked(std::string_view upstream, std::string_view peer, uint64_t wall_ms,
               std::string_view failed_in);
  void Changed(std::string_view upstream, std::string_view peer, uint64_t wall_ms);
  CheckFacts Find(std::string_view upstream, std::string_view peer) const;

 private:
  static constexpr size_t kText = 104;  // bytes; longer texts are cut off
  struct Note {
    uint64_t key;  // 0: free
    uint64_t checked_ms, changed_ms;
    std::array<uint64_t, kText / 8> text;
  };
  static_assert(sizeof(Note) == 128);
  static constexpr size_t kNotes = 4096;

  Note* FindOrAdd(uint64_t key);  // null: another process has just taken its place
  static uint64_t HeardOf(const Note& note);
  const Note* Find(uint64_t key) const;

  std::array<Note, kNotes> notes_;
};

}  // namespace limpet::shm
