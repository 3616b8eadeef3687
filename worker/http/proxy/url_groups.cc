#include "worker/http/proxy/url_groups.h"

#include <algorithm>
#include <utility>

namespace limpet::worker {

UrlGroup::UrlGroup(Loop& loop, int slot, conf::Upstream conf)
    : conf_(std::move(conf)), upstream_(loop, conf_, nullptr, slot, StickySessions{}) {}

// Servers of names like to turn the list with every answer.
bool UrlGroup::HasAddresses(const std::vector<SocketAddress>& addresses) const {
  const std::vector<SocketAddress>& own = conf_.servers.front().addresses;
  return own.size() == addresses.size() &&
         std::is_permutation(own.begin(), own.end(), addresses.begin());
}

std::shared_ptr<UrlGroup> UrlGroups::Find(std::string_view name) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return nullptr;
  entries_.splice(entries_.end(), entries_, found->second);
  return found->second->group;
}

std::shared_ptr<UrlGroup> UrlGroups::Make(const std::string& name, conf::Upstream conf) {
  const auto free_later = [&loop = loop_](UrlGroup* group) {
    loop.DeleteLater(std::unique_ptr<Deletable>(group));
  };
  std::shared_ptr<UrlGroup> made(new UrlGroup(loop_, slot_, std::move(conf)), free_later);
  made->upstream().traffic = traffic_;
  addresses_ += made->addresses();
  if (Find(name) != nullptr) {
    addresses_ -= entries_.back().group->addresses();
    entries_.back().group = made;
  } else {
    by_name_[name] = entries_.insert(entries_.end(), Entry{name, made});
  }
  Trim();
  return made;
}

// Those in use are looked at once in a round, as they are the newest then. The last one is what
// was just made.
void UrlGroups::Trim() {
  for (size_t looks = entries_.size(); addresses_ > most_ && looks > 1; --looks) {
    if (entries_.front().group.use_count() > 1) {
      entries_.splice(entries_.end(), entries_, entries_.begin());
    } else {
      addresses_ -= entries_.front().group->addresses();
      by_name_.erase(entries_.front().name);
      entries_.pop_front();
    }
  }
}

void UrlGroups::Clear() {
  by_name_.clear();
  entries_.clear();
  addresses_ = 0;
}

}  // namespace limpet::worker
