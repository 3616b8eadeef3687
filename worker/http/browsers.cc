#include "worker/http/browsers.h"

namespace limpet::worker {

bool IsOldMsie(std::string_view user_agent) {
  const size_t at = user_agent.find("MSIE ");
  if (at == std::string_view::npos || at + 6 >= user_agent.size()) return false;
  const char version = user_agent[at + 5];
  if (user_agent[at + 6] != '.' || version < '4' || version > '6') return false;
  return version != '6' || user_agent.find("SV1") == std::string_view::npos;
}

}  // namespace limpet::worker
