// The chunked transfer coding (RFC 9112 7.1), both directions. Decoding is strict: CRLF only,
// bounded extensions and trailers, sizes that fit 63 bits. llhttp reads the size lines; body bytes
// are never copied.
#pragma once

#include <llhttp/llhttp.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/headers.h"

namespace limpet::proto {

class ChunkedDecoder {
 public:
  // Bytes of the whole trailer section; llhttp itself sets no bound.
  static constexpr size_t kMaxTrailers = 8192;
  static constexpr size_t kMaxSizeLine = 4096;  // bytes of one size line with its extensions

  enum class Status : uint8_t { kMore, kDone, kError };

  ChunkedDecoder();
  ChunkedDecoder(const ChunkedDecoder&) = delete;
  ChunkedDecoder& operator=(const ChunkedDecoder&) = delete;

  void Reset();

  // Reads on. After it, pieces() are the body bytes found in `input`, as views into it, and
  // consumed() says how many of its bytes belong to this body: all of them unless kDone (the rest
  // is the next message) or kError. After kDone or kError it must not be called again before
  // Reset().
  Status Feed(std::string_view input);

  std::span<const std::string_view> pieces() const { return pieces_; }
  size_t consumed() const { return consumed_; }
  // Of the chunk whose size has been read, what is still to come.
  uint64_t announced() const { return remaining_; }
  bool done() const { return phase_ == Phase::kDone; }
  // After kDone; views into the decoder's own memory, valid until Reset(). Fields that must not be
  // in a trailer (framing, routing, authentication: RFC 9110 6.5.1) have been left out.
  const HeaderList& trailers() const { return trailers_; }

 private:
  enum class Phase : uint8_t { kSizeLine, kData, kDataEnd, kTrailers, kDone, kError };

  enum class SizePart : uint8_t { kDigits, kBlanks, kExtension };

  size_t FeedSizeLine(std::string_view input);
  size_t SkipExtensions(std::string_view line);
  size_t FeedData(std::string_view input);
  size_t FeedDataEnd(std::string_view input);
  size_t FeedTrailers(std::string_view input);
  bool Execute(std::string_view bytes);
  bool FinishTrailers();
  void Fail() { phase_ = Phase::kError; }

  llhttp_t parser_;
  Phase phase_ = Phase::kSizeLine;
  SizePart size_part_ = SizePart::kDigits;
  bool after_cr_ = false;
  size_t line_size_ = 0;
  uint64_t remaining_ = 0;
  size_t consumed_ = 0;
  std::vector<std::string_view> pieces_;
  std::string trailer_bytes_;
  HeaderList trailers_;
};

// Whether a field may be forwarded when it comes in a trailer section.
bool AllowedInTrailer(HeaderId id);

// The encoder's side: "1a2b\r\n" for a chunk of `size` bytes, size > 0. Behind the chunk's bytes
// goes "\r\n", and at the end of the body "0\r\n", trailers, "\r\n".
inline constexpr size_t kMaxChunkHeader = 18;
size_t ChunkHeader(char* out,
                   uint64_t size);  // out: kMaxChunkHeader bytes; returns how many were written

}  // namespace limpet::proto
