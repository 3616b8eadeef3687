#include "tests/conf/support.h"

namespace limpet::conf {
namespace {

TEST(Geoip2, KeepsWhatIsWritten) {
  const auto config = MustLoad(
      InHttp("geoip2 city.mmdb { auto_reload 5m; $code default=XX source=$arg_ip country iso_code; "
             "$first subdivisions 0 names en; $built metadata build_epoch; }"
             "geoip2 /asn.mmdb { $asn autonomous_system_number; $seen metadata last_check; }"
             "geoip2_proxy 10.0.0.0/8; geoip2_proxy ::1; geoip2_proxy_recursive on;"));
  const GeoSettings& geo = config->http->geo;
  ASSERT_EQ(geo.databases.size(), 2u);
  EXPECT_EQ(geo.databases[0].path, "/nowhere/city.mmdb");
  EXPECT_EQ(geo.databases[0].auto_reload, std::chrono::minutes(5));
  EXPECT_EQ(geo.databases[1].auto_reload, 0ms);
  ASSERT_EQ(geo.fields.size(), 5u);
  EXPECT_THAT(geo.fields[0].path, testing::ElementsAre("country", "iso_code"));
  EXPECT_EQ(geo.fields[0].fallback, "XX");
  EXPECT_EQ(geo.fields[0].source->source(), "$arg_ip");
  EXPECT_THAT(geo.fields[1].path, testing::ElementsAre("subdivisions", "0", "names", "en"));
  EXPECT_EQ(geo.fields[2].kind, GeoField::Kind::kBuildEpoch);
  EXPECT_EQ(geo.fields[3].database, 1u);
  EXPECT_EQ(geo.fields[4].kind, GeoField::Kind::kLastCheck);
  EXPECT_EQ(geo.proxies.from.size(), 2u);
  EXPECT_TRUE(geo.proxies.recursive);
}

// A path may hold what looks like an option; in front of it only options do.
TEST(Geoip2, TakesOptionsInFrontOnly) {
  const auto config = MustLoad(InHttp("geoip2 a { $x country default=y; }"));
  EXPECT_THAT(config->http->geo.fields[0].path, testing::ElementsAre("country", "default=y"));
  EXPECT_THAT(LoadError(InHttp("geoip2 a { $x default=y default=z country; }")),
              testing::HasSubstr("invalid parameter \"default=z\": one default"));
}

TEST(Geoip2, NamesTheLineOfTheFile) {
  const auto config = MustLoad("events {}\nhttp {\n geoip2 a.mmdb { $x y; } }");
  EXPECT_EQ(WithPlace(*config, InvalidArgument("\"/nowhere/a.mmdb\" is damaged")).message,
            "\"/nowhere/a.mmdb\" is damaged in t.conf:3");
}

}  // namespace
}  // namespace limpet::conf
