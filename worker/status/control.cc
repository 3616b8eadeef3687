#include "worker/status/control.h"

#include <fmt/format.h>

#include <algorithm>

#include "worker/status/api.h"
#include "worker/status/commands.h"
#include "worker/status/json_input.h"
#include "worker/status/tables.h"

namespace limpet::worker {
namespace {

std::string Text(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string OneLine(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

StatusReply Obey(const StatusSource& source, std::string_view line, const Explainer& explain) {
  const Result<Json> parsed = ParseJson(line, "the request");
  if (!parsed) return ApiError(400, parsed.error().message);
  const Json& request = *parsed;
  if (!request.is_object()) return ApiError(400, "the request must be a JSON object");
  const std::string method = Text(request, "method"), path = Text(request, "path");
  if (method.empty()) return ApiError(400, "the request has no \"method\"");
  const std::string args = Text(request, "args");
  if (method == "GET" && path == "explain" && explain) return explain(args);
  const std::string body = request.contains("body") ? OneLine(request.at("body")) : "";
  ApiCall call(source,
               {.method = method, .path = path, .args = args, .body = body, .may_write = true});
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
  const CommandRow* row = command.words.empty() ? nullptr : FindCommand(command.words[0]);
  if (row == nullptr) return InvalidArgument("unknown command");
  const auto words = std::span(command.words).subspan(1);
  const bool is_misplaced =
      ((command.deadline || command.move) && row->body != CommandBody::kDrain) ||
      (command.dry_run && row->body != CommandBody::kRebalance);
  if (words.size() < row->least || words.size() > row->most || is_misplaced)
    return InvalidArgument(UsageOf(*row));
  if (std::ranges::find(words, "") != words.end())  // a variable of a script that is not set
    return InvalidArgument("an argument is empty\n" + UsageOf(*row));
  if (row->most == SIZE_MAX) {  // the rest are parts of the query
    for (const std::string& pair : words.subspan(row->least)) {
      if (const size_t equals = pair.find('='); equals == 0 || equals == pair.npos)
        return InvalidArgument(fmt::format("\"{}\" is no NAME=VALUE\n{}", pair, UsageOf(*row)));
    }
  }
  CommandOptions options{.move = command.move, .dry_run = command.dry_run};
  if (command.deadline) {
    options.deadline = fmt::format("{}ms{}", command.deadline->time.count(),
                                   command.deadline->keeps ? ",keep" : "");
  }
  const CommandCall call = CallOf(*row, words, options);
  Json request = {{"method", row->method}, {"path", call.path}};
  if (!call.args.empty()) request["args"] = call.args;
  if (!call.body.empty()) request["body"] = Json::parse(call.body);
  return OneLine(request);
}

std::string ControlAnswer(const StatusSource& source, std::string_view line,
                          const Explainer& explain) {
  return ReplyLine(Obey(source, line, explain));
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
