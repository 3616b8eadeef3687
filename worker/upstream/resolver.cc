#include "worker/upstream/resolver.h"

#include <ares.h>
#include <sys/time.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "shm/status_zone.h"
#include "worker/upstream/name_query.h"

namespace limpet::worker {
namespace {

constexpr int kResendMs = 5000;    // as nginx; c-ares doubles it with each round
constexpr int kFailoverMs = 1000;  // the same where another server may know
constexpr int kRounds = 4;
constexpr uint64_t kNotFoundMs = 1000;  // a burst of requests for a wrong name is one query
// Clients may choose the names: neither they nor long answers must fill our memory.
constexpr size_t kMaxKept = 10'000;
constexpr size_t kMaxKeptRecords = 50'000;

// Its flags: no search list, no /etc/hosts, and an error of a server is an answer, as in nginx.
ares_channel MakeChannel(const conf::Resolver& conf, ares_sock_state_cb on_socket, void* self) {
  ares_options options{};
  options.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  options.timeout = conf.servers.size() > 1 ? kFailoverMs : kResendMs;
  options.tries = kRounds;
  options.sock_state_cb = on_socket;
  options.sock_state_cb_data = self;
  ares_channel channel = nullptr;
  const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
                   ARES_OPT_ROTATE | ARES_OPT_DOMAINS;
  if (ares_init_options(&channel, &options, mask) != ARES_SUCCESS) return nullptr;
  std::vector<ares_addr_port_node> nodes(conf.servers.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    const SocketAddress& server = conf.servers[i];
    nodes[i].next = i + 1 < nodes.size() ? &nodes[i + 1] : nullptr;
    nodes[i].family = server.family();
    const std::string_view ip = server.ip_bytes();
    std::copy(ip.begin(), ip.end(), reinterpret_cast<char*>(&nodes[i].addr));
    nodes[i].udp_port = nodes[i].tcp_port = server.port();
  }
  if (ares_set_servers_ports(channel, nodes.data()) == ARES_SUCCESS) return channel;
  ares_destroy(channel);
  return nullptr;
}

size_t RecordsOf(const ResolveAnswer& answer) {
  return answer.addresses.size() + answer.services.size();
}

}  // namespace

std::string_view Name(ResolveError error) {
  switch (error) {
    case ResolveError::kNone:
      return "no error";
    case ResolveError::kFormat:
      return "Format error";
    case ResolveError::kServer:
      return "Server failure";
    case ResolveError::kNotFound:
      return "Host not found";
    case ResolveError::kUnimplemented:
      return "Unimplemented";
    case ResolveError::kRefused:
      return "Operation refused";
    case ResolveError::kTimeout:
      return "Operation timed out";
  }
  return "Unknown error";
}

// A socket of c-ares, watched as long as it wants. It may be given up from its own callback.
class Resolver::Socket final : public Deletable {
 public:
  Socket(Resolver& resolver, int fd)
      : resolver_(resolver),
        fd_(fd),
        place_(resolver.loop_.places()),
        read_(resolver.loop_, fd, Callback::To<&Socket::OnReadable>(this)),
        write_(resolver.loop_, fd, Callback::To<&Socket::OnWritable>(this),
               FdWatch::Interest::kWrite) {}

  void Want(bool readable, bool writable) {
    readable ? read_.Start() : read_.Stop();
    writable ? write_.Start()
             : write_.Stop();  // TCP only, after an answer that was too long for UDP
  }

 private:
  void OnReadable() { resolver_.Process(fd_, ARES_SOCKET_BAD); }
  void OnWritable() { resolver_.Process(ARES_SOCKET_BAD, fd_); }

  Resolver& resolver_;
  int fd_;
  Place place_;
  FdWatch read_;
  FdWatch write_;
};

bool Lookup::Start(Resolver& resolver, std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return StartKey(resolver, ToLower(name));
}

bool Lookup::StartService(Resolver& resolver, std::string_view name) {
  return StartKey(resolver, std::string(NameQuery::kServiceKey) + ToLower(name));
}

bool Lookup::StartKey(Resolver& resolver, std::string key) {
  Cancel();
  const bool is_service = key.starts_with(NameQuery::kServiceKey);
  resolver.Count(is_service ? shm::ResolverCount::kServices : shm::ResolverCount::kNames);
  answer_ = resolver.FindKept(key);
  if (answer_ != nullptr) resolver.CountAnswer(answer_->error);
  if (answer_ != nullptr) return true;
  started_ms_ = resolver.loop_.NowMs();
  query_ = &resolver.FindOrStart(std::move(key));
  query_->waiting.push_back(this);
  return false;
}

void Lookup::Cancel() {
  NameQuery* const query = std::exchange(query_, nullptr);
  if (query == nullptr) return;
  std::erase(query->waiting, this);
  query->resolver().CountLeft(started_ms_);
}

Resolver::Resolver(Loop& loop, const conf::Resolver& conf, shm::ZoneLine* counts)
    : loop_(loop),
      conf_(conf),
      counts_(counts),
      deliver_(loop, Callback::To<&Resolver::Deliver>(this)),
      timer_(loop, Callback::To<&Resolver::OnTimer>(this)) {
  const auto on_socket = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<Resolver*>(self)->WatchSocket(fd, readable != 0, writable != 0);
  };
  if (ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS)
    channel_ = MakeChannel(conf, on_socket, this);
}

