// A link of the body chain that must see the bytes: what comes as a part of a file is read here and
// goes through Write() like everything else.
#pragma once

#include <memory>

#include "worker/http/response_writer.h"

namespace limpet::worker {

class ByteFilter : public BodyFilter {
 public:
  void WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) final;

 protected:
  // Both must outlive the filter.
  ByteFilter(BlockPool& pool, BodyFilter* next) : pool_(pool), next_(next) {}

  BlockPool& pool_;
  BodyFilter* next_;
};

}  // namespace limpet::worker
