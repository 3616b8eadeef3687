#include "worker/store/store_link.h"

#include <fmt/format.h>
#include <sys/uio.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <initializer_list>
#include <utility>

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "worker/net/plain_transport.h"
#include "worker/tls/tls_transport.h"

namespace limpet::worker {
namespace {

constexpr const LinkRow& RowOf(LinkState state) { return kLinkRows[static_cast<size_t>(state)]; }
static_assert([] {
  for (size_t i = 0; i < kLinkRows.size(); ++i) {
    if (static_cast<size_t>(kLinkRows[i].state) != i) return false;
  }
  return true;
}());

constexpr bool CanFollow(LinkState from, LinkState to) {
  return (RowOf(to).follows & LinkBit(from)) != 0;
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  const auto port = ParseDecimal(text);
  const bool fits = port && *port > 0 && *port <= UINT16_MAX;
  return fits ? std::optional(static_cast<uint16_t>(*port)) : std::nullopt;
}

bool IsError(const RespReply& reply) { return reply.type == RespReply::Type::kError; }

// What a command of a script met. Before Redis 7 it stands behind the script's own failure:
// "ERR Error running script (call to f_…): @user_script:16: @user_script: 16: -OOM command …"
std::string_view CauseOf(std::string_view error) {
  const size_t cause = error.starts_with("ERR Error ") ? error.find(": -") : error.npos;
  return cause == error.npos ? error : error.substr(cause + 3);
}

bool BeginsWithOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return text.starts_with(word); });
}

// What a server says goes into the log.
std::string Said(const RespReply& reply) { return EscapeForLog(reply.text); }

}  // namespace

bool IsOfServer(std::string_view error) {
  return BeginsWithOneOf(CauseOf(error),
                         {"NOSCRIPT", "READONLY", "MOVED", "LOADING", "MASTERDOWN", "CLUSTERDOWN",
                          "TRYAGAIN", "NOAUTH", "BUSY ", "UNBLOCKED"});
}

bool WillPass(std::string_view error) {
  return BeginsWithOneOf(CauseOf(error), {"OOM ", "MISCONF ", "NOREPLICAS ", "ASK "});
}

StoreLink::StoreLink(const Env& env, Options options, User& user)
    : env_(env),
      options_(std::move(options)),
      user_(user),
      lookup_(Callback::To<&StoreLink::OnResolved>(this)),
      flush_(env.loop, Callback::To<&StoreLink::Flush>(this)),
      timer_(env.loop, Callback::To<&StoreLink::OnTimer>(this)) {}

StoreLink::~StoreLink() { Disconnect(); }

void StoreLink::Start() {
  if (state_ == LinkState::kOff) Try();
}

void StoreLink::Stop() {
  Disconnect();
  Enter(LinkState::kOff);
}

void StoreLink::Enter(LinkState next) {
  assert(CanFollow(state_, next));
  state_ = next;
  switch (RowOf(next).clock) {
    case LinkClock::kRetry: {
      uint64_t random = 0;
      RandomBytes(&random, sizeof random);
      return timer_.Arm(circuit_.NextRetryMs(random));
    }
    case LinkClock::kConnect:
      return timer_.Arm(conf().connect_timeout);
    case LinkClock::kNone:
    case LinkClock::kAnswer:  // begins with what is asked
      return timer_.Disarm();
  }
}

void StoreLink::OnTimer() {
  switch (state_) {
    case LinkState::kWaiting:
      return Try();
    case LinkState::kUp: {
      if (owed_ == 0) {
        probing_ = true;
        return Send(options_.probe);
      }
      const uint64_t silent = env_.loop.NowMs() - heard_ms_;
      const uint64_t patience = Ms(options_.patience);
      if (silent < patience) return timer_.Arm(patience - silent);
      return Lose("it does not answer");
    }
    default:
      return Lose(fmt::format("timed out while {}", RowOf(state_).name));
  }
}

