#include "master/control.h"

#include <fmt/core.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <set>
#include <string>

#include "base/file_text.h"
#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "master/control_socket.h"
#include "master/generation.h"
#include "master/pid_file.h"
#include "shm/session_layout.h"
#include "worker/control.h"
#include "worker/worker.h"

namespace limpet::master {
namespace {

constexpr time_t kReplySeconds = 10;
constexpr int kNobodyAnswers = 3;  // the exit code

void DumpSources(const conf::Config& config) {
  for (const conf::SourceFile& source : config.sources) {
    fmt::print("# configuration file {}:\n{}\n", source.path, source.text);
  }
  std::fflush(stdout);
}

// As written: what names will give at run time nobody knows yet.
size_t ServersIn(const conf::Http& http, size_t zone) {
  std::set<std::string> servers;
  for (const auto& upstream : http.upstreams) {
    const bool learns_there = upstream->sticky.kind == conf::StickyKind::kLearn &&
                              upstream->sticky.learn.zone == static_cast<int>(zone);
    if (!learns_there) continue;
    for (std::string& id : worker::ServerIds(*upstream, nullptr)) servers.insert(std::move(id));
  }
  return servers.size();
}

void WarnOfPlaces(const conf::Config& config, EarlyLog& early) {
  if (!config.http) return;
  const auto& zones = config.http->session_zones;
  for (size_t i = 0; i < zones.size(); ++i) {
    const size_t servers = ServersIn(*config.http, i);
    const shm::Geometry geometry = shm::Geometry::For(zones[i].size);
    if (servers <= geometry.max_peers) continue;
    const std::string way =
        servers <= shm::Geometry::kMostPeers
            ? fmt::format("{}k has places for all", servers * shm::Geometry::kBytesPerPeer / 1024)
            : std::string("no zone has more");
    early.Report(
        LogLevel::kWarn,
        fmt::format("session zone \"{}\" has places for {} servers: sessions at {} of "
                    "its {} are not learned, {}",
                    zones[i].name, geometry.max_peers, servers - geometry.max_peers, servers, way));
  }
}

void ShowZones(const conf::Config& config) {
  if (!config.http) return;
  for (const conf::SessionZone& zone : config.http->session_zones) {
    fmt::print(stderr, "limpet: session zone \"{}\" of {} bytes holds {} sessions\n", zone.name,
               zone.size, shm::SessionTable::CapacityFor(zone.size));
  }
}

// Sends a line, and reads until the other side has said everything.
Result<std::string> Talk(const std::string& path, const std::string& line) {
  const SocketAddress address = SocketAddress::Unix(path);
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoError("socket() failed", errno);
  const timeval patience{kReplySeconds, 0};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    ::setsockopt(fd.get(), SOL_SOCKET, option, &patience, sizeof patience);
  }
  if (::connect(fd.get(), address.get(), address.size()) != 0) {
    return ErrnoError(fmt::format("connect() to \"{}\" failed", path), errno);
  }
  if (::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size())) {
    return ErrnoError(fmt::format("send() to \"{}\" failed", path), errno);
  }
  return ReadToEnd(fd.get(), path);
}

std::string_view WhyNobody(const Error& error) {
  return error.code.value() == EACCES
             ? ": only root and the user who has started that limpet may ask it"
             : ": is it running? -p, -c and --socket say which limpet";
}

// Of a terminal: from its top, so that figures change in their places.
void ClearScreen() {
  if (::isatty(STDOUT_FILENO) == 1) fmt::print("\033[H\033[2J");
}

}  // namespace

