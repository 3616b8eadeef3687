#include "shm/snapshot.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "base/clock.h"
#include "base/own_file.h"
#include "base/unique_fd.h"
#include "shm/crc32.h"

namespace limpet::shm {
namespace {

constexpr char kMagic[8] = {'l', 'i', 'm', 'p', 'e', 't', 'S', 'S'};
constexpr uint32_t kVersion = 2;
constexpr uint32_t kEarlierVersion = 1;  // alike, but that no session says how long it was in use

// The file: FileHeader | PeerRecord[peers] | SessionRecord[sessions], in the machine's byte order
// (the version's bytes tell another one apart).
struct FileHeader {
  char magic[8];
  uint32_t version;
  uint32_t peers;
  uint64_t sessions;
  uint64_t boot_ms;
  int64_t wall_seconds;
  char boot_id[40];
  SipKey key;
  uint32_t body_crc;
  uint32_t header_crc;  // of all before it
};
static_assert(sizeof(FileHeader) == 104 && std::is_trivially_copyable_v<FileHeader>);

struct PeerRecord {
  uint32_t index;  // what the session records call it
  uint32_t name_size;
  char name[PeerEntry::kMaxName];
};
static_assert(sizeof(PeerRecord) == 72 && std::is_trivially_copyable_v<PeerRecord>);

template <class T>
std::string_view BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

uint32_t HeaderCrc(const FileHeader& header) {
  return Crc32(BytesOf(header).substr(0, offsetof(FileHeader, header_crc)));
}

template <class T>
T ReadAt(std::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Of a file of `size` bytes, of which `bytes` are the beginning: it has what the header says.
Result<FileHeader> ReadHeader(std::string_view bytes, uint64_t size) {
  if (bytes.size() < sizeof(FileHeader)) return InvalidArgument("it is truncated");
  const auto header = ReadAt<FileHeader>(bytes, 0);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) {
    return InvalidArgument("it is not a session snapshot");
  }
  if (header.version != kVersion && header.version != kEarlierVersion)
    return InvalidArgument("it is of another version");
  if (header.header_crc != HeaderCrc(header)) return InvalidArgument("its header is damaged");
  const uint64_t body_size = size - sizeof header;
  const uint64_t peers_size = uint64_t{header.peers} * sizeof(PeerRecord);
  if (header.sessions > body_size / sizeof(SessionRecord) || peers_size > body_size ||
      peers_size + header.sessions * sizeof(SessionRecord) != body_size) {
    return InvalidArgument("it is truncated");
  }
  return header;
}

// How long ago it was written, in ticks. Another boot is reckoned by the wall clock; one that was
// set back since says 0.
uint64_t TicksSince(const FileHeader& header, const SnapshotTime& now) {
  const std::string_view boot_id(header.boot_id, ::strnlen(header.boot_id, sizeof header.boot_id));
  if (boot_id == now.boot_id) {
    return now.boot_ms > header.boot_ms ? (now.boot_ms - header.boot_ms) / kTickMs : 0;
  }
  if (now.wall_seconds <= header.wall_seconds) return 0;
  const auto seconds = static_cast<uint64_t>(now.wall_seconds - header.wall_seconds);
  return std::min<uint64_t>(seconds, UINT32_MAX) * 1000 / kTickMs;
}

// The indices of one table's peers in another; kNoPeer where there is none.
using PeerMap = std::vector<uint16_t>;

Result<PeerMap> AddPeers(std::string_view body, uint32_t count, SessionTable* table) {
  PeerMap map(kNoPeer, kNoPeer);
  for (uint32_t i = 0; i < count; ++i) {
    const auto peer = ReadAt<PeerRecord>(body, i * sizeof(PeerRecord));
    if (peer.index >= map.size() || peer.name_size > sizeof peer.name) {
      return InvalidArgument("it names an impossible peer");
    }
    map[peer.index] = table->PeerIndex({peer.name, peer.name_size});
  }
  return map;
}

void ImportAged(SessionRecord record, uint64_t age, const PeerMap& map, SessionTable* table,
                const SnapshotTime& now, Moved* result) {
  const uint32_t now_tick = TickOf(now.boot_ms);
  const uint64_t timeout =
      PolicyView::For(static_cast<uint64_t>(table->Policy().timeout.count()), false, false)
          .timeout_ticks;
  if (record.peer() >= map.size() || map[record.peer()] == kNoPeer || age > timeout) return;
  record.last_tick = age < now_tick ? static_cast<uint32_t>(now_tick - age) : 1;
  ++result->of;
  if (table->Import(record, map[record.peer()], now.boot_ms)) ++result->moved;
}

// Those that sessions may live at: where there is no room for all in another table, present
// servers come before those that have gone.
std::vector<uint16_t> PeersWithSessions(const SessionTable& table) {
  std::vector<uint16_t> peers, gone;
  for (uint16_t i = 0; i < table.peers().size(); ++i) {
    if (table.peers().Active(i)) peers.push_back(i);
    if (table.peers().State(i) == EntryState::kRetired && table.PeerLive(i) > 0) gone.push_back(i);
  }
  peers.insert(peers.end(), gone.begin(), gone.end());
  return peers;
}

std::string PeersOf(const SessionTable& table) {
  std::string bytes;
  for (const uint16_t i : PeersWithSessions(table)) {
    PeerRecord peer{};
    const std::string name = table.PeerName(i);
    peer.index = i;
    peer.name_size = static_cast<uint32_t>(name.size());
    std::memcpy(peer.name, name.data(), name.size());
    bytes += BytesOf(peer);
  }
  return bytes;
}

// The file's content in pieces, so that of a big table there is one copy in memory and no more.
class Snapshot {
 public:
  Snapshot(SessionTable& table, const SnapshotTime& now)
      : peers_(PeersOf(table)), sessions_(table.Export(now.boot_ms)) {
    std::memcpy(header_.magic, kMagic, sizeof kMagic);
    header_.version = kVersion;
    header_.peers = static_cast<uint32_t>(peers_.size() / sizeof(PeerRecord));
    header_.sessions = sessions_.size();
    header_.boot_ms = now.boot_ms;
    header_.wall_seconds = now.wall_seconds;
    now.boot_id.copy(header_.boot_id, sizeof header_.boot_id - 1);
    header_.key = table.secret();
    Crc32Stream crc;
    crc.Add(peers_);
    crc.Add(Sessions());
    header_.body_crc = crc.value();
    header_.header_crc = HeaderCrc(header_);
  }

