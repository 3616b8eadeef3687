// sub_filter: texts of a body that others stand in for, found whatever the pieces the body comes
// in.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "worker/http/filter/byte_filter.h"

namespace limpet::worker {

class SubFilter final : public ByteFilter {
 public:
  struct Pair {
    std::string match;  // lower case, not empty
    std::string_view replacement;
    bool done = false;  // replaced once, and that was enough
  };

  // `once`: each text is replaced where it is found first. The pool must outlive the filter.
  SubFilter(BlockPool& pool, BodyFilter* next, std::vector<Pair> pairs, bool once);

 private:
  enum class Match : uint8_t { kNo, kYes, kMaybe };  // kMaybe: the text may go on in the next piece

  Match Find(std::string_view rest, bool at_end, Pair** found);
  size_t Take(std::string_view bytes) override;
  bool Owes() const override { return owes_; }
  bool GiveEnd() override;
  void Scan(bool at_end);
  void Emit(std::string_view bytes);
  void PassOn();

  std::vector<Pair> pairs_;
  bool once_;
  std::array<bool, 256> starts_{};  // bytes that a text may begin with
  std::string held_;                // what has come and is not decided yet
  bool owes_ = false;               // of it, more can be decided now
  BlockRef block_;                  // being filled
  size_t filled_ = 0, passed_ = 0;
};

// Whether the body is one whose texts are replaced (sets response fields), and what does it; null
// if there is nothing to look for.
bool ChangesText(Exchange& exchange);
std::unique_ptr<BodyFilter> MakeSubFilter(Exchange& exchange, BodyFilter* next);

}  // namespace limpet::worker
