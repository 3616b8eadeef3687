// Header field lines, from bytes to a HeaderList: the part that requests, responses and trailers
// have in common. We split the lines, as nginx's tolerance needs (bare LF, names to be ignored),
// and llhttp in strict mode reads the same lines: what either of them refuses is refused, so that
// no line means one thing here and another thing elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "proto/headers.h"

namespace limpet::proto {

enum class FieldsOf : uint8_t { kRequest, kResponse, kTrailer };

struct FieldRules {
  FieldsOf of = FieldsOf::kRequest;
  bool ignore_invalid = true;  // drop lines with unusual names instead of keeping them
  bool underscores = true;     // '_' is usual
  size_t max_fields = 1000;
};

enum class FieldError : uint8_t {
  kNone,
  kInvalidLine,  // `line` is the first bad one
  kTooMany,
  kFraming,  // llhttp objects to Content-Length or Transfer-Encoding; the list is complete,
             // framing.h knows the reason
};

struct FieldResult {
  FieldError error = FieldError::kNone;
  std::string_view line;           // for kInvalidLine, without its line end
  size_t ignored = 0;              // lines dropped under ignore_invalid
  std::string_view first_ignored;  // the first of them
};

// `block` is whole lines, each with its line end; the last one is empty, no other is. Fields are
// added to `headers`. `line_ends`: where the first lines end, as far as that is known
// (HeadScanner).
FieldResult ParseFields(std::string_view block, const FieldRules& rules, HeaderList* headers,
                        std::span<const uint32_t> line_ends = {});

}  // namespace limpet::proto
