// Parts of a body: Range and If-Range (RFC 9110 14), one part or several as multipart/byteranges.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/range.h"
#include "worker/http/exchange/exchange.h"
#include "worker/http/exchange/response_writer.h"

namespace limpet::worker {

// Lets the wanted ranges of a body through, with a text before each and one at the end. Ranges must
// lie in `length`; what comes in pieces (an upstream's body) can be cut only if they ascend and do
// not overlap. The body ends with the last wanted byte: the rest may take its time, or fail.
class RangeFilter final : public BodyFilter {
 public:
  struct Part {
    proto::ByteRange range;
    std::string_view before;  // in the arena
  };
  RangeFilter(BodyFilter* next, std::vector<Part> parts, std::string_view after)
      : next_(next), parts_(std::move(parts)), after_(after) {}

  void Write(BlockRef block, std::string_view bytes) override;
  void WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) override;
  void Flush() override { next_->Flush(); }
  void End() override;
  void OnBroken(std::string_view why) override { next_->OnBroken(why); }
  bool HasRoom() const override { return next_->HasRoom(); }
  bool HoldsBack() const override { return next_->HoldsBack(); }
  void Pump() override { next_->Pump(); }

 private:
  void Begin(size_t part);
  // Goes on by `size` bytes; `write(from, size)` for what each part has of them.
  template <class Do>
  void Advance(uint64_t size, Do write);

  BodyFilter* next_;
  std::vector<Part> parts_;
  std::string_view after_;
  uint64_t position_ = 0;  // of the whole body
  size_t begun_ = 0;       // parts whose `before` has gone out
  bool ended_ = false;
};

// Whether If-Range (if there is one) lets Range count.
bool IfRangeHolds(const proto::HeaderList& request, std::string_view etag, int64_t last_modified);

// The last of the head filters. Sets status, length and fields of response(), and makes the filter
// if only parts are sent. False: the response was replaced by a 416.
bool ApplyRanges(Exchange& exchange, BodyFilter* next, std::unique_ptr<BodyFilter>* filter);

}  // namespace limpet::worker
