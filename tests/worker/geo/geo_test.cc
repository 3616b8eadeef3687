// Files as an admin and an attacker leave them, and all that a variable can say of an address. The
// databases were written by tests/support/mmdb.pl; they are the seeds of the fuzz target, too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory_resource>
#include <utility>

#include "worker/geo/geo_file.h"
#include "worker/geo/geo_readers.h"
#include "worker/geo/geo_store.h"
#include "worker/geo/record_check.h"

namespace limpet::worker {
namespace {

const std::atomic<bool> kNever{false};

std::string Seed(const std::string& name) {
  std::ifstream file(std::string(LIMPET_SOURCE_DIR "/tests/fuzz/seeds/geo/") + name,
                     std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Geo : public testing::Test {
 protected:
  Geo() {
    std::string pattern = "/tmp/limpet-geo-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~Geo() override { std::filesystem::remove_all(folder_); }

  // As `cp` does it: the same file, cut and written again.
  std::string Write(std::string_view bytes, const std::string& name = "a.mmdb") const {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  // As updaters do it.
  void Swap(std::string_view bytes) const {
    std::filesystem::rename(Write(bytes, "new"), folder_ + "/a.mmdb");
  }
  std::string LoadError(std::string_view bytes) const {
    const auto file = GeoFile::Load(Write(bytes));
    return file ? "loaded" : file.error().message;
  }

  std::string folder_;
};

std::string Ask(Database& database, const std::string& address,
                std::initializer_list<const char*> path) {
  std::vector<const char*> keys(path);
  keys.push_back(nullptr);
  Database::Digits digits;
  const auto found = database.Find(*SocketAddress::ParseIp(address, 0), keys.data(), &digits);
  return found ? std::string(*found) : "(nothing)";
}

TEST_F(Geo, SaysEachTypeAsNginxsModuleDoes) {
  for (const char* name : {"v4_24.mmdb", "v6_24.mmdb", "v6_28.mmdb", "v6_32.mmdb"}) {
    SCOPED_TRACE(name);
    const auto file = GeoFile::Load(Write(Seed(name)));
    ASSERT_TRUE(file) << file.error().message;
    auto opened = (*file)->Open();
    ASSERT_TRUE(opened) << opened.error().message;
    Database& database = *opened->database;
    const std::string ip = "192.0.2.1";
    EXPECT_EQ(Ask(database, ip, {"country", "iso_code"}), "US");
    EXPECT_EQ(Ask(database, ip, {"country", "names", "en"}), "United States");
    EXPECT_EQ(Ask(database, ip, {"country", "geoname_id"}), "6252001");
    EXPECT_EQ(Ask(database, ip, {"subdivisions", "0", "iso_code"}), "CA");
    EXPECT_EQ(Ask(database, ip, {"subdivisions", "1", "iso_code"}), "SD");
    EXPECT_EQ(Ask(database, ip, {"subdivisions", "2", "iso_code"}), "(nothing)");
    EXPECT_EQ(Ask(database, ip, {"subdivisions", "x", "iso_code"}), "(nothing)");
    EXPECT_EQ(Ask(database, ip, {"v", "lat"}), "-37.75000");
    EXPECT_EQ(Ask(database, ip, {"v", "f"}), "1.50000");
    EXPECT_EQ(Ask(database, ip, {"v", "raw"}), "abc");
    EXPECT_EQ(Ask(database, ip, {"v", "b"}), "1");
    EXPECT_EQ(Ask(database, ip, {"v", "i"}), "-7");
    EXPECT_EQ(Ask(database, ip, {"v", "u16"}), "65535");
    EXPECT_EQ(Ask(database, ip, {"v", "u32"}), "4294967295");
    EXPECT_EQ(Ask(database, ip, {"v", "u64"}), "18446744073709551615");
    EXPECT_EQ(Ask(database, ip, {"v", "u128"}), "0xffffffffffffffffffffffffffffffff");
    EXPECT_EQ(Ask(database, ip, {"country"}), "(nothing)");
    EXPECT_EQ(Ask(database, ip, {"subdivisions"}), "(nothing)");
    EXPECT_EQ(Ask(database, ip, {"country", "no"}), "(nothing)");
    EXPECT_EQ(Ask(database, "198.51.100.7", {"country", "iso_code"}), "DE");
    EXPECT_EQ(Ask(database, "198.51.100.8", {"country", "iso_code"}), "(nothing)");
    EXPECT_EQ(Ask(database, "::ffff:198.51.100.7", {"country", "iso_code"}), "DE");
    const bool six = std::string_view(name).starts_with("v6");
    EXPECT_EQ(Ask(database, "2001:db8::1", {"country", "iso_code"}), six ? "JP" : "(nothing)");
    EXPECT_EQ(Ask(database, "2001:db8:1::1", {"country", "iso_code"}), six ? "CN" : "(nothing)");
  }
}

TEST_F(Geo, NamesAWrongFile) {
  EXPECT_THAT(GeoFile::Load(folder_ + "/none").error().message,
              testing::HasSubstr("/none\" failed (2: No such file"));
  EXPECT_THAT(GeoFile::Load(folder_).error().message, testing::HasSubstr("no regular file"));
  EXPECT_THAT(LoadError(""), testing::HasSubstr("it is empty"));
  EXPECT_THAT(LoadError(std::string(100'000, 'x')), testing::HasSubstr("no MaxMind DB file"));
  const std::string good = Seed("v6_28.mmdb");
  EXPECT_EQ(LoadError(good), "loaded");
  EXPECT_THAT(LoadError(good.substr(0, good.size() / 2)), testing::HasSubstr("lost its end"));
  EXPECT_NE(LoadError(good.substr(good.size() / 3)), "loaded");
}

// Whatever is cut out of a file: it is refused, or all of it can be read.
TEST_F(Geo, ReadsNothingFromADamagedFile) {
  const std::string good = Seed("v4_24.mmdb");
  for (size_t at = 0; at < good.size(); at += 7) {
    std::string bad = good;
    bad.erase(at, 5);
    const auto file = GeoFile::Load(Write(bad));
    if (!file) continue;
    auto opened = (*file)->Open();
    ASSERT_TRUE(opened);
    Ask(*opened->database, "192.0.2.1", {"country", "iso_code"});
  }
}

TEST_F(Geo, ReplacesTheCopyWhenTheFileIsAnother) {
  const std::string path = Write(Seed("v4_24.mmdb"));
  const auto loaded = GeoFile::Load(path);
  ASSERT_TRUE(loaded);
  GeoFile& file = **loaded;
  EXPECT_EQ(file.Renew(kNever).look, GeoFile::Look::kSame);
  auto first = file.Open();
  ASSERT_TRUE(first);

  Swap(Seed("v6_28.mmdb"));
  EXPECT_FALSE(file.IsCurrent());
  EXPECT_EQ(file.Renew(kNever).look, GeoFile::Look::kReplaced);
  EXPECT_TRUE(file.IsCurrent());
  EXPECT_EQ(file.Renew(kNever).look, GeoFile::Look::kSame);
  EXPECT_EQ(Ask(*first->database, "2001:db8::1", {"country", "iso_code"}), "(nothing)");
  auto second = file.Open();
  ASSERT_TRUE(second);
  EXPECT_NE(second->serial, first->serial);
  EXPECT_EQ(Ask(*second->database, "2001:db8::1", {"country", "iso_code"}), "JP");

  // The first copy is not written over while somebody has it.
  Swap(Seed("v4_24.mmdb"));
  EXPECT_EQ(file.Renew(kNever).look, GeoFile::Look::kLater);
  EXPECT_EQ(Ask(*first->database, "192.0.2.1", {"country", "iso_code"}), "US");
  first->database.reset();
  EXPECT_EQ(file.Renew(kNever).look, GeoFile::Look::kReplaced);
  EXPECT_EQ(file.state().replaced.load(), 2u);
}

TEST_F(Geo, KeepsWhatItHasWhenTheFileIsDamaged) {
  const std::string good = Seed("v4_24.mmdb");
  const auto loaded = GeoFile::Load(Write(good));
  ASSERT_TRUE(loaded);
  GeoFile& file = **loaded;
  auto opened = file.Open();
  ASSERT_TRUE(opened);
  Write(good.substr(0, good.size() - 40));  // cut in place: a mapped file would be SIGBUS
  const GeoFile::Renewal first = file.Renew(kNever);
  EXPECT_EQ(first.look, GeoFile::Look::kRefused);
  EXPECT_THAT(first.text, testing::HasSubstr("a.mmdb\" is no database"));
  EXPECT_EQ(file.Renew(kNever).look, GeoFile::Look::kSame) << "told once";
  EXPECT_TRUE(file.state().refused_now.load());
  EXPECT_FALSE(file.IsCurrent()) << "a reload of the configuration reads it, and fails";
  EXPECT_EQ(Ask(*opened->database, "192.0.2.1", {"country", "iso_code"}), "US");
  EXPECT_TRUE(file.Open());

  std::filesystem::remove(folder_ + "/a.mmdb");
  EXPECT_EQ(file.Renew(kNever).look, GeoFile::Look::kRefused);
  EXPECT_EQ(file.Renew(kNever).look, GeoFile::Look::kSame);
  Write(good);
  EXPECT_EQ(file.Renew(kNever).look, GeoFile::Look::kReplaced);
  EXPECT_FALSE(file.state().refused_now.load());
  EXPECT_EQ(file.state().refused.load(), 2u);
}

TEST_F(Geo, TakesOverAtAReloadWhatIsTheSame) {
  conf::GeoSettings settings;
  settings.databases.push_back({.path = Write(Seed("v4_24.mmdb"))});
  const auto before = GeoStore::Load(settings, nullptr);
  ASSERT_TRUE(before);
  const auto same = GeoStore::Load(settings, before->get());
  ASSERT_TRUE(same);
  EXPECT_EQ((*same)->files()[0], (*before)->files()[0]);
  Swap(Seed("v6_24.mmdb"));
  const auto other = GeoStore::Load(settings, before->get());
  ASSERT_TRUE(other);
  EXPECT_NE((*other)->files()[0], (*before)->files()[0]);
  Write("damaged");
  EXPECT_FALSE(GeoStore::Load(settings, other->get()));
}

// A search tree of one node whose records both lead to `data`.
std::string CheckData(const std::string& data) {
  const std::string tree("\0\0\x11\0\0\x11", 6);  // 1 node + 16 + 0
  const auto bytes = [](const std::string& text) {
    return mmdb::Bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  };
  return mmdb::CheckRecords({.nodes = bytes(tree), .node_count = 1, .record_bits = 24}, bytes(data),
                            kNever);
}

TEST(RecordCheck, RefusesWhatNoWriterWrites) {
  EXPECT_EQ(CheckData("\x42XX"), "");                            // a string
  EXPECT_EQ(CheckData("\xe1\x41k\x41v"), "");                    // {k: v}
  EXPECT_NE(CheckData("\x43XX"), "");                            // longer than the data
  EXPECT_NE(CheckData("\xe1\xa1\x01\x41v"), "");                 // a key that is a number
  EXPECT_NE(CheckData("\xe2\x41k\x41v"), "");                    // a map that lacks an entry
  EXPECT_NE(CheckData(std::string("\x20\0", 2)), "");            // a pointer to itself
  EXPECT_NE(CheckData(std::string("\x20\x7f", 2)), "");          // one that leaves the data
  EXPECT_NE(CheckData(std::string("\xff\xff\xff\xff", 4)), "");  // 16 million entries
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "\x01\x04";  // [[[[…
  EXPECT_NE(CheckData(deep + "\x41x"), "");
}

}  // namespace
}  // namespace limpet::worker
