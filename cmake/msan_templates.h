// For builds under MemorySanitizer, before all else: streams and the like are compiled with
// whatever uses them. What the standard library has ready is not instrumented. (c++config.h
// overrides a -D of this macro.)
#pragma once
#include <bits/c++config.h>
#undef _GLIBCXX_EXTERN_TEMPLATE
#define _GLIBCXX_EXTERN_TEMPLATE 0
