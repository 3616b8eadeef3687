#include "worker/upstream/stand_in.h"

#include <cmath>
#include <string>

#include "base/hash.h"

namespace limpet::worker {

double StandInScore(std::string_view session, std::string_view server_id, int weight) {
  std::string both(session);
  both.append(1, '\0').append(server_id);
  const Digest128 hash = SipHash128(both, SipKey{});
  const double share = (static_cast<double>(hash[0] >> 11) + 0.5) * 0x1p-53;  // of 1, never 0 or 1
  return weight / -std::log(share);
}

}  // namespace limpet::worker
