#include "worker/geo/geo_store.h"

namespace limpet::worker {

Result<std::shared_ptr<const GeoStore>> GeoStore::Load(const conf::GeoSettings& settings,
                                                       const GeoStore* before) {
  const auto store = std::make_shared<GeoStore>();
  for (const conf::GeoDatabase& conf : settings.databases) {
    auto file = before != nullptr ? before->FindCurrent(conf.path) : nullptr;
    if (file == nullptr) {
      auto loaded = GeoFile::Load(conf.path);
      if (!loaded) return loaded.error();
      file = std::move(*loaded);
    }
    store->files_.push_back(std::move(file));
  }
  return std::shared_ptr<const GeoStore>(store);
}

std::shared_ptr<GeoFile> GeoStore::FindCurrent(const std::string& path) const {
  for (const auto& file : files_) {
    if (file->path() == path) return file->IsCurrent() ? file : nullptr;
  }
  return nullptr;
}

std::vector<const shm::GeoState*> GeoStore::States() const {
  std::vector<const shm::GeoState*> states;
  for (const auto& file : files_) states.push_back(&file->state());
  return states;
}

}  // namespace limpet::worker
