#include "worker/http/proxy/endless.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kLookMs = 1000;  // deadlines of drains are minutes

}  // namespace

EndlessExchanges::EndlessExchanges(Loop& loop)
    : loop_(loop), timer_(loop, Callback::To<&EndlessExchanges::OnTimer>(this)) {}

void EndlessExchanges::Join(Member& member, const Peer& peer) {
  member.Leave();
  member.peer_ = &peer;
  member.LinkBefore(members_);
  if (!timer_.armed()) timer_.Arm(kLookMs);
}

void EndlessExchanges::OnTimer() {
  const uint64_t now = loop_.NowMs();
  ListLink looked_at;  // any of them may leave while another is told
  looked_at.TakeAllOf(members_);
  while (looked_at.linked()) {
    auto& member = static_cast<Member&>(*looked_at.next);
    member.Leave();
    if (member.peer_->ends_what_is_endless(now)) {
      member.on_end_();
    } else {
      member.LinkBefore(members_);
    }
  }
  if (members_.linked()) timer_.Arm(kLookMs);
}

}  // namespace limpet::worker
