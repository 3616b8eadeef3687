// add_header, add_trailer, expires, and other response headers of our own.
#include <algorithm>
#include <array>

#include "conf/loader.h"
#include "conf/setting.h"
#include "conf/tables.h"
#include "proto/header_id.h"

namespace limpet::conf {
namespace {

using R = ResponseSettings;
using Inherit = R::HeaderInherit;

constexpr std::array kInherit = std::to_array<Choice<Inherit>>(
    {{"on", Inherit::kOn}, {"off", Inherit::kOff}, {"merge", Inherit::kMerge}});

void WarnOfTheHop(Block& b, const Directive& d) {
  if (!proto::IsOfTheHop(proto::LookupHeader(d.args[0]))) return;
  b.loader.Warn(d, fmt::format("\"{} {}\" is ignored: it says how the response is framed, which "
                               "follows from the body",
                               d.name, d.args[0]));
}

// With `merge`, a block's own headers stand before the inherited ones.
template <auto List, auto Mode>
Status AddHeaderRow(Block& b, const Directive& d) {
  R& response = b.location->response;
  std::vector<AddHeader>& headers = response.*List;
  AddHeader header;
  if (Status s = FieldName{}(b, d, d.args[0], header.name); !s) return s;
  if (Status s = FieldValue{}(b, d, d.args[1], header.value); !s) return s;
  if (d.args.size() == 3) {
    if (d.args[2] != "always") return InvalidParameter(d.args[2]);
    header.always = true;
  }
  WarnOfTheHop(b, d);
  const auto own = std::count(b.seen.begin(), b.seen.end(), &headers);
  b.seen.push_back(&headers);
  if (own == 0 && response.*Mode != Inherit::kMerge) headers.clear();
  headers.insert(headers.begin() + own, std::move(header));
  return {};
}

template <auto List, auto Mode>
Status InheritMode(Block& b, const Directive& d) {
  R& response = b.location->response;
  if (Status s = OneOf<kInherit>{}(b, d, d.args[0], response.*Mode); !s) return s;
  if (response.*Mode == Inherit::kOff) (response.*List).clear();
  return {};
}

Status ParseExpires(const Directive& d, std::string text, Expires* out) {
  const bool modified = out->kind == Expires::Kind::kModified;
  if (!modified && text == "epoch") {
    out->kind = Expires::Kind::kEpoch;
    return {};
  }
  if (!modified && text == "max") {
    out->kind = Expires::Kind::kMax;
    return {};
  }
  if (!modified && text == "off") {
    out->kind = Expires::Kind::kOff;
    return {};
  }
  const bool daily = text.starts_with('@');
  const bool minus = text.starts_with('-');
  if (daily && modified) return Refuse(d, "daily time cannot be used with \"modified\" parameter");
  if (daily || minus || text.starts_with('+')) text.erase(0, 1);
  const auto time = ParseTime(text, true);
  if (!time)
    return InvalidForm(d, d.args.back(),
                       "it is TIME, @TIME, epoch, max or off; a time is 30s or 1h30m");
  out->seconds = time->count() / 1000;
  if (daily) {
    out->kind = Expires::Kind::kDaily;
    if (out->seconds > 86400)
      return Refuse(
          d, fmt::format("daily time value \"{}\" must be less than 24 hours", d.args.back()));
  }
  if (minus) out->seconds = -out->seconds;
  return {};
}

Status ExpiresRow(Block& b, const Directive& d) {
  Expires expires{.kind = Expires::Kind::kAccess};
  if (d.args.size() == 2) {
    if (d.args[0] != "modified") return InvalidWord(d, d.args[0], "modified");
    expires.kind = Expires::Kind::kModified;
  }
  Template value;
  if (Status s = Strings{}(b, d, d.args.back(), value); !s) return s;
  if (!value.is_constant()) {
    expires.variable = std::move(value);
  } else if (Status s = ParseExpires(d, d.args.back(), &expires); !s) {
    return s;
  }
  b.location->response.expires = std::move(expires);
  return {};
}

Status ServerTokens(Block& b, const Directive& d) {
  R& response = b.location->response;
  response.server_tokens_text = {};
  if (EqualsIgnoreCase(d.args[0], "on")) {
    response.server_tokens = R::Tokens::kOn;
  } else if (EqualsIgnoreCase(d.args[0], "off")) {
    response.server_tokens = R::Tokens::kOff;
  } else if (EqualsIgnoreCase(d.args[0], "build")) {
    response.server_tokens = R::Tokens::kBuild;
  } else {
    response.server_tokens = R::Tokens::kTemplate;
    if (Status s = Strings{}(b, d, d.args[0], response.server_tokens_text); !s) return s;
    if (response.server_tokens_text.is_constant())
      return InvalidForm(d, d.args[0], "it is on, off, build, or has variables");
  }
  return {};
}

Status EarlyHints(Block& b, const Directive& d) {
  auto& conditions = b.location->response.early_hints;
  if (b.First(&conditions)) conditions.clear();
  for (const std::string& word : d.args) {
    if (Status s = Strings{}(b, d, word, conditions.emplace_back()); !s) return s;
  }
  return {};
}

constexpr uint32_t kHere = kHttpServerLocation;
constexpr uint32_t kHereOrIf = kHttpServerLocation | kLocationIf;

constexpr std::array kRows = std::to_array<Row>({
    {"add_header", kHereOrIf, Takes(2, 3), kMany,
     AddHeaderRow<&R::add_headers, &R::add_header_inherit>, "",
     "NAME VALUE [always]: a header field of the response; left out, or 500, if VALUE has CR or "
     "LF"},
    {"add_trailer", kHereOrIf, Takes(2, 3), kMany,
     AddHeaderRow<&R::add_trailers, &R::add_trailer_inherit>, "",
     "NAME VALUE [always]: a field after a chunked response; left out if VALUE has CR or LF"},
    {"add_header_inherit", kHereOrIf, kOneArg, kEarly,
     InheritMode<&R::add_headers, &R::add_header_inherit>, "on",
     "on | off | merge: what happens to the outer level's add_header"},
    {"add_trailer_inherit", kHereOrIf, kOneArg, kEarly,
     InheritMode<&R::add_trailers, &R::add_trailer_inherit>, "on",
     "on | off | merge: what happens to the outer level's add_trailer"},
    {"expires", kHereOrIf, Takes(1, 2), kOnce, ExpiresRow, "off",
     "[modified] TIME | @TIME | epoch | max | off: Expires and Cache-Control"},
    {"server_tokens", kHere, kOneArg, kOnce, ServerTokens, "on",
     "on | off | build | STRING: what the Server header says"},
    {"early_hints", kHere, AtLeast(1), kMany, EarlyHints, "",
     "VALUE …: 103 of an upstream goes to the client if one is neither empty nor 0"},
    {"etag", kHere, kOneArg, kOnce, Setting<Flag, &Location::response, &R::etag>, "on",
     "ETag of files"},
    {"chunked_transfer_encoding", kHere, kOneArg, kOnce,
     Setting<Flag, &Location::response, &R::chunked>, "on",
     "chunked responses to HTTP/1.1 clients"},
});

}  // namespace

constinit const std::span<const Row> kHeaderDirectives = kRows;

}  // namespace limpet::conf
