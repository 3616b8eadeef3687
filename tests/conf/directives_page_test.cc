// conf/DIRECTIVES.md is written from the tables. UPDATE_DIRECTIVES=1 writes it again.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "conf/directive.h"

namespace limpet::conf {
namespace {

TEST(DirectivesPage, IsUpToDate) {
  const std::string path = std::string(LIMPET_SOURCE_DIR) + "/conf/DIRECTIVES.md";
  if (std::getenv("UPDATE_DIRECTIVES")) std::ofstream(path) << DirectivesMarkdown();
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == DirectivesMarkdown())
      << "conf/DIRECTIVES.md is stale. Write it again with: UPDATE_DIRECTIVES=1 ctest -R conf_test";
}

}  // namespace
}  // namespace limpet::conf
