// Expectations inside a scenario: a program of its own, so no test framework, and no allocation of ours
// between what is tried and what is checked.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace libmseal::tests {

inline int g_failures = 0;

inline void expect(bool holds, const char* text, const char* file, int line) {
  if (holds) return;
  ++g_failures;
  std::fprintf(stderr, "%s:%d: does not hold: %s (errno %d)\n", file, line, text, errno);
}

}  // namespace libmseal::tests

#define EXPECT(condition) ::libmseal::tests::expect((condition), #condition, __FILE__, __LINE__)
#define REQUIRE_OR_STOP(condition)                        \
  do {                                                    \
    const bool holds_here = static_cast<bool>(condition); \
    EXPECT(holds_here&& #condition);                      \
    if (!holds_here) std::exit(1);                        \
  } while (false)
