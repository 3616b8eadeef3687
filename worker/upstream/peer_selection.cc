#include "worker/upstream/peer_selection.h"

#include <algorithm>

#include "worker/upstream/peer_set.h"

namespace limpet::worker {

void TriedSet::Reset(size_t peers) {
  more_.clear();
  if (peers > 64 * kInline) more_.resize((peers + 63) / 64);
  Clear();
}

void TriedSet::Clear() {
  std::fill(std::begin(inline_), std::end(inline_), 0);
  std::fill(more_.begin(), more_.end(), 0);
}

PeerSetRef::PeerSetRef(PeerSet* set) : set_(set) {
  if (set_ != nullptr) ++set_->users_;
}

PeerSetRef::~PeerSetRef() {
  if (set_ != nullptr && --set_->users_ == 0) delete set_;
}

}  // namespace limpet::worker
