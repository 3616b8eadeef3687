// Which of many names a misspelt word was likely meant to be: "did you mean".
#pragma once

#include <string>
#include <string_view>

namespace limpet::conf {

class NearMiss {
 public:
  explicit NearMiss(std::string_view word);  // views are kept, of names, too

  void Offer(std::string_view name);
  // ` (did you mean "shared"?)`; "" if no name is near. Of two that are as near, the first in the
  // alphabet.
  std::string Hint() const;

 private:
  std::string_view word_;
  size_t limit_;  // a longer distance is no likely slip
  std::string_view nearest_;
};

}  // namespace limpet::conf
