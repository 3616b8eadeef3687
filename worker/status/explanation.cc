#include "worker/status/explanation.h"

#include "worker/status/json_parts.h"

namespace limpet::worker {

StatusReply ExplanationPage(const Explanation& explanation) {
  Json steps = Json::array(), servers = Json::array();
  for (const auto& step : explanation.steps)
    steps.push_back({{"rule", step.rule}, {"text", step.text}});
  for (const auto& server : explanation.servers) {
    servers.push_back({{"server", server.server},
                       {"id", server.id},
                       {"state", server.state},
                       {"takes_new", server.takes_new},
                       {"takes_sessions", server.takes_sessions}});
  }
  Json json = {{"upstream", explanation.upstream},
               {"method", explanation.method},
               {"sticky", explanation.sticky},
               {"decision", explanation.decision}};
  if (explanation.decision == "server") {
    json["server"] = explanation.server;
    json["id"] = explanation.id;
  }
  if (explanation.decision == "refuse") json["code"] = explanation.code;
  json["sticky_status"] = explanation.sticky_status;
  json["steps"] = std::move(steps);
  json["servers"] = std::move(servers);
  return Good(json);
}

}  // namespace limpet::worker
