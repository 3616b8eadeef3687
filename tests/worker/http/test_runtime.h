// What the exchanges of a worker need, under a configuration of the test's own: without listening
// sockets, processes or shared memory.
#pragma once

#include <memory>
#include <vector>

#include "base/log.h"
#include "conf/config.h"
#include "shm/counters.h"
#include "worker/http/exchange/runtime.h"
#include "worker/http/log/access_log.h"
#include "worker/http/proxy/upstream_runtime.h"
#include "worker/http/route/server_names.h"

namespace limpet::worker {

class TestRuntime {
 public:
  // `config` has an http block; lines of its error logs go to `log` (null: nowhere).
  TestRuntime(Loop& loop, std::unique_ptr<const conf::Config> config, LogTarget* log = nullptr)
      : config_(std::move(config)), logs_(config_->error_logs.size()) {
    if (log != nullptr) {
      for (Log& each : logs_) each.Add(log, LogLevel::kInfo);
    }
    runtime_.reset(new Runtime{.config = *config_,
                               .http = *config_->http,
                               .loop = loop,
                               .blocks = blocks_,
                               .pipes = pipes_,
                               .logs = logs_,
                               .counters = *counters_,
                               .own_counters = counters_->slots[0]});
    for (const conf::ListenGroup& group : config_->http->listens)
      runtime_->names.push_back(std::make_unique<ServerNames>(group));
    runtime_->access_logs = std::make_unique<AccessLogs>(*config_->http, loop, logs_[0]);
    for (const auto& upstream : config_->http->upstreams) {
      runtime_->upstreams.push_back(
          std::make_unique<UpstreamRuntime>(loop, *upstream, nullptr, 0, StickySessions{}));
    }
  }

  Runtime& operator*() { return *runtime_; }
  Runtime* operator->() { return runtime_.get(); }

 private:
  std::unique_ptr<const conf::Config> config_;
  std::vector<Log> logs_;
  std::unique_ptr<shm::Counters> counters_ = std::make_unique<shm::Counters>();
  BlockPool blocks_;
  SplicePipes pipes_;
  std::unique_ptr<Runtime> runtime_;
};

}  // namespace limpet::worker
