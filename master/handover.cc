#include "master/handover.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "base/unique_fd.h"

namespace limpet::master {
namespace {

constexpr const char* kSockets = "LIMPET_SOCKETS";
constexpr const char* kNotes = "LIMPET_NOTES";
constexpr size_t kLongestNotes = size_t{16} << 20;
constexpr int kFirstSystemdFd = 3;  // SD_LISTEN_FDS_START
constexpr int kMostSystemdFds = 1024;

std::optional<int> NumberIn(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  const auto number = ParseDecimal(text);
  if (!number || *number > 1u << 30) return std::nullopt;
  return static_cast<int>(*number);
}

// One that this process can own: a socket, and not named before.
bool IsSocketFor(const std::vector<int>& fds, uint64_t number) {
  if (number <= STDERR_FILENO || number >= 1u << 20) return false;
  const int fd = static_cast<int>(number);
  struct stat there {};
  if (::fstat(fd, &there) != 0 || !S_ISSOCK(there.st_mode)) return false;
  return std::ranges::find(fds, fd) == fds.end();
}

// "PID:3;4;5;". Descriptors of anything else are left out: a wrong one must not close a log.
std::vector<int> ParseSockets(std::string_view text, pid_t* from) {
  std::vector<int> fds;
  const size_t colon = text.find(':');
  const auto pid = ParseDecimal(text.substr(0, colon));
  if (colon == text.npos || !pid) return fds;
  *from = static_cast<pid_t>(*pid);
  text.remove_prefix(colon + 1);
  while (!text.empty()) {
    const size_t end = text.find(';');
    const auto fd = ParseDecimal(text.substr(0, end));
    if (fd && IsSocketFor(fds, *fd)) fds.push_back(static_cast<int>(*fd));
    if (end == text.npos) break;
    text.remove_prefix(end + 1);
  }
  return fds;
}

std::vector<int> FromSystemd() {
  std::vector<int> fds;
  if (NumberIn("LISTEN_PID") == static_cast<int>(::getpid())) {
    const int count = std::min(NumberIn("LISTEN_FDS").value_or(0), kMostSystemdFds);
    for (int i = 0; i < count; ++i) fds.push_back(kFirstSystemdFd + i);
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  return fds;
}

std::string SocketsVariable(const std::vector<int>& sockets) {
  std::string text = fmt::format("{}={}:", kSockets, ::getpid());
  for (const int fd : sockets) text += fmt::format("{};", fd);
  return text;
}

// Best effort: without memory the new binary starts without notes.
UniqueFd WriteNotes(std::string_view notes) {
  UniqueFd file(::memfd_create("limpet-notes", 0));
  if (!file || ::write(file.get(), notes.data(), notes.size()) != std::ssize(notes)) return {};
  return file;
}

// Of anything else than a file in memory nothing is read: a wrong number must not close a log. The
// old master may have died meanwhile: what it has left is left to us all the same.
std::string ReadNotes(int fd) {
  if (fd <= STDERR_FILENO || !IsFileInMemory(fd)) return "";
  const UniqueFd file(fd);
  struct stat info {};
  if (::fstat(fd, &info) != 0 || info.st_size <= 0) return "";
  std::string notes(std::min(static_cast<size_t>(info.st_size), kLongestNotes), '\0');
  const ssize_t n = ::pread(fd, notes.data(), notes.size(), 0);
  notes.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return notes;
}

// The environment of the new binary. WATCHDOG_PID names us; without it, systemd's watchdog means
// whoever is the main process.
std::vector<std::string> EnvironmentWith(std::string sockets, int notes) {
  std::vector<std::string> lines;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("WATCHDOG_PID=")) lines.emplace_back(*entry);
  }
  lines.push_back(std::move(sockets));
  if (notes >= 0) lines.push_back(fmt::format("{}={}", kNotes, notes));
  return lines;
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Handover Handover::FromEnvironment() {
  Handover handover;
  if (const char* text = std::getenv(kSockets)) {
    handover.sockets_ = ParseSockets(text, &handover.predecessor_);
    ::unsetenv(kSockets);
    const auto notes = NumberIn(kNotes);
    if (notes && handover.from_master()) handover.notes_ = ReadNotes(*notes);
  } else {
    handover.sockets_ = FromSystemd();
  }
  ::unsetenv(kNotes);
  for (const int fd : handover.sockets_) SetCloseOnExec(fd, true);
  return handover;
}

bool Handover::predecessor_lives() const { return predecessor_ > 0 && ::getppid() == predecessor_; }

Status Handover::Start(const std::vector<std::string>& argv, const Passed& passed,
                       const std::function<void(const Error&)>& failed) {
  std::fflush(nullptr);
  std::vector<std::string> words = argv;
  const UniqueFd file = WriteNotes(passed.notes);
  std::vector<std::string> lines = EnvironmentWith(SocketsVariable(passed.sockets), file.get());
  const pid_t child = ::fork();
  if (child < 0) return ErrnoError("fork() failed while spawning \"new binary process\"", errno);
  if (child > 0) {
    successor_ = child;
    return {};
  }
  for (const int fd : passed.sockets) SetCloseOnExec(fd, false);
  for (const int fd : passed.others) SetCloseOnExec(fd, false);
  // By its name, not by /proc/self/exe: there the old binary is, even when the file is replaced.
  ::execvpe(words[0].c_str(), Pointers(words).data(), Pointers(lines).data());
  failed(ErrnoError(
      fmt::format("execve() failed while executing new binary process \"{}\"", argv[0]), errno));
  ::_exit(2);
}

bool Handover::Forget(pid_t dead) {
  if (dead != successor_ || dead == 0) return false;
  successor_ = 0;
  return true;
}

}  // namespace limpet::master
