// Tests that need something which not every machine has. MSEAL_TESTS_MUST_RUN=1 turns the skip into a
// failure; features named in MSEAL_TESTS_WITHOUT ("mseal,pidfd") may be missing.
#pragma once

#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/support/catch.h"

namespace libmseal::tests {

// True if the test can go on. `name` is what MSEAL_TESTS_WITHOUT calls it.
inline bool needs(bool present, const std::string& what, std::string_view name = "") {
  if (present) return true;
  const auto variable = [](const char* key) {
    const char* const value = std::getenv(key);
    return std::string_view(value != nullptr ? value : "");
  };
  const bool expected = !name.empty() && variable("MSEAL_TESTS_WITHOUT").find(name) != std::string_view::npos;
  if (variable("MSEAL_TESTS_MUST_RUN") == "1" && !expected) FAIL("cannot run here, and must: " + what);
  WARN("skipped: " + what);
  return false;
}

inline bool needs_mseal() {
  return needs(::syscall(462, 0, 0, 0) == 0, "a kernel with mseal(2), and no profile that refuses it",
               "mseal");
}

// One that lets files be moved between directories (5.19).
inline bool needs_landlock() {
  return needs(::syscall(444, nullptr, 0, 1) >= 2, "Landlock of Linux 5.19 or later, enabled at boot",
               "landlock");
}

// Whether this kernel is older than that version.
inline bool older_than(int major, int minor) {
  utsname system{};
  int has_major = 0;
  int has_minor = 0;
  REQUIRE(::uname(&system) == 0);
  REQUIRE(std::sscanf(system.release, "%d.%d", &has_major, &has_minor) == 2);
  return has_major < major || (has_major == major && has_minor < minor);
}

}  // namespace libmseal::tests