Resolver::~Resolver() {
  for (auto& [name, query] : queries_) {
    for (Lookup* lookup : query->waiting) lookup->query_ = nullptr;
  }
  if (channel_ != nullptr) ares_destroy(channel_);
  ares_library_cleanup();
}

std::shared_ptr<const ResolveAnswer> Resolver::FindKept(std::string_view name) {
  const auto kept = kept_.find(name);
  if (kept == kept_.end()) return nullptr;
  if (kept->second.until_ms > loop_.NowMs()) return kept->second.answer;
  Forget(kept);
  return nullptr;
}

NameQuery& Resolver::FindOrStart(std::string key) {
  const auto running = queries_.find(key);
  if (running != queries_.end()) return *running->second;
  auto made = std::make_unique<NameQuery>(*this, key);
  NameQuery& query = *made;
  queries_.emplace(std::move(key), std::move(made));
  query.Ask();
  ArmTimer();
  return query;
}

// Answers are given from the loop: c-ares is still on the stack here, and perhaps who asked.
void Resolver::OnQueryEnd(NameQuery& query) {
  ended_.push_back(&query);
  deliver_.Schedule();
}

void Resolver::Deliver() {
  for (NameQuery* ended : std::exchange(ended_, {})) {
    const auto owned = queries_.extract(ended->key());
    NameQuery& query = *owned.mapped();
    const std::shared_ptr<ResolveAnswer> made = query.MakeAnswer();
    made->until_ms = loop_.NowMs() + LifeOf(query, *made);
    const std::shared_ptr<const ResolveAnswer> answer = made;
    Keep(query.key(), answer);
    while (!query.waiting.empty()) {  // those behind may be cancelled by the first
      Lookup& lookup = *query.waiting.front();
      query.waiting.erase(query.waiting.begin());
      lookup.query_ = nullptr;
      CountAnswer(answer->error);
      lookup.answer_ = answer;
      lookup.callback_();
    }
  }
}

uint64_t Resolver::LifeOf(const NameQuery& query, const ResolveAnswer& answer) const {
  if (answer.error == ResolveError::kNotFound) return kNotFoundMs;
  if (answer.error != ResolveError::kNone) return 0;
  return conf_.valid ? Ms(*conf_.valid) : uint64_t{query.ttl()} * 1000;
}

void Resolver::Keep(const std::string& key, std::shared_ptr<const ResolveAnswer> answer) {
  const uint64_t now = loop_.NowMs();
  const uint64_t until_ms = answer->until_ms;
  if (until_ms <= now) return;
  if (const auto before = kept_.find(key); before != kept_.end()) Forget(before);
  const size_t records = RecordsOf(*answer);
  const auto is_full = [&] {
    return kept_.size() >= kMaxKept || kept_records_ + records > kMaxKeptRecords;
  };
  for (auto kept = kept_.begin(); is_full() && kept != kept_.end();)
    kept = kept->second.until_ms <= now ? Forget(kept) : std::next(kept);
  while (is_full() && !kept_.empty()) Forget(kept_.begin());
  kept_records_ += records;
  kept_.emplace(key, Kept{std::move(answer), until_ms});
}

Resolver::KeptPlace Resolver::Forget(KeptPlace kept) {
  kept_records_ -= RecordsOf(*kept->second.answer);
  return kept_.erase(kept);
}

void Resolver::WatchSocket(int fd, bool readable, bool writable) {
  auto& socket = sockets_[fd];
  if (socket == nullptr) socket = std::make_unique<Socket>(*this, fd);
  socket->Want(readable, writable);
  if (readable || writable) return;
  loop_.DeleteLater(std::move(socket));
  sockets_.erase(fd);
}

void Resolver::Process(int read_fd, int write_fd) {
  ares_process_fd(channel_, read_fd, write_fd);
  ArmTimer();
}

void Resolver::Count(size_t word) {
  if (counts_ != nullptr) counts_->Add(word);
}

void Resolver::CountAnswer(ResolveError error) {
  using Word = shm::ResolverCount;
  switch (error) {
    case ResolveError::kNone:
      return Count(Word::kSuccess);
    case ResolveError::kFormat:
      return Count(Word::kFormatError);
    case ResolveError::kServer:
      return Count(Word::kServerFailure);
    case ResolveError::kNotFound:
      return Count(Word::kNotFound);
    case ResolveError::kUnimplemented:
      return Count(Word::kUnimplemented);
    case ResolveError::kRefused:
      return Count(Word::kRefused);
    case ResolveError::kTimeout:
      return Count(Word::kTimedOut);
  }
}

// How long to wait is the business of who asks: those that have waited for resolver_timeout leave
// because of it.
void Resolver::CountLeft(uint64_t started_ms) {
  const bool timed_out = loop_.NowMs() - started_ms >= Ms(conf_.timeout);
  Count(timed_out ? shm::ResolverCount::kTimedOut : shm::ResolverCount::kOther);
}

void Resolver::OnTimer() { Process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

void Resolver::ArmTimer() {
  timeval next{};
  if (channel_ == nullptr || ares_timeout(channel_, nullptr, &next) == nullptr)
    return timer_.Disarm();
  timer_.Arm(static_cast<uint64_t>(next.tv_sec) * 1000 +
             static_cast<uint64_t>(next.tv_usec) / 1000 + 1);
}

}  // namespace limpet::worker
