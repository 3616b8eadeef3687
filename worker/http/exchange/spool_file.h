// A temporary file that bytes are appended to and later sent from. It has no name: the system frees
// it with its last user.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace limpet::worker {

class SpoolFile {
 public:
  // `folder`: an existing directory.
  Status Append(const std::string& folder, std::string_view bytes);
  uint64_t size() const { return size_; }
  const std::shared_ptr<const UniqueFd>& file() const { return file_; }
  void Reset() {
    file_.reset();
    size_ = 0;
  }

 private:
  std::shared_ptr<const UniqueFd> file_;
  uint64_t size_ = 0;
};

// Opens a new temporary file in `folder`. With `path`, it keeps a name, which is returned there;
// the caller removes it.
Result<UniqueFd> OpenTemporary(const std::string& folder, std::string* path);
Status WriteFully(int fd, std::string_view bytes, uint64_t offset);

}  // namespace limpet::worker
