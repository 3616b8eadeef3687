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

// Of a header that is there several times, one line that fits is enough.
bool HeaderFits(const conf::HeaderMatch& test, const proto::HeaderList& headers) {
  using Test = conf::HeaderMatch::Test;
  const auto any = [&](const auto& fits) {
    return std::any_of(headers.begin(), headers.end(), [&](const proto::Header& header) {
      return EqualsIgnoreCase(header.name, test.name) && fits(header.value);
    });
  };
  const auto equal = [&](std::string_view value) { return value == test.value; };
  const auto matches = [&](std::string_view value) { return test.regex->Match(value, nullptr); };
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

std::string_view JudgeHead(const conf::Match* match, const proto::ResponseHead& head) {
  if (!StatusFits(match, head.status)) return "checking status code";
  if (match == nullptr) return {};
  for (const conf::HeaderMatch& test : match->headers) {
    if (!HeaderFits(test, head.headers)) return "checking header";
  }
  return {};
}

std::string_view JudgeBody(const conf::Match& match, std::string_view body) {
  if (match.body == nullptr || match.body->Match(body, nullptr) != match.body_negated) return {};
  return "checking body";
}

}  // namespace limpet::worker
