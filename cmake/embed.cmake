cmake_minimum_required(VERSION 3.25)
# A page as bytes of the program, its scripts put in where it says @SCRIPT@, one after the other:
#   cmake -DPAGE=page.html -DSCRIPT=page.js,more.js -DOUT=page.cc -DNAME=kPage -P embed.cmake
file(READ ${PAGE} page)
string(REPLACE "," ";" scripts "${SCRIPT}")
set(script "")
foreach(file ${scripts})
  file(READ ${file} text)
  string(APPEND script "${text}")
endforeach()
string(REPLACE "@SCRIPT@" "${script}" page "${page}")
file(WRITE ${OUT}.html "${page}")
file(READ ${OUT}.html hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "((0x..,0x..,0x..,0x..,)(0x..,0x..,0x..,0x..,)(0x..,0x..,0x..,0x..,)(0x..,0x..,0x..,0x..,))" "\\1\n" bytes "${bytes}")
file(WRITE ${OUT} "// Made from a page of the source tree by cmake/embed.cmake.
#include <string_view>

namespace limpet::worker {
namespace {
constexpr unsigned char kBytes[] = {
${bytes}
};
}  // namespace
extern const std::string_view ${NAME};
const std::string_view ${NAME}(reinterpret_cast<const char*>(kBytes), ${size});
}  // namespace limpet::worker
")
