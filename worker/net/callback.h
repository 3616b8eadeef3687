// A callback without allocation: a function and the object it is called on. Made from a member
// function:
//   Callback::To<&Connection::OnTimeout>(this)
#pragma once

namespace limpet::worker {

class Callback {
 public:
  Callback() = default;

  template <auto kMethod, class T>
  static Callback To(T* self) {
    return Callback([](void* object) { (static_cast<T*>(object)->*kMethod)(); }, self);
  }

  explicit operator bool() const { return function_ != nullptr; }
  void operator()() const { function_(self_); }

 private:
  using Function = void (*)(void*);
  Callback(Function function, void* self) : function_(function), self_(self) {}

  Function function_ = nullptr;
  void* self_ = nullptr;
};

}  // namespace limpet::worker
