#include "worker/net/slice.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace limpet::worker {
namespace {

Slice Bytes(BlockPool& pool, std::string_view text) {
  Slice slice{pool.Get(BlockSize::k64K), {}};
  std::memcpy(slice.block.data(), text.data(), text.size());
  slice.bytes = {slice.block.data(), text.size()};
  return slice;
}

std::string Joined(const std::vector<Slice>& slices) {
  std::string text;
  for (const Slice& slice : slices) text += slice.bytes;
  return text;
}

void Add(BlockPool& pool, SliceJoiner& joiner, std::vector<Slice>& slices, Slice next) {
  Slice* const last = slices.empty() ? nullptr : &slices.back();
  if (!joiner.Join(pool, last, &next)) slices.push_back(std::move(next));
}

TEST(SliceJoiner, SmallPiecesShareABlock) {
  BlockPool pool;
  SliceJoiner joiner;
  std::vector<Slice> slices;
  std::string want;
  for (int i = 0; i < 1000; ++i) {
    const std::string piece = std::to_string(i) + ",";
    Add(pool, joiner, slices, Bytes(pool, piece));
    want += piece;
  }
  EXPECT_EQ(Joined(slices), want);
  EXPECT_EQ(slices.size(), 1u);
  EXPECT_EQ(pool.in_use(), worker::Bytes(BlockSize::k4K));
}

TEST(SliceJoiner, WhatContinuesTheLastOneExtendsIt) {
  BlockPool pool;
  SliceJoiner joiner;
  std::vector<Slice> slices;
  const Slice all = Bytes(pool, std::string(10000, 'x'));
  Add(pool, joiner, slices, {all.block, all.bytes.substr(0, 4000)});
  Add(pool, joiner, slices, {all.block, all.bytes.substr(4000)});
  ASSERT_EQ(slices.size(), 1u);
  EXPECT_EQ(slices[0].bytes, all.bytes);
  Add(pool, joiner, slices, Bytes(pool, std::string(2000, 'y')));
  EXPECT_EQ(slices.size(), 2u) << "long ones stay where they are";
}

TEST(ReadBlock, FillsABlockToItsEnd) {
  BlockPool pool;
  ReadBlock reader;
  std::vector<Slice> kept;
  for (int i = 0; i < 1000; ++i) {
    const std::span<char> room = reader.Room(pool, BlockSize::k16K);
    ASSERT_FALSE(room.empty());
    room[0] = static_cast<char>('a' + i % 26);
    kept.push_back(reader.Took(1));
  }
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(kept[static_cast<size_t>(i)].bytes[0], 'a' + i % 26);
  }
  EXPECT_EQ(pool.in_use(), worker::Bytes(BlockSize::k16K));
}

TEST(ReadBlock, BeginsAnewWhenNothingIsKept) {
  BlockPool pool;
  ReadBlock reader;
  for (int i = 0; i < 5; ++i) {
    EXPECT_GT(reader.Room(pool, BlockSize::k4K).size(), 4000u);
    reader.Took(3000);
  }
  reader.ReleaseUnlessUsed();
  EXPECT_EQ(pool.in_use(), 0u);
}

}  // namespace
}  // namespace limpet::worker
