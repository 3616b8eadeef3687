#include "worker/http/filter/conditional.h"

#include <string>

#include "base/clock.h"
#include "proto/negotiation.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/hooks.h"

namespace limpet::worker {
namespace {

using proto::Header;
using proto::HeaderId;
using Mode = conf::ResponseSettings::IfModifiedSince;

bool IsUnmodified(std::string_view since, int64_t last_modified) {
  return last_modified != -1 && ParseHttpDate(std::string(since)) >= last_modified;
}

bool IsModified(std::string_view since, int64_t last_modified, Mode mode) {
  if (last_modified == -1 || mode == Mode::kOff) return true;
  const int64_t time = ParseHttpDate(std::string(since));
  if (time == last_modified) return false;
  return mode == Mode::kExact || time < last_modified;
}

}  // namespace

Verdict JudgeConditions(const proto::HeaderList& request, const Validators& response, Mode mode) {
  using proto::EtagCompare;
  if (const Header* h = request.Find(HeaderId::kIfUnmodifiedSince)) {
    if (!IsUnmodified(h->value, response.last_modified)) return Verdict::kPreconditionFailed;
  }
  if (const Header* h = request.Find(HeaderId::kIfMatch)) {
    if (!proto::EtagListMatches(h->value, response.etag, EtagCompare::kStrong)) {
      return Verdict::kPreconditionFailed;
    }
  }
  const Header* since = request.Find(HeaderId::kIfModifiedSince);
  const Header* none_match = request.Find(HeaderId::kIfNoneMatch);
  if (since == nullptr && none_match == nullptr) return Verdict::kSend;
  if (since != nullptr && IsModified(since->value, response.last_modified, mode)) {
    return Verdict::kSend;
  }
  if (none_match != nullptr &&
      !proto::EtagListMatches(none_match->value, response.etag, EtagCompare::kWeak)) {
    return Verdict::kSend;
  }
  return Verdict::kNotModified;
}

bool ApplyConditions(Exchange& exchange) {
  Response& response = exchange.response();
  if (response.status != 200 || response.from_upstream) return true;
  const proto::HeaderList& request = exchange.request().headers();
  switch (JudgeConditions(request, {response.last_modified, response.etag},
                          exchange.location().response.if_modified_since)) {
    case Verdict::kSend:
      return true;
    case Verdict::kNotModified:
      response.status = 304;
      response.status_line = {};
      response.content_type = {};
      response.content_length = -1;
      response.allow_ranges = false;
      response.headers.RemoveAll(HeaderId::kContentEncoding);
      return true;
    case Verdict::kPreconditionFailed:
      response.Reset();
      exchange.Finish(412);
      return false;
  }
  return true;
}

}  // namespace limpet::worker
