// A fuzz target: a function that takes any bytes and aborts when a property does not hold.
//
//   FUZZ_TARGET(chunked, input) { FUZZ_CHECK(Decode(input) == …, "what does not hold"); }
//
// Built with libFuzzer (LIMPET_FUZZ) each is a fuzzer of its own. In every other build all are in
// one program, fuzz_replay, that runs one of them over files: seeds, and what a fuzzer once found.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace limpet::fuzz {

using Function = void (*)(std::string_view input);

struct Target {
  Target(const char* target_name, Function target_function);
  const char* name;
  Function function;
  const Target* next;
};

[[noreturn]] inline void Fail(const char* file, int line, std::string_view what) {
  std::fprintf(stderr, "%s:%d: property violated: %.*s\n", file, line,
               static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace limpet::fuzz

#define FUZZ_CHECK(condition, what) \
  ((condition) ? static_cast<void>(0) : ::limpet::fuzz::Fail(__FILE__, __LINE__, (what)))

#ifdef LIMPET_FUZZ
#define FUZZ_TARGET(name, input)                                             \
  static void FuzzTarget_##name(std::string_view input);                     \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);  \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) { \
    FuzzTarget_##name({reinterpret_cast<const char*>(bytes), size});         \
    return 0;                                                                \
  }                                                                          \
  static void FuzzTarget_##name(std::string_view input)
#else
#define FUZZ_TARGET(name, input)                                                    \
  static void FuzzTarget_##name(std::string_view input);                            \
  static const ::limpet::fuzz::Target registered_##name(#name, &FuzzTarget_##name); \
  static void FuzzTarget_##name(std::string_view input)
#endif
