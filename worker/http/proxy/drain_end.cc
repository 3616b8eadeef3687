#include "worker/http/proxy/drain_end.h"

namespace limpet::worker {
namespace {

constexpr int kMostLooks = 5;  // at a frame that does not end, a second each

}  // namespace

void DrainEnd::Watch(EndlessExchanges& all, const Peer& peer, Kind kind) {
  all_ = &all;
  peer_ = &peer;
  kind_ = kind;
  looks_ = 0;
  frames_.Reset();
  all.Join(member_, peer);
}

void DrainEnd::Leave() {
  member_.Leave();
  kind_ = Kind::kNone;
}

DrainEnd::Now DrainEnd::OnOver() {
  if (kind_ != Kind::kWebSocket) return Now::kEnd;
  if (frames_.between_frames()) return Now::kGoAway;
  if (++looks_ >= kMostLooks) return Now::kEnd;
  all_->Join(member_, *peer_);
  return Now::kWait;
}

std::optional<size_t> DrainEnd::LastBytes(std::string_view bytes) {
  if (kind_ != Kind::kWebSocket) return {};
  if (looks_ == 0) {
    frames_.TakeAll(bytes);
    return {};
  }
  const size_t last = frames_.Take(bytes);
  if (!frames_.between_frames()) return {};
  return last;
}

}  // namespace limpet::worker
