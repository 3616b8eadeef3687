#include "worker/status/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "proto/escape.h"
#include "worker/status/json_parts.h"

namespace limpet::worker {
namespace {

constexpr std::string_view
    kPeer = "upstreams/{0}/peers/{1}",
    kNeedsZone =
        "The upstream must have a \"zone\". SERVER is an address, a server as written, or an id.";

constexpr std::array kRows = std::to_array<CommandRow>({
    {"status", 0, 0, "GET", "", "", CommandBody::kNone, "", "processes and connections",
     "What runs, since when, how many connections it has, and what has gone wrong so far."},
    {"alerts", 0, 0, "GET", "alerts", "problems=1", CommandBody::kNone, "",
     "what is wrong now, and the last alerts",
     "First what is wrong now, the worst first; then the newest alerts of the log."},
    {"zones", 0, 0, "GET", "zones", "", CommandBody::kNone, "",
     "zones of sessions and limits: how full they are",
     "All zones in shared memory whose size the configuration says: of sessions, limit_req and "
     "limit_conn."},
    {"sessions", 0, 1, "GET", "sessions/{0}", "", CommandBody::kNone, "[ZONE]",
     "session zones, and what they have counted",
     "Session zones: how many sessions they hold and may hold, and what they have counted."},
    {"session", 2, 2, "GET", "sessions/{0}", "key={1}", CommandBody::kNone, "ZONE KEY",
     "one session: its server, how long idle, when over",
     "Looking at a session is no use of it. KEY is the value that lookup= of sticky learn finds."},
    {"servers", 0, 1, "GET", "upstreams/{0}", "", CommandBody::kNone, "[UPSTREAM]",
     "servers of upstreams, their state and sessions",
     "Servers: state, connections, requests, failures, sessions."},
    {"stores", 0, 1, "GET", "stores/{0}", "", CommandBody::kNone, "[STORE]",
     "session stores: there or not, what waits for them",
     "A line for each zone of a session store: whether it is there, and what it has answered."},
    {"explain", 1, SIZE_MAX, "GET", "explain", "upstream={0}", CommandBody::kNone,
     "UPSTREAM [NAME=VALUE]...", "which server a request would get, and why",
     "The choice of a server, rehearsed step by step; nothing changes. What the request brings:\n"
     "  cookie=VALUE   of the cookie that sticky looks at, or the key of its session\n"
     "  route=VALUE    of sticky route\n"
     "  key=VALUE      of hash\n"
     "  client=ADDRESS of ip_hash\n"
     "or any variable by its name, as http_x_user=VALUE."},
    {"drain", 2, 2, "PATCH", kPeer, "", CommandBody::kDrain,
     "UPSTREAM SERVER [--deadline TIME[,keep]] [--move N/s]",
     "new sessions go elsewhere; with --deadline: then all",
     "The server gets no new sessions; those bound to it stay until they end or that time has "
     "passed. Its\nWebSockets and streams end then, too, unless it says \",keep\". With --move, "
     "sessions that are idle and\nheld by no connection move to the other servers, so many a "
     "second. Says what is left there."},
    {"restore", 2, 2, "PATCH", kPeer, "", CommandBody::kRestore, "UPSTREAM SERVER", "ends a drain",
     "Ends a drain: the server takes new clients again."},
    {"undrain", 2, 2, "PATCH", kPeer, "", CommandBody::kRestore, "UPSTREAM SERVER",
     "the same as restore", "Ends a drain: the server takes new clients again."},
    {"down", 2, 2, "PATCH", kPeer, "", CommandBody::kDown, "UPSTREAM SERVER",
     "takes a server out at once",
     "The server gets nothing any more, not even requests of its own sessions: they go elsewhere."},
    {"up", 2, 2, "PATCH", kPeer, "", CommandBody::kUp, "UPSTREAM SERVER",
     "puts it back after \"down\"", "Ends \"down\"."},
    {"rebalance", 1, 1, "POST", "upstreams/{0}/rebalance", "", CommandBody::kRebalance,
     "UPSTREAM [--dry-run]", "idle sessions move to servers with fewer",
     "Moves sessions that are idle, and held by no connection, from servers that have more than "
     "their share\nby weight to those that have less, all at once. With --dry-run it only says "
     "what would move."},
    {"move", 3, 3, "POST", "sessions/{0}", "key={1}", CommandBody::kMove, "ZONE KEY SERVER",
     "binds one session to another server",
     "The session's next request goes to SERVER, an address or an id."},
    {"forget", 2, 2, "DELETE", "sessions/{0}", "key={1}", CommandBody::kNone, "ZONE KEY",
     "ends one session", "The session's next request goes to any server, as if it were new."},
});

std::string BodyOf(const CommandRow& row, std::span<const std::string> words,
                   const CommandOptions& options) {
  Json body = Json::object();
  switch (row.body) {
    case CommandBody::kNone:
      return "";
    case CommandBody::kDrain:
    case CommandBody::kRestore:
      body["drain"] = row.body == CommandBody::kDrain;
      if (options.deadline) body["deadline"] = *options.deadline;
      if (options.move) body["move"] = fmt::format("{}/s", *options.move);
      break;
    case CommandBody::kDown:
    case CommandBody::kUp:
      body["down"] = row.body == CommandBody::kDown;
      break;
    case CommandBody::kRebalance:
      body["dry_run"] = options.dry_run;
      break;
    case CommandBody::kMove:
      body["move"] = {{"to", words[2]}};
      break;
  }
  return Dump(body);
}

std::string EscapeArgument(std::string_view text) {
  return proto::EscapeUri(text, proto::EscapeKind::kUriComponent);
}

// "NAME=VALUE" with the value as a query has it.
std::string Escaped(std::string_view pair) {
  const size_t equals = pair.find('=');
  if (equals == pair.npos) return EscapeArgument(pair);
  return fmt::format("{}={}", pair.substr(0, equals), EscapeArgument(pair.substr(equals + 1)));
}

}  // namespace

std::span<const CommandRow> Commands() { return kRows; }

const CommandRow* FindCommand(std::string_view name) {
  const auto found = std::ranges::find(kRows, name, &CommandRow::name);
  return found == kRows.end() ? nullptr : &*found;
}

std::string UsageOf(const CommandRow& row) {
  return fmt::format("usage: limpet {}{}{} [--json]{}", row.name, row.words.empty() ? "" : " ",
                     row.words, Reads(row) ? " [-w SECONDS]" : "");
}

std::string HelpOf(const CommandRow& row) {
  std::string text = fmt::format("{}\n\n{}\n", UsageOf(row), row.help);
  if (row.path == kPeer) text += fmt::format("{}\n", kNeedsZone);
  text +=
      "\n  --json         shows the answer as JSON\n"
      "  --socket PATH  of the master process, if not as the configuration says\n";
  if (Reads(row)) text += "  -w SECONDS     asks again and again, so many seconds apart\n";
  return text;
}

CommandCall CallOf(const CommandRow& row, std::span<const std::string> words,
                   const CommandOptions& options) {
  const auto word = [&](size_t i) { return i < words.size() ? words[i] : std::string(); };
  CommandCall call;
  call.path = fmt::format(fmt::runtime(row.path), word(0), word(1));
  if (row.least == 0 && call.path.ends_with('/')) call.path.pop_back();  // all of them
  call.args = fmt::format(fmt::runtime(row.args), EscapeArgument(word(0)), EscapeArgument(word(1)));
  if (row.most == SIZE_MAX) {  // the rest are parts of the query
    for (const std::string& pair : words.subspan(row.least)) call.args += "&" + Escaped(pair);
  }
  call.body = BodyOf(row, words, options);
  return call;
}

}  // namespace limpet::worker
