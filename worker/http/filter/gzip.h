// gzip of responses, as they are written. Which responses: ShouldGzip; nginx's conditions in
// nginx's order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "conf/response.h"
#include "conf/variables.h"
#include "proto/http1/message.h"
#include "worker/http/exchange/arena.h"
#include "worker/http/exchange/response.h"
#include "worker/http/filter/zlib_filter.h"

namespace limpet::worker {

// Whether the response is of the kind that gets compressed, for any client (Vary), and for this
// one.
bool IsGzipCandidate(const conf::GzipSettings& settings, const Response& response);
bool ClientTakesGzip(conf::VariableReader& reader, const conf::GzipSettings& settings,
                     const proto::RequestHead& request, const Response& response, int64_t now);

// The tag of a changed representation is weak; one that is no tag is dropped. In `arena` if it is
// new.
std::string_view WeakEtag(std::string_view etag, Arena& arena);

class GzipFilter final : public ZlibFilter {
 public:
  // `length`: of the body to come, -1 if unknown. The pool must outlive the filter.
  GzipFilter(BlockPool& pool, BodyFilter* next, int level, int64_t length);
  ~GzipFilter() override;

  std::string Ratio() const;  // $gzip_ratio: "3.14"; "" before the end

 private:
  size_t Take(std::string_view bytes) override;
  void GiveAll() override;
  bool GiveEnd() override;
  void Deflate(std::string_view bytes, int flush);

  bool complete_ = false;
};

// Makes the filter if this response is to be compressed; null otherwise. Sets response fields.
std::unique_ptr<BodyFilter> MakeGzipFilter(Exchange& exchange, BodyFilter* next);

}  // namespace limpet::worker
