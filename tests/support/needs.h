// Tests that need something which not every machine has. MSEAL_TESTS_MUST_RUN=1 turns the skip into a
// failure.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/support/catch.h"

namespace libmseal::tests {

// True if the test can go on.
inline bool needs(bool present, const std::string& what) {
  if (present) return true;
  const char* const must = std::getenv("MSEAL_TESTS_MUST_RUN");
  if (must != nullptr && std::string_view(must) == "1") FAIL("cannot run here, and must: " + what);
  WARN("skipped: " + what);
  return false;
}

inline bool kernel_has_mseal() {
  return ::syscall(462, 0, 0, 0) == 0;
}

// One that lets files be moved between directories (5.19).
inline bool kernel_has_landlock() {
  return ::syscall(444, nullptr, 0, 1) >= 2;
}

}  // namespace libmseal::tests
