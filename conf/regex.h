// A compiled PCRE2 pattern (with JIT). Compiled once at load; matching is const and allocates
// nothing.
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
  static constexpr size_t kMax =
      20;  // group 0 and up to 19 more; a pattern with more groups does not compile
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

class Regex {
 public:
  static Result<std::shared_ptr<const Regex>> Compile(std::string_view pattern, bool ignore_case);
  ~Regex();

  // True if it matches; then *captures (may be null) holds the groups.
  bool Match(std::string_view subject, Captures* captures) const;

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
