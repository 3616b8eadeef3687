// One place to switch HTTP/2 towards clients on: ALPN offers h2 and -V claims the module only if it
// is. With false, `http2 on` is read and does nothing.
#pragma once

namespace limpet::conf {

inline constexpr bool kHttp2IsSpoken = true;

}  // namespace limpet::conf
