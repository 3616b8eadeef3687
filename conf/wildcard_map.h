// Host names to values: exact names first, then "*.example.com" and ".example.com" by the longest
// suffix, then "www.example.*" by the longest prefix. Keys are kept in lower case; look-ups ignore
// case.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "base/text.h"

namespace limpet::conf {

constexpr bool IsWildcard(std::string_view name) {
  return name.starts_with('.') || name.find('*') != std::string_view::npos;
}

// A star or an empty label is only valid at one end.
constexpr bool IsValidWildcard(std::string_view name) {
  std::string_view rest = name;
  if (rest.starts_with("*.")) {
    rest.remove_prefix(2);
  } else if (rest.starts_with('.')) {
    rest.remove_prefix(1);
  } else if (rest.ends_with(".*")) {
    rest.remove_suffix(2);
  }
  return !rest.empty() && !rest.starts_with('.') && rest.find('*') == std::string_view::npos &&
         rest.find("..") == std::string_view::npos;
}

template <class T>
class WildcardMap {
 public:
  // False if the name is there already. `wildcard`: IsWildcard and IsValidWildcard hold.
  bool Add(std::string_view name, bool wildcard, T value) {
    std::string key = ToLower(name);
    if (!wildcard) return exact_.emplace(std::move(key), std::move(value)).second;
    if (key.ends_with(".*"))
      return tails_.emplace(key.substr(0, key.size() - 1), std::move(value)).second;
    if (key.starts_with('.')) {
      if (exact_.contains(key.substr(1))) return false;
      exact_.emplace(key.substr(1), value);
      return heads_.emplace(std::move(key), std::move(value)).second;
    }
    return heads_.emplace(key.substr(1), std::move(value)).second;
  }

  bool empty() const { return exact_.empty() && heads_.empty() && tails_.empty(); }

  const T* Find(std::string_view name) const {
    if (const T* value = Get(exact_, name)) return value;
    if (!heads_.empty()) {
      for (size_t dot = name.find('.', 1); dot != std::string_view::npos;
           dot = name.find('.', dot + 1)) {
        if (const T* value = Get(heads_, name.substr(dot))) return value;
      }
    }
    if (!tails_.empty()) {
      for (size_t dot = name.rfind('.'); dot != std::string_view::npos && dot > 0;
           dot = name.rfind('.', dot - 1)) {
        if (const T* value = Get(tails_, name.substr(0, dot + 1))) return value;
      }
    }
    return nullptr;
  }

 private:
  using Table = std::unordered_map<std::string, T, HashIgnoreCase, EqualIgnoreCase>;

  static const T* Get(const Table& table, std::string_view key) {
    const auto it = table.find(key);
    return it == table.end() ? nullptr : &it->second;
  }

  Table exact_;
  Table heads_;  // ".example.com"
  Table tails_;  // "www.example."
};

}  // namespace limpet::conf
