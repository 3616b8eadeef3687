#include "worker/upstream/dns_message.h"

#include <arpa/nameser.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/text.h"

namespace limpet::worker {
namespace {

constexpr size_t kHeader = 12;
constexpr size_t kLongestLabel = 63;
constexpr int kMostPointers = 128;  // of one name: more go round in a circle

// Takes values from a message, in their order. Once it has failed, everything fails.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  bool good() const { return good_; }
  size_t position() const { return at_; }
  void MoveTo(size_t at) { at_ = at; }

  uint8_t Byte() {
    if (!Has(1)) return 0;
    return static_cast<uint8_t>(bytes_[at_++]);
  }
  uint16_t Two() {
    const uint16_t high = Byte();
    return static_cast<uint16_t>(high << 8 | Byte());
  }
  uint32_t Four() {
    const uint32_t high = Two();
    return high << 16 | Two();
  }
  std::string_view Take(size_t size) {
    if (!Has(size)) return {};
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  void SkipName() {
    for (;;) {
      const uint8_t size = Byte();
      if (size >= 0xC0) Byte();
      if (!good_ || size == 0 || size >= 0xC0) return;
      if (size > kLongestLabel) return Fail();
      Take(size);
    }
  }
  // The name here; the reader stands behind its first part then.
  std::string Name() {
    Reader there = *this;
    SkipName();
    std::string name;
    for (int pointers = 0; there.good_ && good_;) {
      const uint8_t size = there.Byte();
      if (size == 0) break;
      if (size > kLongestLabel) {
        const size_t to = static_cast<size_t>(size & 0x3F) << 8 | there.Byte();
        if (size < 0xC0 || ++pointers > kMostPointers) there.Fail();
        there.MoveTo(to);
        continue;
      }
      if (!name.empty()) name += '.';
      AppendLabel(there.Take(size), &name);
      if (name.size() > kLongestName) there.Fail();
    }
    good_ = good_ && there.good_;
    return name.empty() ? "." : name;
  }

 private:
  static void AppendLabel(std::string_view label, std::string* name) {
    for (const char c : label) {
      if (c > ' ' && c < 0x7F && c != '.' && c != '\\') {
        *name += AsciiLower(c);
      } else {
        fmt::format_to(std::back_inserter(*name), "\\{:03}", static_cast<unsigned char>(c));
      }
    }
  }
  void Fail() { good_ = false; }
  bool Has(size_t size) {
    good_ = good_ && at_ <= bytes_.size() && size <= bytes_.size() - at_;
    return good_;
  }

  std::string_view bytes_;
  size_t at_ = 0;
  bool good_ = true;
};

// The bytes of a name's text that stand for one byte: itself, or \DDD, or \ and any other.
std::optional<char> TakeCharacter(std::string_view* text) {
  const char c = text->front();
  text->remove_prefix(1);
  if (c != '\\') return c;
  if (text->size() >= 3) {
    if (const auto code = ParseDecimal(text->substr(0, 3)); code && *code < 256) {
      text->remove_prefix(3);
      return static_cast<char>(*code);
    }
  }
  if (text->empty()) return std::nullopt;
  const char escaped = text->front();
  text->remove_prefix(1);
  return escaped;
}

// Nothing if it is no name.
std::optional<std::string> EncodeName(std::string_view text) {
  std::string name, label;
  const auto end_label = [&] {
    if (label.empty() || label.size() > kLongestLabel) return false;
    name += static_cast<char>(label.size());
    name += std::exchange(label, {});
    return true;
  };
  while (!text.empty()) {
    if (text.front() == '.') {
      text.remove_prefix(1);
      if (!end_label()) return std::nullopt;
      continue;
    }
    const auto c = TakeCharacter(&text);
    if (!c) return std::nullopt;
    label += *c;
  }
  if (!label.empty() && !end_label()) return std::nullopt;
  if (name.empty() || name.size() > kLongestName) return std::nullopt;
  return name + '\0';
}

void AppendTwo(unsigned value, std::string* out) {
  *out += static_cast<char>(value >> 8 & 0xFF);
  *out += static_cast<char>(value & 0xFF);
}

SocketAddress AddressOf(int family, std::string_view bytes) {
  SocketAddress address = SocketAddress::Any(family, 0);
  void* const to =
      family == AF_INET
          ? static_cast<void*>(&reinterpret_cast<sockaddr_in*>(address.get())->sin_addr)
          : static_cast<void*>(&reinterpret_cast<sockaddr_in6*>(address.get())->sin6_addr);
  std::memcpy(to, bytes.data(), bytes.size());
  return address;
}

// The data of an SRV record, which must be all of it.
bool ReadService(Reader reader, size_t size, DnsAnswer* answer) {
  const size_t end = reader.position() + size;
  ServiceRecord record;
  record.priority = reader.Two();
  record.weight = reader.Two();
  record.port = reader.Two();
  record.target = reader.Name();
  if (!reader.good() || reader.position() > end) return false;
  answer->services.push_back(std::move(record));
  return true;
}

// RFC 2181 8: one with the highest bit set counts as 0; nobody keeps an answer for a lifetime.
uint32_t TimeToLive(uint32_t sent) { return sent >> 31 == 0 ? sent : 0; }

// False if the record is broken.
bool ReadRecord(Reader& reader, int wanted, DnsAnswer* answer) {
  reader.SkipName();
  const int type = reader.Two();
  reader.Two();  // the class
  const auto ttl = TimeToLive(reader.Four());
  const size_t size = reader.Two();
  Reader data = reader;
  const std::string_view bytes = reader.Take(size);
  if (!reader.good()) return false;
  if (type == ns_t_cname) {
    answer->alias = data.Name();
    if (!data.good()) return false;
  } else if (type != wanted) {
    return true;
  } else if (type == ns_t_srv) {
    if (!ReadService(data, size, answer)) return false;
  } else {
    if (size != (type == ns_t_a ? 4 : 16)) return true;
    answer->addresses.push_back(AddressOf(type == ns_t_a ? AF_INET : AF_INET6, bytes));
  }
  answer->ttl = std::min(answer->ttl, ttl);
  return true;
}

}  // namespace

int DnsCode(std::string_view message) {
  return message.size() < kHeader ? -1 : static_cast<unsigned char>(message[3]) & 0xF;
}

std::optional<std::string> DnsQuestion(std::string_view name, int type, uint16_t id) {
  const auto encoded = EncodeName(name);
  if (!encoded) return std::nullopt;
  std::string out;
  AppendTwo(id, &out);
  AppendTwo(0x0100, &out);  // recursion is wanted
  for (const unsigned count : {1u, 0u, 0u, 0u}) AppendTwo(count, &out);
  out += *encoded;
  AppendTwo(static_cast<unsigned>(type), &out);
  AppendTwo(ns_c_in, &out);
  return out;
}

std::optional<DnsAnswer> ReadDnsAnswer(std::string_view message, int type) {
  Reader reader(message);
  reader.Take(4);
  const int questions = reader.Two();
  const int records = reader.Two();
  reader.Take(4);
  for (int i = 0; i < questions && reader.good(); ++i) {
    reader.SkipName();
    reader.Four();
  }
  DnsAnswer answer;
  for (int i = 0; i < records; ++i) {
    if (!reader.good() || !ReadRecord(reader, type, &answer)) return std::nullopt;
  }
  if (!reader.good()) return std::nullopt;
  return answer;
}

}  // namespace limpet::worker
