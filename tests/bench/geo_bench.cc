// What a variable of geoip2 costs, beside the way of nginx's public module: a file that is mapped,
// one MMDB_lookup_sockaddr for a new address, one MMDB_aget_value for each variable.
//
// Usage: geo_bench FILE: a MaxMind DB file of any size (scripts/bench geo writes one).
#include <benchmark/benchmark.h>
#include <maxminddb.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "conf/config.h"
#include "worker/geo/geo_readers.h"

namespace limpet::worker {
namespace {

std::string file;

std::vector<SocketAddress> RandomAddresses(int64_t count) {
  std::mt19937 random(1);
  std::vector<SocketAddress> addresses(static_cast<size_t>(count));
  for (SocketAddress& address : addresses) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = static_cast<in_addr_t>(random());
    address = {reinterpret_cast<const sockaddr*>(&v4), sizeof v4};
  }
  return addresses;
}

// A request's memory, given back after each.
class Memory final : public conf::VariableReader {
 public:
  conf::Value Get(conf::VariableId) override { return conf::Value::None(); }
  conf::Captures& captures() override { return captures_; }
  void SetNamed(conf::VariableId, conf::Value) override {}
  char* Allocate(size_t size) override {
    used_ = used_ + size > sizeof bytes_ ? size : used_ + size;
    return bytes_ + used_ - size;
  }

 private:
  conf::Captures captures_;
  char bytes_[4096];
  size_t used_ = 0;
};

// `state.range(0)`: variables of each request; `state.range(1)`: clients, who come in turn.
void Limpet(benchmark::State& state) {
  conf::GeoSettings settings;
  settings.databases.push_back({.path = file});
  const std::vector<std::vector<std::string>> paths = {{"country", "iso_code"},
                                                       {"country", "names", "en"},
                                                       {"subdivisions", "0", "iso_code"},
                                                       {"location", "latitude"}};
  for (const auto& path : paths) settings.fields.push_back({.path = path});
  const auto store = GeoStore::Load(settings, nullptr);
  if (!store) return state.SkipWithError(store.error().message.c_str());
  Loop loop;
  Log log;
  const auto alerts = std::make_unique<shm::AlertRing>();
  GeoReaders readers(loop, settings, **store, log, *alerts);
  Memory memory;
  const auto addresses = RandomAddresses(state.range(1));
  size_t i = 0;
  for ([[maybe_unused]] auto _ : state) {
    const SocketAddress& address = addresses[++i % addresses.size()];
    for (int64_t field = 0; field < state.range(0); ++field)
      benchmark::DoNotOptimize(readers.Find(static_cast<size_t>(field), memory, &address));
  }
}

void Module(benchmark::State& state) {
  constexpr const char* kPaths[][4] = {{"country", "iso_code", nullptr},
                                       {"country", "names", "en", nullptr},
                                       {"subdivisions", "0", "iso_code", nullptr},
                                       {"location", "latitude", nullptr}};
  MMDB_s database;
  if (MMDB_open(file.c_str(), MMDB_MODE_MMAP, &database) != MMDB_SUCCESS)
    return state.SkipWithError("cannot open");
  Memory memory;
  const auto addresses = RandomAddresses(state.range(1));
  size_t i = 0;
  for ([[maybe_unused]] auto _ : state) {
    const SocketAddress& address = addresses[++i % addresses.size()];
    int error = 0;
    MMDB_lookup_result_s found = MMDB_lookup_sockaddr(&database, address.get(), &error);
    for (int64_t field = 0; field < state.range(0); ++field) {
      MMDB_entry_data_s value;
      if (!found.found_entry ||
          MMDB_aget_value(&found.entry, &value, kPaths[field]) != MMDB_SUCCESS || !value.has_data)
        continue;
      if (value.type == MMDB_DATA_TYPE_UTF8_STRING) {
        char* const text = memory.Allocate(value.data_size);
        std::memcpy(text, value.utf8_string, value.data_size);
        benchmark::DoNotOptimize(text);
      } else {
        char* const text = memory.Allocate(32);
        std::snprintf(text, 32, "%.5f", value.double_value);
        benchmark::DoNotOptimize(text);
      }
    }
  }
  MMDB_close(&database);
}

void Load(benchmark::State& state) {
  for ([[maybe_unused]] auto _ : state) {
    const auto loaded = GeoFile::Load(file);
    if (!loaded) return state.SkipWithError(loaded.error().message.c_str());
  }
}

void Cases(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"variables", "clients"})->ArgsProduct({{1, 4}, {1000, 1 << 16}});
}
BENCHMARK(Module)->Name("module")->Apply(Cases);
BENCHMARK(Limpet)->Name("limpet")->Apply(Cases);
BENCHMARK(Load)->Name("load and check a file")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace limpet::worker

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc != 2) {
    std::fprintf(stderr, "usage: geo_bench FILE\n");
    return 2;
  }
  limpet::worker::file = argv[1];
  benchmark::RunSpecifiedBenchmarks();
}
