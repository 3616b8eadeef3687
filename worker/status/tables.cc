#include "worker/status/tables.h"

#include <fmt/format.h>

#include "worker/status/text_table.h"

namespace limpet::worker {
namespace {

// One of a collection comes alone, all of them come by name.
Json ByName(const std::vector<std::string>& command, const Json& body) {
  return command.size() > 1 ? Json{{command[1], body}} : body;
}

std::string Sessions(const Json& zones) {
  Table table({"ZONE", "ACTIVE", "CAPACITY", "FULL", "HITS", "MISSES", "EXPIRED", "CREATED",
               "ROTATED", "REFUSED"});
  for (const auto& [name, zone] : zones.items()) {
    table.Add({name, Number(zone, "active"), Number(zone, "capacity"), Percent(zone, "fill"),
               Number(zone, "hits"), Number(zone, "misses"), Number(zone, "expired"),
               Number(zone, "created"), Number(zone, "rotated"), Number(zone, "refused")});
  }
  return table.Render();
}

// Figures that each worker keeps for itself are not known to the master.
std::string Servers(const Json& upstreams) {
  Table table({"UPSTREAM", "SERVER", "STATE", "WEIGHT", "CONNS", "REQUESTS", "FAILS", "SESSIONS"});
  bool unknown = false;
  for (const auto& [name, upstream] : upstreams.items()) {
    const bool shared = Flag(upstream, "shared");
    unknown = unknown || !shared;
    for (const Json& peer : List(upstream, "peers")) {
      const auto figure = [&](const char* field) { return shared ? Number(peer, field) : "-"; };
      table.Add({name, Text(peer, "server"), shared ? Text(peer, "state") : "-",
                 Number(peer, "weight"), figure("conns"), figure("requests"), figure("fails"),
                 Number(peer, "sessions")});
    }
  }
  const std::string_view note =
      unknown ? "-: known to each worker alone, as the upstream has no \"zone\"\n" : "";
  return table.Render() + std::string(note);
}

// A line for each zone of a store, and one for a store that no zone has.
Row StoreRow(const std::string& name, const std::string& zone, const Json& facts) {
  Row row = {name, zone, Text(facts, "state"), Seconds(facts, "lost_ms")};
  for (const char* figure : {"lag_ms", "waiting", "dropped", "asked", "found", "unknown",
                             "timed_out", "written", "applied", "losses"}) {
    row.push_back(Number(facts, figure));
  }
  return row;
}

std::string Stores(const Json& stores) {
  Table table({"STORE", "ZONE", "STATE", "LOST_S", "LAG_MS", "WAITING", "DROPPED", "ASKED", "FOUND",
               "UNKNOWN", "TIMED_OUT", "WRITTEN", "APPLIED", "LOSSES"});
  for (const auto& [name, store] : stores.items()) {
    const Json zones = Object(store, "zones");
    for (const auto& [zone, facts] : zones.items()) table.Add(StoreRow(name, zone, facts));
    if (zones.empty()) table.Add(StoreRow(name, "-", {{"state", Text(store, "state")}}));
  }
  return table.Render();
}

// What would move, or has moved.
std::string Rebalanced(const Json& body) {
  Table table({"SERVER", "SESSIONS", "SHARE", "GIVES", "TAKES"});
  for (const Json& server : List(body, "servers")) {
    table.Add({Text(server, "server"), Number(server, "sessions"), Number(server, "share"),
               Number(server, "gives"), Number(server, "takes")});
  }
  return fmt::format("{}{} sessions {}\n", table.Render(), Number(body, "moved"),
                     Flag(body, "dry_run") ? "would move" : "have moved");
}

std::string Status(const Json& body) {
  Table table({"WHAT", "VALUE"});
  for (const auto& [name, value] : body.items()) {
    if (value.is_object()) {
      for (const auto& [inner, figure] : value.items()) {
        if (figure.is_primitive()) table.Add({fmt::format("{} {}", name, inner), Plain(figure)});
      }
    } else if (value.is_primitive()) {
      table.Add({name, Plain(value)});
    }
  }
  return table.Render();
}

}  // namespace

std::string Tables(const std::vector<std::string>& command, std::string_view json) {
  const Json body = Json::parse(json, nullptr, false);
  if (!command.empty() && command[0] == "zones" && body.is_array()) return ZonesText(body);
  if (command.empty() || !body.is_object()) return std::string(json) + "\n";
  if (command[0] == "sessions") return Sessions(ByName(command, body));
  if (command[0] == "servers") return Servers(ByName(command, body));
  if (command[0] == "stores") return Stores(ByName(command, body));
  if (command[0] == "rebalance") return Rebalanced(body);
  if (command[0] == "status") return Status(body);
  if (command[0] == "session" || command[0] == "move") return SessionText(body);
  if (command[0] == "explain") return ExplainText(body);
  if (command[0] == "alerts") return AlertsText(body);
  if (command[0] == "forget") return "1 session forgotten\n";
  return ChangedText(command.size() > 1 ? command[1] : "", body);
}

}  // namespace limpet::worker
