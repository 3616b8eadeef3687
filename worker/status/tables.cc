#include "worker/status/tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "worker/status/json_parts.h"

namespace limpet::worker {
namespace {

using Row = std::vector<std::string>;

// Columns as wide as their widest cell; numbers stand to the right.
class Table {
 public:
  explicit Table(Row head) { rows_.push_back(std::move(head)); }
  void Add(Row row) { rows_.push_back(std::move(row)); }

  std::string Render() const {
    std::string out;
    for (const Row& row : rows_) {
      std::string line;
      for (size_t i = 0; i < row.size(); ++i) Cell(&line, row[i], i);
      while (line.ends_with(' ')) line.pop_back();
      out += line + "\n";
    }
    return out;
  }

 private:
  size_t Width(size_t column) const {
    size_t width = 0;
    for (const Row& row : rows_) width = std::max(width, row[column].size());
    return width;
  }
  bool Numbers(size_t column) const {
    return std::all_of(rows_.begin() + 1, rows_.end(), [column](const Row& row) {
      return row[column].find_first_not_of("0123456789.%-") == std::string::npos;
    });
  }
  void Cell(std::string* line, const std::string& text, size_t column) const {
    const std::string_view gap = column == 0 ? "" : "  ";
    *line += Numbers(column) ? fmt::format("{}{:>{}}", gap, text, Width(column))
                             : fmt::format("{}{:<{}}", gap, text, Width(column));
  }

  std::vector<Row> rows_;
};

std::string Number(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || !found->is_number_integer() ? "-" : found->dump();
}

std::string Seconds(const Json& object, const char* ms) {
  const auto found = object.find(ms);
  if (found == object.end() || !found->is_number_integer()) return "-";
  return std::to_string(found->get<int64_t>() / 1000);
}

std::string Text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || !found->is_string() ? "-" : found->get<std::string>();
}

std::string Percent(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return "-";
  return fmt::format("{:.1f}%", found->get<double>() * 100);
}

// Of whatever an answer is: what has another type is not there.
bool Flag(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

Json List(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_array() ? *found : Json::array();
}

Json Object(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : Json::object();
}

std::string Plain(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

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

std::string Changed(const std::vector<std::string>& command, const Json& peer) {
  return fmt::format("{} {}: {}\n", command.size() > 1 ? command[1] : "", Text(peer, "server"),
                     Text(peer, "state"));
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
  if (command.empty() || !body.is_object()) return std::string(json) + "\n";
  if (command[0] == "sessions") return Sessions(ByName(command, body));
  if (command[0] == "servers") return Servers(ByName(command, body));
  if (command[0] == "stores") return Stores(ByName(command, body));
  if (command[0] == "rebalance") return Rebalanced(body);
  if (command[0] == "status") return Status(body);
  if (command[0] == "forget") return "1 session forgotten\n";
  return Changed(command, body);
}

}  // namespace limpet::worker
