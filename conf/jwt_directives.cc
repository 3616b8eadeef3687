// jwt_claim.
#include <array>

#include "conf/loader.h"
#include "conf/secret_file.h"
#include "conf/setting.h"
#include "conf/tables.h"

namespace limpet::conf {
namespace {

// "realm_access.roles.0". A name that is empty would be no claim's.
Status ParsePath(const std::string& text, std::vector<std::string>* path) {
  for (const std::string_view name : Split(text, '.')) {
    if (name.empty()) return InvalidParameter(text, "a claim is written as NAME or NAME.NAME");
    path->emplace_back(name);
  }
  return {};
}

Result<int> KeyFile(Block& b, const Directive& d, const std::string& text) {
  std::vector<TokenKeys>& files = b.http->tokens.keys;
  TokenKeys file;
  if (text.empty()) return Refuse(d, "has an empty file name");
  if (Status s = ConfDirPath{}(b, d, text, file.path); !s) return s.error();
  for (size_t i = 0; i < files.size(); ++i) {
    if (files[i].path == file.path) return static_cast<int>(i);
  }
  Result<std::string> bytes = ReadSecretFile(b, d, text);
  if (!bytes) return bytes.error();
  file.bytes = std::move(*bytes);
  files.push_back(std::move(file));
  return static_cast<int>(files.size()) - 1;
}

Status Claim(Block& b, const Directive& d) {
  const std::string& name = d.args[0];
  if (name.size() < 2 || name[0] != '$')
    return InvalidArgument(fmt::format("invalid variable name \"{}\"", name));
  TokenClaim claim;
  if (Status s = Strings{}(b, d, d.args[1], claim.token); !s) return s;
  if (claim.token.is_constant())
    return InvalidParameter(d.args[1], "a token is in a variable, such as $http_authorization");
  if (Status s = ParsePath(d.args[2], &claim.path); !s) return s;
  for (size_t i = 3; i < d.args.size(); ++i) {
    const auto file = After(d.args[i], "key_file=");
    if (file && claim.keys < 0) {
      const Result<int> keys = KeyFile(b, d, *file);
      if (!keys) return keys.error();
      claim.keys = *keys;
    } else if (d.args[i] == "required" && !claim.required) {
      claim.required = true;
    } else {
      return InvalidParameter(d.args[i]);
    }
  }
  Tokens& tokens = b.http->tokens;
  const auto id = b.http->variables.DefineDerived(
      name.substr(1), std::make_shared<LookedUpVariable>(Lookup::kClaim, tokens.claims.size()),
      Where(d), false);
  if (!id) return id.error();
  claim.name = name.substr(1);
  tokens.claims.push_back(std::move(claim));
  return {};
}

constexpr std::array kRows = std::to_array<Row>({
    {"jwt_claim", kHttp, AtLeast(3), kMany | kEarly, Claim, "",
     "$NAME $TOKEN CLAIM[.PATH] [key_file=FILE] [required]: a variable from a JSON Web Token, "
     "alone "
     "or behind \"Bearer \"; FILE is a JWKS (RS, PS, ES) or a secret (HS), and what it has not "
     "signed, or is not valid now, is empty. Without key_file anybody may have made the token: "
     "safe only where something in front has verified it, or where a wrong one does no harm. "
     "required: a request that evaluates the variable before it is answered, and has no such token "
     "or claim, is answered 401. FILE is read again at a reload"},
});

}  // namespace

constinit const std::span<const Row> kJwtDirectives = kRows;

}  // namespace limpet::conf
