// One request and its response. The exchange routes the request through the steps of steps.cc, lets
// one of them produce the response, and writes it to its client stream. It knows neither sockets
// nor the HTTP version.
//
// An exchange belongs to one client stream at a time and is reused: Start … (events) … the stream's
// OnExchangeEnd, Reset. All calls come from the worker's loop; nothing here blocks.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "worker/http/exchange/arena.h"
#include "worker/http/exchange/client_stream.h"
#include "worker/http/exchange/known_host.h"
#include "worker/http/exchange/request.h"
#include "worker/http/exchange/request_body.h"
#include "worker/http/exchange/response.h"
#include "worker/http/exchange/runtime.h"
#include "worker/http/exchange/step.h"
#include "worker/http/exchange/upstream_trace.h"
#include "worker/http/exchange/variable_cache.h"
#include "worker/net/loop.h"

namespace limpet::worker {

class ProxyExchange;
class Subrequest;
class ResponseWriter;

// Where an exchange is. Each has a row in exchange.cc: its name, the phases it may follow, and what
// leaving it ends. Enter() is the only door.
enum class Phase : uint8_t {
  kIdle,
  kRouting,   // the steps run
  kDelayed,   // one of them waits: for time to pass, a body, a subrequest
  kProxying,  // the proxy has it
  kReplying,  // a response of our own goes out, or the rest of one that filters hold back
  kDone,      // all of the response has been handed over
};

class Exchange final : public conf::VariableReader {
 public:
  explicit Exchange(Runtime& runtime);
  ~Exchange() override;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // --- From the client stream ---
  // `framing`: how the end of the request's body is found; refused here if it is not ok().
  void Start(ClientStream& stream, const proto::RequestHead& head, const proto::Framing& framing,
             size_t head_length);
  // A head that is not acceptable: answered with `error.status` under the listener's default
  // server. `silent`: there is nobody to answer, only a log line to write.
  [[gnu::cold]] void StartRefused(ClientStream& stream, const proto::RequestHead& head,
                                  const proto::HeadError& error, bool silent = false);
  // A request of our own for another location, made while `parent` waits: its head, its client, and
  // the variables it has set are this one's, too. `parent` must outlive this exchange's end.
  enum class Copied : uint8_t { kNothing, kMethod, kMethodAndBody };  // the body has been read
  void StartSubrequest(ClientStream& stream, Exchange& parent, std::string_view uri,
                       std::string_view args, Copied copied);
  // Before there is any request: variables can be evaluated, for a server that is asked for in a
  // handshake. To be followed by EndHandshake, and nothing else.
  void BeginHandshake(ClientStream& stream, const conf::Server& server);
  void EndHandshake();
  void OnBodyData(Slice data) { body_.OnData(std::move(data)); }
  void OnBodyPause() { body_.OnPause(); }  // all that has come so far has been handed over
  void OnBodyEnd() { body_.OnEnd(); }      // of a tunnel: the client has ended its direction
  void OnBodyError(int status);  // bad chunk (400), too large (413), the client was silent (408)
  void OnOutputDrained();        // what was queued for the client has gone below the low watermark
  // Closed or reset by the client while we were busy; Abort() has not been called.
  void OnClientGone();
  void Reset();        // after the end: ready for the next Start
  bool quiet() const;  // nothing is held, and nothing can call back

  // --- For the steps and features ---
  Request& request() { return request_; }
  const Request& request() const { return request_; }
  Response& response() { return response_; }
  RequestBody& body() { return body_; }
  const conf::Location& location() const { return *request_.location; }
  const ClientInfo& client() const { return stream_->client(); }
  ClientStream& stream() { return *stream_; }
  Runtime& runtime() { return runtime_; }
  Arena& arena() { return arena_; }
  std::string_view request_id();  // $request_id: one for a request and all its subrequests
  UpstreamTrace& upstream_trace() { return trace_; }
  ProxyExchange* proxy() { return proxy_.get(); }
  ResponseWriter& writer() { return *writer_; }
  VariableCache& variables() { return variables_; }
  Phase phase() const { return phase_; }

