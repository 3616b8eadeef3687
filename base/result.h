// A value or the reason why there is none (g++ 12 has no std::expected). For cold paths: the error
// carries text.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

namespace limpet {

struct Error {
  // What kind; a std::errc for our own checks, the errno of a failed call otherwise.
  std::error_code code;
  std::string message;  // for people: what was attempted and on what, without a trailing full stop
};

inline Error InvalidArgument(std::string message) {
  return {std::make_error_code(std::errc::invalid_argument), std::move(message)};
}

// An error from errno; `what` is nginx's form: `open() "/x" failed`, to which " (2: No such file or
// directory)" is added.
Error ErrnoError(std::string what, int errnum);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by design
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design

  explicit operator bool() const { return !error_; }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace limpet
