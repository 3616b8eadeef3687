// When certificates that servers have read end, for status pages. Those that a handshake names
// (variables) are not known.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "conf/listen.h"

namespace limpet::worker {

class PemFiles;

struct CertificateEnd {
  std::string file;         // as configured
  std::string server;       // the first name of the first server that has it
  int64_t not_after_s = 0;  // since 1970: of whatever ends first in the chain
};

// Adds those of one server that are not there yet. What cannot be read has been told before.
void AddCertificateEnds(const conf::TlsSettings& settings, const std::string& server,
                        PemFiles& files, std::vector<CertificateEnd>* ends);

}  // namespace limpet::worker