  std::string_view Evaluate(const conf::Template& text) { return text.Evaluate(*this); }
  void SetVariable(conf::VariableId id, std::string_view value);

  // Goes on with routing after a kSuspend, at the step after the one that suspended, or a kAgain.
  // Nothing happens once the exchange has been answered.
  void Resume();
  // Resume() after this time; nothing else happens to the exchange meanwhile but the client
  // leaving.
  void Delay(std::chrono::milliseconds time);
  // Resume() once all that has happened so far has been told, and what came of it is done.
  void AwaitEvents();
  // Waits for something of our own: Resume() will be called.
  void Suspend() { Enter(Phase::kDelayed); }
  // Judges the declared length of the body by the location, before a byte of it is read. One that
  // is too long never is read, whoever answers. True: 413 is the answer, and it has been given.
  bool RefusesBody();
  // Runs the location's proxy_pass.
  void StartProxy();

  // --- Ways to end; each may be called once, before a head was sent ---
  // The response for a status code: the location's error_page if there is one, else a page of our
  // own.
  void Finish(int status);
  void FinishWithOwnPage(int status);  // whatever error_page says
  // A whole response from memory that outlives the exchange's end (arena or static).
  void Reply(int status, std::string_view content_type, std::string_view body);
  void Redirect(int status, std::string_view location);
  // `written`: the text of the configuration that `uri` was made from; "": it is of foreign origin.
  void InternalRedirect(std::string_view uri, std::string_view args, std::string_view written = {});
  void GoToNamed(std::string_view name);
  // Nobody is to be answered any more: the connection closes. `status` is for the access log (499,
  // 408, 400…).
  void Abandon(int status);
  // The response broke off in its middle: what is queued still goes out, then the connection closes
  // without a proper end.
  void AbandonAfterFlush();
  // The response has been handed to the writer completely.
  void Complete();
  // To the client, now, what can be written. What filters hold back follows as the client takes
  // what is before it; who makes the response hears OnOutputDrained after that.
  void Flush();

  // While held, a complete response goes out but does not end the exchange: something that it
  // started is under way (mirror).
  void Hold() { ++holds_; }
  void Release();

  // Whether a URI made for this exchange climbs (file_path.h); the log is told.
  bool IsUnsafe(std::string_view uri, std::string_view written) const;

  // Whether an error_page may be taken for this status now; remembers that it was.
  bool MarkErrorPage(int status);

  // The error log, with the request's context behind the message.
  [[gnu::cold]] void Log(LogLevel level, std::string_view message) const;
  bool LogEnabled(LogLevel level) const { return error_log().Enabled(level); }
  const limpet::Log& error_log() const;

  // conf::VariableReader
  conf::Value Get(conf::VariableId id) override;
  conf::Value LookUp(conf::Lookup where, size_t index) override;
  conf::Captures& captures() override {
    if (captures_ == nullptr) captures_ = std::make_unique<conf::Captures>();
    return *captures_;
  }
  void SetNamed(conf::VariableId id, conf::Value value) override;
  char* Allocate(size_t size) override { return arena_.Allocate(size); }

  // True if a regular expression has failed since the last call (then 500 is the answer) or a
  // required token has been missed (401). Asked between the steps and before a head goes out, so
  // that nobody acts on what was evaluated meanwhile. After the head, in trailers and logs, such a
  // value is absent.
  bool AnswersFailedMatch() {
    if (!match_failed()) return false;
    AnswerFailedMatch();
    return true;
  }

