// All databases of addresses of a configuration. The master loads them, as workers may have no
// right to read the files; they inherit them by fork.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "worker/geo/geo_file.h"

namespace limpet::worker {

class GeoStore {
 public:
  // `before`: of the generation before this one, whose files are taken over as they are in memory
  // if they are still the same on disk; may be null. An error names the file.
  static Result<std::shared_ptr<const GeoStore>> Load(const conf::GeoSettings& settings,
                                                      const GeoStore* before);

  // To conf::GeoSettings::databases.
  const std::vector<std::shared_ptr<GeoFile>>& files() const { return files_; }
  std::vector<const shm::GeoState*> States() const;

 private:
  std::shared_ptr<GeoFile> FindCurrent(const std::string& path) const;

  std::vector<std::shared_ptr<GeoFile>> files_;
};

}  // namespace limpet::worker
