#include "worker/http/client/http2_fields.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <string>

#include "base/hash.h"
#include "base/text.h"
#include "worker/http/client/http2_stream.h"

namespace limpet::worker {
namespace {

using proto::HeaderId;

// Fields of a head on their way to nghttp2, which copies them before this goes.
class Fields {
 public:
  // `most`: of them.
  explicit Fields(size_t most)
      : many_(most > few_.size() ? std::make_unique_for_overwrite<nghttp2_nv[]>(most) : nullptr),
        list_(many_ != nullptr ? many_.get() : few_.data()) {}

  void Add(std::string_view name, std::string_view value) {
    list_[size_++] = {Bytes(name), Bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
  }
  void AddUnlessEmpty(std::string_view name, std::string_view value) {
    if (!value.empty()) Add(name, value);
  }
  void AddStatus(int status) {
    const auto end = std::to_chars(status_.data(), status_.data() + status_.size(), status).ptr;
    Add(":status", {status_.data(), static_cast<size_t>(end - status_.data())});
  }
  void AddLength(int64_t length) {
    const auto end = std::to_chars(length_.data(), length_.data() + length_.size(), length).ptr;
    Add("content-length", {length_.data(), static_cast<size_t>(end - length_.data())});
  }
  void AddField(const proto::Header& field) {
    if (!IsOfTheHop(field.id)) Add(field.name, field.value);
  }
  void AddAll(const proto::HeaderList& fields) {
    for (const proto::Header& field : fields) AddField(field);
  }

  const nghttp2_nv* data() const { return list_; }
  size_t size() const { return size_; }

 private:
  static uint8_t* Bytes(std::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  }
  static bool IsOfTheHop(HeaderId id) {  // RFC 9113 8.2.2
    return id == HeaderId::kUpgrade || id == HeaderId::kKeepAlive ||
           id == HeaderId::kProxyConnection || proto::IsOfTheHop(id);
  }

  std::array<nghttp2_nv, 32> few_;
  std::unique_ptr<nghttp2_nv[]> many_;
  nghttp2_nv* const list_;
  size_t size_ = 0;
  std::array<char, 8> status_;
  std::array<char, 24> length_;
};

ssize_t ReadBody(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags,
                 nghttp2_data_source* source, void*) {
  return static_cast<Http2Stream*>(source->ptr)->ReadData(length, flags);
}

}  // namespace

void SubmitHead(nghttp2_session* session, Http2Stream& stream, const ResponseHead& head,
                bool has_body) {
  constexpr size_t kOwn = 9;  // those that are not in `head.fields`
  Fields fields(kOwn + head.fields->size());
  fields.AddStatus(head.status == 101 ? 200 : head.status);  // RFC 8441 5
  fields.AddUnlessEmpty("server", head.server);
  fields.AddUnlessEmpty("date", head.date);
  fields.AddUnlessEmpty("content-type", head.content_type);
  if (head.content_length >= 0) fields.AddLength(head.content_length);
  fields.AddUnlessEmpty("last-modified", head.last_modified);
  if (head.location.data() != nullptr) fields.Add("location", head.location);
  if (head.vary_gzip) fields.Add("vary", "Accept-Encoding");
  fields.AddUnlessEmpty("etag", head.etag);
  for (const proto::Header& field : *head.fields) {
    const bool is_of_handshake =
        head.status == 101 && EqualsIgnoreCase(field.name, "Sec-WebSocket-Accept");
    if (!is_of_handshake) fields.AddField(field);
  }
  nghttp2_data_provider body;
  body.source.ptr = &stream;
  body.read_callback = ReadBody;
  nghttp2_submit_response(session, stream.id(), fields.data(), fields.size(),
                          has_body ? &body : nullptr);
}

void SubmitInterim(nghttp2_session* session, int32_t id, int status,
                   const proto::HeaderList& interim) {
  Fields fields(1 + interim.size());
  fields.AddStatus(status);
  fields.AddAll(interim);
  nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, id, nullptr, fields.data(), fields.size(),
                         nullptr);
}

void SubmitTrailers(nghttp2_session* session, int32_t id, const proto::HeaderList& trailers) {
  Fields fields(trailers.size());
  fields.AddAll(trailers);
  nghttp2_submit_trailer(session, id, fields.data(), fields.size());
}

void AddWebSocketKey(proto::RequestHead* head, std::pmr::memory_resource* memory) {
  std::array<char, 16> random;
  RandomBytes(random.data(), random.size());
  const std::string key = Base64Encode({random.data(), random.size()});
  char* const kept = static_cast<char*>(memory->allocate(key.size(), 1));
  std::memcpy(kept, key.data(), key.size());
  head->headers.Add("Sec-WebSocket-Key", {kept, key.size()});
}

}  // namespace limpet::worker
