#include "proto/http2/priority.h"

#include <gtest/gtest.h>

namespace limpet::proto {
namespace {

TEST(Priority, ReadsUrgencyAndIncremental) {
  EXPECT_EQ(ParsePriority("u=0"), (StreamPriority{0, false}));
  EXPECT_EQ(ParsePriority("u=7, i"), (StreamPriority{7, true}));
  EXPECT_EQ(ParsePriority("i=?1 ,\tu=5"), (StreamPriority{5, true}));
  EXPECT_EQ(ParsePriority("i, i=?0"), (StreamPriority{3, false}));
  EXPECT_EQ(ParsePriority("u=1;x=2, i;y"), (StreamPriority{1, true}));
}

TEST(Priority, WhatItDoesNotKnowSaysNothing) {
  for (const char* text :
       {"", ",", "u", "u=", "u=8", "u=-1", "u=10", "u=a", "i=1", "I", "U=1", "x"})
    EXPECT_EQ(ParsePriority(text), StreamPriority{}) << text;
}

}  // namespace
}  // namespace limpet::proto
