#include "worker/http/log/log_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>

#include "base/log_path.h"

namespace limpet::worker {
namespace {

constexpr uint64_t kComplaintInterval = 60'000;

}  // namespace

int WriteLogBytes(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

std::string GzipMember(std::string_view bytes, int level) {
  constexpr int kGzipWindow = 15 + 16;  // zlib's way to say: with a gzip header
  z_stream stream{};
  if (::deflateInit2(&stream, level, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return {};
  }
  std::string out(::deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // zlib only reads it
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = ::deflate(&stream, Z_FINISH);
  out.resize(result == Z_STREAM_END ? stream.total_out : 0);
  ::deflateEnd(&stream);
  return out;
}

bool WriteComplaints::Wants(uint64_t now_ms) {
  if (last_ms_ != 0 && now_ms - last_ms_ < kComplaintInterval) return false;
  last_ms_ = now_ms;
  return true;
}

LogFile::LogFile(std::string path, Loop& loop, const Log& main_log)
    : path_(std::move(path)),
      main_log_(main_log),
      timer_(loop, Callback::To<&LogFile::Flush>(this)),
      loop_(loop) {}

Status LogFile::Open() {
  Result<UniqueFd> fd = OpenLogPath(path_);
  if (!fd) return fd.error();
  if (shared_ >= 0 && ::dup3(fd->get(), shared_, O_CLOEXEC) < 0)
    return ErrnoError(fmt::format("dup3() of \"{}\" failed", path_), errno);
  fd_ = std::move(*fd);
  return {};
}

Status LogFile::Share(int fd) {
  UniqueFd own(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!own) return ErrnoError(fmt::format("dup() of \"{}\" failed", path_), errno);
  fd_ = std::move(own);
  shared_ = fd;
  return {};
}

void LogFile::Write(std::string_view line, const Buffering& buffering) {
  if (buffering.size == 0) return WriteOut(line);
  if (buffer_.size() + line.size() > buffering.size) Flush();
  buffering_ = buffering;
  if (buffer_.empty() && buffering.flush_ms > 0) timer_.Arm(buffering.flush_ms);
  buffer_.append(line);
  if (buffer_.size() > buffering.size) Flush();  // one line alone is larger
}

void LogFile::Flush() {
  timer_.Disarm();
  if (buffer_.empty()) return;
  if (buffering_.gzip_level > 0) {
    WriteOut(GzipMember(buffer_, buffering_.gzip_level));
  } else {
    WriteOut(buffer_);
  }
  buffer_.clear();
}

void LogFile::WriteOut(std::string_view bytes) {
  if (!fd_) return;
  const int errnum = WriteLogBytes(fd_.get(), bytes);
  if (errnum == 0) return;
  if (!complaints_.Wants(loop_.NowMs())) return;
  LIMPET_LOG(main_log_, LogLevel::kAlert, "write() to \"{}\" failed{}", path_, ErrnoText(errnum));
}

}  // namespace limpet::worker
