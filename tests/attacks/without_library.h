// A program whose image does not have the library at first, and then loads it.
#pragma once

#include <dlfcn.h>

#include "tests/attacks/attack.h"

namespace libmseal::tests {

// The next image has no library. Where this one has not begun to seal, it has no filters either.
[[noreturn]] inline void go_on_without_library(char** arguments, const std::string& library) {
  const char* const present = std::getenv("MSEAL_OPTIONS");
  std::string options = present != nullptr ? present : "";
  constexpr std::string_view kLate = ",auto=off";
  if (const std::size_t at = options.find(kLate); at != std::string::npos) options.erase(at, kLate.size());
  options += ",auto=elf";
  ::setenv("MSEAL_OPTIONS", options.c_str(), 1);
  ::unsetenv("LD_PRELOAD");
  ::execl(arguments[0], arguments[0], library.c_str(), nullptr);
  cannot_try("execl");
}

}  // namespace libmseal::tests