  bool empty() const { return sessions_.empty(); }
  std::array<std::string_view, 3> Pieces() const { return {BytesOf(header_), peers_, Sessions()}; }

 private:
  std::string_view Sessions() const {
    return {reinterpret_cast<const char*>(sessions_.data()),
            sessions_.size() * sizeof(SessionRecord)};
  }

  FileHeader header_{};
  std::string peers_;
  std::vector<SessionRecord> sessions_;
};

// At most `size` bytes from the beginning of a file.
Result<std::string> ReadFrom(const UniqueFd& fd, const std::string& path, size_t size) {
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const ssize_t n = ::pread(fd.get(), bytes.data() + have, size - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError("read() \"" + path + "\" failed", errno);
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  bytes.resize(have);
  return bytes;
}

struct OpenSnapshot {
  UniqueFd fd;
  size_t size;
  FileHeader header;
};

// A damaged file may be of any size: there is memory for what a header announces, and for no more.
Result<OpenSnapshot> OpenFile(const std::string& path) {
  Result<UniqueFd> fd = OpenOwnFile(path);
  if (!fd) return fd.error();
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return ErrnoError("fstat() \"" + path + "\" failed", errno);
  const auto size = static_cast<size_t>(status.st_size);
  const auto start = ReadFrom(*fd, path, std::min(size, sizeof(FileHeader)));
  if (!start) return start.error();
  const Result<FileHeader> header = ReadHeader(*start, size);
  if (!header) return header.error();
  return OpenSnapshot{std::move(*fd), size, *header};
}

}  // namespace

SnapshotTime SnapshotTime::Now() {
  SnapshotTime now{BootMs(), limpet::Now().seconds, ""};
  std::ifstream("/proc/sys/kernel/random/boot_id") >> now.boot_id;
  return now;
}

std::string Encode(SessionTable& table, const SnapshotTime& now) {
  const Snapshot snapshot(table, now);
  std::string bytes;
  for (const std::string_view piece : snapshot.Pieces()) bytes += piece;
  return bytes;
}

Result<Moved> Decode(std::string_view bytes, SessionTable* table, const SnapshotTime& now) {
  const Result<FileHeader> header = ReadHeader(bytes, bytes.size());
  if (!header) return header.error();
  const std::string_view body = bytes.substr(sizeof *header);
  if (header->body_crc != Crc32(body)) return InvalidArgument("it is damaged");
  Result<PeerMap> map = AddPeers(body, header->peers, table);
  if (!map) return map.error();
  table->AdoptKey(header->key);

  Moved result;
  const uint32_t then_tick = TickOf(header->boot_ms);
  const uint64_t since = TicksSince(*header, now);
  for (uint64_t i = 0; i < header->sessions; ++i) {
    const size_t offset = header->peers * sizeof(PeerRecord) + i * sizeof(SessionRecord);
    const auto record = ReadAt<SessionRecord>(body, offset);
    const uint64_t age = PolicyView::Age(record.last_tick, then_tick) + since;
    ImportAged(record, age, *map, table, now, &result);
  }
  return result;
}

Status Save(SessionTable& table, const std::string& path, const SnapshotTime& now) {
  const Snapshot snapshot(table, now);
  return ReplaceFile(path, snapshot.Pieces());
}

Result<bool> SaveUnlessEmpty(SessionTable& table, const std::string& path,
                             const SnapshotTime& now) {
  const Snapshot snapshot(table, now);
  if (snapshot.empty()) return false;
  if (Status saved = ReplaceFile(path, snapshot.Pieces()); !saved) return saved.error();
  return true;
}

std::optional<SipKey> KeyOfSnapshot(const std::string& path) {
  const Result<OpenSnapshot> opened = OpenFile(path);
  return opened ? std::optional(opened->header.key) : std::nullopt;
}

Result<Moved> Load(const std::string& path, SessionTable* table, const SnapshotTime& now) {
  const Result<OpenSnapshot> opened = OpenFile(path);
  if (!opened) return opened.error();
  const auto bytes = ReadFrom(opened->fd, path, opened->size);
  if (!bytes) return bytes.error();
  return Decode(*bytes, table, now);
}

Moved Migrate(SessionTable& from, SessionTable* to, uint64_t now_ms) {
  to->AdoptKey(from.secret());
  to->SetPolicy(from.Policy());
  PeerMap map(from.peers().size(), kNoPeer);
  for (const uint16_t i : PeersWithSessions(from)) map[i] = to->PeerIndex(from.PeerName(i));
  Moved result;
  for (const SessionRecord& record : from.Export(now_ms)) {
    ++result.of;
    const uint16_t peer = map[record.peer()];
    if (peer != kNoPeer && to->Import(record, peer, now_ms)) ++result.moved;
  }
  return result;
}

}  // namespace limpet::shm
