#include "proto/http1/chunked.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <utility>

#include "proto/http1/field_block.h"

namespace limpet::proto {
namespace {

extern "C" int OnChunkHeader(llhttp_t* parser) {
  *static_cast<uint64_t*>(parser->data) = parser->content_length;
  return 0;
}

struct ChunkState {
  llhttp_settings_t settings;
  llhttp_t parser;
};

// llhttp as it stands behind a head that announced chunks; every decoder begins as a copy of it.
const llhttp_t& PrimedState() {
  static const llhttp_t* const primed = [] {
    static ChunkState state;
    llhttp_settings_init(&state.settings);
    state.settings.on_chunk_header = OnChunkHeader;
    llhttp_init(&state.parser, HTTP_REQUEST, &state.settings);
    constexpr std::string_view kHead = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    llhttp_execute(&state.parser, kHead.data(), kHead.size());
    return &state.parser;
  }();
  return *primed;
}

constexpr size_t kKeptPieces = 256;  // what only chunks of a few bytes need does not stay

size_t LineEndOrAll(std::string_view input) {
  return std::min(input.find('\n'), input.size() - 1) + 1;
}

}  // namespace

ChunkedDecoder::ChunkedDecoder() { Reset(); }

void ChunkedDecoder::Reset() {
  parser_ = PrimedState();
  parser_.data = &remaining_;
  phase_ = Phase::kSizeLine;
  after_cr_ = false;
  line_size_ = 0;
  size_part_ = SizePart::kDigits;
  remaining_ = 0;
  consumed_ = 0;
  pieces_.clear();
  if (pieces_.capacity() > kKeptPieces) std::vector<std::string_view>().swap(pieces_);
  trailer_bytes_.clear();
  trailers_.Clear();
}

ChunkedDecoder::Status ChunkedDecoder::Feed(std::string_view input) {
  pieces_.clear();
  consumed_ = 0;
  while (consumed_ < input.size() && phase_ < Phase::kDone) {
    const std::string_view rest = input.substr(consumed_);
    switch (phase_) {
      case Phase::kSizeLine:
        consumed_ += FeedSizeLine(rest);
        break;
      case Phase::kData:
        consumed_ += FeedData(rest);
        break;
      case Phase::kDataEnd:
        consumed_ += FeedDataEnd(rest);
        break;
      case Phase::kTrailers:
        consumed_ += FeedTrailers(rest);
        break;
      case Phase::kDone:
      case Phase::kError:
        break;
    }
  }
  if (phase_ == Phase::kError) return Status::kError;
  return phase_ == Phase::kDone ? Status::kDone : Status::kMore;
}

bool ChunkedDecoder::Execute(std::string_view bytes) {
  if (bytes.empty()) return true;
  if (llhttp_execute(&parser_, bytes.data(), bytes.size()) == HPE_OK) return true;
  Fail();
  return false;
}

// A size line ends with CRLF and has no other CR: llhttp 8.1 is not strict about CR, and
// implementations that differ about where such a line ends are what TERM.EXT attacks live on.
size_t ChunkedDecoder::FeedSizeLine(std::string_view input) {
  const size_t n = LineEndOrAll(input);
  const std::string_view part = input.substr(0, n);
  const bool ends = part.back() == '\n';
  const size_t cr = part.find('\r');
  const bool cr_last = cr != std::string_view::npos && cr + (ends ? 2 : 1) == n;
  const bool line_end_ok =
      after_cr_ ? n == 1 && ends : (cr == std::string_view::npos ? !ends : cr_last);
  line_size_ += n;
  if (!line_end_ok || line_size_ > kMaxSizeLine) {
    Fail();
    return n;
  }
  const size_t line_end = after_cr_ ? 0 : std::min(cr, n);
  after_cr_ = cr_last && !ends;
  const size_t digits = SkipExtensions(part.substr(0, line_end));
  if (phase_ == Phase::kError || !Execute(part.substr(0, digits))) return n;
  if (!Execute(part.substr(line_end)) || !ends) return n;
  line_size_ = 0;
  size_part_ = SizePart::kDigits;
  if (remaining_ > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    Fail();
  } else {
    phase_ = remaining_ == 0 ? Phase::kTrailers : Phase::kData;
  }
  return n;
}

// How many bytes of a size line are the size itself. Blanks behind it and extensions (RFC
// 9112 7.1.1) mean nothing to us; some servers pad the size with blanks. llhttp sees none of them.
size_t ChunkedDecoder::SkipExtensions(std::string_view line) {
  size_t digits = 0;
  for (const char c : line) {
    const bool blank = c == ' ' || c == '\t';
    if (size_part_ == SizePart::kDigits && (blank || c == ';')) size_part_ = SizePart::kBlanks;
    if (size_part_ == SizePart::kDigits) {
      ++digits;
      continue;
    }
    if (size_part_ == SizePart::kBlanks && c == ';') size_part_ = SizePart::kExtension;
    const bool allowed = blank || (size_part_ == SizePart::kExtension &&
                                   static_cast<unsigned char>(c) > ' ' && c != 0x7F);
    if (!allowed) Fail();
  }
  return digits;
}

size_t ChunkedDecoder::FeedData(std::string_view input) {
  const size_t n = static_cast<size_t>(std::min<uint64_t>(remaining_, input.size()));
  if (!Execute(input.substr(0, n))) return n;
  pieces_.push_back(input.substr(0, n));
  remaining_ -= n;
  if (remaining_ == 0) phase_ = Phase::kDataEnd;
  return n;
}

size_t ChunkedDecoder::FeedDataEnd(std::string_view input) {
  if (input[0] != (after_cr_ ? '\n' : '\r')) {
    Fail();
    return 1;
  }
  if (!Execute(input.substr(0, 1))) return 1;
  if (after_cr_) phase_ = Phase::kSizeLine;
  after_cr_ = !after_cr_;
  return 1;
}

// Collects lines until the empty one; they are parsed together, by the rules of heads.
size_t ChunkedDecoder::FeedTrailers(std::string_view input) {
  const size_t n = LineEndOrAll(input);
  if (trailer_bytes_.size() + n > kMaxTrailers) {
    Fail();
    return n;
  }
  trailer_bytes_.append(input.substr(0, n));
  line_size_ += n;
  if (input[n - 1] != '\n') return n;
  const size_t line_size = std::exchange(line_size_, 0);
  const std::string_view line =
      std::string_view(trailer_bytes_).substr(trailer_bytes_.size() - line_size);
  if (!line.ends_with("\r\n")) {
    Fail();
  } else if (line_size == 2) {
    phase_ = FinishTrailers() ? Phase::kDone : Phase::kError;
  }
  return n;
}

bool ChunkedDecoder::FinishTrailers() {
  if (trailer_bytes_ == "\r\n") return true;  // there are none
  const FieldResult result = ParseFields(trailer_bytes_, {.of = FieldsOf::kTrailer}, &trailers_);
  if (result.error != FieldError::kNone) return false;
  for (size_t i = 0; i < trailers_.size();) {
    AllowedInTrailer(trailers_[i].id) ? ++i : (trailers_.RemoveAll(trailers_[i].id), i = 0);
  }
  return true;
}

bool AllowedInTrailer(HeaderId id) {
  switch (id) {
    case HeaderId::kOther:
    case HeaderId::kAge:
    case HeaderId::kDate:
    case HeaderId::kEtag:
    case HeaderId::kExpires:
    case HeaderId::kLastModified:
    case HeaderId::kLink:
    case HeaderId::kServer:
    case HeaderId::kStatus:
    case HeaderId::kVia:
    case HeaderId::kAcceptRanges:
      return true;
    default:
      return false;  // all that frame, route, authenticate or say how to read the content
  }
}

size_t ChunkHeader(char* out, uint64_t size) {
  char* end = std::to_chars(out, out + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return static_cast<size_t>(end - out);
}

}  // namespace limpet::proto
