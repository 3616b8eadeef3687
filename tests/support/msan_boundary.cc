// For the tests under MemorySanitizer: libraries that are not instrumented write memory that then
// counts as uninitialised. Here stand, in their place, the calls of theirs that the tests come to;
// each says what the real one has written. What the standard library and GoogleTest write is taken
// care of by cmake/msan_ignore.txt.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <dlfcn.h>
#include <openssl/evp.h>
#include <pcre2.h>
#include <sanitizer/msan_interface.h>
#include <sodium.h>

#include <cstring>

namespace {

template <class Function>
Function* Real(Function*, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

#define REAL(function) Real(&(function), #function)

extern "C" {

// The first call reads OpenSSL's configuration, by functions that would be checked.
int EVP_Digest(const void* data, size_t size, unsigned char* digest, unsigned int* digest_size,
               const EVP_MD* type, ENGINE* engine) {
  static auto* const real = REAL(EVP_Digest);
  __msan_check_mem_is_initialized(data, size);
  __msan_scoped_disable_interceptor_checks();
  const int rc = real(data, size, digest, digest_size, type, engine);
  __msan_scoped_enable_interceptor_checks();
  __msan_unpoison(digest, static_cast<size_t>(::EVP_MD_get_size(type)));
  return rc;
}

void randombytes_buf(void* const out, const size_t size) {
  static auto* const real = REAL(randombytes_buf);
  real(out, size);
  __msan_unpoison(out, size);
}

pcre2_code_8* pcre2_compile_8(PCRE2_SPTR8 pattern, size_t size, uint32_t options, int* error,
                              size_t* offset, pcre2_compile_context_8* context) {
  static auto* const real = REAL(pcre2_compile_8);
  pcre2_code_8* const code = real(pattern, size, options, error, offset, context);
  __msan_unpoison(error, sizeof *error);
  __msan_unpoison(offset, sizeof *offset);
  return code;
}

int pcre2_get_error_message_8(int error, PCRE2_UCHAR8* text, size_t size) {
  static auto* const real = REAL(pcre2_get_error_message_8);
  const int length = real(error, text, size);
  __msan_unpoison(text, size);
  return length;
}

int pcre2_pattern_info_8(const pcre2_code_8* code, uint32_t what, void* out) {
  static auto* const real = REAL(pcre2_pattern_info_8);
  const int rc = real(code, what, out);
  __msan_unpoison(out, what == PCRE2_INFO_NAMETABLE ? sizeof(PCRE2_SPTR8) : sizeof(uint32_t));
  if (what != PCRE2_INFO_NAMETABLE || rc != 0) return rc;
  uint32_t count = 0, entry = 0;
  real(code, PCRE2_INFO_NAMECOUNT, &count);
  real(code, PCRE2_INFO_NAMEENTRYSIZE, &entry);
  __msan_unpoison(*static_cast<PCRE2_SPTR8*>(out), size_t{count} * entry);
  return rc;
}

int pcre2_match_8(const pcre2_code_8* code, PCRE2_SPTR8 subject, size_t size, size_t start,
                  uint32_t options, pcre2_match_data_8* data, pcre2_match_context_8* context) {
  static auto* const real = REAL(pcre2_match_8);
  __msan_check_mem_is_initialized(subject, size);
  const int rc = real(code, subject, size, start, options, data, context);
  const size_t ends = 2 * size_t{pcre2_get_ovector_count_8(data)};
  __msan_unpoison(pcre2_get_ovector_pointer_8(data), ends * sizeof(size_t));
  return rc;
}

}  // extern "C"
