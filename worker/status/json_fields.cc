#include "worker/status/json_fields.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/text.h"

namespace limpet::worker {
namespace {

// True: something is left of it. No deeper than answers are.
bool Keep(Json& json, const std::vector<std::string_view>& fields) {
  if (json.is_array()) {
    for (Json& item : json) Keep(item, fields);
    return std::ranges::any_of(json,
                               [](const Json& item) { return item.is_object() && !item.empty(); });
  }
  if (!json.is_object()) return false;
  Json kept = Json::object();
  for (auto& [name, value] : json.items()) {
    if (std::ranges::find(fields, std::string_view(name)) != fields.end() || Keep(value, fields))
      kept[name] = std::move(value);
  }
  json = std::move(kept);
  return !json.empty();
}

}  // namespace

StatusReply GoodFields(Json json, std::string_view args) {
  const auto given = Argument(args, "fields");
  if (!given) return Good(json);
  std::vector<std::string_view> fields;
  for (const std::string_view field : Split(*given, ',')) fields.push_back(field);
  Keep(json, fields);
  return Good(json);
}

}  // namespace limpet::worker
