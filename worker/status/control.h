// The language of the control socket: the state API, one line of JSON each way.
//   {"method":"GET","path":"sessions/one"}
//   {"method":"GET","path":"explain","args":"upstream=app&cookie=me"}
//   {"method":"PATCH","path":"upstreams/app/peers/10.0.0.1:80","body":{"drain":true}}
// The reply is what the API says: {"status":200,"body":{…}}. Whoever may connect may write.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conf/units.h"
#include "worker/status/status.h"

namespace limpet::worker {

// A command as words: {"drain", "app", "10.0.0.1:80"}.
struct ControlWords {
  std::vector<std::string> words;
  std::optional<conf::DrainTime> deadline;  // of drain
  std::optional<int> move;                  // the same: sessions a second
  bool dry_run = false;                     // of rebalance
};

// The line of a command; an error says how it is used.
Result<std::string> ControlRequest(const ControlWords& command);

// What answers `explain`, whose choice is rehearsed elsewhere (worker/http); `args` as in a query.
using Explainer = std::function<StatusReply(std::string_view args)>;

// The line that answers a line, newline included. Whatever comes, an answer goes.
std::string ControlAnswer(const StatusSource& source, std::string_view line,
                          const Explainer& explain = {});

// The line that refuses whatever was asked.
std::string ControlRefusal(int status, std::string_view text);

struct ControlText {
  bool good = false;
  std::string text;  // for the terminal, newline included; of a failure: what is wrong, without one
};
// A reply for people, or as it came (`json`).
ControlText ShowControlReply(const ControlWords& command, std::string_view reply, bool json);

}  // namespace limpet::worker
