// autoindex: what is in a folder, as a page or for programs. nginx's formats, byte for byte:
// scripts read them.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "proto/cookie.h"
#include "proto/escape.h"
#include "worker/http/exchange/file_path.h"
#include "worker/http/local/open_file.h"
#include "worker/http/local/static_files.h"

namespace limpet::worker {
namespace {

using Format = conf::AutoIndex::Format;

constexpr size_t kNameColumn = 50;  // characters; longer names are cut
constexpr size_t kMaxCallback = 128;

struct Entry {
  std::string name;
  bool is_directory = false;
  bool is_file = false;
  int64_t modified = 0;
  uint64_t size = 0;
};

// Nothing of a file that has just gone; a link that leads nowhere is shown as what it is.
bool Describe(int directory, Entry* entry) {
  struct stat info {};
  if (::fstatat(directory, entry->name.c_str(), &info, 0) != 0 &&
      ::fstatat(directory, entry->name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return false;
  entry->is_directory = S_ISDIR(info.st_mode);
  entry->is_file = S_ISREG(info.st_mode);
  entry->modified = info.st_mtime;
  entry->size = static_cast<uint64_t>(info.st_size);
  return true;
}

std::vector<Entry> ReadEntries(DIR* directory) {
  std::vector<Entry> entries;
  while (const dirent* found = ::readdir(directory)) {
    Entry entry{.name = found->d_name};
    if (entry.name.starts_with('.') || !Describe(::dirfd(directory), &entry)) continue;
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.is_directory != b.is_directory ? a.is_directory : a.name < b.name;
  });
  return entries;
}

std::string EscapeHtml(std::string_view text) {
  return proto::EscapeUri(text, proto::EscapeKind::kHtml);
}

tm BrokenDown(int64_t seconds, bool local) {
  const time_t time = seconds;
  tm out{};
  local ? ::localtime_r(&time, &out) : ::gmtime_r(&time, &out);
  return out;
}

bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }  // of UTF-8

// Characters, if the page says that it is UTF-8, else bytes.
size_t Width(std::string_view name, bool utf8) {
  if (!utf8) return name.size();
  return name.size() - static_cast<size_t>(std::count_if(name.begin(), name.end(), Continues));
}

std::string_view FirstCharacters(std::string_view name, size_t count, bool utf8) {
  size_t at = 0;
  for (; at < name.size() && count > 0; --count) {
    ++at;
    while (utf8 && at < name.size() && Continues(name[at])) ++at;
  }
  return name.substr(0, at);
}

std::string SizeText(const Entry& entry, bool exact) {
  if (entry.is_directory) return exact ? fmt::format("{:>19}", '-') : fmt::format("{:>7}", '-');
  if (exact) return fmt::format("{:>19}", entry.size);
  constexpr uint64_t kKilo = 1024, kMega = kKilo * 1024, kGiga = kMega * 1024;
  const auto scaled = [&entry](uint64_t unit, char letter) {
    return fmt::format("{:>6}{}", (entry.size + unit / 2) / unit, letter);
  };
  if (entry.size >= kGiga) return scaled(kGiga, 'G');
  if (entry.size >= kMega) return scaled(kMega, 'M');
  if (entry.size > 9999) return scaled(kKilo, 'K');
  return fmt::format(" {:>6}", entry.size);
}

std::string NameColumn(const Entry& entry, bool utf8) {
  size_t width = Width(entry.name, utf8);
  if (width > kNameColumn)
    return EscapeHtml(FirstCharacters(entry.name, kNameColumn - 3, utf8)) + "..&gt;</a>";
  std::string text = EscapeHtml(entry.name);
  if (entry.is_directory && width < kNameColumn) {
    text += '/';
    ++width;
  }
  return text + "</a>" + std::string(kNameColumn - width, ' ');
}

std::string Html(std::string_view uri, const std::vector<Entry>& entries,
                 const conf::AutoIndex& settings, bool utf8) {
  constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::string title = EscapeHtml(uri);
  std::string out = fmt::format(
      "<html>\r\n<head><title>Index of {0}</title></head>\r\n<body>\r\n"
      "<h1>Index of {0}</h1><hr><pre><a href=\"../\">../</a>\r\n",
      title);
  for (const Entry& entry : entries) {
    const tm time = BrokenDown(entry.modified, settings.local_time);
    out += fmt::format("<a href=\"{}{}\">{} {:02}-{}-{} {:02}:{:02} {}\r\n",
                       proto::EscapeUri(entry.name, proto::EscapeKind::kUriComponent),
                       entry.is_directory ? "/" : "", NameColumn(entry, utf8), time.tm_mday,
                       kMonths[static_cast<size_t>(time.tm_mon)], time.tm_year + 1900, time.tm_hour,
                       time.tm_min, SizeText(entry, settings.exact_size));
  }
  return out + "</pre><hr></body>\r\n</html>\r\n";
}

std::string_view KindOf(const Entry& entry) {
  return entry.is_directory ? "directory" : entry.is_file ? "file" : "other";
}

std::string Json(const std::vector<Entry>& entries) {
  std::string out = "[";
  for (const Entry& entry : entries) {
    out += fmt::format("{}\r\n{{ \"name\":\"{}\", \"type\":\"{}\", \"mtime\":\"{}\"{} }}",
                       out.size() > 1 ? "," : "",
                       proto::EscapeUri(entry.name, proto::EscapeKind::kJson), KindOf(entry),
                       FormatHttpDate(entry.modified),
                       entry.is_file ? fmt::format(", \"size\":{}", entry.size) : "");
  }
  return out + "\r\n]";
}

std::string Xml(const std::vector<Entry>& entries) {
  std::string out = "<?xml version=\"1.0\"?>\r\n<list>\r\n";
  for (const Entry& entry : entries) {
    const tm time = BrokenDown(entry.modified, false);
    out += fmt::format(
        "<{0} mtime=\"{1}-{2:02}-{3:02}T{4:02}:{5:02}:{6:02}Z\"{7}>{8}</{0}>\r\n", KindOf(entry),
        time.tm_year + 1900, time.tm_mon + 1, time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec,
        entry.is_file ? fmt::format(" size=\"{}\"", entry.size) : "", EscapeHtml(entry.name));
  }
  return out + "</list>\r\n";
}

// A name that a script may call; anything else could be a script itself.
bool IsCallback(std::string_view name) {
  return name.size() <= kMaxCallback && std::all_of(name.begin(), name.end(), [](char c) {
           return IsDigit(c) || (AsciiLower(c) >= 'a' && AsciiLower(c) <= 'z') || c == '_' ||
                  c == '.';
         });
}

Step Refuse(Exchange& exchange, int status) {
  exchange.Finish(status);
  return Step::kDone;
}

Step OpenFailed(Exchange& exchange, std::string_view path, int errnum) {
  const bool missing = MeansMissing(errnum), denied = errnum == EACCES;
  exchange.Log(missing || denied ? LogLevel::kError : LogLevel::kCrit,
               fmt::format("opendir() \"{}\" failed{}", path, ErrnoText(errnum)));
  return Refuse(exchange, missing ? 404 : denied ? 403 : 500);
}

}  // namespace

Step AutoIndexContent(Exchange& exchange, std::string_view path) {
  const conf::ResponseSettings& settings = exchange.location().response;
  Format format = settings.auto_index.format;
  const std::string_view callback =
      format == Format::kJsonp
          ? proto::FindArgument(exchange.request().args, "callback").value_or("")
          : "";
  if (!IsCallback(callback)) {
    exchange.Log(LogLevel::kInfo,
                 fmt::format("client sent invalid callback name: \"{}\"", callback));
    return Refuse(exchange, 400);
  }
  DIR* const directory = ::opendir(path.data());
  if (directory == nullptr) return OpenFailed(exchange, path, errno);
  const std::vector<Entry> entries = ReadEntries(directory);
  ::closedir(directory);

  std::string text;
  std::string_view type;
  switch (format) {
    case Format::kHtml: {
      const bool utf8 = settings.charset.name &&
                        EqualsIgnoreCase(exchange.Evaluate(*settings.charset.name), "utf-8");
      text = Html(exchange.request().uri, entries, settings.auto_index, utf8);
      type = "text/html";
      break;
    }
    case Format::kXml:
      text = Xml(entries);
      type = "text/xml; charset=utf-8";
      break;
    case Format::kJson:
    case Format::kJsonp:
      text = Json(entries);
      type = "application/json";
      if (callback.empty()) break;
      text = fmt::format("/* callback */\r\n{}({});", callback, text);
      type = "application/javascript";
      break;
  }
  exchange.Reply(200, type, exchange.arena().Copy(text));
  return Step::kDone;
}

}  // namespace limpet::worker
