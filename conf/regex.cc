#include "conf/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/core.h>
#include <pcre2.h>

namespace limpet::conf {
namespace {

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

struct FreeContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct FreeStack {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
using MatchData = std::unique_ptr<pcre2_match_data, FreeMatch>;

static_assert(MatchResult::kNoMatch == PCRE2_ERROR_NOMATCH);

// What all matches of a process share, made at the first one; a process has one thread. JIT's own
// stack of 32 KiB ends at some 1,000 bytes for patterns like ^(?:.|\s)*x. The interpreter takes
// memory instead, for as long as a match lasts.
struct Scratch {
  static constexpr size_t kFirstStack = size_t{32} * 1024;
  static constexpr size_t kMaxStack = size_t{1024} * 1024;
  static constexpr uint32_t kMaxHeapKiB = 64 * 1024;

  Scratch() {
    if (context == nullptr) return;
    pcre2_set_heap_limit(context.get(), kMaxHeapKiB);
    if (stack != nullptr) pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }

  std::unique_ptr<pcre2_match_context, FreeContext> context{pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, FreeStack> stack{
      pcre2_jit_stack_create(kFirstStack, kMaxStack, nullptr)};
};

Scratch& ScratchOfProcess() {
  static Scratch scratch;
  return scratch;
}

MatchData NewMatchData() { return MatchData(pcre2_match_data_create(Captures::kMax, nullptr)); }

std::string ErrorText(int error) {
  unsigned char text[128];
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

// The match data is scratch of one call; processes have no threads, so one per pattern is enough.
struct Regex::Impl {
  int Run(std::string_view subject, uint32_t options, pcre2_match_data* into) const {
    if (into == nullptr) return PCRE2_ERROR_NOMEMORY;
    return pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(), 0,
                       options, into, ScratchOfProcess().context.get());
  }

  std::unique_ptr<pcre2_code, FreeCode> code;
  MatchData data;  // of a match by JIT
  bool has_jit = false;
};

Regex::Regex() : impl_(std::make_unique<Impl>()) {}
Regex::~Regex() = default;

Result<std::shared_ptr<const Regex>> Regex::Compile(std::string_view pattern, bool ignore_case) {
  int error = 0;
  size_t offset = 0;
  std::shared_ptr<Regex> regex(new Regex);
  regex->pattern_ = pattern;
  regex->impl_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()),
                                         pattern.size(), ignore_case ? PCRE2_CASELESS : 0, &error,
                                         &offset, nullptr));
  if (!regex->impl_->code) {
    std::string message =
        fmt::format("pcre2_compile() failed: {} in \"{}\"", ErrorText(error), pattern);
    if (offset < pattern.size()) message += fmt::format(" at \"{}\"", pattern.substr(offset));
    return InvalidArgument(std::move(message));
  }
  pcre2_code* code = regex->impl_->code.get();
  // Without JIT the interpreter serves: no error.
  regex->impl_->has_jit = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
  regex->impl_->data = NewMatchData();

  uint32_t groups = 0;
  pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
  if (groups >= Captures::kMax) {
    return InvalidArgument(fmt::format("regular expression \"{}\" has more than {} groups", pattern,
                                       Captures::kMax - 1));
  }
  regex->groups_ = static_cast<int>(groups);
  regex->ReadNamedGroups();
  return std::shared_ptr<const Regex>(std::move(regex));
}

// PCRE2 keeps a table of entries: the group's number in two bytes, then its name.
void Regex::ReadNamedGroups() {
  uint32_t count = 0, entry_size = 0;
  PCRE2_SPTR entry = nullptr;
  pcre2_pattern_info(impl_->code.get(), PCRE2_INFO_NAMECOUNT, &count);
  if (count == 0) return;
  pcre2_pattern_info(impl_->code.get(), PCRE2_INFO_NAMEENTRYSIZE, &entry_size);
  pcre2_pattern_info(impl_->code.get(), PCRE2_INFO_NAMETABLE, &entry);
  for (uint32_t i = 0; i < count; ++i, entry += entry_size) {
    named_groups_.push_back({reinterpret_cast<const char*>(entry + 2), entry[0] << 8 | entry[1]});
  }
}

// The interpreter has no stack to run out of, so it answers where JIT's has ended. A match limit is
// final: the second try would take several times as long to reach it, too. The interpreter's memory
// stays with its match data, which therefore lives for one match only.
MatchResult Regex::Match(std::string_view subject, Captures* captures) const {
  int rc = PCRE2_ERROR_JIT_STACKLIMIT;
  if (impl_->has_jit) rc = impl_->Run(subject, 0, impl_->data.get());
  MatchData interpreted;
  if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
    interpreted = NewMatchData();
    rc = impl_->Run(subject, PCRE2_NO_JIT, interpreted.get());
  }
  const MatchResult result(rc);
  if (!result.yes() || !captures) return result;
  const auto& data = interpreted != nullptr ? interpreted : impl_->data;
  const size_t* ends = pcre2_get_ovector_pointer(data.get());
  captures->subject = subject;
  captures->count = groups_ + 1;
  for (size_t i = 0; i < 2 * static_cast<size_t>(captures->count); ++i) {
    captures->offsets[i] = ends[i] == PCRE2_UNSET ? -1 : static_cast<int32_t>(ends[i]);
  }
  return result;
}

std::string Regex::Explain(MatchResult failed) const {
  return fmt::format("pcre2_match() failed: {} using \"{}\"", ErrorText(failed.code()), pattern_);
}

}  // namespace limpet::conf