const conf::SessionStore::Server& StoreLink::server() const {
  return target_ ? *target_ : conf().servers[turn_ % conf().servers.size()];
}

// A server that another one has named; none: that is no address, and no name that can be resolved.
std::optional<conf::SessionStore::Server> StoreLink::ServerAt(std::string_view host,
                                                              uint16_t port) const {
  using Server = conf::SessionStore::Server;
  if (const auto address = SocketAddress::ParseIp(host, port))
    return Server{.name = address->ToString(), .host = "", .port = port, .addresses = {*address}};
  Server named{.name = fmt::format("{}:{}", host, port),
               .host = std::string(host),
               .port = port,
               .addresses = {}};
  const auto known = std::ranges::find(conf().servers, named.host, &Server::host);
  if (known != conf().servers.end()) named.addresses = known->addresses;
  for (SocketAddress& address : named.addresses) address.set_port(port);
  const bool is_known = env_.resolver != nullptr || !named.addresses.empty();
  return !host.empty() && is_known ? std::optional(std::move(named)) : std::nullopt;
}

// "MOVED 3999 127.0.0.1:6381", "MOVED 3999 ::1:6381"; without a host it is that of who says it.
std::optional<conf::SessionStore::Server> StoreLink::MovedTo(std::string_view error) const {
  if (!error.starts_with("MOVED ")) return std::nullopt;
  const std::string_view place = error.substr(error.rfind(' ') + 1);
  const size_t colon = std::min(place.rfind(':'), place.size());
  const auto port = ParsePort(place.substr(std::min(colon + 1, place.size())));
  const std::string here = address_.HostString();
  if (!port) return std::nullopt;
  return ServerAt(colon == 0 ? std::string_view(here) : place.substr(0, colon), *port);
}

void StoreLink::Try() {
  const conf::SessionStore::Server& next = server();
  where_ = next.name;
  if (next.host.empty() || env_.resolver == nullptr) {
    if (next.addresses.empty()) {
      Enter(LinkState::kResolving);
      return Lose("its name has no address");
    }
    return ConnectTo(next.addresses[turn_ / conf().servers.size() % next.addresses.size()]);
  }
  Enter(LinkState::kResolving);
  if (lookup_.Start(*env_.resolver, next.host)) OnResolved();
}

// Of a server that has named another one nothing more is wanted.
void StoreLink::TryOther(conf::SessionStore::Server other) {
  Disconnect();
  target_ = std::move(other);
  Try();
}

void StoreLink::OnResolved() {
  const ResolveAnswer& answer = lookup_.answer();
  if (answer.error != ResolveError::kNone || answer.addresses.empty())
    return Lose(fmt::format("its name could not be resolved ({})", Name(answer.error)));
  SocketAddress address = answer.addresses[turn_ / conf().servers.size() % answer.addresses.size()];
  address.set_port(server().port);
  ConnectTo(address);
}

void StoreLink::ConnectTo(const SocketAddress& address) {
  Enter(LinkState::kConnecting);
  nonsense_ = false;
  address_ = address;
  where_ = server().host.empty() ? address.ToString()
                                 : fmt::format("{} ({})", server().name, address.ToString());
  const auto await = [this](auto connecting) {
    if (connecting.transport == nullptr)
      return Lose(fmt::format("{} failed{}", connecting.what, ErrnoText(connecting.errnum)));
    transport_ = std::move(connecting.transport);
    if (connecting.errnum == 0) OnConnected();
  };
  const ConnectOptions options{.keepalive = true};
  if (env_.tls == nullptr) return await(PlainTransport::Connect(env_.loop, address, options, this));
  await(TlsTransport::Connect(
      env_.loop, address, options,
      {.context = env_.tls, .name = TlsName(), .send_name = true, .scope = {}}, this));
}

// One that was named by its address alone has the certificate of the one that was asked.
std::string StoreLink::TlsName() const {
  if (!conf().tls.name.empty()) return conf().tls.name;
  if (!server().host.empty()) return server().host;
  const std::string& asked = conf().servers[turn_ % conf().servers.size()].host;
  return asked.empty() ? address_.HostString() : asked;
}

