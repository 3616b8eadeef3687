#include "worker/http/log/log_file_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/own_file.h"
#include "worker/http/log/log_file.h"

namespace limpet::worker {

LogFileCache::Failure LogFileCache::Write(const std::string& path, std::string_view line,
                                          const conf::OpenLogFileCache& settings, uint64_t now_ms) {
  if (settings.max > 0) {
    if (Entry* entry = Find(path, settings, now_ms); entry != nullptr && entry->fd)
      return {.write = WriteLogBytes(entry->fd.get(), line)};
  }
  Result<UniqueFd> fd = OpenThroughOwnLinks(path, O_WRONLY | O_APPEND | O_CREAT, 0644);
  if (!fd) return {.open = fd.error().code.value()};
  const int errnum = WriteLogBytes(fd->get(), line);
  if (settings.max > 0) Remember(path, std::move(*fd), settings, now_ms);
  return {.write = errnum};
}

void LogFileCache::Clear() {
  index_.clear();
  entries_.clear();
}

LogFileCache::Entry* LogFileCache::Find(const std::string& path,
                                        const conf::OpenLogFileCache& settings, uint64_t now_ms) {
  const auto inactive = static_cast<uint64_t>(settings.inactive.count());
  while (!entries_.empty() && now_ms - entries_.back().used_ms > inactive) {
    index_.erase(entries_.back().path);
    entries_.pop_back();
  }
  const auto it = index_.find(path);
  if (it == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, it->second);
  Entry& entry = entries_.front();
  entry.used_ms = now_ms;
  ++entry.uses;
  if (entry.fd && !StillThere(entry, settings, now_ms)) entry.fd.Reset();
  return &entry;
}

// Whether the path still leads to the open file, asked once per `valid`.
bool LogFileCache::StillThere(Entry& entry, const conf::OpenLogFileCache& settings,
                              uint64_t now_ms) {
  if (now_ms - entry.checked_ms < static_cast<uint64_t>(settings.valid.count())) return true;
  entry.checked_ms = now_ms;
  struct stat info {};
  if (::stat(entry.path.c_str(), &info) != 0) return false;
  return info.st_dev == entry.device && info.st_ino == entry.inode;
}

void LogFileCache::Remember(const std::string& path, UniqueFd fd,
                            const conf::OpenLogFileCache& settings, uint64_t now_ms) {
  auto it = index_.find(path);
  if (it == index_.end()) {
    if (entries_.size() >= static_cast<size_t>(settings.max)) {
      index_.erase(entries_.back().path);
      entries_.pop_back();
    }
    entries_.push_front({.path = path, .fd = {}, .uses = 1, .used_ms = now_ms});
    it = index_.emplace(entries_.front().path, entries_.begin()).first;
  }
  Entry& entry = *it->second;
  if (entry.uses < settings.min_uses) return;  // closed again: not worth a descriptor yet
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return;
  entry.device = info.st_dev;
  entry.inode = info.st_ino;
  entry.checked_ms = now_ms;
  entry.fd = std::move(fd);
}

}  // namespace limpet::worker
