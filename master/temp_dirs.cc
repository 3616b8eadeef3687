#include "master/temp_dirs.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "base/own_file.h"
#include "conf/all_locations.h"
#include "master/file_place.h"

namespace limpet::master {
namespace {

void Collect(const conf::Config& config, const conf::Location& location,
             std::set<std::string>* paths) {
  for (const std::string* path : {&location.client.body_temp_path, &location.proxy.temp_path}) {
    if (path->empty()) continue;
    paths->insert(path->starts_with('/') ? *path : config.prefix + *path);
  }
}

// With the folder that it is in, if need be; errno says what failed.
bool MakeDir(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return true;
  if (errno != ENOENT) return false;
  const std::string parent = path.substr(0, path.rfind('/'));
  return ::mkdir(parent.c_str(), 0755) == 0 && ::mkdir(path.c_str(), 0700) == 0;
}

// What was another user's is from now on the workers' alone.
Status GiveTo(const Credentials& owner, const std::string& path) {
  const auto fd = OpenThroughOwnLinks(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return fd.error();
  struct stat found {};
  if (::fstat(fd->get(), &found) != 0 || found.st_uid == owner.uid) return {};
  if (::fchown(fd->get(), owner.uid, static_cast<gid_t>(-1)) != 0) {
    return ErrnoError(fmt::format("chown(\"{}\", {}) failed", path, owner.uid), errno);
  }
  if (found.st_uid != ::geteuid()) ::fchmod(fd->get(), 0700);
  return {};
}

}  // namespace

std::vector<std::string> TempDirs(const conf::Config& config) {
  std::set<std::string> paths;
  if (config.http) {
    for (const conf::Location* location : conf::AllLocations(*config.http))
      Collect(config, *location, &paths);
  }
  return {paths.begin(), paths.end()};
}

Status CheckTempDirs(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const std::string folder = path.substr(0, path.rfind('/'));
    int errnum = ObstacleTo(folder);
    if (errnum == EISDIR) continue;  // it is there
    if (errnum == 0 && ::access(folder.c_str(), F_OK) == 0) errnum = ENOTDIR;
    if (errnum == 0) continue;  // it is made with what is in it
    return ErrnoError(fmt::format("mkdir() \"{}\" failed", path), errnum);
  }
  return {};
}

Status CreateTempDirs(const std::vector<std::string>& paths,
                      const std::optional<Credentials>& owner) {
  for (const std::string& path : paths) {
    if (!MakeDir(path)) {
      return ErrnoError(fmt::format("mkdir() \"{}\" failed", path), errno);
    }
    if (!owner) continue;
    if (auto status = GiveTo(*owner, path); !status) return status;
  }
  return {};
}

}  // namespace limpet::master