void StoreLink::OnReady(int errnum) {
  if (errnum == 0) return OnConnected();
  if (!transport_->is_tls() || errnum != EPROTO)
    return Lose(fmt::format("connect() failed{}", ErrnoText(errnum)));
  Lose(static_cast<const TlsTransport&>(*transport_).SetupError(errnum));
}

void StoreLink::OnConnected() {
  reader_ = std::make_unique<RespReader>(options_.limits);
  transport_->WantRead(true);
  if (SeeksMaster()) return AskSentinel();
  Greet();
}

void StoreLink::AskSentinel() {
  Enter(LinkState::kAskingSentinel);
  if (!conf().sentinel_password.empty()) {
    greeting_.push_back(Asked::kAuth);
    Write(RespCommand({"AUTH", conf().sentinel_password}));
  }
  Write(RespCommand({"SENTINEL", "get-master-addr-by-name", conf().sentinel}));
}

void StoreLink::OnSentinelReply(const RespReply& reply) {
  if (IsError(reply)) return Lose(fmt::format("Sentinel says \"{}\"", Said(reply)));
  if (!greeting_.empty()) return greeting_.pop_front();
  if (reply.elements.size() != 2)
    return Lose(fmt::format("Sentinel knows no master \"{}\"", conf().sentinel));
  const auto port = ParsePort(reply.elements[1].text);
  auto master = port ? ServerAt(reply.elements[0].text, *port) : std::nullopt;
  if (!master) {
    return Lose(fmt::format("Sentinel names the master \"{}:{}\", which is no address",
                            Said(reply.elements[0]), Said(reply.elements[1])));
  }
  TryOther(*std::move(master));
}

void StoreLink::Greet() {
  Enter(LinkState::kGreeting);
  const auto ask = [this](Asked what, std::string_view command) {
    greeting_.push_back(what);
    Write(command);
  };
  if (!conf().user.empty()) {
    ask(Asked::kAuth, RespCommand({"AUTH", conf().user, conf().password}));
  } else if (!conf().password.empty()) {
    ask(Asked::kAuth, RespCommand({"AUTH", conf().password}));
  }
  if (conf().database != 0)
    ask(Asked::kSelect, RespCommand({"SELECT", std::to_string(conf().database)}));
  if (!options_.probe.empty()) ask(Asked::kProbe, options_.probe);
  ask(Asked::kRole, RespCommand({"ROLE"}));
  for (const std::string& command : options_.greeting) ask(Asked::kUser, command);
}

// A user without the right to ask for the role, or for that key, may go on, and so may who asks a
// server that is handing the key over: what is wrong with one shows itself by its errors. Who is
// sent on and on is not led in circles without a pause.
void StoreLink::OnGreetingReply(const RespReply& reply) {
  const Asked asked = greeting_.front();
  greeting_.pop_front();
  if (asked == Asked::kProbe && IsError(reply) && !target_) {
    if (auto other = MovedTo(reply.text)) return TryOther(*std::move(other));
  }
  const bool may_not_ask =
      (asked == Asked::kRole || asked == Asked::kProbe) && reply.text.starts_with("NOPERM");
  const bool passes = asked == Asked::kProbe && WillPass(reply.text);
  if (IsError(reply) && !may_not_ask && !passes)
    return Lose(fmt::format("it says \"{}\"", Said(reply)));
  if (asked == Asked::kRole && !IsError(reply) &&
      (reply.elements.empty() || reply.elements[0].text != "master"))
    return Lose("it is a replica");
  if (!greeting_.empty()) return;
  heard_ms_ = env_.loop.NowMs();
  circuit_.OnAnswer();
  Enter(LinkState::kUp);
  AwaitQuiet();
  user_.OnUp();
}

