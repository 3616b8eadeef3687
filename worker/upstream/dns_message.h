// Questions to name servers and their answers, as bytes (RFC 1035). No I/O.
//
// Names are in lower case and without a dot at the end ("." is the root); a byte that would be a
// dot within a label, or that is not graphic, stands as \DDD. As in nginx, a name may be longer
// than the 255 bytes of the RFC.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/socket_address.h"

namespace limpet::worker {

inline constexpr size_t kLongestName = 1024;  // as text, and as bytes of a message

// The code of a whole, well-formed answer (ns_r_noerror, ns_r_nxdomain …); -1 of anything else.
int DnsCode(std::string_view message);

// A recursive question for records of `type` (ns_t_a …). Nothing if it is no name.
std::optional<std::string> DnsQuestion(std::string_view name, int type, uint16_t id);

// An SRV record, RFC 2782.
struct ServiceRecord {
  std::string target;
  uint16_t port = 0;
  uint16_t priority = 0;  // the least is asked first
  uint16_t weight = 0;
};

struct DnsAnswer {
  std::vector<SocketAddress> addresses;  // of A and AAAA records, with port 0
  std::vector<ServiceRecord> services;   // of SRV records
  std::string alias;                     // of the last CNAME record; "": there is none
  uint32_t ttl = UINT32_MAX;             // seconds: the shortest of these records
};

// The records of `type` (ns_t_a, ns_t_aaaa, ns_t_srv) and the CNAMEs among the answers; records of
// other types are passed over. Nothing if the message is broken.
std::optional<DnsAnswer> ReadDnsAnswer(std::string_view message, int type);

}  // namespace limpet::worker
