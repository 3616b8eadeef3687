// Arguments that ssl_* and proxy_ssl_* have in common.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "conf/directive.h"
#include "conf/listen.h"
#include "conf/setting.h"

namespace limpet::conf {

// Old configurations still name SSL; no OpenSSL that we are built with speaks it.
inline constexpr std::array kTlsProtocols = std::to_array<Choice<uint32_t>>({{"SSLv2", 0},
                                                                             {"SSLv3", 0},
                                                                             {"TLSv1", kTls1},
                                                                             {"TLSv1.1", kTls11},
                                                                             {"TLSv1.2", kTls12},
                                                                             {"TLSv1.3", kTls13}});

using TlsCommands = std::vector<std::pair<std::string, std::string>>;

// ssl_conf_command: adds NAME VALUE; the first in a block replaces what was inherited. File names
// are made absolute, as those of all TLS directives.
Status AddTlsCommand(Block& block, const Directive& directive, TlsCommands& commands);

// What OpenSSL is given when contexts are made. Its errors quote the text, which leads to the line.
struct OpenSslText {
  Status operator()(Block& block, const Directive& directive, const std::string& text,
                    std::string& out) const;
};

// The name of a certificate or of a key (tls_certificate.h).
Status CompileTlsName(Block& block, const Directive& directive, bool is_key, Template& out);

// "off | max=N [inactive=TIME] [valid=TIME]"
Status ParseTlsCertificateCache(const Directive& directive,
                                std::shared_ptr<const TlsCertificateCache>& out);

}  // namespace limpet::conf
