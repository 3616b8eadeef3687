// A compiled PCRE2 pattern (with JIT). Compiled once at load; matching is const. It allocates only
// where JIT has given up or is not to be had.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace limpet::conf {

// The groups of the last successful match: offsets into `subject`, which the owner keeps alive.
struct Captures {
  // Group 0 and up to 19 more; a pattern with more groups does not compile.
  static constexpr size_t kMax = 20;
  std::string_view subject;
  std::array<int32_t, 2 * kMax> offsets{};
  int count = 0;  // groups set, group 0 included; 0: no match yet

  std::string_view Group(int n) const {
    const auto i = static_cast<size_t>(2 * n);
    if (n >= count || offsets[i] < 0) return {};
    return subject.substr(static_cast<size_t>(offsets[i]),
                          static_cast<size_t>(offsets[i + 1] - offsets[i]));
  }
};

// What a match came to. One that failed (PCRE2 gave up at a limit) is neither yes nor no: whoever
// asks must not go on as if the answer had been no.
class [[nodiscard]] MatchResult {
 public:
  explicit constexpr MatchResult(int code) : code_(code) {}  // as pcre2_match returns it
  constexpr bool yes() const { return code_ > 0; }
  constexpr bool failed() const { return code_ <= 0 && code_ != kNoMatch; }
  constexpr int code() const { return code_; }

  static constexpr int kNoMatch = -1;

 private:
  int code_;
};

class Regex {
 public:
  static Result<std::shared_ptr<const Regex>> Compile(std::string_view pattern, bool ignore_case);
  ~Regex();

  // If it matches, *captures (may be null) holds the groups.
  MatchResult Match(std::string_view subject, Captures* captures) const;
  // Of a match that failed, for a log: PCRE2's reason and the pattern.
  std::string Explain(MatchResult failed) const;

  struct NamedGroup {
    std::string name;
    int group;
  };
  const std::vector<NamedGroup>& named_groups() const { return named_groups_; }
  int groups() const { return groups_; }
  const std::string& pattern() const { return pattern_; }

 private:
  struct Impl;
  Regex();
  void ReadNamedGroups();

  std::unique_ptr<Impl> impl_;
  std::string pattern_;
  std::vector<NamedGroup> named_groups_;
  int groups_ = 0;
};

}  // namespace limpet::conf
