#include "worker/status/control.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "worker/status/api.h"
#include "worker/status/json_input.h"
#include "worker/status/tables.h"

namespace limpet::worker {
namespace {

struct CommandRow {
  std::string_view name;
  size_t least, most;  // words after it
  std::string_view method;
  std::string_view path;  // {0} and {1} are the words
  std::string_view usage;
};
constexpr std::array kCommands = std::to_array<CommandRow>({
    {"status", 0, 0, "GET", "", "status"},
    {"sessions", 0, 1, "GET", "sessions/{0}", "sessions [ZONE]"},
    {"servers", 0, 1, "GET", "upstreams/{0}", "servers [UPSTREAM]"},
    {"stores", 0, 1, "GET", "stores/{0}", "stores [STORE]"},
    {"drain", 2, 2, "PATCH", "upstreams/{0}/peers/{1}",
     "drain UPSTREAM SERVER [--deadline TIME[,keep]] [--move N/s]"},
    {"restore", 2, 2, "PATCH", "upstreams/{0}/peers/{1}", "restore UPSTREAM SERVER"},
    {"undrain", 2, 2, "PATCH", "upstreams/{0}/peers/{1}", "undrain UPSTREAM SERVER"},
    {"rebalance", 1, 1, "POST", "upstreams/{0}/rebalance", "rebalance UPSTREAM [--dry-run]"},
    {"forget", 2, 2, "DELETE", "sessions/{0}/{1}", "forget ZONE KEY"},
});

const CommandRow* FindCommand(const std::vector<std::string>& words) {
  if (words.empty()) return nullptr;
  const auto found = std::ranges::find(kCommands, words[0], &CommandRow::name);
  return found == kCommands.end() ? nullptr : &*found;
}

std::string PathOf(const CommandRow& row, const std::vector<std::string>& words) {
  const auto word = [&](size_t i) { return i < words.size() ? words[i] : std::string(); };
  std::string path = fmt::format(fmt::runtime(row.path), word(1), word(2));
  if (row.least == 0 && path.ends_with('/')) path.pop_back();  // all of them
  return path;
}

std::string Text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string OneLine(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

StatusReply Obey(const StatusSource& source, std::string_view line) {
  const Result<Json> parsed = ParseJson(line, "the request");
  if (!parsed) return ApiError(400, parsed.error().message);
  const Json& request = *parsed;
  if (!request.is_object()) return ApiError(400, "the request must be a JSON object");
  const std::string method = Text(request, "method"), path = Text(request, "path");
  if (method.empty()) return ApiError(400, "the request has no \"method\"");
  const std::string body = request.contains("body") ? OneLine(request.at("body")) : "";
  ApiCall call(source,
               {.method = method, .path = path, .args = {}, .body = body, .may_write = true});
  while (!call.done()) {
    call.Step();
    if (call.stuck())
      return ApiError(503, "the store takes the changes slowly: ask again for the rest");
  }
  return call.reply();
}

std::string ReplyLine(const StatusReply& reply) {
  return OneLine({{"status", reply.status}, {"body", Json::parse(reply.json, nullptr, false)}});
}

std::string ErrorText(const Json& body) {
  const auto error = body.find("error");
  const std::string text = error != body.end() && error->is_object() ? Text(*error, "text") : "";
  return text.empty() ? "the daemon refused" : text;
}

}  // namespace

Result<std::string> ControlRequest(const ControlWords& command) {
  const CommandRow* row = FindCommand(command.words);
  if (row == nullptr) return InvalidArgument("unknown command");
  const size_t words = command.words.size() - 1;
  const bool drains = row->name == "drain", rebalances = row->name == "rebalance";
  const bool is_misplaced =
      ((command.deadline || command.move) && !drains) || (command.dry_run && !rebalances);
  if (words < row->least || words > row->most || is_misplaced) {
    return InvalidArgument(fmt::format("usage: limpet {} [--json]", row->usage));
  }
  Json request = {{"method", row->method}, {"path", PathOf(*row, command.words)}};
  if (row->method == "PATCH") request["body"] = {{"drain", drains}};
  if (command.deadline) {
    request["body"]["deadline"] = fmt::format("{}ms{}", command.deadline->time.count(),
                                              command.deadline->keeps ? ",keep" : "");
  }
  if (command.move) request["body"]["move"] = fmt::format("{}/s", *command.move);
  if (rebalances) request["body"] = {{"dry_run", command.dry_run}};
  return OneLine(request);
}

std::string ControlAnswer(const StatusSource& source, std::string_view line) {
  return ReplyLine(Obey(source, line));
}

std::string ControlRefusal(int status, std::string_view text) {
  return ReplyLine(ApiError(status, text));
}

ControlText ShowControlReply(const ControlWords& command, std::string_view reply, bool json) {
  const Json answer = Json::parse(reply, nullptr, false);
  if (!answer.is_object() || !answer.contains("body") || !answer.contains("status")) {
    return {false, "the daemon's answer makes no sense"};
  }
  const Json& body = answer["body"];
  const bool good = answer["status"] == 200;
  if (json) return {good, Dump(body)};
  if (!good) return {false, ErrorText(body)};
  return {true, Tables(command.words, body.dump())};
}

}  // namespace limpet::worker
