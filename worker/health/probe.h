// One health check of one peer: connects (with TLS if the location speaks it), asks, and judges
// the answer. Used again and again; one check at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/socket_address.h"
#include "conf/config.h"
#include "proto/http1/chunked.h"
#include "proto/http1/framing.h"
#include "proto/http1/response_parser.h"
#include "worker/health/match.h"
#include "worker/net/callback.h"
#include "worker/net/loop.h"
#include "worker/net/transport.h"
#include "worker/tls/client_contexts.h"

namespace limpet::worker {

// What a check asks, the same for every peer. Outlives the probes.
struct ProbePlan {
  const conf::Location& location;  // with its health_check
  const conf::Match* match = nullptr;
  const TlsContext* tls = nullptr;  // null: plain
  std::string tls_name;
  std::string request;  // "" if an open connection is enough
  std::string failure;  // why there is no request, as a detail for the log; "": there is

  static ProbePlan For(const conf::Location& location, const conf::Http& http,
                       const TlsClientContexts* contexts, const Log& log);
};

class Probe final : public TransportHandler {
 public:
  static constexpr size_t kMaxHead = size_t{16} * 1024;
  static constexpr size_t kMaxBody = size_t{256} * 1024;  // in which `body` is sought

  // `done` is called from the loop, never from within Start.
  Probe(Loop& loop, const ProbePlan& plan, Callback done);
  ~Probe();
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  void Start(const SocketAddress& address);
  bool running() const { return running_; }
  const ProbeResult& result() const { return result_; }  // of the last one, in `done`

 private:
  void OnReady(int errnum) override;
  void OnReadable() override;
  void OnWritable() override;
  void OnConnected();
  void OnTimer();
  void Tell();
  void ReadHead();
  void ReadBody();
  void ParseHead();
  void OnBody(std::string_view bytes);
  void OnEof();
  void JudgeWhole();
  void Finish(std::string_view failed_in, std::string detail = {});
  void Finish(ProbeResult result);

  Loop& loop_;
  const ProbePlan& plan_;
  Callback done_;
  Timer deadline_;
  Deferred tell_;
  std::unique_ptr<Transport> transport_;
  std::string_view doing_;
  ProbeResult result_;
  size_t sent_ = 0;
  std::unique_ptr<char[]> head_;  // while a check runs
  size_t head_filled_ = 0;
  size_t head_start_ = 0;  // behind interim heads
  bool has_head_ = false;
  std::string body_;
  proto::ResponseParser parser_;
  proto::Framing framing_;
  proto::ChunkedDecoder decoder_;
  bool running_ = false;
};

}  // namespace limpet::worker
