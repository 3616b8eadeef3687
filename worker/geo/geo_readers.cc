#include "worker/geo/geo_readers.h"

#include <fmt/format.h>

#include <cstring>

#include "worker/geo/geo_watch.h"

namespace limpet::worker {
namespace {

conf::Value Kept(conf::VariableReader& reader, std::string_view text) {
  char* const kept = reader.Allocate(text.size());
  if (!text.empty()) std::memcpy(kept, text.data(), text.size());
  return conf::Value::Of({kept, text.size()});
}

int64_t MetadataOf(const shm::GeoState& state, conf::GeoField::Kind kind) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  switch (kind) {
    case conf::GeoField::Kind::kLastCheck:
      return state.last_check_s.load(kRelaxed);
    case conf::GeoField::Kind::kLastChange:
      return state.last_change_s.load(kRelaxed);
    default:
      return state.build_epoch.load(kRelaxed);
  }
}

}  // namespace

class GeoReaders::Entry {
 public:
  Entry(Loop& loop, const conf::GeoDatabase& conf, std::shared_ptr<GeoFile> file, const Log& log,
        shm::AlertRing& alerts)
      : file_(std::move(file)), log_(log) {
    Follow();
    if (conf.auto_reload.count() > 0)
      watch_ = std::make_unique<GeoWatch>(loop, *file_, conf.auto_reload, log, alerts,
                                          Callback::To<&Entry::Follow>(this));
  }

  void Start() {
    if (watch_ != nullptr) watch_->Start();
  }
  const shm::GeoState& state() const { return file_->state(); }

  // Null: it cannot be opened, which the log has been told.
  Database* database() {
    if (state().serial.load(std::memory_order_relaxed) != serial_) Follow();
    return opened_.database.get();
  }

 private:
  // Goes over to the current copy. If that fails, the one before serves until the next try.
  void Follow() {
    const uint64_t serial = state().serial.load(std::memory_order_relaxed);
    if (serial == serial_ && opened_.database != nullptr) return;
    auto opened = file_->Open();
    if (opened) {
      opened_ = std::move(*opened);
      serial_ = opened_.serial;
      return;
    }
    if (opened.error().code == std::errc::device_or_resource_busy) return;
    if (told_ != serial) LIMPET_LOG(log_, LogLevel::kError, "{}", opened.error().message);
    told_ = serial;
  }

  std::shared_ptr<GeoFile> file_;
  const Log& log_;
  GeoFile::Opened opened_;
  uint64_t serial_ = 0;
  uint64_t told_ = 0;
  std::unique_ptr<GeoWatch> watch_;
};

GeoReaders::GeoReaders(Loop& loop, const conf::GeoSettings& settings, const GeoStore& store,
                       const Log& log, shm::AlertRing& alerts)
    : settings_(settings) {
  for (size_t i = 0; i < settings.databases.size(); ++i) {
    entries_.push_back(
        std::make_unique<Entry>(loop, settings.databases[i], store.files()[i], log, alerts));
  }
  for (const conf::GeoField& field : settings.fields) {
    auto& path = paths_.emplace_back();
    for (const std::string& key : field.path) path.push_back(key.c_str());
    path.push_back(nullptr);
  }
}

GeoReaders::~GeoReaders() = default;

void GeoReaders::Start() {
  for (const auto& entry : entries_) entry->Start();
}

std::vector<const shm::GeoState*> GeoReaders::States() const {
  std::vector<const shm::GeoState*> states;
  for (const auto& entry : entries_) states.push_back(&entry->state());
  return states;
}

conf::Value GeoReaders::FindRecord(const conf::GeoField& conf, size_t field,
                                   conf::VariableReader& reader, const SocketAddress* client) {
  std::optional<SocketAddress> given;
  if (conf.source) {
    const auto parsed = SocketAddress::ParseIp(conf.source->Evaluate(reader), 0);
    if (parsed) given = *parsed;
    client = given ? &*given : nullptr;
  }
  Database* const database = entries_[conf.database]->database();
  if (client == nullptr || database == nullptr) return conf::Value::None();
  Database::Digits digits;
  const auto text = database->Find(*client, paths_[field].data(), &digits);
  return text ? Kept(reader, *text) : conf::Value::None();
}

conf::Value GeoReaders::Find(size_t field, conf::VariableReader& reader,
                             const SocketAddress* client) {
  const conf::GeoField& conf = settings_.fields[field];
  if (conf.kind != conf::GeoField::Kind::kRecord) {
    const int64_t seconds = MetadataOf(entries_[conf.database]->state(), conf.kind);
    return Kept(reader, fmt::format_int(seconds).c_str());
  }
  const conf::Value value = FindRecord(conf, field, reader, client);
  if (value.found || conf.fallback.empty()) return value;
  return conf::Value::Of(conf.fallback);
}

}  // namespace limpet::worker
