#include "worker/tls/session_memory.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "worker/tls/openssl.h"

namespace limpet::worker {
namespace {

TEST(TlsSessionMemory, FindsWhatWasKeptLast) {
  TlsSessionMemory memory;
  EXPECT_EQ(memory.Find("a"), nullptr);
  memory.Keep("a", SSL_SESSION_new());
  SSL_SESSION* const second = SSL_SESSION_new();
  memory.Keep("a", second);
  EXPECT_EQ(memory.Find("a"), second);
  EXPECT_EQ(memory.Find("b"), nullptr);
  EXPECT_EQ(memory.size(), 1u);
  memory.Forget("a");
  memory.Forget("a");
  EXPECT_EQ(memory.Find("a"), nullptr);
}

// Names are the clients' to choose.
TEST(TlsSessionMemory, KeepsSoManyOnly) {
  TlsSessionMemory memory(10);
  memory.Keep("asked for", SSL_SESSION_new());
  for (int i = 0; i < 100; ++i) {
    memory.Keep(fmt::format("name {}", i), SSL_SESSION_new());
    EXPECT_NE(memory.Find("asked for"), nullptr);
  }
  EXPECT_EQ(memory.size(), 10u);
  EXPECT_NE(memory.Find("name 99"), nullptr);
  EXPECT_NE(memory.Find("name 91"), nullptr);
  EXPECT_EQ(memory.Find("name 90"), nullptr);
}

}  // namespace
}  // namespace limpet::worker
