#include "worker/http/exchange/variable_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace limpet::worker {
namespace {

TEST(VariableCache, KnowsWhatWasSet) {
  VariableCache cache(3);
  EXPECT_FALSE(cache.Has(1));
  EXPECT_FALSE(cache.Get(1).found);
  cache.Set(1, conf::Value::Of("a"));
  cache.Set(1, conf::Value::Of("b"));
  EXPECT_EQ(cache.Get(1).text, "b");
  EXPECT_EQ(cache.count(), 1u);
  cache.Set(2, conf::Value::None());
  EXPECT_TRUE(cache.Has(2));
  cache.Reset();
  EXPECT_FALSE(cache.Has(1));
  EXPECT_FALSE(cache.Has(2));
}

TEST(VariableCache, ForgetsWhatIsNew) {
  VariableCache cache(3);
  cache.Set(0, conf::Value::Of("old"));
  const size_t before = cache.count();
  cache.Set(2, conf::Value::Of("new"));
  cache.ForgetSince(before);
  EXPECT_FALSE(cache.Has(2));
  EXPECT_EQ(cache.Get(0).text, "old");
}

TEST(VariableCache, HasRoomForAsManyAsThereAre) {
  constexpr size_t kCount = 1000;
  std::vector<std::string> texts;
  for (size_t i = 0; i < kCount; ++i) texts.push_back(std::to_string(i));
  VariableCache cache(kCount);
  for (size_t i = kCount; i-- > 0;)
    cache.Set(static_cast<conf::VariableId>(i), conf::Value::Of(texts[i]));
  for (size_t i = 0; i < kCount; ++i)
    EXPECT_EQ(cache.Get(static_cast<conf::VariableId>(i)).text, texts[i]);
  cache.ForgetSince(300);
  EXPECT_TRUE(cache.Has(700));
  EXPECT_FALSE(cache.Has(699));
  EXPECT_EQ(cache.Get(700).text, "700");
  cache.ForgetSince(4);
  EXPECT_TRUE(cache.Has(996));
  EXPECT_FALSE(cache.Has(995));
  EXPECT_FALSE(cache.Has(700));
  for (const int id : {1, 2, 3, 4, 5, 6})
    cache.Set(static_cast<conf::VariableId>(id), conf::Value::Of(texts[0]));
  EXPECT_TRUE(cache.Has(6) && cache.Has(1) && cache.Has(999));
  for (const int id : {995, 992, 991, 990, 700})
    EXPECT_FALSE(cache.Has(static_cast<conf::VariableId>(id))) << id;
}

}  // namespace
}  // namespace limpet::worker