int AskMaster(const CommandLine& command_line, const Paths& paths) {
  if (command_line.help) {
    fmt::print("{}", worker::CommandHelp(command_line.words[0]));
    return 0;
  }
  const worker::ControlCommand command{.words = command_line.words,
                                       .deadline = command_line.deadline,
                                       .move = command_line.move,
                                       .dry_run = command_line.dry_run,
                                       .json = command_line.json};
  const auto fail = [](const std::string& what, int code = 1) {
    fmt::print(stderr, "limpet: {}\n", what);
    return code;
  };
  const auto line = worker::ControlLine(command);
  if (!line) return fail(line.error().message);
  if (line->size() > ControlSocket::kLongestRequest) return fail("the command is too long");
  const std::string socket =
      command_line.socket.empty() ? FindPlaces(command_line, paths).control : command_line.socket;
  if (socket.empty()) return fail("the configuration says \"control_socket off\"");
  for (;;) {
    const auto reply = Talk(socket, *line);
    if (!reply)
      return fail(fmt::format("{}{}", reply.error().message, WhyNobody(reply.error())),
                  kNobodyAnswers);
    const worker::ControlOutput shown = worker::ShowReply(command, *reply);
    if (!shown.good && !command.json) return fail(shown.text);
    if (command_line.watch_s > 0) ClearScreen();
    fmt::print("{}", shown.text);
    if (command_line.watch_s == 0) return shown.good ? 0 : 1;
    std::fflush(stdout);
    ::sleep(static_cast<unsigned>(command_line.watch_s));
  }
}

bool HasWorkers(const std::string& socket, pid_t master) {
  const auto line = worker::ControlLine({.words = {"status"}, .deadline = {}, .json = true});
  const auto reply = line ? Talk(socket, *line) : line;
  if (!reply) return false;
  return reply->find(fmt::format("\"master_pid\":{},", master)) != reply->npos &&
         reply->find("\"workers\":[{") != reply->npos;
}

int TestConfig(const CommandLine& command_line, const Paths& paths, EarlyLog& early) {
  const auto config = LoadConfig(command_line, paths, early.Reporter());
  Status checked;
  if (config) checked = Generation::Check(*config, paths, early.Reporter());
  if (!checked) early.Report(LogLevel::kEmerg, checked.error().message);
  if (!config || !checked) {
    fmt::print(stderr, "limpet: configuration file {} test failed\n", paths.file);
    return 1;
  }
  WarnOfPlaces(*config, early);
  if (!command_line.quiet) {
    for (const std::string& notice : config->notices) early.Report(LogLevel::kNotice, notice);
    fmt::print(stderr, "limpet: the configuration file {} syntax is ok\n", paths.file);
    ShowZones(*config);
    fmt::print(stderr, "limpet: configuration file {} test is successful\n", paths.file);
  }
  if (command_line.order == Order::kTestAndDump) DumpSources(*config);
  return 0;
}

// Whether the process is ours and sees the files that we see: one in another container does not.
bool SharesFiles(pid_t pid) {
  const std::string theirs = fmt::format("/proc/{}", pid), own = "/proc/self";
  struct stat process {
  }, space{}, own_space{};
  return ::stat(theirs.c_str(), &process) == 0 && process.st_uid == ::geteuid() &&
         ::stat((theirs + "/ns/mnt").c_str(), &space) == 0 &&
         ::stat((own + "/ns/mnt").c_str(), &own_space) == 0 && space.st_ino == own_space.st_ino;
}

int SendSignal(const CommandLine& command_line, const Paths& paths, const EarlyLog& early) {
  // The places of a file that is not there are those of another limpet: a slip of the pen in -c
  // must not end it.
  const bool ends = command_line.signal == SIGTERM || command_line.signal == SIGQUIT;
  if (ends && !command_line.file.empty() && ::access(paths.file.c_str(), F_OK) != 0) {
    early.Report(LogLevel::kEmerg,
                 fmt::format("open() \"{}\" failed{}", paths.file, ErrnoText(errno)));
    return 1;
  }
  std::shared_ptr<const conf::Config> config;
  if (command_line.signal == SIGHUP) {
    config = LoadConfig(command_line, paths, early.Reporter());
    if (config == nullptr) return 1;
  }
  const auto pid = ReadPidFile(FindPlaces(command_line, paths).pid);
  if (!pid) {
    early.Report(LogLevel::kError, pid.error().message);
    return 1;
  }
  if (config != nullptr && SharesFiles(*pid)) {
    if (const Status files = Generation::CheckFiles(*config); !files) {
      early.Report(LogLevel::kEmerg, files.error().message);
      return 1;
    }
  }
  if (::kill(*pid, command_line.signal) == 0) return 0;
  early.Report(LogLevel::kAlert,
               fmt::format("kill({}, {}) failed{}", *pid, command_line.signal, ErrnoText(errno)));
  return 1;
}

}  // namespace limpet::master
