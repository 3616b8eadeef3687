// gunzip: unpacks for clients that cannot.
#pragma once

#include <memory>

#include "worker/http/exchange/response_writer.h"

namespace limpet::worker {

// Whether the body is unpacked for this client (sets response fields), and what does it.
bool Unpacks(Exchange& exchange);
std::unique_ptr<BodyFilter> MakeGunzipFilter(Exchange& exchange, BodyFilter* next);

}  // namespace limpet::worker
