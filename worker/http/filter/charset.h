// charset: of Content-Type.
#pragma once

namespace limpet::worker {

class Exchange;

void AddCharset(Exchange& exchange);

}  // namespace limpet::worker
