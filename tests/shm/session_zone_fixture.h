// A zone of a test's own, opened as the master opens one.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/clock.h"
#include "shm/session_zone.h"

namespace limpet::shm {

using Origin = SessionZone::Origin;

class SessionZoneTest : public testing::Test {
 protected:
  SessionZoneTest() {
    options_.name = "limpet-test-" + std::to_string(::getpid());
    options_.bytes = 256 * 1024;
    options_.snapshot_path = std::filesystem::temp_directory_path() / options_.name;
  }
  ~SessionZoneTest() override {
    for (const char* suffix : {"", ".bad", ".new"}) {
      std::filesystem::remove_all("/dev/shm/" + options_.name + suffix);
      std::filesystem::remove_all(options_.snapshot_path + suffix);
    }
    for (const std::string& other : Zone::OwnNames(options_.name)) Zone::Remove(other);
  }
  SessionZone Open() {
    Result<SessionZone> zone = SessionZone::OpenOrCreate(options_, now_);
    if (!zone) throw std::runtime_error(zone.error().message);
    return *std::move(zone);
  }
  void Learn(SessionZone& zone, uint64_t from, uint64_t to) {
    const uint16_t peer = zone.table().PeerIndex("a");
    for (uint64_t i = from; i < to; ++i) {
      zone.table().Learn(zone.table().KeyOf(std::to_string(i)), peer, now_);
    }
  }
  bool Has(SessionZone& zone, uint64_t n) {
    const SessionKey key = zone.table().KeyOf(std::to_string(n));
    return zone.table().Peek(key, now_).result == LookupResult::kHit;
  }

  SessionZone::Options options_;
  uint64_t now_ = BootMs();
};

}  // namespace limpet::shm
