#include "worker/http/client/http1_writer.h"

#include "fmt/core.h"
#include "proto/http1/chunked.h"
#include "proto/status.h"
#include "worker/http/exchange/head_composer.h"

namespace limpet::worker::http1 {
namespace {

constexpr size_t kUsualHead = 2048;

void AddStatusLine(HeadComposer& out, int status, std::string_view status_line) {
  out.Add("HTTP/1.1 ");
  if (!status_line.empty()) {
    out.Add(status_line);
  } else if (const std::string_view text = proto::StatusText(status); !text.empty()) {
    out.Add(text);
  } else {
    out.Add(fmt::format("{:03} ", status));
  }
  out.Add("\r\n");
}

void AddConnection(HeadComposer& out, const ResponseHead& head, bool keep_alive) {
  if (head.is_upgrade) return out.Add("Connection: upgrade\r\n");
  if (!keep_alive) return out.Add("Connection: close\r\n");
  out.Add("Connection: keep-alive\r\n");
  if (head.keep_alive_s <= 0) return;
  out.Add("Keep-Alive: timeout=");
  out.AddNumber(static_cast<uint64_t>(head.keep_alive_s));
  out.Add("\r\n");
}

}  // namespace

void WriteHead(const ResponseHead& head, bool keep_alive, OutputQueue* queue) {
  HeadComposer out(queue, kUsualHead);
  AddStatusLine(out, head.status, head.status_line);
  if (!head.server.empty()) out.AddFitField("Server", head.server);
  if (!head.date.empty()) out.AddFitField("Date", head.date);
  if (!head.content_type.empty()) out.AddFitField("Content-Type", head.content_type);
  if (head.content_length >= 0) {
    out.Add("Content-Length: ");
    out.AddNumber(static_cast<uint64_t>(head.content_length));
    out.Add("\r\n");
  }
  if (!head.last_modified.empty()) out.AddFitField("Last-Modified", head.last_modified);
  if (head.location.data() != nullptr) out.AddFitField("Location", head.location);
  if (head.chunked) out.Add("Transfer-Encoding: chunked\r\n");
  AddConnection(out, head, keep_alive);
  if (head.vary_gzip) out.Add("Vary: Accept-Encoding\r\n");
  if (!head.etag.empty()) out.AddFitField("ETag", head.etag);
  for (const proto::Header& field : *head.fields) out.AddFitField(field.name, field.value);
  out.Add("\r\n");
}

void WriteInterim(int status, const proto::HeaderList& fields, OutputQueue* queue) {
  HeadComposer out(queue, fields.empty() ? 64 : kUsualHead);
  AddStatusLine(out, status, {});
  for (const proto::Header& field : fields) out.AddFitField(field.name, field.value);
  out.Add("\r\n");
}

void BeginChunk(uint64_t size, OutputQueue* out) {
  char header[proto::kMaxChunkHeader];
  out->Append({header, proto::ChunkHeader(header, size)});
}

void EndChunk(OutputQueue* out) { out->Append("\r\n"); }

void WriteLastChunk(const proto::HeaderList& trailers, OutputQueue* queue) {
  HeadComposer out(queue, 64);
  out.Add("0\r\n");
  for (const proto::Header& trailer : trailers) out.AddFitField(trailer.name, trailer.value);
  out.Add("\r\n");
}

}  // namespace limpet::worker::http1
