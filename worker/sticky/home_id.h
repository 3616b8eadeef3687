// Where a session that has moved off its server, and may go back there (failback=), came from: a
// second place in its zone tells it, under an identifier of its own.
#pragma once

#include <string>
#include <string_view>

namespace limpet::worker {

inline std::string HomeIdOf(std::string_view session_id) {
  std::string id("\0home\0", 6);
  id += session_id;
  return id;
}

}  // namespace limpet::worker
