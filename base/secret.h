// Text that must not be left behind in memory that is given back: keys, passwords.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace limpet {

inline void Wipe(std::string* text) { explicit_bzero(text->data(), text->size()); }

// Wiped when it goes. Views of it end with it.
class Secret {
 public:
  explicit Secret(std::string text) : text_(std::move(text)) {}
  ~Secret() { Wipe(&text_); }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  std::string_view text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace limpet
