#include "worker/geo/database.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "worker/geo/record_check.h"

namespace limpet::worker {
namespace {

std::string_view Print(const MMDB_entry_data_s& value, Database::Digits* digits) {
  const auto format = [digits]<class... Args>(fmt::format_string<Args...> text, Args&&... args) {
    const auto end =
        fmt::format_to_n(digits->data(), digits->size(), text, std::forward<Args>(args)...);
    return std::string_view(digits->data(), std::min(end.size, digits->size()));
  };
  switch (value.type) {
    case MMDB_DATA_TYPE_UTF8_STRING:
      return {value.utf8_string, value.data_size};
    case MMDB_DATA_TYPE_BYTES:
      return {reinterpret_cast<const char*>(value.bytes), value.data_size};
    case MMDB_DATA_TYPE_BOOLEAN:
      return value.boolean ? "1" : "0";
    case MMDB_DATA_TYPE_FLOAT:
      return format("{:.5f}", value.float_value);
    case MMDB_DATA_TYPE_DOUBLE:
      return format("{:.5f}", value.double_value);
    case MMDB_DATA_TYPE_UINT16:
      return format("{}", value.uint16);
    case MMDB_DATA_TYPE_UINT32:
      return format("{}", value.uint32);
    case MMDB_DATA_TYPE_INT32:
      return format("{}", value.int32);
    case MMDB_DATA_TYPE_UINT64:
      return format("{}", value.uint64);
    case MMDB_DATA_TYPE_UINT128:
      return format("0x{:016x}{:016x}", static_cast<uint64_t>(value.uint128 >> 64),
                    static_cast<uint64_t>(value.uint128));
    default:
      return {};
  }
}

bool HasText(const MMDB_entry_data_s& value) {
  return value.has_data && value.type != MMDB_DATA_TYPE_MAP && value.type != MMDB_DATA_TYPE_ARRAY;
}

// The bytes of a file, for as long as they are looked at.
class Mapping {
 public:
  explicit Mapping(int fd) {
    struct stat found {};
    if (::fstat(fd, &found) != 0 || found.st_size <= 0) return;
    size_ = static_cast<size_t>(found.st_size);
    address_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
  }
  ~Mapping() {
    if (address_ != MAP_FAILED) ::munmap(address_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  mmdb::Bytes bytes() const {
    if (address_ == MAP_FAILED) return {};
    return {static_cast<const uint8_t*>(address_), size_};
  }

 private:
  void* address_ = MAP_FAILED;
  size_t size_ = 0;
};

}  // namespace

Result<std::unique_ptr<Database>> Database::Open(UniqueFd fd) {
  if (!fd) return ErrnoError("open() of a copy in memory failed", errno);
  // The library reads metadata without a bound on its work.
  if (const std::string wrong = mmdb::CheckMetadata(Mapping(fd.get()).bytes()); !wrong.empty())
    return InvalidArgument(wrong);
  std::unique_ptr<Database> made(new Database(std::move(fd)));
  const std::string name = fmt::format("/proc/self/fd/{}", made->fd_.get());
  const int status = MMDB_open(name.c_str(), MMDB_MODE_MMAP, &made->file_);
  if (status != MMDB_SUCCESS) return InvalidArgument(MMDB_strerror(status));
  made->opened_ = true;
  const unsigned version = made->file_.metadata.ip_version;
  if (version != 4 && version != 6)
    return InvalidArgument(fmt::format("it holds addresses of IP version {}", version));
  return made;
}

Database::~Database() {
  if (opened_) MMDB_close(&file_);
}

mmdb::SearchTree Database::tree() const {
  return {
      .nodes = {file_.file_content, static_cast<size_t>(file_.data_section - file_.file_content)},
      .node_count = file_.metadata.node_count,
      .record_bits = file_.metadata.record_size};
}

Status Database::Check(const std::atomic<bool>& stop) const {
  const std::string wrong = mmdb::CheckRecords(tree(), data(), stop);
  return wrong.empty() ? Status() : Status(InvalidArgument(wrong));
}

bool Database::Locate(const SocketAddress& client) {
  if (client.ip_bytes() == last_) return found_.has_value();
  std::string_view address = client.ip_bytes();
  // ::ffff:192.0.2.1 is 192.0.2.1, whether or not the file has a branch for such addresses.
  constexpr std::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  if (client.family() == AF_INET6 && address.starts_with(kMapped))
    address.remove_prefix(kMapped.size());
  const bool v4 = address.size() == 4, wide = file_.metadata.ip_version == 6;
  found_ = v4 || wide ? mmdb::FindRecord(tree(), v4 && wide ? file_.ipv4_start_node.node_value : 0,
                                         address)
                      : std::nullopt;
  last_ = client.ip_bytes();
  return found_.has_value();
}

std::optional<std::string_view> Database::Find(const SocketAddress& address,
                                               const char* const* path, Digits* digits) {
  if (address.family() != AF_INET && address.family() != AF_INET6) return std::nullopt;
  if (!Locate(address)) return std::nullopt;
  const auto at = mmdb::FindPath(data(), *found_, path);
  if (!at) return std::nullopt;
  MMDB_entry_s entry{&file_, static_cast<uint32_t>(*at)};
  MMDB_entry_data_s value{};
  constexpr const char* kHere[] = {nullptr};
  if (MMDB_aget_value(&entry, &value, kHere) != MMDB_SUCCESS || !HasText(value))
    return std::nullopt;
  return Print(value, digits);
}

}  // namespace limpet::worker
