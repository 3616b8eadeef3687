// One call of the state API, reading or changing: GET, HEAD, PATCH, POST, DELETE (README.md lists
// them). Everything happens at once but for changes of many sessions: those take many short steps,
// so that traffic goes on meanwhile.
//
//   ApiCall call(source, request);
//   while (!call.done()) { …let others work…; call.Step(); }
//   Send(call.reply());
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "worker/status/rebalance_call.h"
#include "worker/status/session_sweep.h"
#include "worker/status/status.h"

namespace limpet::worker {

struct ApiRequest {
  std::string_view method;
  std::string_view path;  // below the prefix, decoded
  std::string_view args;  // the query, as sent
  std::string_view body;  // JSON; "" if there is none
  bool may_write = false;
};

class ApiCall {
 public:
  static constexpr size_t kMaxBody = 16384;  // a caller that reads bodies refuses longer ones
  static constexpr std::chrono::microseconds kStepTime{500};

  // The source's tables and groups must outlive the call; the request need not.
  ApiCall(const StatusSource& source, const ApiRequest& request);

  bool done() const { return !sweep_ && !moves_; }
  void Step();  // about kStepTime long
  // The step has done nothing: a store is slow. A caller that others wait for gives up.
  bool stuck() const { return sweep_ && sweep_->stuck(); }
  const StatusReply& reply() const { return reply_; }

 private:
  std::optional<SessionSweep> sweep_;
  std::optional<RebalanceCall> moves_;
  StatusReply reply_;
};

// False for GET and HEAD: they never change anything.
bool ChangesState(std::string_view method);

}  // namespace limpet::worker
