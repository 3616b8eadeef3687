#include "worker/http/proxy/answer_size.h"

#include <gtest/gtest.h>

namespace limpet::worker {
namespace {

void Note(AnswerSize* answers, int count, size_t size) {
  for (int i = 0; i < count; ++i) answers->Note(size, false);
}

TEST(AnswerSize, GetsSmallAfterManyThatAreShort) {
  AnswerSize answers;
  EXPECT_EQ(answers.block(), BlockSize::k16K);
  Note(&answers, 15, 300);
  EXPECT_EQ(answers.block(), BlockSize::k16K);
  Note(&answers, 1, 300);
  EXPECT_EQ(answers.block(), BlockSize::k1K);
}

TEST(AnswerSize, IsThatOfTheLongestOfThem) {
  AnswerSize answers;
  Note(&answers, 15, 300);
  Note(&answers, 1, 3000);
  EXPECT_EQ(answers.block(), BlockSize::k4K);
  Note(&answers, 16, 4000);
  EXPECT_EQ(answers.block(), BlockSize::k16K);
}

TEST(AnswerSize, GrowsWithTheFirstThatDoesNotFit) {
  AnswerSize answers;
  Note(&answers, 16, 300);
  answers.Note(1000, true);
  EXPECT_EQ(answers.block(), BlockSize::k16K);
  Note(&answers, 15, 300);
  EXPECT_EQ(answers.block(), BlockSize::k16K);
}

}  // namespace
}  // namespace limpet::worker