// Where nothing is owed.
void StoreLink::AwaitQuiet() {
  if (options_.probe.empty()) return timer_.Disarm();
  timer_.Arm(options_.quiet);
}

void StoreLink::OnProbeReply(const RespReply& reply) {
  if (IsError(reply) && IsOfServer(reply.text)) BreakFor(reply);
}

void StoreLink::Send(std::string_view command) {
  assert(up());
  if (owed_++ == 0) {
    heard_ms_ = env_.loop.NowMs();
    timer_.Arm(options_.patience);
  }
  Write(command);
}

void StoreLink::Write(std::string_view command) {
  out_.append(command);
  flush_.Schedule();
}

// Where that fails the loop tries again, and finds it lost.
void StoreLink::Push() {
  if (!WriteOut()) flush_.Schedule();
}

void StoreLink::Flush() {
  if (!WriteOut()) Lose(fmt::format("sending failed{}", transport_->ErrorText()));
}

// False: the connection is of no use any more.
bool StoreLink::WriteOut() {
  while (transport_ != nullptr && sent_ < out_.size()) {
    iovec piece{out_.data() + sent_, out_.size() - sent_};
    size_t n = 0;
    const Io io = transport_->Writev(&piece, 1, false, &n);
    if (io == Io::kWouldBlock) {
      transport_->WantWrite(true);
      return true;
    }
    if (io != Io::kOk) return false;
    sent_ += n;
  }
  out_.clear();
  sent_ = 0;
  return true;
}

void StoreLink::OnWritable() { Flush(); }

// One read at a time: the transport comes again while there is more.
void StoreLink::OnReadable() {
  char bytes[16 * 1024];
  size_t n = 0;
  switch (transport_->Read(bytes, sizeof bytes, &n)) {
    case Io::kWouldBlock:
      return;
    case Io::kEof:
      return Lose("it has closed the connection");
    case Io::kError:
      return Lose(fmt::format("reading failed{}", transport_->ErrorText()));
    case Io::kOk:
      break;
  }
  reader_->Feed({bytes, n});
  const uint64_t life = life_;
  while (life == life_) {
    RespReply reply;
    switch (reader_->Next(&reply)) {
      case RespReader::Status::kMore:
        return;
      case RespReader::Status::kError:
        nonsense_ = true;
        return Lose(fmt::format("its answer cannot be read: {}", reader_->error()));
      case RespReader::Status::kReply:
        Dispatch(reply);
    }
  }
}

void StoreLink::Dispatch(RespReply& reply) {
  switch (state_) {
    case LinkState::kAskingSentinel:
      return OnSentinelReply(reply);
    case LinkState::kGreeting:
      return OnGreetingReply(reply);
    default:
      break;
  }
  if (owed_ == 0) return Lose("it answers without being asked");
  --owed_;
  heard_ms_ = env_.loop.NowMs();
  if (owed_ == 0) AwaitQuiet();
  circuit_.OnAnswer();
  if (std::exchange(probing_, false)) return OnProbeReply(reply);
  user_.OnReply(reply);
}

void StoreLink::BreakFor(const RespReply& error) {
  auto other = MovedTo(error.text);
  Lose(fmt::format("it says \"{}\"", Said(error)));
  if (state_ == LinkState::kWaiting) target_ = std::move(other);
}

// Where a redirection led nowhere, the servers of the configuration are asked again.
void StoreLink::Lose(std::string why) {
  why_ = std::move(why);
  if (!std::exchange(target_, std::nullopt) || state_ != LinkState::kUp) ++turn_;
  Disconnect();
  circuit_.OnLost();
  Enter(LinkState::kWaiting);
  user_.OnDown();
}

void StoreLink::Disconnect() {
  ++life_;
  lookup_.Cancel();
  Transport::Discard(std::move(transport_));
  flush_.Cancel();
  reader_.reset();
  greeting_.clear();
  out_.clear();
  sent_ = owed_ = 0;
  probing_ = false;
}

}  // namespace limpet::worker
