// What `explain` answers: which rule would choose which server, as JSON. Filled in by worker/http,
// where the choice is rehearsed.
#pragma once

#include <string>
#include <vector>

#include "worker/status/status.h"

namespace limpet::worker {

struct Explanation {
  struct Step {
    std::string rule;  // the directive that decided, as an operator wrote it
    std::string text;
  };
  struct Candidate {
    std::string server, id, state;
    bool takes_new = false;       // requests without a session
    bool takes_sessions = false;  // requests of its own sessions
  };
  std::string upstream, method, sticky;
  std::string decision;       // "server", "wait" or "refuse"
  std::string server, id;     // of "server"
  int code = 0;               // of "refuse"
  std::string sticky_status;  // as $sticky_status would say
  std::vector<Step> steps;
  std::vector<Candidate> servers;
};

StatusReply ExplanationPage(const Explanation& explanation);

}  // namespace limpet::worker
