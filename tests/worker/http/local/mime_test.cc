#include "worker/http/exchange/mime.h"

#include <gtest/gtest.h>

namespace limpet::worker {
namespace {

TEST(FileExtension, IsWhatFollowsTheLastDot) {
  EXPECT_EQ(FileExtension("/a/b.html"), "html");
  EXPECT_EQ(FileExtension("/a.b/c"), "");
  EXPECT_EQ(FileExtension("/a.tar.gz"), "gz");
  EXPECT_EQ(FileExtension("/.html"), "") << "a hidden file, not a type";
  EXPECT_EQ(FileExtension("/a/.html"), "");
  EXPECT_EQ(FileExtension("/"), "");
  EXPECT_EQ(FileExtension(""), "");
}

TEST(ContentType, IsFoundInAnyCase) {
  conf::ResponseSettings settings;
  settings.types = std::make_shared<const conf::MimeTypes>(
      conf::MimeTypes{{"html", "text/html"}, {"svg", "image/svg+xml"}});
  settings.default_type = "application/octet-stream";
  EXPECT_EQ(ContentTypeOf(settings, "/x.svg"), "image/svg+xml");
  EXPECT_EQ(ContentTypeOf(settings, "/x.HtmL"), "text/html");
  EXPECT_EQ(ContentTypeOf(settings, "/x.bin"), "application/octet-stream");
  EXPECT_EQ(ContentTypeOf(settings, "/x"), "application/octet-stream");
}

}  // namespace
}  // namespace limpet::worker
