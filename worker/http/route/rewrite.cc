#include "worker/http/route/rewrite.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/named_groups.h"
#include "proto/escape.h"
#include "proto/status.h"
#include "proto/target.h"
#include "worker/http/exchange/file_path.h"
#include "worker/http/exchange/mime.h"

namespace limpet::worker {
namespace {

using conf::Condition;
using conf::RewriteStep;

// How a run through a script stands.
struct Run {
  bool uri_changed = false;
  bool stop = false;
  bool answered = false;
  bool escapes_groups = true;  // in values: until a rewrite has matched, as in nginx
};

void RunSteps(Exchange& exchange, const conf::RewriteScript& script, Run* run);

// rewrite_log: how the script comes to what it does, for whoever wrote it.
template <class... Args>
void Tell(Exchange& exchange, fmt::format_string<Args...> format, const Args&... args) {
  if (!exchange.location().rewrite_log || !exchange.LogEnabled(LogLevel::kNotice)) return;
  exchange.Log(LogLevel::kNotice, fmt::vformat(format, fmt::make_format_args(args...)));
}

// Matches against a copy in the arena: groups must outlive the URI that a rewrite replaces. Without
// a match $1 and the others are empty, as in nginx; named groups keep what they have.
bool Match(Exchange& exchange, const conf::Regex& regex, const std::vector<conf::VariableId>& named,
           std::string_view subject) {
  conf::Captures captures;
  const bool matches = conf::Matches(exchange, regex, exchange.arena().Copy(subject), &captures);
  exchange.captures() = matches ? captures : conf::Captures{};
  Tell(exchange, "\"{}\" {} \"{}\"", regex.pattern(), matches ? "matches" : "does not match",
       subject);
  if (!matches) return false;
  conf::PublishGroups(exchange, regex, named);
  return true;
}

// Groups of a decoded URI go back into a query, a redirect or a variable encoded, if the request
// had them encoded.
class EscapedGroups {
 public:
  EscapedGroups(Exchange& exchange, bool active) : exchange_(exchange), active_(active) {
    if (!active_) return;
    saved_ = exchange.captures();
    std::string text;
    conf::Captures escaped;
    escaped.count = saved_.count;
    for (int n = 0; n < saved_.count; ++n) {
      const auto i = static_cast<size_t>(2 * n);
      escaped.offsets[i] = saved_.offsets[i] < 0 ? -1 : static_cast<int32_t>(text.size());
      proto::AppendEscaped(&text, saved_.Group(n), proto::EscapeKind::kArgs);
      escaped.offsets[i + 1] = static_cast<int32_t>(text.size());
    }
    text_ = escaped.subject = exchange.arena().Copy(text);
    exchange.captures() = escaped;
  }
  // Unless what was evaluated has matched groups of its own.
  ~EscapedGroups() {
    if (active_ && exchange_.captures().subject.data() == text_.data())
      exchange_.captures() = saved_;
  }
  EscapedGroups(const EscapedGroups&) = delete;
  EscapedGroups& operator=(const EscapedGroups&) = delete;

