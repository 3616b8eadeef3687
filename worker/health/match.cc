#include "worker/health/match.h"

#include <algorithm>

#include "base/text.h"

namespace limpet::worker {
namespace {

bool StatusFits(const conf::Match* match, int status) {
  const auto in = [status](const conf::StatusRange& r) {
    return status >= r.first && status <= r.last;
  };
  if (match == nullptr) return in(conf::StatusRange{});
  if (match->statuses.empty()) return true;
  const bool listed = std::any_of(match->statuses.begin(), match->statuses.end(), in);
  return listed != match->statuses_negated;
}

// Why a regular expression gave up, as a detail for the log; "" if none did.
using Detail = std::string;

bool Matches(const conf::Regex& regex, std::string_view text, Detail* failure) {
  const conf::MatchResult result = regex.Match(text, nullptr);
  if (result.failed()) *failure = " (" + regex.Explain(result) + ")";
  return result.yes();
}

// Of a header that is there several times, one line that fits is enough.
bool HeaderFits(const conf::HeaderMatch& test, const proto::HeaderList& headers, Detail* failure) {
  using Test = conf::HeaderMatch::Test;
  const auto any = [&](const auto& fits) {
    return std::any_of(headers.begin(), headers.end(), [&](const proto::Header& header) {
      return EqualsIgnoreCase(header.name, test.name) && fits(header.value);
    });
  };
  const auto equal = [&](std::string_view value) { return value == test.value; };
  const auto matches = [&](std::string_view value) { return Matches(*test.regex, value, failure); };
  const auto there = [](std::string_view) { return true; };
  switch (test.test) {
    case Test::kPresent:
      return any(there);
    case Test::kAbsent:
      return !any(there);
    case Test::kEqual:
      return any(equal);
    case Test::kNotEqual:
      return !any(equal);
    case Test::kRegex:
      return any(matches);
    case Test::kNotRegex:
      return !any(matches);
  }
  return false;
}

}  // namespace

ProbeResult JudgeHead(const conf::Match* match, const proto::ResponseHead& head) {
  if (!StatusFits(match, head.status)) return {"checking status code", {}};
  if (match == nullptr) return {};
  for (const conf::HeaderMatch& test : match->headers) {
    Detail failure;
    const bool fits = HeaderFits(test, head.headers, &failure);
    if (!fits || !failure.empty()) return {"checking header", failure};
  }
  return {};
}

ProbeResult JudgeBody(const conf::Match& match, std::string_view body) {
  if (match.body == nullptr) return {};
  Detail failure;
  const bool matches = Matches(*match.body, body, &failure);
  if (failure.empty() && matches != match.body_negated) return {};
  return {"checking body", failure};
}

}  // namespace limpet::worker
