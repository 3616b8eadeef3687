// Zones of one kind in memory that has a descriptor but no name: inherited by workers, kept by name
// over reloads, passed on to the binary that replaces this one. A zone of another size begins anew.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "master/inheritance.h"
#include "shm/zone.h"

namespace limpet::master {

// `Table` is made from memory and its size, and has a Layout().
template <class Table>
class KeptZones {
 public:
  // `directive` is what messages call the zones, and the notes to a new binary.
  explicit KeptZones(std::string_view directive) : directive_(directive) {}

  struct Wanted {
    std::string_view name;
    size_t size = 0;
    std::string_view key;  // as written; "" where there are none
  };
  // The zone of this name, which may have to be made; taken from the old binary if that has left
  // it. Fails if a zone that is in use gets another key: what it holds would mean something else.
  Result<Table*> Find(const Wanted& wanted, Inheritance* inherited, const Log& log) {
    auto& kept = zones_[std::string(wanted.name)];
    if (kept && kept->key != wanted.key) {
      return InvalidArgument(
          fmt::format("{} \"{}\" uses the \"{}\" key while previously it used the \"{}\" key",
                      directive_, wanted.name, wanted.key, kept->key));
    }
    if (!kept || kept->memory.size() != wanted.size) {
      auto memory = MemoryOf(wanted, inherited, log);
      if (!memory) return memory.error();
      auto made = std::make_unique<Kept>(std::move(*memory), std::string(wanted.key));
      changes_.push_back({std::string(wanted.name), std::exchange(kept, std::move(made))});
    }
    return &kept->table;
  }

  // What Find() has made since DropUnless() is not to serve: the zones are those of before again,
  // which whoever served went on with.
  void TakeBack() {
    for (; !changes_.empty(); changes_.pop_back()) {
      Change& change = changes_.back();
      if (change.before) {
        zones_[change.name] = std::move(change.before);
      } else {
        zones_.erase(change.name);
      }
    }
  }

  // The configuration that asked for zones serves: gives back those that are not among its own, or
  // were of another size. Null: it has none.
  template <class ConfZone>
  void DropUnless(const std::vector<ConfZone>* used) {
    changes_.clear();
    std::erase_if(zones_, [used](const auto& entry) {
      return used == nullptr ||
             std::ranges::find(*used, entry.first, &ConfZone::name) == used->end();
    });
  }

  template <class Do>
  void ForEach(Do what) {
    for (auto& [name, kept] : zones_) {
      if (kept) what(kept->table);
    }
  }

  void Bequeath(Bequest* bequest) const {
    for (const auto& [name, kept] : zones_) {
      if (!kept) continue;
      bequest->Add(LabelOf({name, kept->memory.size(), kept->key}), kept->memory.fd());
    }
  }

 private:
  struct Kept {
    Kept(shm::Zone zone, std::string key_text)
        : memory(std::move(zone)), table(memory.data(), memory.size()), key(std::move(key_text)) {}
    shm::Zone memory;
    Table table;
    std::string key;
  };

  struct Change {
    std::string name;
    std::unique_ptr<Kept> before;  // null: there was none
  };

  ZoneLabel LabelOf(const Wanted& zone) const {
    return {directive_, zone.name, zone.size, Table::Layout(), zone.key};
  }

  Result<shm::Zone> MemoryOf(const Wanted& wanted, Inheritance* inherited, const Log& log) {
    if (inherited != nullptr) {
      auto taken = inherited->TakeZone(LabelOf(wanted));
      if (taken) return taken;
      LIMPET_LOG(log, LogLevel::kNotice, "{} \"{}\" begins anew: {}", directive_, wanted.name,
                 taken.error().message);
    }
    return shm::Zone::Nameless(wanted.size);
  }

  std::string_view directive_;
  std::map<std::string, std::unique_ptr<Kept>, std::less<>> zones_;
  std::vector<Change> changes_;
};

}  // namespace limpet::master