 private:
  Exchange& exchange_;
  conf::Captures saved_;
  std::string_view text_;
  bool active_;
};

bool UriWasEncoded(const Request& request) {
  const std::string_view sent = request.unparsed_uri.substr(0, request.unparsed_uri.find('?'));
  return sent.find('%') != std::string_view::npos || sent.find('+') != std::string_view::npos;
}

// A value in a script.
std::string_view ValueOf(Exchange& exchange, const conf::Template& value, const Run& run) {
  if (value.is_constant()) return value.constant();
  const EscapedGroups escaped(exchange, run.escapes_groups && UriWasEncoded(exchange.request()));
  return exchange.arena().Copy(exchange.Evaluate(value));
}

bool FileTest(Exchange& exchange, const Condition& condition, const Run& run) {
  const std::string path(ValueOf(exchange, condition.subject, run));
  struct stat info {};
  const bool exists = !Climbs(path, condition.subject.source()) && ::stat(path.c_str(), &info) == 0;
  switch (condition.kind) {
    case Condition::Kind::kFile:
      return exists && S_ISREG(info.st_mode);
    case Condition::Kind::kNotFile:
      return !exists || !S_ISREG(info.st_mode);
    case Condition::Kind::kDirectory:
      return exists && S_ISDIR(info.st_mode);
    case Condition::Kind::kNotDirectory:
      return !exists || !S_ISDIR(info.st_mode);
    case Condition::Kind::kExists:
      return exists;
    case Condition::Kind::kNotExists:
      return !exists;
    case Condition::Kind::kExecutable:
      return exists && ::access(path.c_str(), X_OK) == 0;
    case Condition::Kind::kNotExecutable:
      return !exists || ::access(path.c_str(), X_OK) != 0;
    default:
      return false;
  }
}

bool Holds(Exchange& exchange, const Condition& condition, const Run& run) {
  switch (condition.kind) {
    case Condition::Kind::kTrue: {
      const std::string_view value = exchange.Evaluate(condition.subject);
      return !value.empty() && value != "0";
    }
    case Condition::Kind::kEqual:
      return exchange.Evaluate(condition.subject) == ValueOf(exchange, condition.operand, run);
    case Condition::Kind::kNotEqual:
      return exchange.Evaluate(condition.subject) != ValueOf(exchange, condition.operand, run);
    case Condition::Kind::kMatch:
      return Match(exchange, *condition.regex, condition.named,
                   exchange.Evaluate(condition.subject));
    case Condition::Kind::kNotMatch:
      return !Match(exchange, *condition.regex, condition.named,
                    exchange.Evaluate(condition.subject));
    default:
      return FileTest(exchange, condition, run);
  }
}

// As in nginx, arguments that came out empty have their '&', too.
std::string_view JoinArgs(Exchange& exchange, const RewriteStep& step, std::string_view added) {
  const std::string_view own = exchange.request().args;
  if (step.drops_args || own.empty()) return added;
  return step.has_args ? exchange.arena().Concat(added, "&", own) : own;
}

// What configuration and request have escaped is unescaped once, as far as a redirect's target may
// be.
void RedirectTo(Exchange& exchange, const RewriteStep& step, std::string_view path,
                std::string_view added, Run* run) {
  const int status = step.flag == RewriteStep::Flag::kPermanent ? 301 : 302;
  std::string target(path);
  if (step.has_args) target.append("?").append(added);
  target = proto::UnescapeRedirect(target);
  const std::string_view own = exchange.request().args;
  if (!step.drops_args && !own.empty()) target.append(step.has_args ? "&" : "?").append(own);
  Tell(exchange, "rewritten redirect: \"{}\"", target);
  exchange.Redirect(status, exchange.arena().Copy(target));
  run->answered = run->stop = true;
}

void RewriteUri(Exchange& exchange, const RewriteStep& step, Run* run) {
  using Flag = RewriteStep::Flag;
  Request& request = exchange.request();
  if (!Match(exchange, *step.regex, step.named, request.uri)) return;
  run->escapes_groups = false;
  const bool redirects =
      step.is_absolute || step.flag == Flag::kRedirect || step.flag == Flag::kPermanent;
  const bool encoded = UriWasEncoded(request);
  std::string_view path;
  {
    const EscapedGroups escaped(exchange, redirects && encoded);
    path = exchange.arena().Copy(exchange.Evaluate(step.value));
  }
  std::string_view added;
  if (step.has_args) {
    const EscapedGroups escaped(exchange, encoded);
    added = exchange.Evaluate(step.args);
  }
  if (redirects) return RedirectTo(exchange, step, path, added, run);
  const std::string_view args = JoinArgs(exchange, step, added);
  Tell(exchange, "rewritten data: \"{}\", args: \"{}\"", path, args);
  if (path.empty()) {
    exchange.Log(LogLevel::kError, "the rewritten URI has a zero length");
    exchange.Finish(500);
    run->answered = run->stop = true;
    return;
  }
  if (exchange.IsUnsafe(path, step.value.source())) {
    exchange.Finish(404);
    run->answered = run->stop = true;
    return;
  }
  request.uri = path;
  request.args = args;
  request.uri_is_original = false;
  request.internal =
      true;  // the client did not ask for this URI: it may be of an internal location
  if (step.flag == Flag::kBreak) request.under_location = false;
  run->uri_changed = step.flag != Flag::kBreak;
  run->stop = step.flag == Flag::kLast || step.flag == Flag::kBreak;
}

void EnterIf(Request& request, const conf::Location& location) {
  const bool proxied = request.location->proxy.pass.set || request.proxy_lost;
  request.proxy_lost = proxied && !location.proxy.pass.set;
  request.location = &location;
}

void RunIf(Exchange& exchange, const RewriteStep& step, Run* run) {
  if (!Holds(exchange, step.condition, *run) || exchange.match_failed()) return;
  if (step.location != nullptr) EnterIf(exchange.request(), *step.location);
  RunSteps(exchange, step.then, run);
}

void RunSteps(Exchange& exchange, const conf::RewriteScript& script, Run* run) {
  for (const RewriteStep& step : script) {
    if (run->stop || exchange.match_failed()) return;  // the exchange answers a failed match
    switch (step.kind) {
      case RewriteStep::Kind::kSet:
        exchange.SetVariable(step.variable, ValueOf(exchange, step.value, *run));
        break;
      case RewriteStep::Kind::kIf:
        RunIf(exchange, step, run);
        break;
      case RewriteStep::Kind::kReturn:
        RunReturn(exchange, step.reply);
        run->answered = run->stop = true;
        break;
      case RewriteStep::Kind::kBreak:
        if (run->uri_changed) exchange.request().under_location = false;
        run->uri_changed = false;
        run->stop = true;
        break;
      case RewriteStep::Kind::kRewrite:
        RewriteUri(exchange, step, run);
        break;
    }
  }
}

}  // namespace

Step RunRewriteScript(Exchange& exchange, const conf::RewriteScript& script) {
  Run run;
  RunSteps(exchange, script, &run);
  if (run.answered) return Step::kDone;
  return run.uri_changed ? Step::kLocate : Step::kNext;
}

Step RunReturn(Exchange& exchange, const conf::Return& reply) {
  const bool is_redirect = proto::IsRedirectStatus(reply.status);
  const bool has_text = !reply.text.is_constant() || !reply.text.constant().empty();
  if (is_redirect || has_text || reply.status < 400) {
    if (exchange.error_status() == 0)
      exchange.response().status = reply.status;  // the text may name $status
    const std::string_view text = exchange.arena().Copy(exchange.Evaluate(reply.text));
    exchange.response().status = 0;  // its head is not begun
    if (is_redirect) {
      exchange.Redirect(reply.status, text);
    } else {
      // X-Accel-Redirect may have brought a type along.
      const std::string_view type = exchange.response().content_type;
      exchange.Reply(
          reply.status,
          type.empty() ? ContentTypeOf(exchange.location().response, exchange.request().uri) : type,
          text);
    }
  } else {
    exchange.Finish(reply.status);
  }
  return Step::kDone;
}

}  // namespace limpet::worker
