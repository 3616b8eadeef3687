#include "master/credentials.h"

#include <fmt/core.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace limpet::master {
namespace {

constexpr const char* kDefaultUser = "nobody";

Result<gid_t> GroupOf(const conf::Config& config, const passwd& user) {
  // `user NAME;` means the group of the same name, as in nginx; the user's primary group where
  // there is none.
  const std::string name = config.group.empty() ? user.pw_name : config.group;
  if (const group* found = ::getgrnam(name.c_str())) return found->gr_gid;
  if (config.group.empty()) return user.pw_gid;
  return InvalidArgument(fmt::format("getgrnam(\"{}\") failed", name));
}

// Either lets a socket bind to any address; the first is the lesser.
constexpr uint32_t kTransparency[] = {CAP_NET_RAW, CAP_NET_ADMIN};

struct Capabilities {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};

  bool Get() { return ::syscall(SYS_capget, &header, data) == 0; }
  bool Set() { return ::syscall(SYS_capset, &header, data) == 0; }
};

// After the change of user has taken all of them but those that may be taken up again.
Status KeepTransparency() {
  Capabilities have;
  if (!have.Get()) return ErrnoError("capget() failed", errno);
  Capabilities kept;
  for (const uint32_t one : kTransparency) {
    if ((have.data[0].permitted & 1u << one) == 0) continue;
    kept.data[0].permitted = kept.data[0].effective = 1u << one;
    break;
  }
  return kept.Set() ? Status() : ErrnoError("capset() failed", errno);
}

}  // namespace

Status CheckTransparency(const conf::Config& config) {
  if (!config.binds_transparently) return {};
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoError("socket() failed", errno);
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_IP, IP_TRANSPARENT, &on, sizeof on) == 0) return {};
  return ErrnoError(
      "\"proxy_bind\" with \"transparent\" needs CAP_NET_RAW or CAP_NET_ADMIN: "
      "setsockopt(IP_TRANSPARENT) failed",
      errno);
}

Result<std::optional<Credentials>> WorkerCredentials(const conf::Config& config) {
  if (::geteuid() != 0) return std::optional<Credentials>();
  const std::string name = config.user.empty() ? kDefaultUser : config.user;
  const auto placed = [&config](Error error) {
    if (!config.user_at.empty()) error.message += " in " + config.user_at;
    return error;
  };
  errno = 0;
  const passwd* user = ::getpwnam(name.c_str());
  if (user == nullptr) {
    const std::string what = fmt::format("getpwnam(\"{}\") failed", name);
    return placed(errno == 0 ? InvalidArgument(what) : ErrnoError(what, errno));
  }
  Credentials credentials{name, user->pw_uid, 0, config.binds_transparently};
  auto gid = GroupOf(config, *user);
  if (!gid) return placed(gid.error());
  credentials.gid = *gid;
  return std::optional(credentials);
}

Status DropPrivileges(const Credentials& who) {
  if (::setgid(who.gid) != 0) return ErrnoError(fmt::format("setgid({}) failed", who.gid), errno);
  if (::initgroups(who.user.c_str(), who.gid) != 0) {
    return ErrnoError(fmt::format("initgroups({}, {}) failed", who.user, who.gid), errno);
  }
  if (who.net_raw && ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
    return ErrnoError("prctl(PR_SET_KEEPCAPS) failed", errno);
  if (::setuid(who.uid) != 0) return ErrnoError(fmt::format("setuid({}) failed", who.uid), errno);
  if (who.uid != 0 && (::setuid(0) == 0 || ::seteuid(0) == 0)) {
    return InvalidArgument(fmt::format("user \"{}\" may become root again", who.user));
  }
  return who.net_raw && who.uid != 0 ? KeepTransparency() : Status();
}

void HideMemory(const conf::Config& config) {
  const bool for_cores = config.worker_rlimit_core < 0 && !config.working_directory.empty();
  ::prctl(PR_SET_DUMPABLE, config.worker_rlimit_core > 0 || for_cores ? 1 : 0);
}

}  // namespace limpet::master
