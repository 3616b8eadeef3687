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

std::string ErrorText(int error) {
  unsigned char text[128];
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

// The match data is scratch of one call; processes have no threads, so one per pattern is enough.
struct Regex::Impl {
  std::unique_ptr<pcre2_code, FreeCode> code;
  std::unique_ptr<pcre2_match_data, FreeMatch> data;
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
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without JIT the interpreter serves: no error
  regex->impl_->data.reset(pcre2_match_data_create_from_pattern(code, nullptr));

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

bool Regex::Match(std::string_view subject, Captures* captures) const {
  const int rc = pcre2_match(impl_->code.get(), reinterpret_cast<PCRE2_SPTR>(subject.data()),
                             subject.size(), 0, 0, impl_->data.get(), nullptr);
  if (rc < 0) return false;
  if (!captures) return true;
  const size_t* ends = pcre2_get_ovector_pointer(impl_->data.get());
  captures->subject = subject;
  captures->count = groups_ + 1;
  for (size_t i = 0; i < 2 * static_cast<size_t>(captures->count); ++i) {
    captures->offsets[i] = ends[i] == PCRE2_UNSET ? -1 : static_cast<int32_t>(ends[i]);
  }
  return true;
}

}  // namespace limpet::conf
