#include "worker/http/proxy/head_faults.h"

#include <fmt/core.h>

#include <algorithm>

#include "proto/http1/framing.h"

namespace limpet::worker {
namespace {

using proto::HeaderId;

std::string Duplicate(const proto::HeaderList& headers, HeaderId id) {
  const proto::Header& first = *headers.Find(id);
  const auto again = std::ranges::find_if(
      headers, [&](const proto::Header& header) { return header.id == id && &header != &first; });
  return fmt::format("upstream sent duplicate header line: \"{}: {}\", previous value: \"{}: {}\"",
                     again->name, again->value, first.name, first.value);
}

// The line up to the byte that makes it wrong, which a log must not take as it is: "X-A\x20...".
std::string Quoted(std::string_view line) {
  const size_t colon = std::min(line.find(':'), line.size());
  for (size_t i = 0; i < line.size(); ++i) {
    const auto byte = static_cast<unsigned char>(line[i]);
    if (byte < 0x20 || byte == 0x7F || (byte == ' ' && i < colon))
      return fmt::format("\"{}\\x{:02x}...\"", line.substr(0, i), byte);
  }
  return fmt::format("\"{}\"", line);
}

}  // namespace

std::string TellHeadFault(const proto::HeadError& error, const proto::ResponseHead& head) {
  if (!error.detail.empty()) return fmt::format("{}: {}", error.reason, Quoted(error.detail));
  const bool is_framing = proto::ResponseFraming(proto::Method::kGet, head).reason == error.reason;
  return is_framing ? TellFramingFault(error.reason, head.headers) : std::string(error.reason);
}

std::string TellFramingFault(std::string_view reason, const proto::HeaderList& headers) {
  const proto::Header* const length = headers.Find(HeaderId::kContentLength);
  const proto::Header* const coding = headers.Find(HeaderId::kTransferEncoding);
  for (const HeaderId id : {HeaderId::kContentLength, HeaderId::kTransferEncoding}) {
    if (headers.Count(id) > 1) return Duplicate(headers, id);
  }
  if (length != nullptr && coding != nullptr) return std::string(reason);
  if (length != nullptr) return fmt::format("{}: \"{}: {}\"", reason, length->name, length->value);
  if (coding != nullptr) return fmt::format("{}: \"{}\"", reason, coding->value);
  return std::string(reason);
}

}  // namespace limpet::worker
