// Answers for a terminal that are no table of one kind of thing: one session, explain, alerts.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "worker/status/tables.h"
#include "worker/status/text_table.h"

namespace limpet::worker {
namespace {

std::string Span(int64_t ms) {
  const int64_t s = ms / 1000;
  if (s < 120) return fmt::format("{}s", s);
  if (s < 7200) return fmt::format("{}m", s / 60);
  return s < 172800 ? fmt::format("{}h", s / 3600) : fmt::format("{}d", s / 86400);
}

int64_t Whole(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : -1;
}

// ", for 12m"; a worker that has died is dead for ever.
std::string Since(const Json& problem) {
  const int64_t seconds = Whole(problem, "for_s");
  if (seconds < 0) return "";
  const std::string time = Span(seconds * 1000);
  return Text(problem, "kind") == "worker" ? fmt::format(", the last {} ago", time)
                                           : fmt::format(", for {}", time);
}

}  // namespace

std::string SessionText(const Json& session) {
  Table table({"ZONE", "SERVER", "ID", "IDLE", "OVER_IN"});
  std::string servers;
  for (const Json& server : List(session, "servers"))
    servers += (servers.empty() ? "" : ",") + Plain(server);
  const int64_t idle = std::max(Whole(session, "idle_ms"), Whole(session, "age_ms"));
  const int64_t left = Whole(session, "expires_in_ms");
  table.Add({Text(session, "zone"), servers.empty() ? "-" : servers, Text(session, "id"),
             Span(std::max<int64_t>(idle, 0)), left < 0 ? "never" : Span(left)});
  return table.Render();
}

std::string ExplainText(const Json& said) {
  std::string decision = Text(said, "decision");
  if (decision == "server") decision = Text(said, "server");
  if (decision == "refuse") decision = fmt::format("refused with {}", Whole(said, "code"));
  if (decision == "wait") decision = "waits for a server";
  const std::string status = Text(said, "sticky_status");
  std::string text = fmt::format("{}: {}{}\n", Text(said, "upstream"), decision,
                                 status.empty() || status == "-" ? "" : " (" + status + ")");
  size_t n = 0;
  for (const Json& step : List(said, "steps"))
    text += fmt::format("  {}. {}: {}\n", ++n, Text(step, "rule"), Text(step, "text"));
  Table table({"SERVER", "STATE", "NEW", "SESSIONS"});
  for (const Json& server : List(said, "servers")) {
    table.Add({Text(server, "server"), Text(server, "state"),
               Flag(server, "takes_new") ? "yes" : "no",
               Flag(server, "takes_sessions") ? "yes" : "no"});
  }
  return text + table.Render();
}

std::string ZonesText(const Json& zones) {
  Table table({"ZONE", "KIND", "USED", "CAPACITY", "FULL", "LEVEL", "UPSTREAMS"});
  for (const Json& zone : zones) {
    std::string upstreams;
    for (const Json& name : List(zone, "upstreams"))
      upstreams += (upstreams.empty() ? "" : ",") + Plain(name);
    const std::string level = Text(zone, "level");
    table.Add({Text(zone, "name"), Text(zone, "kind"), Number(zone, "used"),
               Number(zone, "capacity"), Percent(zone, "fill"), level.empty() ? "-" : level,
               upstreams.empty() ? "-" : upstreams});
  }
  return table.Render();
}

std::string AlertsText(const Json& body) {
  const Json problems = List(body, "problems"), alerts = List(body, "alerts");
  std::string text = problems.empty() ? "nothing is wrong now\n" : "";
  for (const Json& problem : problems) {
    text +=
        fmt::format("{:<7}{}{}\n", Text(problem, "level"), Text(problem, "text"), Since(problem));
  }
  if (!alerts.empty()) text += "\n";
  for (const Json& alert : alerts) {
    text += fmt::format("{}  {:<7}{}\n", Text(alert, "time"), Text(alert, "level"),
                        Text(alert, "text"));
  }
  return text;
}

std::string ChangedText(std::string_view upstream, const Json& peer) {
  const std::string state = Text(peer, "state");
  std::string text = fmt::format("{} {}: {}", upstream, Text(peer, "server"), state);
  if (state != "draining" && state != "drained" && state != "down") return text + "\n";
  const int64_t sessions = Whole(peer, "sessions"), conns = Whole(peer, "conns");
  const auto counted = [](int64_t count, std::string_view thing) {
    return fmt::format("{} {}{}", count, thing, PluralEnding(static_cast<uint64_t>(count)));
  };
  if (sessions >= 0) text += ", " + counted(sessions, "session");
  if (conns >= 0) {
    text +=
        fmt::format("{} {} left there", sessions >= 0 ? " and" : ",", counted(conns, "request"));
  }
  if (const int64_t left = Whole(peer, "drain_left_ms"); left >= 0)
    text += fmt::format(", its time is over in {}", Span(left));
  return text + "\n";
}

}  // namespace limpet::worker
