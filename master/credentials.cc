#include "master/credentials.h"

#include <fmt/core.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

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

}  // namespace

Result<std::optional<Credentials>> WorkerCredentials(const conf::Config& config) {
  if (::geteuid() != 0) return std::optional<Credentials>();
  const std::string name = config.user.empty() ? kDefaultUser : config.user;
  errno = 0;
  const passwd* user = ::getpwnam(name.c_str());
  if (user == nullptr) {
    const std::string what = fmt::format("getpwnam(\"{}\") failed", name);
    return errno == 0 ? InvalidArgument(what) : ErrnoError(what, errno);
  }
  Credentials credentials{name, user->pw_uid, 0};
  auto gid = GroupOf(config, *user);
  if (!gid) return gid.error();
  credentials.gid = *gid;
  return std::optional(credentials);
}

Status DropPrivileges(const Credentials& who) {
  if (::setgid(who.gid) != 0) return ErrnoError(fmt::format("setgid({}) failed", who.gid), errno);
  if (::initgroups(who.user.c_str(), who.gid) != 0) {
    return ErrnoError(fmt::format("initgroups({}, {}) failed", who.user, who.gid), errno);
  }
  if (::setuid(who.uid) != 0) return ErrnoError(fmt::format("setuid({}) failed", who.uid), errno);
  if (who.uid != 0 && (::setuid(0) == 0 || ::seteuid(0) == 0)) {
    return InvalidArgument(fmt::format("user \"{}\" may become root again", who.user));
  }
  return {};
}

void HideMemory(const conf::Config& config) {
  const bool for_cores = config.worker_rlimit_core < 0 && !config.working_directory.empty();
  ::prctl(PR_SET_DUMPABLE, config.worker_rlimit_core > 0 || for_cores ? 1 : 0);
}

}  // namespace limpet::master
