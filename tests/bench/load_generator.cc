// load_generator --port N [options]: a load of HTTP/1.1 requests, closed or open, and how long
// their answers took (load_client.h). It says "begin" when the load is warm, then one line of JSON,
// and holds its connections until its input ends.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "tests/bench/load_client.h"

namespace limpet::bench {
namespace {

[[noreturn]] void Usage(std::string_view wrong) {
  std::fprintf(stderr,
               "load_generator: \"%.*s\"\n"
               "usage: load_generator --port N [--path /] [--header 'Name: {session}'] "
               "[--value V …] [--sessions N] [--in-order] [--connections N] [--rate R] [--warm S] "
               "[--seconds S] [--requests N] [--tls] [--resume] [--close]\n",
               static_cast<int>(wrong.size()), wrong.data());
  std::exit(2);
}

template <class Number>
Number Parse(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) Usage(text);
  return number;
}

LoadOptions Parse(int argc, char** argv) {
  LoadOptions options;
  const std::map<std::string_view, bool*> words = {{"--in-order", &options.in_order},
                                                   {"--tls", &options.tls},
                                                   {"--resume", &options.resume},
                                                   {"--close", &options.close}};
  using Setter = std::function<void(const char*)>;
  const std::map<std::string_view, Setter> values = {
      {"--port", [&](const char* v) { options.port = Parse<uint16_t>(v); }},
      {"--path", [&](const char* v) { options.path = v; }},
      {"--header", [&](const char* v) { options.headers.emplace_back(v); }},
      {"--value", [&](const char* v) { options.values.emplace_back(v); }},
      {"--sessions", [&](const char* v) { options.sessions = Parse<uint64_t>(v); }},
      {"--connections", [&](const char* v) { options.connections = Parse<unsigned>(v); }},
      {"--rate", [&](const char* v) { options.rate = Parse<double>(v); }},
      {"--warm", [&](const char* v) { options.warm = Parse<double>(v); }},
      {"--seconds", [&](const char* v) { options.seconds = Parse<double>(v); }},
      {"--requests", [&](const char* v) { options.requests = Parse<uint64_t>(v); }},
  };
  for (int i = 1; i < argc; ++i) {
    if (const auto word = words.find(argv[i]); word != words.end()) {
      *word->second = true;
    } else if (const auto value = values.find(argv[i]); value != values.end() && i + 1 < argc) {
      value->second(argv[++i]);
    } else {
      Usage(argv[i]);
    }
  }
  if (options.port == 0) Usage("no --port");
  return options;
}

double Microseconds(const std::vector<uint64_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<size_t>(share * static_cast<double>(sorted.size()));
  return static_cast<double>(sorted[std::min(at, sorted.size() - 1)]) / 1000;
}

void Print(LoadFigures figures) {
  std::ranges::sort(figures.latencies);
  std::ranges::sort(figures.lateness);
  std::printf(
      "{\"answers\": %zu, \"seconds\": %.6f, \"failed\": %llu, \"handshakes\": %llu, "
      "\"resumed\": %llu, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"longest\": %.1f, "
      "\"late\": %.1f}\n",
      figures.latencies.size(), static_cast<double>(figures.nanoseconds) / 1e9,
      static_cast<unsigned long long>(figures.failed),
      static_cast<unsigned long long>(figures.handshakes),
      static_cast<unsigned long long>(figures.resumed), Microseconds(figures.latencies, 0.5),
      Microseconds(figures.latencies, 0.99), Microseconds(figures.latencies, 0.999),
      Microseconds(figures.latencies, 1), Microseconds(figures.lateness, 0.99));
  std::fflush(stdout);
}

void Run(const LoadOptions& options) {
  LoadClient client(options);
  if (options.warm > 0) client.Run(options.warm, 0);
  std::puts("begin");
  std::fflush(stdout);
  Print(client.Run(options.seconds, options.requests));
  char ignored[64];
  while (::read(STDIN_FILENO, ignored, sizeof ignored) > 0) continue;
}

}  // namespace
}  // namespace limpet::bench

int main(int argc, char** argv) { limpet::bench::Run(limpet::bench::Parse(argc, argv)); }
