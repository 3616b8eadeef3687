// The links of the body chain: gzip, ranges and replaced texts.
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "tests/conf/support.h"
#include "worker/http/filter/gzip.h"
#include "worker/http/filter/ranges.h"
#include "worker/http/filter/sub_filter.h"

namespace limpet::worker {
namespace {

using proto::HeaderId;

// The chain's end.
class Collector final : public BodyFilter {
 public:
  void Write(BlockRef, std::string_view bytes) override { text += bytes; }
  void WriteFile(std::shared_ptr<const UniqueFd> file, off_t offset, uint64_t size) override {
    std::string part(size, '\0');
    ASSERT_EQ(::pread(file->get(), part.data(), size, offset), static_cast<ssize_t>(size));
    text += part;
  }
  void Flush() override { ++flushes; }
  void End() override { ++ends; }
  void OnBroken(std::string_view why) override { broken = why; }
  bool HasRoom() const override { return text.size() < room; }

  size_t room = SIZE_MAX;
  std::string text, broken;
  int flushes = 0;
  int ends = 0;
};

std::string Inflate(const std::string& data) {
  z_stream zlib{};
  EXPECT_EQ(inflateInit2(&zlib, 15 + 16), Z_OK);
  std::string out(4 << 20, '\0');
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  zlib.avail_in = static_cast<uInt>(data.size());
  zlib.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  inflate(&zlib, Z_SYNC_FLUSH);
  out.resize(zlib.total_out);
  inflateEnd(&zlib);
  return out;
}

std::shared_ptr<const UniqueFd> FileOf(const std::string& content) {
  std::FILE* file = std::tmpfile();
  std::fwrite(content.data(), 1, content.size(), file);
  std::fflush(file);
  auto fd = std::make_shared<const UniqueFd>(::dup(::fileno(file)));
  std::fclose(file);
  return fd;
}

std::string Noise(size_t size) {
  std::string text;
  uint32_t x = 1;
  while (text.size() < size) {
    x = x * 1664525 + 1013904223;
    text += static_cast<char>(x >> 24);
  }
  return text;
}

TEST(GzipFilter, RoundTripsBytesAndFiles) {
  BlockPool pool;
  const std::string noise = Noise(200000);
  for (const int64_t length : {int64_t{-1}, static_cast<int64_t>(2 * noise.size() + 5)}) {
    Collector end;
    GzipFilter gzip(pool, &end, 1, length);
    gzip.Write({}, noise);
    gzip.WriteFile(FileOf(noise), 0, noise.size());
    gzip.Write({}, "tail!");
    gzip.End();
    EXPECT_EQ(Inflate(end.text), noise + noise + "tail!");
    EXPECT_EQ(end.ends, 1);
  }
}

TEST(GzipFilter, AFileThatHasBeenCutDoesNotLookWhole) {
  BlockPool pool;
  Collector end;
  GzipFilter gzip(pool, &end, 1, 1000);
  gzip.WriteFile(FileOf(Noise(500)), 0, 1000);
  gzip.End();
  EXPECT_EQ(end.ends, 0);
  EXPECT_FALSE(end.broken.empty());
}

TEST(GzipFilter, SmallAndEmptyBodies) {
  BlockPool pool;
  for (const std::string body : {"", "x", "hello hello hello"}) {
    Collector end;
    GzipFilter gzip(pool, &end, 9, static_cast<int64_t>(body.size()));
    gzip.Write({}, body);
    gzip.End();
    EXPECT_EQ(Inflate(end.text), body);
  }
}

TEST(GzipFilter, AFlushMakesWhatCameReadable) {
  BlockPool pool;
  Collector end;
  GzipFilter gzip(pool, &end, 1, -1);
  gzip.Write({}, "first");
  gzip.Flush();
  EXPECT_EQ(Inflate(end.text), "first");
  EXPECT_EQ(end.flushes, 1);
  gzip.Write({}, " second");
  gzip.End();
  EXPECT_EQ(Inflate(end.text), "first second");
}

std::string Replaced(const std::string& text, std::vector<SubFilter::Pair> pairs, bool once,
                     size_t piece) {
  BlockPool pool;
  Collector end;
  SubFilter filter(pool, &end, std::move(pairs), once);
  for (size_t at = 0; at < text.size(); at += piece) filter.Write({}, text.substr(at, piece));
  filter.End();
  EXPECT_EQ(end.ends, 1);
  return end.text;
}

TEST(SubFilter, FindsTextsInPiecesOfAnySize) {
  const std::string text = "aab AAB aaab ab aa";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    EXPECT_EQ(Replaced(text, {{"aab", "x"}}, false, piece), "x x ax ab aa");
    EXPECT_EQ(Replaced(text, {{"aab", "x"}}, true, piece), "x AAB aaab ab aa");
    EXPECT_EQ(Replaced(text, {{"aab", ""}, {"ab", "yy"}}, true, piece), " Ayy aaab ab aa");
    EXPECT_EQ(Replaced(text, {{"aab", "x"}, {"a", "y"}}, false, piece), "x x yx yb yy");
    EXPECT_EQ(Replaced(text, {{"zzz", "x"}}, false, piece), text);
  }
}

TEST(SubFilter, LongBodiesAndReplacements) {
  std::string text, expected;
  const std::string longer(20000, 'r');
  for (int i = 0; i < 20; ++i) {
    text += std::string(5000, 'n') + "match";
    expected += std::string(5000, 'n') + longer;
  }
  EXPECT_EQ(Replaced(text, {{"match", longer}}, false, 4093), expected);
}

TEST(SubFilter, MakesNoMoreThanThereIsRoomFor) {
  BlockPool pool;
  Collector end;
  const std::string longer(1000, 'r');
  const std::string text(50'000, 'x');
  SubFilter filter(pool, &end, {{"x", longer}}, false);
  end.room = 1000;
  filter.Write({}, text);
  filter.End();
  EXPECT_LT(end.text.size(), 64u * 1024);
  EXPECT_TRUE(filter.HoldsBack());
  for (int i = 0; i < 10; ++i) filter.Pump();
  EXPECT_LT(end.text.size(), 64u * 1024) << "without room nothing goes on";
  size_t before = 0;
  while (filter.HoldsBack()) {
    before = end.text.size();
    end.room = before + 1;
    filter.Pump();
    ASSERT_LT(end.text.size() - before, 64u * 1024);
    ASSERT_TRUE(end.text.size() > before || end.ends == 1) << "each call goes on";
  }
  EXPECT_EQ(end.text, std::string(50'000 * 1000, 'r'));
  EXPECT_EQ(end.ends, 1);
}

TEST(GzipFilter, KeepsWhatThereIsNoRoomForAndItsFlushAndEnd) {
  BlockPool pool;
  Collector end;
  GzipFilter gzip(pool, &end, 1, -1);
  const std::string noise = Noise(200'000);
  end.room = 0;
  gzip.WriteFile(FileOf(noise), 0, noise.size());
  for (int i = 0; i < 100; ++i) gzip.Write({}, "tail!");
  gzip.Flush();
  EXPECT_EQ(end.text, "");
  EXPECT_EQ(end.flushes, 0);
  end.room = SIZE_MAX;
  gzip.Pump();
  EXPECT_EQ(end.flushes, 1);
  std::string want = noise;
  for (int i = 0; i < 100; ++i) want += "tail!";
  EXPECT_EQ(Inflate(end.text), want);
  EXPECT_FALSE(gzip.HoldsBack());
  gzip.End();
  EXPECT_EQ(end.ends, 1);
}

TEST(GzipFilter, TellsItsRatioAtTheEnd) {
  BlockPool pool;
  Collector end;
  GzipFilter gzip(pool, &end, 9, -1);
  gzip.Write({}, std::string(100000, 'a'));
  EXPECT_EQ(gzip.Ratio(), "");
  gzip.End();
  EXPECT_GT(std::stod(gzip.Ratio()), 100.0);
}

TEST(Gzip, CandidatesAreOfTheTypesStatusesAndSizesConfigured) {
  conf::GzipSettings settings{.on = true, .types = {"text/html", "application/json"}};
  Response response;
  response.status = 200;
  response.content_type = "Text/HTML; charset=utf-8";
  EXPECT_TRUE(IsGzipCandidate(settings, response));
  response.content_length = 19;
  EXPECT_FALSE(IsGzipCandidate(settings, response)) << "below gzip_min_length";
  response.content_length = -1;
  response.content_type = "image/png";
  EXPECT_FALSE(IsGzipCandidate(settings, response));
  response.content_type = "application/json";
  response.status = 206;
  EXPECT_FALSE(IsGzipCandidate(settings, response));
  response.status = 404;
  EXPECT_TRUE(IsGzipCandidate(settings, response));
  response.headers.Add("Content-Encoding", "br");
  EXPECT_FALSE(IsGzipCandidate(settings, response));
}

TEST(Gzip, AsksWhetherTheClientTakesIt) {
  const conf::VariableTable none;
  conf::FakeReader reader(none);
  conf::GzipSettings settings{.on = true};
  Response response;
  proto::RequestHead request;
  request.version_minor = 1;
  EXPECT_FALSE(ClientTakesGzip(reader, settings, request, response, 0));
  request.headers.Add("Accept-Encoding", "deflate, gzip");
  EXPECT_TRUE(ClientTakesGzip(reader, settings, request, response, 0));
  request.version_minor = 0;
  EXPECT_FALSE(ClientTakesGzip(reader, settings, request, response, 0)) << "gzip_http_version 1.1";
  request.version_minor = 1;
  request.headers.Add("Via", "1.1 cache");
  EXPECT_FALSE(ClientTakesGzip(reader, settings, request, response, 0)) << "gzip_proxied off";
  settings.proxied = conf::kGzipProxiedNoCache;
  response.headers.Add("Cache-Control", "private, no-cache");
  EXPECT_TRUE(ClientTakesGzip(reader, settings, request, response, 0));
}

TEST(Gzip, AChangedBodyHasAWeakTag) {
  Arena arena;
  EXPECT_EQ(WeakEtag("\"a\"", arena), "W/\"a\"");
  EXPECT_EQ(WeakEtag("W/\"a\"", arena), "W/\"a\"");
  EXPECT_EQ(WeakEtag("bare", arena), "");
}

TEST(RangeFilter, CutsOnePartWhateverThePieces) {
  const std::string body = "0123456789";
  for (size_t piece = 1; piece <= body.size(); ++piece) {
    Collector end;
    RangeFilter filter(&end, {{{3, 8}, ""}}, "");
    for (size_t at = 0; at < body.size(); at += piece) {
      filter.Write({}, std::string_view(body).substr(at, piece));
    }
    filter.End();
    EXPECT_EQ(end.text, "34567") << piece;
    EXPECT_EQ(end.ends, 1);
  }
}

TEST(RangeFilter, EndsWithTheLastWantedByte) {
  Collector end;
  RangeFilter filter(&end, {{{0, 2}, "<a>"}, {{3, 4}, "<b>"}}, "</>");
  filter.Write({}, "012");
  EXPECT_EQ(end.ends, 0);
  filter.Write({}, "345");
  EXPECT_EQ(end.ends, 1);
  filter.Write({}, "6789");
  filter.End();
  EXPECT_EQ(end.text, "<a>01<b>3</>");
  EXPECT_EQ(end.ends, 1);
}

TEST(RangeFilter, CutsSeveralPartsOfAFileInTheOrderAsked) {
  Collector end;
  RangeFilter filter(&end, {{{7, 10}, "<a>"}, {{0, 2}, "<b>"}}, "</>");
  filter.WriteFile(FileOf("0123456789"), 0, 10);
  filter.End();
  EXPECT_EQ(end.text, "<a>789<b>01</>");
}

TEST(IfRange, ComparesTagsExactlyAndDatesExactly) {
  const auto holds = [](const char* value) {
    proto::HeaderList request;
    request.Add("If-Range", value);
    return IfRangeHolds(request, "\"tag\"", 784111777);
  };
  EXPECT_TRUE(IfRangeHolds({}, "", -1));
  EXPECT_TRUE(holds("\"tag\""));
  EXPECT_FALSE(holds("\"other\""));
  EXPECT_FALSE(holds("W/\"tag\""));
  EXPECT_TRUE(holds("Sun, 06 Nov 1994 08:49:37 GMT"));
  EXPECT_FALSE(holds("Mon, 07 Nov 1994 08:49:37 GMT"));
}

}  // namespace
}  // namespace limpet::worker
