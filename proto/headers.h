// The header fields of one head, in their order. Names and values are views: whoever holds the
// head's bytes (head block, arena, decoder) outlives them. The vector keeps its capacity over
// Clear(), so a reused list allocates nothing. One that is moved between lists of the same memory
// is not copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/header_id.h"

namespace limpet::proto {

// Whether a text may be the value of a field that is composed: it has no control but the tab. CR
// and LF end a line, other controls make strict receivers refuse the message (RFC 9110 5.5).
bool IsFieldValue(std::string_view text);
// Whether it has no blank and no control: a request target, or part of one (RFC 9112 3.2).
bool IsVisible(std::string_view text);
// A value of folded lines ($ssl_client_cert is one) as the one line that it means: each line end
// with a blank behind it becomes a space (RFC 9112 5.2). Nothing if it still is no value.
std::optional<std::string> UnfoldFieldValue(std::string_view text);
// Adds "NAME: VALUE" and a line end. False, and nothing is added, if the value is none.
[[nodiscard]] bool AppendField(std::string* head, std::string_view name, std::string_view value);
// RFC 9110 5.6.2: what a method may be made of.
bool IsToken(std::string_view text);

struct Header {
  std::string_view name;   // as sent
  std::string_view value;  // without the white space around it
  HeaderId id = HeaderId::kOther;
  bool fit = false;  // the value is known to be one that may be composed: IsFieldValue(value)
};

// Whether a comma-separated list has this token (any case).
bool ListHasToken(std::string_view list, std::string_view token);

class HeaderList {
 public:
  HeaderList() = default;
  explicit HeaderList(std::pmr::memory_resource* memory) : list_(memory) {}

  void Add(std::string_view name, std::string_view value) { Add(LookupHeader(name), name, value); }
  // For callers that know the id; it must be LookupHeader(name).
  void Add(HeaderId id, std::string_view name, std::string_view value, bool fit = false) {
    list_.push_back({name, value, id, fit});
    present_.Add(id);
  }

  bool Has(HeaderId id) const { return present_.Has(id); }  // exact for every id but kOther
  bool HasAnyOf(HeaderIds ids) const { return present_.HasAnyOf(ids); }  // the same
  const Header* Find(HeaderId id) const;                                 // the first one, or null
  const Header* Find(std::string_view name) const;                       // any case
  const Header* FindOther(std::string_view name) const;  // the same, for a name without an id
  std::string_view Value(HeaderId id) const;             // of the first one; "" if absent
  size_t Count(HeaderId id) const;
  size_t RemoveAll(HeaderId id);  // how many there were; the others keep their order
  size_t RemoveAll(std::string_view name);
  void Set(HeaderId id, std::string_view name, std::string_view value);  // instead of all there are

  // Whether a comma-separated list header has this token (any case), over all its lines:
  // Connection, TE, Upgrade.
  bool HasToken(HeaderId id, std::string_view token) const;

  void Clear() {
    list_.clear();
    if (list_.capacity() > kKept) list_.shrink_to_fit();
    present_ = {};
  }
  void Reserve(size_t n) { list_.reserve(n); }
  size_t size() const { return list_.size(); }
  bool empty() const { return list_.empty(); }
  const Header& operator[](size_t i) const { return list_[i]; }
  Header& operator[](size_t i) { return list_[i]; }  // do not change the id
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }

 private:
  template <class Match>
  size_t RemoveIf(Match match);

  static constexpr size_t kKept = 64;  // what few heads need does not stay

  std::pmr::vector<Header> list_;
  HeaderIds present_;  // those that are in list_
};

}  // namespace limpet::proto
