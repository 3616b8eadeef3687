#include "worker/token/claims.h"

#include <cjose/base64.h>
#include <cjose/util.h>
#include <fmt/format.h>
#include <jansson.h>

#include <algorithm>

#include "base/text.h"

namespace limpet::worker {
namespace {

std::optional<std::string> TextOf(const json_t* value) {
  switch (json_typeof(value)) {
    case JSON_STRING:
      return std::string(json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
      return std::to_string(json_integer_value(value));
    case JSON_REAL:
      return fmt::format("{}", json_real_value(value));
    case JSON_TRUE:
      return "true";
    case JSON_FALSE:
      return "false";
    default:
      return std::nullopt;
  }
}

const json_t* Step(const json_t* value, const std::string& name) {
  if (json_is_object(value)) return json_object_get(value, name.c_str());
  const auto place = ParseDecimal(name);
  return json_is_array(value) && place ? json_array_get(value, *place) : nullptr;
}

constexpr bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IsDigit(c) || c == '-' || c == '_';
}

}  // namespace

void FreeJson::operator()(json_t* json) const { json_decref(json); }

JsonPtr ParseObject(std::string_view text) {
  JsonPtr json(json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, nullptr));
  return json_is_object(json.get()) ? std::move(json) : nullptr;
}

std::optional<Claims> Claims::Parse(std::string_view text) {
  JsonPtr json = ParseObject(text);
  return json != nullptr ? std::optional(Claims(std::move(json))) : std::nullopt;
}

std::optional<std::string> Claims::Find(const std::vector<std::string>& path) const {
  const std::string whole = fmt::format("{}", fmt::join(path, "."));
  if (const json_t* value = json_object_get(json_.get(), whole.c_str())) return TextOf(value);
  const json_t* value = json_.get();
  for (const std::string& name : path) {
    value = Step(value, name);
    if (value == nullptr) return std::nullopt;
  }
  return TextOf(value);
}

bool Claims::Has(const char* name) const { return json_object_get(json_.get(), name) != nullptr; }

Result<double> Claims::Date(const char* name) const {
  const json_t* const value = json_object_get(json_.get(), name);
  if (value == nullptr) return 0.0;
  if (!json_is_number(value)) return InvalidArgument(fmt::format("\"{}\" is no number", name));
  return json_number_value(value);
}

bool IsBase64Url(std::string_view text) { return std::ranges::all_of(text, IsLetter); }

std::optional<std::string> DecodeBase64Url(std::string_view text) {
  if (!IsBase64Url(text) || text.size() % 4 == 1) return std::nullopt;
  if (text.empty()) return std::string();
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (!cjose_base64url_decode(text.data(), text.size(), &bytes, &size, nullptr))
    return std::nullopt;
  std::string decoded(reinterpret_cast<const char*>(bytes), size);
  cjose_get_dealloc()(bytes);
  return decoded;
}

}  // namespace limpet::worker
