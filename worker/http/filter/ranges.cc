#include "worker/http/filter/ranges.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace limpet::worker {
namespace {

using proto::ByteRange;
using proto::HeaderId;

uint64_t Size(const ByteRange& range) { return range.end - range.start; }

// Unlike any text of the body by chance: digits of time and connection, well mixed.
std::string MakeBoundary(const Exchange& exchange) {
  const uint64_t seed = exchange.request().started_ms ^ exchange.client().number << 40;
  return fmt::format("{:020}", seed * 0x9E3779B97F4A7C15u);
}

std::string_view ContentRange(Arena& arena, const ByteRange& range, uint64_t length) {
  return arena.Copy(fmt::format("bytes {}-{}/{}", range.start, range.end - 1, length));
}

std::unique_ptr<BodyFilter> SinglePart(Exchange& exchange, BodyFilter* next, const ByteRange& range,
                                       uint64_t length) {
  Response& response = exchange.response();
  response.headers.Set(HeaderId::kContentRange, "Content-Range",
                       ContentRange(exchange.arena(), range, length));
  response.content_length = static_cast<int64_t>(Size(range));
  return std::make_unique<RangeFilter>(next, std::vector<RangeFilter::Part>{{range, {}}}, "");
}

std::unique_ptr<BodyFilter> MultiPart(Exchange& exchange, BodyFilter* next,
                                      const std::vector<ByteRange>& ranges, uint64_t length) {
  Response& response = exchange.response();
  Arena& arena = exchange.arena();
  const std::string boundary = MakeBoundary(exchange);
  const std::string type = response.content_type.empty()
                               ? std::string()
                               : fmt::format("Content-Type: {}\r\n", response.content_type);
  std::vector<RangeFilter::Part> parts;
  uint64_t total = 0;
  for (const ByteRange& range : ranges) {
    const std::string_view before =
        arena.Copy(fmt::format("\r\n--{}\r\n{}Content-Range: {}\r\n\r\n", boundary, type,
                               ContentRange(arena, range, length)));
    parts.push_back({range, before});
    total += before.size() + Size(range);
  }
  const std::string_view after = arena.Copy(fmt::format("\r\n--{}--\r\n", boundary));
  response.content_type = arena.Concat("multipart/byteranges; boundary=", boundary);
  response.content_length = static_cast<int64_t>(total + after.size());
  return std::make_unique<RangeFilter>(next, std::move(parts), after);
}

void AcceptRanges(Response& response) {
  response.headers.Set(HeaderId::kAcceptRanges, "Accept-Ranges", "bytes");
}

int64_t LastModified(const Response& response) {
  if (response.last_modified_text.empty()) return response.last_modified;
  return ParseHttpDate(std::string(response.last_modified_text));
}

}  // namespace

void RangeFilter::Begin(size_t part) {
  if (part < begun_) return;
  begun_ = part + 1;
  if (!parts_[part].before.empty()) next_->Write({}, parts_[part].before);
}

template <class Do>
void RangeFilter::Advance(uint64_t size, Do write) {
  const uint64_t from = position_, to = position_ + size;
  position_ = to;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const uint64_t start = std::max(parts_[i].range.start, from);
    const uint64_t end = std::min(parts_[i].range.end, to);
    if (start >= end) continue;
    Begin(i);
    write(start - from, end - start);
  }
  const auto is_past = [this](const Part& part) { return part.range.end <= position_; };
  if (std::ranges::all_of(parts_, is_past)) End();
}

void RangeFilter::Write(BlockRef block, std::string_view bytes) {
  Advance(bytes.size(),
          [&](uint64_t from, uint64_t size) { next_->Write(block, bytes.substr(from, size)); });
}

void RangeFilter::WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t length) {
  Advance(length, [&](uint64_t from, uint64_t size) {
    next_->WriteFile(file, offset + static_cast<off_t>(from), size);
  });
}

void RangeFilter::End() {
  if (std::exchange(ended_, true)) return;
  if (!after_.empty()) next_->Write({}, after_);
  next_->End();
}

bool IfRangeHolds(const proto::HeaderList& request, std::string_view etag, int64_t last_modified) {
  const proto::Header* condition = request.Find(HeaderId::kIfRange);
  if (condition == nullptr) return true;
  const std::string_view value = condition->value;
  if (value.size() >= 2 && value.ends_with('"')) return value == etag;
  return last_modified != -1 && ParseHttpDate(std::string(value)) == last_modified;
}

bool ApplyRanges(Exchange& exchange, BodyFilter* next, std::unique_ptr<BodyFilter>* filter) {
  Response& response = exchange.response();
  const conf::ResponseSettings& settings = exchange.location().response;
  const proto::RequestHead& head = *exchange.request().head;
  if (!response.allow_ranges || response.status != 200 || response.content_length < 0) return true;
  if (head.is_http09() || settings.max_ranges == 0) return true;

  const proto::Header* wanted = head.headers.Find(HeaderId::kRange);
  if (wanted == nullptr || !IfRangeHolds(head.headers, response.etag, LastModified(response))) {
    AcceptRanges(response);
    return true;
  }
  const auto length = static_cast<uint64_t>(response.content_length);
  // A stream is cut only once: it cannot go back for a second part.
  const size_t most = response.from_upstream ? 1 : static_cast<size_t>(settings.max_ranges);
  std::vector<ByteRange> ranges;
  switch (proto::ParseRange(wanted->value, length, most, &ranges)) {
    case proto::RangeStatus::kIgnore:
      AcceptRanges(response);
      return true;
    case proto::RangeStatus::kNotSatisfiable:
      response.location = {};
      response.has_own_fields = true;
      response.headers.RemoveAll(HeaderId::kContentRange);
      response.headers.Add(HeaderId::kContentRange, "Content-Range",
                           exchange.arena().Copy(fmt::format("bytes */{}", length)));
      exchange.Finish(416);
      return false;
    case proto::RangeStatus::kOk:
      break;
  }
  response.status = 206;
  response.status_line = {};
  *filter = ranges.size() == 1 ? SinglePart(exchange, next, ranges[0], length)
                               : MultiPart(exchange, next, ranges, length);
  return true;
}

}  // namespace limpet::worker
