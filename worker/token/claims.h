// What a token says: a JSON object, read with bounds, and the text of one of its claims.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct json_t;

namespace limpet::worker {

struct FreeJson {
  void operator()(json_t* json) const;
};
using JsonPtr = std::unique_ptr<json_t, FreeJson>;

// An object; null: it is none, or has the same name twice.
JsonPtr ParseObject(std::string_view text);

class Claims {
 public:
  // From the JSON between a token's dots. Nothing if it is no object.
  static std::optional<Claims> Parse(std::string_view json);

  // A string as it is, a number, true or false; nothing for whatever else, and where nothing is.
  // `path`: names from the outermost in, and places in arrays. A claim whose name is the whole
  // path, joined by dots, comes first: names may be URLs.
  std::optional<std::string> Find(const std::vector<std::string>& path) const;

  bool Has(const char* name) const;
  // NumericDate (RFC 7519 2), in seconds; 0: there is no such claim.
  Result<double> Date(const char* name) const;

 private:
  explicit Claims(JsonPtr json) : json_(std::move(json)) {}
  JsonPtr json_;
};

// Whether a text has the letters of base64url only: no padding, no space (RFC 7515 2).
bool IsBase64Url(std::string_view text);
// What it stands for; nothing if it is anything else.
std::optional<std::string> DecodeBase64Url(std::string_view text);

}  // namespace limpet::worker