  // Facts that filters and variables need.
  struct Seldom {  // few requests have any of them; in the arena, until Reset
    std::optional<uint64_t> limit_rate_after;  // once it has been asked for
    std::string_view accel_charset;  // an upstream's X-Accel-Charset: of whatever is answered
    std::string_view limit_req_status, limit_conn_status;  // for their variables
    bool limit_conn_looked = false;  // who was full has been looked at once more
  };
  const Seldom& seldom() const { return seldom_ != nullptr ? *seldom_ : kNoSeldom; }
  Seldom& SeldomToSet() {
    if (seldom_ == nullptr) seldom_ = arena_.New(Seldom{});
    return *seldom_;
  }
  void set_error_status(int status) { error_status_ = status; }
  // Of the error that led to an error_page; 0: none.
  int error_status() const { return error_status_; }
  bool in_error_page() const { return error_page_active_; }
  uint64_t limit_rate() const { return limit_rate_; }
  void set_limit_rate(uint64_t bytes_per_second) {
    limit_rate_ = bytes_per_second;
    limit_rate_set_ = true;
  }
  bool limit_rate_set() const { return limit_rate_set_; }
  Subrequest* subrequest() { return subrequest_.get(); }
  void set_subrequest(std::unique_ptr<Subrequest> subrequest);  // replaces the one before
  // Runs when the exchange ends, newest first: what a step has taken (a place under limit_conn) it
  // gives back here.
  void AtEnd(std::function<void()> release) { at_end_.push_back(std::move(release)); }

 private:
  void OnMatchFailed(const std::string& why) override;
  [[gnu::cold]] void OnCycle(std::string_view name) override;
  [[gnu::cold]] void AnswerFailedMatch();
  void Enter(Phase next);
  void Run(size_t step);
  bool Prepare(const proto::RequestHead& head);
  void FetchProxy() const;
  void UseAddressOfClient();
  const conf::Server* FirstServer() const;
  void FindServer(const proto::Target& target);
  bool ChooseServer();
  void Restart(size_t step);
  void LetGo();
  struct Waits {
    explicit Waits(Exchange* exchange)
        : timer(exchange->runtime_.loop, Callback::To<&Exchange::Resume>(exchange)),
          refill(exchange->runtime_.loop, Callback::To<&Exchange::Refill>(exchange)),
          pass(exchange->runtime_.loop, Callback::To<&Exchange::OnPass>(exchange)) {}

    bool quiet() const { return !timer.armed() && !refill.scheduled() && !pass.scheduled(); }

    Timer timer;      // of a delay
    Deferred refill;  // filters hold something back, and the client takes more
    Deferred pass;    // of AwaitEvents
    int passes_left = 0;
  };
  Waits& NeedWaits();
  enum class Ending : uint8_t { kNone, kComplete, kBroken };
  void EndLater(Ending ending);
  void Refill();
  void OnPass();

  Runtime& runtime_;
  ClientStream* stream_ = nullptr;
  size_t next_step_ = 0;
  std::unique_ptr<Waits> waits_;  // null before the first wait: most exchanges never have one
  Exchange* parent_ = nullptr;    // of a subrequest
  Request request_;
  Response response_;
  Arena arena_;
  std::string uri_storage_;
  std::string_view request_id_;  // "": nobody has asked for it
  KnownHost host_;
  RequestBody body_;
  VariableCache variables_;
  std::unique_ptr<conf::Captures> captures_;  // null before anybody has asked for them
  UpstreamTrace trace_;
  std::unique_ptr<ProxyExchange> proxy_;
  std::unique_ptr<ResponseWriter> writer_;
  std::unique_ptr<Subrequest> subrequest_;
  static const Seldom kNoSeldom;
  Seldom* seldom_ = nullptr;
  std::vector<std::function<void()>> at_end_;
  uint64_t limit_rate_ = 0;
  int error_status_ = 0;
  Phase phase_ = Phase::kIdle;
  bool uri_cycle_ = false;  // give up error pages: they led here
  // An error_page was taken: not again, unless recursive_error_pages.
  bool error_page_active_ = false;
  bool limit_rate_set_ = false;
  bool match_failure_told_ = false;
  bool completed_ = false;  // the response is; what holds the exchange is not
  uint16_t holds_ = 0;
  Ending ending_ = Ending::kNone;  // once filters hold nothing back
};

}  // namespace limpet::worker
