// A name server's answer: the first byte chooses the question, the others are the message.
#include <arpa/nameser.h>

#include <algorithm>
#include <string>

#include "tests/fuzz/fuzz.h"
#include "worker/upstream/dns_message.h"

using namespace limpet;
using namespace limpet::worker;

namespace {

constexpr size_t kHeader = 12;

// An answer with nothing but a CNAME record, of the root: for the bytes of a name.
std::string AliasTo(std::string_view name) {
  std::string message(kHeader, '\0');
  message[7] = 1;
  message += std::string("\0\0\5\0\1\0\0\0\1", 9);
  message += static_cast<char>(name.size() >> 8);
  message += static_cast<char>(name.size() & 0xFF);
  return message.append(name);
}

// What is asked for is what was read.
void CheckRoundTrip(const std::string& name) {
  constexpr size_t kBehindName = 4;
  if (name == "." || name.size() + 2 > kLongestName) return;
  const auto question = DnsQuestion(name, ns_t_a, 7);
  FUZZ_CHECK(question.has_value(), "an alias that cannot be asked for");
  const std::string_view bytes(*question);
  const auto answer =
      ReadDnsAnswer(AliasTo(bytes.substr(kHeader, bytes.size() - kHeader - kBehindName)), ns_t_a);
  FUZZ_CHECK(answer && answer->alias == name, "another name is asked for");
}

// As resolving goes on with it, and as logs show it.
void CheckName(const std::string& name) {
  FUZZ_CHECK(!name.empty() && name.size() <= kLongestName, "too long a name");
  FUZZ_CHECK(
      std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7f && (c < 'A' || c > 'Z'); }),
      "a name with odd bytes");
  CheckRoundTrip(name);
}

void CheckAddress(const SocketAddress& address, int type, std::string_view message) {
  FUZZ_CHECK(address.family() == (type == ns_t_a ? AF_INET : AF_INET6), "of another family");
  FUZZ_CHECK(address.port() == 0, "no record has a port");
  FUZZ_CHECK(message.find(address.ip_bytes()) != message.npos, "an address out of nowhere");
}

}  // namespace

FUZZ_TARGET(dns, input) {
  if (input.empty()) return;
  static constexpr int kTypes[] = {ns_t_a, ns_t_aaaa, ns_t_srv};
  const int type = kTypes[static_cast<unsigned char>(input[0]) % 3];
  const std::string message(input.substr(1));
  DnsCode(message);
  const auto answer = ReadDnsAnswer(message, type);
  if (!answer) return;
  const size_t records = static_cast<size_t>(static_cast<unsigned char>(message[6])) << 8 |
                         static_cast<unsigned char>(message[7]);
  FUZZ_CHECK(answer->addresses.size() + answer->services.size() <= records, "too many");
  FUZZ_CHECK(type == ns_t_srv || answer->services.empty(), "services that nobody asked for");
  for (const SocketAddress& address : answer->addresses) CheckAddress(address, type, message);
  for (const ServiceRecord& service : answer->services) CheckName(service.target);
  if (!answer->alias.empty()) CheckName(answer->alias);
}
